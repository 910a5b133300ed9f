/**
 * Beside a netfilter that drops what its conntrack calls invalid, as kube-proxy has it on every node: functions that keep the
 * client's address, so that answers come past the chain to a node whose netfilter has not seen the request; a
 * function on the client's own node, whose netfilter has; and what comes into a pod through its chain.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import {
  blueprint,
  buildTestbed,
  type EchoServer,
  familyOf,
  inNamespace,
  nodeNamed,
  type PodBlueprint,
  podNamed,
  sendRequests,
  startEchoServer,
  type Testbed,
} from '../demo/testbed/index.js';
import { countedOnAll } from './cast.js';

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

/** KUBE-FORWARD of kube-proxy. */
const INVALID = `
table inet kube {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state invalid counter name dropped drop
  }
  counter dropped { }
}
`;

const CHAINS = ['remote', 'local', 'both'] as const;
const FUNCTIONS: Readonly<Record<(typeof CHAINS)[number], readonly string[]>> = {
  remote: ['far'],
  local: ['near'],
  both: ['near', 'far'],
};

const POLICY: readonly Manifest[] = [
  ...CHAINS.flatMap((name): Manifest[] => [
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name },
      spec: {
        serviceFunctions: FUNCTIONS[name].map((one) => ({ name: one, namespace: 'firewall', podSelector: labels('app', one) })),
      },
    },
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name },
      spec: {
        serviceFunctionChain: name,
        subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'clients'), podSelector: labels('app', name) } },
        egress: { ports: ['TCP', 'UDP', 'ICMP'].map((protocol) => ({ allPorts: { protocol } })) },
      },
    },
  ]),
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name: 'into-the-shop' },
    spec: {
      serviceFunctionChain: 'remote',
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'shop'), podSelector: labels('app', 'shop') } },
      ingress: { ports: ['TCP', 'UDP', 'ICMP'].map((protocol) => ({ allPorts: { protocol } })) },
    },
  },
];

const REQUESTS = 5;
const ids = (prefix: string) => Array.from({ length: REQUESTS }, (_, index) => `${prefix}-${index}`);

const WAYS = { tcx: ['--attach', 'tcx'], clsact: ['--attach', 'clsact'], userspace: ['--datapath', 'userspace'] } as const;

describe.each(['tcx', 'clsact', 'userspace'] as const)('beside what drops the invalid, by %s', (way) => {
  const bed = blueprint({
    prefix: `sfck${way[0]}${process.pid}`,
    family: 'dual',
    nodes: ['routed', 'bridged'],
    clientsBehind: 'vpn',
    serverKnowsClients: true,
    pods: [
      ...CHAINS.map((name) => ({ name, podNamespace: 'clients', role: 'plain', node: 1, labels: { app: name } }) as const),
      { name: 'vpn', podNamespace: 'clients', role: 'vpn', node: 1, labels: { app: 'remote' } },
      { name: 'shop', podNamespace: 'shop', role: 'plain', node: 1, labels: { app: 'shop' } },
      { name: 'near', podNamespace: 'firewall', role: 'firewall', node: 1, labels: { app: 'near' } },
      { name: 'far', podNamespace: 'firewall', role: 'firewall', node: 2, labels: { app: 'far' } },
    ],
  });
  const pod = (name: string): PodBlueprint => podNamed(bed, name);
  const { port } = bed.server;
  const families = [4, 6] as const;
  const addressOf = (family: 4 | 6, addresses: readonly string[]) => addresses.find((one) => familyOf(one) === family) ?? '';
  let testbed: Testbed;
  let cluster: Cluster;
  const servers: EchoServer[] = [];

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    for (const { namespace } of bed.nodes) {
      await inNamespace(namespace, ['nft', '-f', '-'], { stdin: INVALID });
      // A node that tracks connections has some, before it has pods.
      await inNamespace(namespace, ['ping', '-c', '1', '-W', '5', bed.nodes[0]?.address ?? '']);
    }
    cluster = await startCluster(testbed, { policy: POLICY, flags: WAYS[way], expected: () => ({ sfcpath: 4 }) });
    await cluster.ready();
    servers.push(await startEchoServer(bed), await startEchoServer(bed, { ...pod('shop'), port }));
  }, 120_000);

  afterAll(async () => {
    for (const server of servers) await server.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  const counted = () => countedOnAll(cluster);

  const cases = CHAINS.flatMap((chain) => families.map((family) => [chain, family] as const));

  it.each(cases)(
    'answers of a server outside come back through the chain (%s, IPv%i)',
    async (chain, family) => {
      const { namespace, addresses } = pod(chain);
      const server = addressOf(family, bed.server.addresses);
      for (const transport of ['tcp', 'udp'] as const) {
        const before = await counted();
        const from = { namespace, addresses: [addressOf(family, addresses)] };
        const results = await sendRequests(bed, {
          transport,
          ids: ids(`${transport}-${chain}-${family}`),
          from,
          to: { address: server, port },
        });
        expect(results.filter(({ answered }) => !answered)).toEqual([]);
        const after = await counted();
        expect((after['reply-entered'] ?? 0) - (before['reply-entered'] ?? 0)).toBeGreaterThanOrEqual(REQUESTS);
      }
      expect((await inNamespace(namespace, ['ping', '-c', '3', '-i', '0.2', '-W', '5', server])).stdout).toContain(' 3 received');
    },
    60_000,
  );

  it.each(families)(
    'so do those for clients behind a pod, with addresses of their own (IPv%i)',
    async (family) => {
      const server = addressOf(family, bed.server.addresses);
      for (const transport of ['tcp', 'udp'] as const) {
        const to = { address: server, port };
        const results = await sendRequests(bed, { transport, ids: ids(`${transport}-behind-${family}`), to });
        expect(results.map(({ answered, source, seenAs }) => [answered, seenAs === source])).toEqual(results.map(() => [true, true]));
      }
    },
    60_000,
  );

  it.each(families)(
    'what comes into a pod goes through its chain, and the answers back (IPv%i)',
    async (family) => {
      const to = addressOf(family, pod('shop').addresses);
      const { namespace, addresses } = bed.server;
      for (const transport of ['tcp', 'udp'] as const) {
        const before = await counted();
        const from = { namespace, addresses: [addressOf(family, addresses)] };
        const results = await sendRequests(bed, { transport, ids: ids(`${transport}-shop-${family}`), from, to: { address: to, port } });
        expect(results.filter(({ answered }) => !answered)).toEqual([]);
        expect(((await counted())['reply-left'] ?? 0) - (before['reply-left'] ?? 0)).toBeGreaterThanOrEqual(REQUESTS);
      }
      expect((await inNamespace(namespace, ['ping', '-c', '3', '-i', '0.2', '-W', '5', to])).stdout).toContain(' 3 received');
    },
    60_000,
  );

  it('a translation that the node made is undone: requests to a port of the node, for a pod that has a chain', async () => {
    const { namespace, address } = nodeNamed(bed, pod('shop').node);
    const rules = `table ip nodeport {
      chain prerouting { type nat hook prerouting priority dstnat; ip daddr ${address} tcp dport 30080 dnat to ${pod('shop').address}:${port}; }
    }`;
    await inNamespace(namespace, ['nft', '-f', '-'], { stdin: rules });
    const from = { namespace: bed.server.namespace, addresses: [bed.server.address] };
    const results = await sendRequests(bed, { transport: 'tcp', ids: ids('node-port'), from, to: { address, port: 30080 } });
    expect(results.filter(({ answered }) => !answered)).toEqual([]);
  }, 60_000);

  it('names the links that answers are known on: not those of pods, nor their bridge', async () => {
    for (const { name } of bed.nodes) expect((await cluster.status(name)).datapath.uplinks).toEqual(way === 'userspace' ? [] : ['eth0']);
  });

  it('puts its rules back when somebody has flushed them', async () => {
    const { name, namespace } = bed.nodes[0] as (typeof bed.nodes)[number];
    const rules = () => inNamespace(namespace, ['nft', 'list', 'tables'], { accept: [0, 1] });
    await inNamespace(namespace, ['nft', 'delete', 'table', 'inet', 'sfc_half_seen']);
    await inNamespace(namespace, ['ip', 'link', 'add', 'idle', 'type', 'bridge']);
    await expect.poll(async () => (await rules()).stdout, { timeout: 60_000, interval: 200 }).toContain('sfc_half_seen');
    expect((await cluster.status(name)).ready).toBe(true);
  }, 90_000);

  it('and nothing else went past: the node had nothing to drop', async () => {
    for (const { namespace } of bed.nodes) {
      const { stdout } = await inNamespace(namespace, ['nft', 'list', 'counter', 'inet', 'kube', 'dropped']);
      expect(stdout).toContain('packets 0 ');
    }
  });
});
