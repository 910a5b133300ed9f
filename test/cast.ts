/** What tests with real agents share. */

import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { StatusView } from '../agent/view.js';
import { apiClient } from '../cli/client.js';
import type { Cluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';

/** Puts a file into the agents' directory in one step: none of them reads half of it. */
export async function placeManifests(cluster: Cluster, name: string, manifests: readonly Manifest[]): Promise<void> {
  const file = join(cluster.manifests, name);
  await writeFile(`${file}.draft`, manifests.map((manifest) => stringify(manifest)).join('---\n'));
  await rename(`${file}.draft`, file);
}

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

/** Everything that the vpn pods send, of both families, through these functions in turn; each is named as its role. */
export function throughChain(
  functions: readonly string[],
  { protocols = ['TCP', 'UDP'], ...chain }: { readonly protocols?: readonly string[]; readonly failurePolicy?: string } = {},
): readonly Manifest[] {
  return [
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name: 'out' },
      spec: { ...chain, serviceFunctions: functions.map((name) => ({ name, namespace: name, podSelector: labels('app', name) })) },
    },
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name: 'vpn' },
      spec: {
        serviceFunctionChain: 'out',
        subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'vpn'), podSelector: labels('app', 'vpn') } },
        egress: { ports: protocols.map((protocol) => ({ allPorts: { protocol } })) },
      },
    },
  ];
}

/** What `sfc status` shows, without starting it. */
const statusOf = (cluster: Cluster, node: string) => apiClient(cluster.paths(node).socket).get<StatusView>('/v1/status');

/** Packets that a node has counted under a reason. */
export async function counted(cluster: Cluster, node: string, reason: string): Promise<number> {
  const { counters } = await statusOf(cluster, node);
  return counters.filter((counter) => counter.reason === reason).reduce((sum, { packets }) => sum + packets, 0);
}

/** Packets that all nodes have counted, by reason. */
export async function countedOnAll(cluster: Cluster): Promise<Readonly<Record<string, number>>> {
  const sums: Record<string, number> = {};
  for (const { name } of cluster.testbed.blueprint.nodes)
    for (const { reason, packets } of (await statusOf(cluster, name)).counters) sums[reason] = (sums[reason] ?? 0) + packets;
  return sums;
}

/** What a run adds to counters: `<node> <reason>` and how many packets, those of these reasons that grew. */
export async function adds(cluster: Cluster, reasons: readonly string[], run: () => Promise<unknown>): Promise<Record<string, number>> {
  const { nodes } = cluster.testbed.blueprint;
  const read = async () => {
    const each = await Promise.all(nodes.map(async ({ name }) => ({ name, counters: (await statusOf(cluster, name)).counters })));
    const lines = each.flatMap(({ name, counters }) => counters.map(({ reason, packets }) => [`${name} ${reason}`, packets] as const));
    const sums = new Map<string, number>();
    for (const [line, packets] of lines) sums.set(line, (sums.get(line) ?? 0) + packets);
    return sums;
  };
  const before = await read();
  await run();
  const grown = [...(await read())].map(([line, packets]) => [line, packets - (before.get(line) ?? 0)] as const);
  return Object.fromEntries(grown.filter(([line, packets]) => packets > 0 && reasons.includes(line.split(' ')[1] ?? '')));
}
