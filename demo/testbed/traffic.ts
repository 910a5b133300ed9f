/** Traffic inside the testbed: echo server, requests, bulk transfers. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SfcError } from '../../errors/index.js';
import type { Blueprint } from './blueprint.js';
import { type Background, inNamespace, startInNamespace } from './command.js';
import { familyOf } from './family.js';
import type {
  EchoOrder,
  RawOrder,
  RequestOrder,
  RequestResult,
  SeenRequest,
  SegmentOrder,
  SegmentsSent,
  Steady,
  SteadyOrder,
  Transport,
} from './protocol.js';

/** The compiled script of that name: beside this module, or, when this is TypeScript under test, in `dist`. */
export function script(name: string): string {
  const here = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  if (existsSync(here)) return here;
  const built = fileURLToPath(new URL(`../../dist/demo/testbed/${name}.js`, import.meta.url));
  if (existsSync(built)) return built;
  throw new SfcError('COMMAND_FAILED', `${built} is missing; run \`make build\` first`);
}

export interface EchoServer {
  /** Every request it has seen, in order of arrival; grows. */
  readonly seen: readonly SeenRequest[];
  stop(): Promise<void>;
}

/**
 * Starts the TCP and UDP echo server, by default the blueprint's server on its addresses and port, and
 * waits until it listens. Throws `COMMAND_FAILED` when it ends before.
 */
export async function startEchoServer(
  bed: Blueprint,
  at: { readonly namespace: string; readonly addresses: readonly string[]; readonly port: number } = bed.server,
): Promise<EchoServer> {
  const order: EchoOrder = { addresses: at.addresses, port: at.port };
  const server = startInNamespace(at.namespace, [process.execPath, script('echo-server'), JSON.stringify(order)], { stdout: 'pipe' });
  const seen: SeenRequest[] = [];
  await new Promise<void>((resolve, reject) => {
    let rest = '';
    server.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const value = JSON.parse(line) as SeenRequest | { listening: true };
        if ('listening' in value) resolve();
        else seen.push(value);
      }
    });
    void server.ended.then(() => reject(new SfcError('COMMAND_FAILED', `the echo server ended: ${server.stderr().trim()}`)));
  });
  return { seen, stop: () => server.stop() };
}

export interface SteadyTraffic {
  /** Ends the sending and waits for what is still on its way. Throws `COMMAND_FAILED` when the sender had ended. */
  end(): Promise<Steady>;
}

/** Requests without a pause, from now on. Throws `COMMAND_FAILED`. */
export async function startSteady(
  namespace: string,
  order: Partial<SteadyOrder> & Pick<SteadyOrder, 'server' | 'port'>,
): Promise<SteadyTraffic> {
  const whole: SteadyOrder = {
    name: 'steady',
    sources: [],
    intervalMs: 5,
    eachAlone: false,
    datagramsPerConnection: 10,
    patienceMs: 10_000,
    ...order,
  };
  const sender = startInNamespace(namespace, [process.execPath, script('steady-client'), JSON.stringify(whole)], { stdout: 'pipe' });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    sender.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
      if (said.includes('sending')) resolve();
    });
    void sender.ended.then(() => reject(new SfcError('COMMAND_FAILED', `the sender ended: ${sender.stderr().trim()}`)));
  });
  return {
    async end() {
      await sender.stop(whole.patienceMs + 5000);
      const last = said.trim().split('\n').at(-1) ?? '';
      if (!last.startsWith('{"udp"')) throw new SfcError('COMMAND_FAILED', `the sender ended early: ${sender.stderr().trim()}`);
      return JSON.parse(last) as Steady;
    },
  };
}

export interface RequestOptions {
  readonly transport: Transport;
  /** Unique, of letters, digits and dashes. */
  readonly ids: readonly string[];
  /** Default: the clients behind the vpn pod. Their addresses of the server's family in turn. */
  readonly from?: { readonly namespace: string; readonly addresses: readonly string[] };
  /** Default: the blueprint's server, at its first address. */
  readonly to?: { readonly address: string; readonly port: number };
  /** Milliseconds, default 5000. */
  readonly timeout?: number;
  /** Bytes, default 0. */
  readonly padding?: number;
}

/** Sends one request for each id and returns what became of each, in the order of the ids. */
export async function sendRequests(bed: Blueprint, options: RequestOptions): Promise<readonly RequestResult[]> {
  const from = options.from ?? allClients(bed);
  if (from === undefined) throw new RangeError('the blueprint has no clients: say where the requests come from');
  const to = options.to ?? bed.server;
  const order: RequestOrder = {
    transport: options.transport,
    server: to.address,
    port: to.port,
    ids: options.ids,
    sources: from.addresses.filter((address) => familyOf(address) === familyOf(to.address)),
    timeout: options.timeout ?? 5000,
    padding: options.padding ?? 0,
  };
  const { stdout } = await inNamespace(from.namespace, [process.execPath, script('request-client'), JSON.stringify(order)], {
    timeout: 60_000 + order.timeout * order.ids.length,
  });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as RequestResult);
}

function allClients({ client }: Blueprint): { readonly namespace: string; readonly addresses: readonly string[] } | undefined {
  return client && { namespace: client.namespace, addresses: client.addressing.flatMap(({ addresses }) => addresses) };
}

/** The first CPU that this process may run on. */
const firstCpu = () => /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';

/**
 * Sends hand-made IP packets from inside a namespace, headers and all, in this order. On one CPU: each has a queue of packets that
 * came over a veth, and those of a sender that moves to another one overtake. Throws `COMMAND_FAILED`.
 */
export async function sendRaw(
  namespace: string,
  packets: readonly { readonly destination: string; readonly bytes: Uint8Array }[],
): Promise<void> {
  const order: RawOrder = {
    packets: packets.map(({ destination, bytes }) => ({ destination, hex: Buffer.from(bytes).toString('hex') })),
  };
  await inNamespace(namespace, ['taskset', '-c', firstCpu(), process.execPath, script('raw-sender')], { stdin: JSON.stringify(order) });
}

/**
 * Sends datagrams in one piece, which the kernel or a device cuts up. The program keeps its socket until `sender` is stopped.
 * Throws `COMMAND_FAILED` when it ends before it has sent.
 */
export async function sendSegments(namespace: string, order: SegmentOrder): Promise<SegmentsSent & { readonly sender: Background }> {
  const sender = startInNamespace(namespace, [process.execPath, script('segment-sender'), JSON.stringify(order)], { stdout: 'pipe' });
  const line = await new Promise<string>((resolve, reject) => {
    let heard = '';
    sender.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      heard += chunk;
      if (heard.endsWith('\n')) resolve(heard);
    });
    void sender.ended.then(() => reject(new SfcError('COMMAND_FAILED', `the sender ended: ${sender.stderr().trim()}`)));
  });
  return { ...(JSON.parse(line) as SegmentsSent), sender };
}

export interface IperfOptions {
  readonly from: { readonly namespace: string; readonly address: string };
  readonly to: { readonly namespace: string; readonly address: string };
  readonly transport?: Transport;
  /** Seconds, default 2. */
  readonly seconds?: number;
  /** Default 5201. */
  readonly port?: number;
  /** More arguments for the client, for instance `['-R']`. */
  readonly extra?: readonly string[];
  /** Called when the client has been started, with nothing to wait for. */
  readonly onStarted?: () => void;
}

export interface IperfResult {
  /** As the receiver counted. */
  readonly bitsPerSecond: number;
  readonly bytes: number;
  /** TCP only; 0 for UDP. */
  readonly retransmits: number;
  /** UDP only: datagrams sent, and of those lost; 0 for TCP. */
  readonly datagrams: number;
  readonly lost: number;
}

interface IperfReport {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number; readonly bytes: number };
    readonly sum_sent?: { readonly retransmits?: number };
    readonly sum?: { readonly bits_per_second: number; readonly bytes: number; readonly packets?: number; readonly lost_packets?: number };
  };
}

/** One bulk transfer with iperf3. Throws `COMMAND_FAILED` when it does not finish. */
export async function iperf(options: IperfOptions): Promise<IperfResult> {
  const port = String(options.port ?? 5201);
  const seconds = options.seconds ?? 2;
  const { to, from } = options;
  const server = startInNamespace(to.namespace, ['iperf3', '-s', '-1', '-B', to.address, '-p', port, '--forceflush'], { stdout: 'pipe' });
  await new Promise<void>((resolve, reject) => {
    server.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      if (chunk.includes('listening')) resolve();
    });
    void server.ended.then(() => reject(new SfcError('COMMAND_FAILED', `iperf3 -s ended: ${server.stderr().trim()}`)));
  });
  try {
    const client = inNamespace(
      from.namespace,
      ['iperf3', '-c', to.address, '-B', from.address, '-p', port, '-t', String(seconds), '-J', '--connect-timeout', '5000']
        .concat(options.transport === 'udp' ? ['-u', '-b', '200M'] : [])
        .concat(options.extra ?? []),
      { timeout: (seconds + 30) * 1000 },
    );
    options.onStarted?.();
    const { end } = JSON.parse((await client).stdout) as IperfReport;
    const received = options.transport === 'udp' ? end.sum : end.sum_received;
    return {
      bitsPerSecond: received?.bits_per_second ?? 0,
      bytes: received?.bytes ?? 0,
      retransmits: end.sum_sent?.retransmits ?? 0,
      datagrams: options.transport === 'udp' ? (end.sum?.packets ?? 0) : 0,
      lost: options.transport === 'udp' ? (end.sum?.lost_packets ?? 0) : 0,
    };
  } finally {
    await server.stop();
  }
}
