/**
 * What does steering cost a bulk TCP transfer? A client pod on one node, a function on another, a
 * server outside. Three ways take turns in one run:
 *
 *   direct   client ─► server, plainly routed
 *   detour   client ─► function ─► server by policy routes, no encapsulation
 *   steered  client ─► function ─► server by this datapath
 *
 * Detour and steered cross the same links, so their ratio is the price of steering itself.
 */

import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { blueprint, buildTestbed, inNamespace, iperf, nodeNamed, podNamed } from '../demo/testbed/index.js';
import { median } from './statistics.js';

const WAYS = ['direct', 'detour', 'steered'] as const;
type Way = (typeof WAYS)[number];

const PATIENCE_MS = 10_000;

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
    egress: { to: { ipBlock: { cidr: '0.0.0.0/0' } }, ports: [{ allPorts: { protocol: 'TCP' } }] },
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

/** Takes the policy away or puts it back, and waits until the client's node has followed. */
async function steer(cluster: Cluster, on: boolean): Promise<void> {
  const place = join(cluster.manifests, 'policy.yaml');
  const aside = join(cluster.manifests, '.policy.aside');
  await (on ? rename(aside, place) : rename(place, aside));
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const { maps } = await cluster.status(first.name);
    const entries = maps.find(({ name }) => name === 'sfcselect')?.entries ?? 0;
    if (entries > 0 === on) return;
    if (Date.now() > end)
      throw new Error(
        `${first.name} has ${entries} selectors ${PATIENCE_MS / 1000} s after the policy was ${on ? 'put there' : 'taken away'}`,
      );
    await sleep(50);
  }
}

export interface ThroughputFigures {
  /** Median of the turns, bit/s. */
  readonly bitsPerSecond: Readonly<Record<Way, number>>;
  readonly turns: number;
  readonly seconds: number;
}

export interface ThroughputOptions {
  readonly turns: number;
  /** Of each transfer. */
  readonly seconds: number;
}

/** Builds its own small cluster and takes it away again. Needs root. */
export async function measureThroughput(
  { turns, seconds }: ThroughputOptions,
  onProgress: (done: number, of: number) => void,
): Promise<ThroughputFigures> {
  const testbed = await buildTestbed(bed);
  try {
    const cluster = await startCluster(testbed, {
      policy: [chain, selector],
      expected: (node) => ({ sfcselect: node === first.name ? 1 : 0, sfcpath: 1, endpoint: 1 }),
    });
    await cluster.ready();
    const found: Record<Way, number[]> = { direct: [], detour: [], steered: [] };
    const transfer = async (way: Way) => {
      found[way].push((await iperf({ from: client, to: bed.server, seconds })).bitsPerSecond);
    };
    for (let turn = 0; turn < turns; turn++) {
      await transfer('steered');
      await steer(cluster, false);
      await transfer('direct');
      await detour('add');
      await transfer('detour');
      await detour('del');
      await steer(cluster, true);
      onProgress(turn + 1, turns);
    }
    await cluster.stop();
    return {
      bitsPerSecond: { direct: median(found.direct), detour: median(found.detour), steered: median(found.steered) },
      turns,
      seconds,
    };
  } finally {
    await testbed.teardown();
  }
}

export async function throughputReport(options: ThroughputOptions, onProgress: (done: number, of: number) => void): Promise<string> {
  const { bitsPerSecond, turns, seconds } = await measureThroughput(options, onProgress);
  const rows = WAYS.map((way) => `  ${way.padEnd(10)}${(bitsPerSecond[way] / 1e9).toFixed(2).padStart(8)} Gbit/s`);
  return [
    `bulk TCP (iperf3), median of ${turns} transfers of ${seconds} s each way, in turns`,
    ...rows,
    `  steered ÷ detour ${(bitsPerSecond.steered / bitsPerSecond.detour).toFixed(2)}, steered ÷ direct ${(bitsPerSecond.steered / bitsPerSecond.direct).toFixed(2)}`,
  ].join('\n');
}
