/** Command lines as they are typed, when something is wrong with them, with the agent or with what they name. */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { resolveSettings } from '../agent/config/index.js';
import { SfcError } from '../errors/index.js';
import { apiClient, DEFAULT_SOCKET, unreachable } from './client.js';
import { fakeNode } from './fake-node.js';

const node = fakeNode();
const { serve, sfc, printed } = node;

describe('wrong usage', () => {
  it.each([
    ['get chian', /^sfc: USAGE: unknown command 'chian'\n\(Did you mean chain\?\)\n/],
    ['bpf sfcselct list', /\(Did you mean sfcselect\?\)/],
    ['staus', /\(Did you mean status\?\)/],
    ['status -o xml', /Allowed choices are table, json, yaml\./],
    ['status now', /too many arguments/],
    ['bpf sfcflow list --limit none', /It must be a whole number from 1 on\./],
    ['bpf sfcflow list --limit 0', /It must be a whole number from 1 on\./],
    ['validate', /missing required argument 'path'/],
    ['status --nodes', /unknown option '--nodes'/],
    ['--socket', /argument missing/],
  ])('`sfc %s` is exit 64 with a word of help', async (line, expected) => {
    const { exit, out, err } = await sfc(line);
    expect([exit, out]).toEqual([64, '']);
    expect(err).toMatch(/^sfc: USAGE: /);
    expect(err).toMatch(expected);
    expect(err).toMatch(/\nSee `sfc --help`, or `sfc COMMAND --help`\.\n$/);
  });

  it.each(['', 'get', 'bpf', 'bpf sfcflow'])('`sfc %s` alone shows what there is', async (line) => {
    const { exit, out, err } = await sfc(line);
    expect([exit, out]).toEqual([64, '']);
    expect(err).toMatch(/^Usage: sfc /);
  });

  it('help is asked for with exit 0, and has examples', async () => {
    const out = await printed('--help');
    expect(out).toMatch(/^Usage: sfc /);
    expect(out).toContain('sfc bpf sfcselect list');
    expect(await printed('get --help')).toContain('chains|chain');
    expect(await printed('help bpf')).toContain('sfcflow');
    expect(await printed('-V')).toBe('0.1.0\n');
  });
});

describe('an agent that cannot be asked', () => {
  const told = async (line: string) => {
    const { exit, out, err } = await sfc(line);
    expect([exit, out]).toEqual([69, '']);
    expect(err).toMatch(/^sfc: AGENT_UNREACHABLE: /);
    expect(err).not.toMatch(/^ +at /m);
    return err;
  };

  it('is told apart: no socket, nobody behind it, no socket at all', async () => {
    expect(await told('status')).toBe(
      `sfc: AGENT_UNREACHABLE: ${node.socketPath}: there is no such socket; no sfcd was started with it
Is sfcd running? Name its socket with --socket or SFC_SOCKET.
`,
    );
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(join(node.directory, 'bound'), resolve));
    renameSync(join(node.directory, 'bound'), node.socketPath);
    await new Promise((resolve) => dead.close(resolve));
    expect(await told('get chains')).toContain('nobody listens on it');
    rmSync(node.socketPath);
    mkdirSync(node.socketPath);
    await told('bpf list');
  });

  it('is told apart: permission', () => {
    const denied = Object.assign(new Error('connect EACCES'), { code: 'EACCES' });
    expect(unreachable('/run/sfc/sfcd.sock', denied)).toMatchObject({
      code: 'AGENT_UNREACHABLE',
      message: expect.stringContaining('/run/sfc/sfcd.sock: permission denied; the socket is for root and its group'),
    });
  });

  it('is told apart: something else answers, nothing answers, too much is answered', async () => {
    let reply = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
    const other = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => reply !== '' && socket.end(reply));
    });
    await new Promise<void>((resolve) => other.listen(node.socketPath, resolve));
    try {
      expect(await told('status')).toContain('what answers there is no sfcd');
      reply = '220 mail ESMTP\r\n';
      await told('status');
      reply = 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello';
      expect(await told('status')).toContain('closed the connection');
      reply = 'HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}';
      expect(await sfc('status')).toMatchObject({ exit: 70, err: expect.stringContaining('HTTP status 500') });
      reply = `HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n${' '.repeat(5000)}`;
      await expect(apiClient(node.socketPath, { largest: 4999 }).get('/')).rejects.toMatchObject({ code: 'USAGE' });
      reply = '';
      await expect(apiClient(node.socketPath, { timeoutMs: 30 }).get('/')).rejects.toMatchObject({
        code: 'AGENT_UNREACHABLE',
        message: `${node.socketPath}: no answer within 0.03 s; the agent hangs`,
      });
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  it('is named by --socket before SFC_SOCKET, before or after the command, and by default where the agent is by default', async () => {
    await serve();
    expect(await printed(`--socket ${node.socketPath} bpf list`, { environment: { SFC_SOCKET: '/nowhere' } })).toContain('sfcselect');
    expect(await printed(`bpf list --socket ${node.socketPath}`, { environment: { SFC_SOCKET: '/nowhere' } })).toContain('sfcselect');
    expect((await sfc('bpf list', { environment: { SFC_SOCKET: '/nowhere' } })).err).toContain('/nowhere');
    expect(resolveSettings({ flags: { manifests: '/m' }, environment: {}, host: { hostname: 'n' } }).socket).toBe(DEFAULT_SOCKET);
  });

  it('that has an error gives it on with its exit code', async () => {
    await serve({
      entries: () => {
        throw new SfcError('MAP_IO', 'sfcflow: EPERM');
      },
    });
    expect(await sfc('bpf sfcflow list')).toMatchObject({
      exit: 74,
      out: '',
      err: expect.stringMatching(/^sfc: MAP_IO: sfcflow: EPERM\n/),
    });
  });
});

describe('version', () => {
  it('is that of both, or of sfc alone', async () => {
    expect(await printed('version')).toMatch(/^sfc {2}0\.1\.0\nsfcd not reached: .*there is no such socket/);
    expect(JSON.parse(await printed('version -o json'))).toEqual({ client: '0.1.0', agent: null });
    await serve();
    expect(await printed('version')).toBe('sfc  0.1.0\nsfcd 0.1.0 on node1\n');
    expect(parse(await printed('version -o yaml'))).toEqual({ client: '0.1.0', agent: { version: '0.1.0', node: 'node1' } });
  });
});

describe('validate', () => {
  const good = `apiVersion: v1
kind: Namespace
metadata: { name: vpn }
`;
  const write = (name: string, text: string) => {
    writeFileSync(join(node.directory, name), text);
    return join(node.directory, name);
  };

  it('reads files and directories, each file once', async () => {
    write('a.yaml', good);
    write('.hidden.yaml', '{');
    write('notes.txt', '{');
    expect(await printed(`validate ${node.directory} ${join(node.directory, 'a.yaml')}`)).toMatch(
      /^1 file, 1 document, \d resources?: no problems\n$/,
    );
  });

  it('prints each problem with its place and ends with exit 65', async () => {
    const file = write('bad.yaml', `${good}---\n${good.replace('kind: Namespace', 'kind: TrafficSelector')}`);
    const { exit, out, err } = await sfc(`validate ${file}`);
    expect([exit, err]).toEqual([65, '']);
    expect(out).toMatch(new RegExp(`^${file}:\\d+: error: .+$`, 'm'));
    expect(out).toMatch(/^1 file, 2 documents, .*: [1-9]\d* errors?, \d+ warnings?$/m);
    const json = await sfc(`validate ${file} -o json`);
    expect(json.exit).toBe(65);
    expect(JSON.parse(json.out)).toMatchObject({ documents: 2, problems: [{ severity: 'error', file }] });
  });

  it('says what cannot be read', async () => {
    const { exit, err } = await sfc(`validate ${join(node.directory, 'none.yaml')}`);
    expect([exit, err.split('\n')[0]]).toEqual([
      66,
      `sfc: INPUT_UNREADABLE: ${join(node.directory, 'none.yaml')}: no such file or directory`,
    ]);
    expect((await sfc(`validate ${node.directory}`)).err).toContain(`${node.directory}: no manifest in this directory`);
  });
});
