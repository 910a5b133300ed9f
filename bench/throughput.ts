/**
 * What does steering cost? A client pod on one node, a function on another, a server outside; bulk
 * TCP, and as many small datagrams as get through. The ways take turns in one run:
 *
 *   direct     client ─► server, plainly routed
 *   detour     client ─► function ─► server by policy routes, no encapsulation
 *   kernel     client ─► function ─► server by the kernel datapath
 *   userspace  the same by the userspace datapath, TCP segments whole
 *   packets    the same, every packet by itself
 *
 * Detour and the steered ways cross the same links: their ratio is the price of steering itself.
 */

import { type Cluster, startCluster } from '../demo/cluster.js';
import { blueprint, buildTestbed, inNamespace, iperf, nodeNamed, podNamed, type Testbed } from '../demo/testbed/index.js';
import { answersDuring } from './api-latency.js';
import { median, quantile } from './statistics.js';

/** Flags of the agents on each steered way. */
const STEERED = {
  kernel: ['--datapath', 'kernel'],
  userspace: ['--datapath', 'userspace'],
  packets: ['--datapath', 'userspace', '--gso', 'false'],
} as const;
const WAYS = ['direct', 'detour', 'kernel', 'userspace', 'packets'] as const;
type Way = (typeof WAYS)[number];

/** Bytes of payload of a small datagram. */
const SMALL = 64;

const chain = {
  apiVersion: 'networking.gke.io/v1',
  kind: 'ServiceFunctionChain',
  metadata: { name: 'bench' },
  spec: { serviceFunctions: [{ name: 'bench', namespace: 'bench', podSelector: { matchLabels: { app: 'proxy' } } }] },
};
const selector = {
  apiVersion: 'networking.gke.io/v1',
  kind: 'TrafficSelector',
  metadata: { name: 'bench' },
  spec: {
    serviceFunctionChain: 'bench',
    subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'client' } } } },
    egress: { to: { ipBlock: { cidr: '0.0.0.0/0' } }, ports: [{ allPorts: { protocol: 'TCP' } }, { allPorts: { protocol: 'UDP' } }] },
  },
};

const bed = blueprint({
  prefix: 'sfc-bench',
  nodes: ['routed', 'routed'],
  pods: [
    { name: 'client', podNamespace: 'bench', role: 'plain', node: 1, labels: { app: 'client' } },
    { name: 'proxy', podNamespace: 'bench', role: 'proxy', node: 2 },
  ],
});
const client = podNamed(bed, 'client');
const proxy = podNamed(bed, 'proxy');
const [first, second] = [nodeNamed(bed, 'node1'), nodeNamed(bed, 'node2')];

const TABLE = '100';

/** Policy routes that lead the client's packets through the function's pod, on both nodes. */
async function detour(action: 'add' | 'del'): Promise<void> {
  const ip = (namespace: string, ...args: string[]) => inNamespace(namespace, ['ip', ...args]);
  await ip(first.namespace, 'rule', action, 'iif', client.hostInterface, 'lookup', TABLE);
  await ip(first.namespace, 'route', action, 'default', 'via', second.address, 'table', TABLE);
  await ip(second.namespace, 'rule', action, 'iif', 'eth0', 'from', client.address, 'lookup', TABLE);
  await ip(second.namespace, 'route', action, 'default', 'via', proxy.address, 'dev', proxy.hostInterface, 'onlink', 'table', TABLE);
}

export interface ThroughputFigures {
  /** Of bulk TCP, median of the turns, bit/s. */
  readonly bitsPerSecond: Readonly<Record<Way, number>>;
  /** Small datagrams that arrived, median of the turns. */
  readonly datagramsPerSecond: Readonly<Record<Way, number>>;
  /** Of the API of the first node's agent while the datagrams keep its userspace datapath saturated, ms. */
  readonly apiAnswers: readonly number[];
  readonly turns: number;
  readonly seconds: number;
}

export interface ThroughputOptions {
  readonly turns: number;
  /** Of each transfer. */
  readonly seconds: number;
}

/** Runs `measure` while the datapath of these flags steers; nothing is steered before and after. */
async function whileSteered(testbed: Testbed, flags: readonly string[], measure: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster: Cluster = await startCluster(testbed, {
    flags,
    policy: [chain, selector],
    expected: (node) => ({ sfcselect: node === first.name ? 2 : 0, sfcpath: 1, endpoint: 1 }),
  });
  await cluster.ready();
  await measure(cluster);
  await cluster.remove();
}

/** Builds its own small cluster and takes it away again. Needs root. */
export async function measureThroughput(
  { turns, seconds }: ThroughputOptions,
  onProgress: (done: number, of: number) => void,
): Promise<ThroughputFigures> {
  const testbed = await buildTestbed(bed);
  const bits = new Map<Way, number[]>(WAYS.map((way) => [way, []]));
  const datagrams = new Map<Way, number[]>(WAYS.map((way) => [way, []]));
  const apiAnswers: number[] = [];
  const measure = async (way: Way, cluster?: Cluster) => {
    bits.get(way)?.push((await iperf({ from: client, to: bed.server, seconds })).bitsPerSecond);
    const flood = iperf({ from: client, to: bed.server, seconds, transport: 'udp', extra: ['-b', '0', '-l', String(SMALL)] });
    if (way === 'userspace' && cluster !== undefined) apiAnswers.push(...(await answersDuring(cluster.paths(first.name).socket, flood)));
    const small = await flood;
    datagrams.get(way)?.push((small.datagrams - small.lost) / seconds);
  };
  try {
    for (let turn = 0; turn < turns; turn++) {
      await measure('direct');
      await detour('add');
      await measure('detour');
      await detour('del');
      for (const way of ['kernel', 'userspace', 'packets'] as const)
        await whileSteered(testbed, STEERED[way], (cluster) => measure(way, cluster));
      onProgress(turn + 1, turns);
    }
  } finally {
    await testbed.teardown();
  }
  const medians = (found: ReadonlyMap<Way, readonly number[]>) =>
    Object.fromEntries([...found].map(([way, samples]) => [way, median(samples)])) as Record<Way, number>;
  return { bitsPerSecond: medians(bits), datagramsPerSecond: medians(datagrams), apiAnswers, turns, seconds };
}

export async function throughputReport(options: ThroughputOptions, onProgress: (done: number, of: number) => void): Promise<string> {
  const { bitsPerSecond, datagramsPerSecond, apiAnswers, turns, seconds } = await measureThroughput(options, onProgress);
  const row = (way: Way) =>
    [
      `  ${way.padEnd(10)}${(bitsPerSecond[way] / 1e9).toFixed(2).padStart(8)} Gbit/s`,
      `${(bitsPerSecond[way] / bitsPerSecond.detour).toFixed(2).padStart(8)} of detour`,
      `${(datagramsPerSecond[way] / 1e3).toFixed(0).padStart(8)} k/s`,
      `${(datagramsPerSecond[way] / datagramsPerSecond.detour).toFixed(2).padStart(8)} of detour`,
    ].join('');
  return [
    `bulk TCP, and datagrams of ${SMALL} bytes that arrived (iperf3), median of ${turns} transfers of ${seconds} s each way, in turns`,
    ...WAYS.map(row),
    `the agent's API meanwhile, userspace datapath saturated with datagrams, ${apiAnswers.length} questions: median ${median(apiAnswers).toFixed(1)} ms, 99 % within ${quantile(apiAnswers, 0.99).toFixed(1)} ms, longest ${Math.max(...apiAnswers).toFixed(1)} ms`,
  ].join('\n');
}
