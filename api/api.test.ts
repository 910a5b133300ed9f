import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentView } from '../agent/view.js';
import { SfcError } from '../errors/index.js';
import { MAP_NAMES } from '../maps/index.js';
import { fakeView, flowEntry, SANDBOX } from './fake-view.js';
import { type Api, type ProbeServer, startApi, startProbes } from './index.js';
import { parseHealthAddress } from './probes.js';
import { ROUTES } from './routes.js';
import { listenAt } from './socket.js';

let directory: string;
let socketPath: string;
let api: Api | undefined;
let logged: { level: string; facts: object; message: string }[];

const say = (level: string) => (facts: object, message: string) => void logged.push({ level, facts, message });

async function start(view: AgentView = fakeView(), path = socketPath): Promise<Api> {
  api = await startApi({ view, socketPath: path, log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') } });
  return api;
}

beforeEach(() => {
  logged = [];
  directory = mkdtempSync(join(tmpdir(), 'sfc-api-'));
  socketPath = join(directory, 'run/sfcd.sock');
});

afterEach(async () => {
  await api?.close();
  api = undefined;
  rmSync(directory, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly text: string;
}

function ask(path: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = options;
    const asking = request({ socketPath, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], text }));
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

const json = async (path: string) => JSON.parse((await ask(path)).text) as Record<string, unknown>;

/** Sends bytes as they are; resolves with all that came back when the connection is closed. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(socketPath, () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

async function refusal(action: Promise<unknown>): Promise<SfcError> {
  const error = await action.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (error instanceof SfcError) return error;
  throw error ?? new Error('nothing was refused');
}

describe('the routes', () => {
  it('give what the view gives, whole', async () => {
    const view = fakeView();
    await start(view);
    expect(await json('/v1/status')).toEqual(view.status());
    expect(await json('/v1/maps')).toEqual({ items: view.maps() });
    expect(await json('/v1/chains')).toEqual({ items: view.chains() });
    expect(await json('/v1/chains/firewall')).toEqual(view.chains()[0]);
    expect(await json('/v1/selectors')).toEqual({ items: view.selectors() });
    expect(await json('/v1/selectors/vpn-to-firewall')).toEqual(view.selectors()[0]);
    expect(await json('/v1/endpoints')).toEqual({ items: view.endpoints() });
    expect(await json('/v1/services')).toEqual({ items: view.services() });
    expect(await json('/v1/problems')).toEqual({ items: view.problems() });
    expect(await json('/v1/conflicts')).toEqual({ items: view.conflicts() });
    expect(await json('/healthz')).toEqual({ ok: true });
    expect(await json('/readyz')).toEqual({ ok: true });
    for (const map of MAP_NAMES) expect(await json(`/v1/maps/${map}`)).toEqual({ map, entries: view.entries(map), more: false });
  });

  it('answer JSON, also to HEAD', async () => {
    await start();
    for (const path of ['/v1/status', '/v1/maps/sfcselect', '/v1/openapi.json', '/v1/chains/none']) {
      expect((await ask(path)).type).toBe('application/json; charset=utf-8');
      expect(await ask(path, { method: 'HEAD' })).toMatchObject({ status: path.endsWith('none') ? 404 : 200, text: '' });
    }
  });

  it('say why the agent is not ready', async () => {
    const status = fakeView().status();
    await start(fakeView({ status: () => ({ ...status, ready: false, notReady: 'vpn/gateway: not attached' }) }));
    const { status: code, text } = await ask('/readyz');
    expect(code).toBe(503);
    expect(JSON.parse(text)).toEqual({
      code: 'NOT_READY',
      message: 'vpn/gateway: not attached',
      hint: expect.stringContaining('sfc status'),
    });
    expect((await ask('/healthz')).status).toBe(200);
  });

  it('name what there is when a name is unknown', async () => {
    await start(fakeView({ selectors: () => [] }));
    const told = async (path: string) => {
      const { status, text } = await ask(path);
      expect(status).toBe(404);
      return JSON.parse(text) as { code: string; message: string };
    };
    expect(await told('/v1/maps/sfcselct')).toMatchObject({
      code: 'NOT_FOUND',
      message: `no map named sfcselct; there is ${MAP_NAMES.join(', ')}`,
    });
    expect((await told('/v1/chains/fire%2Fwall')).message).toBe('no chain named fire/wall; there is firewall, proxy');
    expect((await told('/v1/selectors/x')).message).toBe('no selector named x; there is none');
    expect((await told('/v1/maps/toString')).message).toContain('no map named toString');
    expect((await told(`/v1/chains/${'a'.repeat(253)}`)).message).toContain('no chain named aaa');
    expect((await told('/nothing')).message).toContain('/v1/openapi.json');
  });
});

describe('the entries of a map', () => {
  it('come in pieces, however many there are', async () => {
    const entries = Array.from({ length: 20_000 }, (_, index) => flowEntry(index));
    await start(fakeView({ entries: () => entries }));
    expect(await json('/v1/maps/sfcflow')).toEqual({ map: 'sfcflow', entries, more: false });
  });

  it.each([1, 255, 256, 257, 511, 512, 513])('are right at the edges of a piece: %i', async (length) => {
    const entries = Array.from({ length }, (_, index) => flowEntry(index));
    await start(fakeView({ entries: () => entries }));
    expect(await json('/v1/maps/sfcflow')).toEqual({ map: 'sfcflow', entries, more: false });
    expect(await json(`/v1/maps/sfcflow?limit=${length}`)).toEqual({ map: 'sfcflow', entries, more: false });
    if (length > 1) {
      const fewer = { map: 'sfcflow', entries: entries.slice(0, -1), more: true };
      expect(await json(`/v1/maps/sfcflow?limit=${length - 1}`)).toEqual(fewer);
    }
  });

  it('may be none', async () => {
    await start(fakeView({ entries: () => [] }));
    expect(await json('/v1/maps/sfcflow')).toEqual({ map: 'sfcflow', entries: [], more: false });
  });

  it('are not made faster than the client reads, and end with it', async () => {
    let made = 0;
    let ended = false;
    const endless = function* () {
      try {
        for (;;) yield flowEntry(made++ % 65536);
      } finally {
        ended = true;
      }
    };
    await start(fakeView({ entries: () => endless() as unknown as ReturnType<AgentView['entries']> }));
    const socket = connect(socketPath);
    await new Promise<void>((resolve) => {
      socket.once('readable', resolve);
      socket.write('GET /v1/maps/sfcflow HTTP/1.1\r\nHost: x\r\n\r\n');
    });
    // Nothing is read: the buffers fill and the making stops.
    let before = -1;
    while (made !== before) {
      before = made;
      await ask('/healthz');
    }
    expect(ended).toBe(false);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy();
    await closed;
    while (!ended) await ask('/healthz');
    expect(made).toBeLessThan(100_000);
  });

  it('break off when the map fails on the way, and the API lives on', async () => {
    const failing = function* () {
      for (let index = 0; index < 1000; index++) yield flowEntry(index);
      throw new SfcError('MAP_IO', 'sfcflow: lookup failed');
    };
    await start(fakeView({ entries: () => failing() as unknown as ReturnType<AgentView['entries']> }));
    await expect(ask('/v1/maps/sfcflow')).rejects.toThrow();
    expect((await ask('/healthz')).status).toBe(200);
  });
});

describe('an error of the agent', () => {
  it('of the catalogue keeps its code and status', async () => {
    const fail = () => {
      throw new SfcError('MAP_IO', 'sfcflow: EPERM');
    };
    await start(fakeView({ entries: fail }));
    const { status, text } = await ask('/v1/maps/sfcflow');
    expect(status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({ code: 'MAP_IO', message: 'sfcflow: EPERM' });
    expect(logged.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('of no catalogue is INTERNAL, and logged', async () => {
    const fail = () => {
      throw new TypeError('x is not a function');
    };
    await start(fakeView({ chains: fail }));
    const { status, text } = await ask('/v1/chains');
    expect(status).toBe(500);
    expect(JSON.parse(text)).toMatchObject({ code: 'INTERNAL', message: 'x is not a function' });
    expect(logged.find(({ level }) => level === 'error')?.facts).toMatchObject({ url: '/v1/chains' });
  });
});

describe('whatever a client sends', () => {
  const head = 'Host: x\r\nConnection: close\r\n';
  it.each([
    ['no HTTP at all', '\u0000\u0001\u0002 hello\r\n\r\n', 400],
    ['an unknown method', `STEER / HTTP/1.1\r\n${head}\r\n`, 400],
    ['headers without end', `GET /healthz HTTP/1.1\r\n${head}X: ${'x'.repeat(200_000)}\r\n\r\n`, 400],
    ['a bad header', `GET /healthz HTTP/1.1\r\n${head}B\u0001d: x\r\n\r\n`, 400],
    ['two lengths', `POST /healthz HTTP/1.1\r\n${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`, 400],
    ['a bad escape', `GET /v1/maps/%zz HTTP/1.1\r\n${head}\r\n`, 400],
    ['a cut escape', `GET /v1/chains/%e0%a4 HTTP/1.1\r\n${head}\r\n`, 400],
    ['a very long name', `GET /v1/chains/${'a'.repeat(5000)} HTTP/1.1\r\n${head}\r\n`, 400],
    ['another method', `DELETE /v1/chains/firewall HTTP/1.1\r\n${head}\r\n`, 404],
    ['a method of WebDAV', `PROPFIND /v1/chains HTTP/1.1\r\n${head}\r\n`, 404],
    ['a body that is no JSON', `POST /v1/status HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{`, 400],
    ['a body that is too large', `POST /v1/status HTTP/1.1\r\n${head}Content-Type: text/plain\r\nContent-Length: 99999\r\n\r\n`, 400],
    ['a body of an unknown type', `POST /v1/status HTTP/1.1\r\n${head}Content-Type: a/b\r\nContent-Length: 1\r\n\r\n1`, 404],
    ['an unknown parameter', `GET /v1/status?verbose=1 HTTP/1.1\r\n${head}\r\n`, 400],
    ['a limit of no number', `GET /v1/maps/sfcflow?limit=many HTTP/1.1\r\n${head}\r\n`, 400],
    ['a limit of none', `GET /v1/maps/sfcflow?limit=0 HTTP/1.1\r\n${head}\r\n`, 400],
    ['two limits', `GET /v1/maps/sfcflow?limit=1&limit=2 HTTP/1.1\r\n${head}\r\n`, 400],
    ['a key of the prototype', `GET /v1/status?__proto__[x]=1 HTTP/1.1\r\n${head}\r\n`, 400],
    ['an absolute URL', `GET http://elsewhere/v1/none HTTP/1.1\r\n${head}\r\n`, 404],
    ['an asterisk', `OPTIONS * HTTP/1.1\r\n${head}\r\n`, 404],
    ['a climb', `GET /../../etc/passwd HTTP/1.1\r\n${head}\r\n`, 404],
  ])('%s is answered with an error of the catalogue', async (_what, bytes, status) => {
    await start();
    const answer = await raw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;
    expect(body).toEqual({ code: status === 400 ? 'BAD_REQUEST' : 'NOT_FOUND', message: expect.any(String), hint: expect.any(String) });
    expect((await ask('/healthz')).status).toBe(200);
    expect(logged.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['half a request', 'GET /v1/sta'],
    ['a wish to tunnel', 'CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n'],
    ['a wish for another protocol', 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['many requests at once', 'GET /v1/maps/sfcflow HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(500)],
  ])('%s, and then goes away: the API lives on', async (_what, bytes) => {
    await start();
    await new Promise<void>((resolve) => {
      const socket = connect(socketPath, () => socket.write(bytes, () => socket.destroy()));
      socket.on('close', () => resolve());
    });
    expect((await ask('/healthz')).status).toBe(200);
  });
});

describe('the OpenAPI document', () => {
  it('describes every route, and every answer fits it', async () => {
    await start();
    const document = await json('/v1/openapi.json');
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version: '0.1.0' } });
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema(document, 'api');
    const paths = document.paths as Record<string, object>;
    expect(Object.keys(paths)).toEqual([...new Set(ROUTES.map(({ path }) => path.replace(':name', '{name}')))]);
    expect(Object.keys(paths['/v1/sandboxes/{name}'] ?? {})).toEqual(['get', 'put', 'delete']);
    const pointer = (path: string, status: string) =>
      `api#/paths/${path.replaceAll('/', '~1').replace('{', '%7B').replace('}', '%7D')}/get/responses/${status}/content/application~1json/schema`;
    const answers = ['/v1/maps/', '/v1/chains/', '/v1/selectors/'].flatMap((path) =>
      ({ '/v1/maps/': MAP_NAMES, '/v1/chains/': ['firewall'], '/v1/selectors/': ['vpn-to-firewall'] })[path]?.map((name) => [path, name]),
    ) as [string, string][];
    const plain = Object.keys(paths).filter((path) => !path.endsWith('}'));
    for (const [path, name] of [...answers, ...plain.map((path) => [path, ''] as const)]) {
      const valid = ajv.validate(pointer(name === '' ? path : `${path}{name}`, '200'), await json(`${path}${name}`));
      expect([path, name, valid, ajv.errors]).toEqual([path, name, true, null]);
    }
    expect(ajv.validate(pointer('/v1/maps/{name}', '404'), await json('/v1/maps/none'))).toBe(true);
    expect(ajv.validate(pointer('/v1/maps/{name}', '200'), await json('/v1/maps/none'))).toBe(false);
  });
});

describe('sandboxes', () => {
  const { id: _, toldAt: __, missing: ___, interface: ____, ...told } = SANDBOX;
  const at = (id: string) => `/v1/sandboxes/${id}?interface=eth0`;

  async function send(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const given = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const { status, text } = await ask(path, { method, ...given });
    return { status, body: JSON.parse(text) };
  }

  it('are told of, and the answer comes when everything is in place', async () => {
    const heard: unknown[] = [];
    const tell: AgentView['sandboxes']['tell'] = async (id, sandbox, waitMs) => {
      heard.push([id, sandbox, waitMs]);
      return { ...SANDBOX, id };
    };
    await start(fakeView({ sandboxes: { ...fakeView().sandboxes, tell } }));
    expect(await send('PUT', at('4f1c'), { ...told, waitMs: 500 })).toEqual({ status: 200, body: SANDBOX });
    expect(heard).toEqual([['4f1c', { ...told, interface: 'eth0' }, 500]]);
  });

  it('are refused with the reason while something is missing', async () => {
    const tell = async () => {
      throw new SfcError('SANDBOX_PENDING', 'not in place after 1 s: map full');
    };
    await start(fakeView({ sandboxes: { ...fakeView().sandboxes, tell } }));
    expect(await send('PUT', at('4f1c'), { ...told, waitMs: 1 })).toMatchObject({ status: 504, body: { code: 'SANDBOX_PENDING' } });
    expect(logged.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('are forgotten, whether they are known or not', async () => {
    const forgotten: string[] = [];
    await start(fakeView({ sandboxes: { ...fakeView().sandboxes, forget: (...which) => void forgotten.push(which.join('/')) } }));
    expect(await send('DELETE', at('4f1c'))).toEqual({ status: 200, body: { ok: true } });
    expect(forgotten).toEqual(['4f1c/eth0']);
  });

  it.each([
    ['an id that is no file name', '..%2F4f1c', told],
    ['an id of the wrong letters', '-x', told],
    ['no addresses', '4f1c', { ...told, addresses: undefined }],
    ['a field that nobody knows', '4f1c', { ...told, colour: 'red' }],
    ['no body', '4f1c', undefined],
  ])('with %s are refused', async (_what, id, body) => {
    await start();
    const answered = await send('PUT', at(id), body === undefined ? undefined : { ...body, waitMs: 1 });
    expect(answered).toMatchObject({ status: 400, body: { code: 'BAD_REQUEST' } });
  });
});

describe('the socket', () => {
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

  it('is for owner and group alone, whatever the umask, and nothing is left beside it', async () => {
    await start();
    expect(mode(socketPath)).toBe('660');
    expect(readdirSync(join(directory, 'run'))).toEqual(['sfcd.sock']);
    expect(logged).toContainEqual({ level: 'info', facts: { socket: socketPath }, message: 'the API listens' });
  });

  it('is bound where only its owner can go, until it has its mode', async () => {
    mkdirSync(dirname(socketPath));
    const server = createServer();
    const release = await listenAt(socketPath, async (path) => {
      expect(mode(dirname(path))).toBe('700');
      await new Promise<void>((resolve) => server.listen({ path, readableAll: true, writableAll: true }, resolve));
      expect(mode(path)).toBe('777');
      expect(readdirSync(dirname(socketPath))).not.toContain('sfcd.sock');
    });
    expect(mode(socketPath)).toBe('660');
    await release();
    server.close();
  });

  it('is gone after a clean close, though a client is still connected', async () => {
    const started = await start();
    const idle = connect(socketPath);
    await new Promise<void>((resolve) => idle.once('connect', resolve));
    idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => idle.once('data', resolve));
    idle.on('error', () => undefined);
    const cut = new Promise((resolve) => idle.once('close', resolve));
    await started.close();
    await cut;
    expect(readdirSync(join(directory, 'run'))).toEqual([]);
    await started.close();
  });

  it('of a living process is left alone', async () => {
    const first = await start();
    const error = await refusal(start());
    expect(error.code).toBe('ALREADY_RUNNING');
    expect(error.message).toContain(socketPath);
    expect(readdirSync(join(directory, 'run'))).toEqual(['sfcd.sock']);
    expect((await ask('/healthz')).status).toBe(200);
    await first.close();
  });

  it('of a dead process is replaced', async () => {
    mkdirSync(join(directory, 'run'));
    // A socket whose listener is gone: bound elsewhere and moved, so that closing does not remove it.
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(join(directory, 'bound'), resolve));
    renameSync(join(directory, 'bound'), socketPath);
    await new Promise((resolve) => dead.close(resolve));
    chmodSync(socketPath, 0o777);
    await start();
    expect(mode(socketPath)).toBe('660');
    expect((await ask('/healthz')).status).toBe(200);
  });

  it('does not replace what is no socket', async () => {
    mkdirSync(join(directory, 'run'));
    writeFileSync(socketPath, 'precious');
    expect(await refusal(start())).toMatchObject({ code: 'CONFIG_INVALID', message: `socket: ${socketPath} exists and is no socket` });
    expect(readdirSync(join(directory, 'run'))).toEqual(['sfcd.sock']);
  });

  it('of a successor is not removed by the one that leaves', async () => {
    const first = await start();
    rmSync(socketPath);
    const second = await start();
    await first.close();
    expect((await ask('/healthz')).status).toBe(200);
    await second.close();
  });

  it('is refused where its path is too long, and leaves nothing', async () => {
    const deep = join(directory, 'x'.repeat(100));
    const error = await refusal(start(fakeView(), join(deep, 's')));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(readdirSync(deep)).toEqual([]);
  });
});

describe('probes over TCP', () => {
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
  let probes: ProbeServer | undefined;

  afterEach(async () => {
    await probes?.close();
    probes = undefined;
  });

  async function freePort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  it('are answered as on the socket, and nothing else is', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const status = { ...fakeView().status(), ready: false, notReady: 'the manifests have not been read yet' };
    probes = await startProbes(fakeView({ status: () => status }), address, log);
    expect((await fetch(`http://${address}/healthz`)).status).toBe(200);
    const ready = await fetch(`http://${address}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ code: 'NOT_READY', message: 'the manifests have not been read yet' });
    for (const path of ['/v1/status', '/v1/openapi.json', '/v1/maps/sfcflow'])
      expect((await fetch(`http://${address}${path}`)).status).toBe(404);
  });

  it('need an address that can be had', async () => {
    for (const wrong of ['7083', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:70000', '::1:7083', 'a b:1']) {
      await expect(startProbes(fakeView(), wrong, log)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    }
    const address = `127.0.0.1:${await freePort()}`;
    probes = await startProbes(fakeView(), address, log);
    await expect(startProbes(fakeView(), address, log)).rejects.toThrow('EADDRINUSE');
    expect(parseHealthAddress('[::1]:7083')).toEqual({ host: '::1', port: 7083 });
  });
});
