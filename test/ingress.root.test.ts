/**
 * Ingress with real connections on each datapath: from outside the cluster and from another pod into an
 * app behind a stateful firewall, and from the app out. The firewalls refuse what they saw only half of.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import {
  blueprint,
  buildTestbed,
  type EchoServer,
  inNamespace,
  iperf,
  type NodeBlueprint,
  type PodBlueprint,
  sendRequests,
  startEchoServer,
  type Testbed,
} from '../demo/testbed/index.js';
import { countedOnAll } from './cast.js';

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

const POLICY: readonly Manifest[] = [
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: { name: 'guard' },
    spec: { serviceFunctions: [{ name: 'firewall', namespace: 'firewall', podSelector: labels('app', 'firewall') }] },
  },
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name: 'into-the-app' },
    spec: {
      serviceFunctionChain: 'guard',
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'shop'), podSelector: labels('app', 'shop') } },
      ingress: { from: { ipBlock: { cidr: '0.0.0.0/0' } }, ports: [{ allPorts: { protocol: 'TCP' } }, { allPorts: { protocol: 'UDP' } }] },
    },
  },
];

const REQUESTS = 10;
const ids = (prefix: string) => Array.from({ length: REQUESTS }, (_, index) => `${prefix}-${index}`);

describe.each(['kernel', 'userspace'])('ingress on the %s datapath', (datapath) => {
  const bed = blueprint({
    prefix: `sfci${datapath[0]}${process.pid}`,
    nodes: ['routed', 'bridged'],
    pods: [
      { name: 'shop', podNamespace: 'shop', role: 'plain', node: 1, labels: { app: 'shop' } },
      { name: 'shop-2', podNamespace: 'shop', role: 'plain', node: 2, labels: { app: 'shop' } },
      { name: 'friend', podNamespace: 'friend', role: 'plain', node: 2, labels: { app: 'friend' } },
      { name: 'firewall-1', podNamespace: 'firewall', role: 'firewall', node: 1 },
      { name: 'firewall-2', podNamespace: 'firewall', role: 'firewall', node: 2 },
    ],
  });
  const pod = (name: string): PodBlueprint => {
    const found = bed.pods.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no pod ${name}`);
    return found;
  };
  const firewalls = bed.pods.filter(({ role }) => role === 'firewall');
  const outside = { namespace: bed.server.namespace, addresses: [bed.server.address] };
  const from = (name: string) => ({ namespace: pod(name).namespace, addresses: [pod(name).address] });
  const node = (number: number) => {
    const { namespace, address } = bed.nodes[number - 1] as NodeBlueprint;
    return { namespace, addresses: [address] };
  };
  const { port } = bed.server;
  let testbed: Testbed;
  let cluster: Cluster;
  const servers: EchoServer[] = [];

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, {
      policy: POLICY,
      flags: ['--datapath', datapath],
      expected: () => ({ sfcpath: 1, sfcselect: 2 }),
    });
    await cluster.ready();
    servers.push(await startEchoServer(bed));
    for (const name of ['shop', 'shop-2']) servers.push(await startEchoServer(bed, { ...pod(name), port }));
  }, 120_000);

  afterAll(async () => {
    for (const server of servers) await server.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  const counted = () => countedOnAll(cluster);

  /** The same, once what went before is over: a connection's last packets come after its answer. */
  async function settled(): Promise<Readonly<Record<string, number>>> {
    let last = await counted();
    await expect
      .poll(
        async () => {
          const earlier = last;
          last = await counted();
          return JSON.stringify(earlier) === JSON.stringify(last);
        },
        { interval: 200, timeout: 20_000 },
      )
      .toBe(true);
    return last;
  }

  it.each([
    ['from outside', outside, 'shop'],
    ['from outside, behind a bridge', outside, 'shop-2'],
    ['from another pod', from('friend'), 'shop'],
    ['from a pod of the same node', from('friend'), 'shop-2'],
    ['from one app to another', from('shop-2'), 'shop'],
    ['from its own node, as probes do', node(1), 'shop'],
    ['from its own node, behind a bridge', node(2), 'shop-2'],
  ])(
    'takes what comes %s through the firewall, and the answers back',
    async (_, source, to) => {
      for (const transport of ['tcp', 'udp'] as const) {
        const before = await settled();
        const results = await sendRequests(bed, { transport, ids: ids(`${transport}-${to}`), from: source, to: { ...pod(to), port } });
        expect(results.filter(({ answered }) => !answered)).toEqual([]);
        const after = await counted();
        const more = (reason: string) => (after[reason] ?? 0) - (before[reason] ?? 0);
        expect(more('steered-ingress')).toBeGreaterThanOrEqual(REQUESTS);
        expect(more('reply-left')).toBeGreaterThanOrEqual(REQUESTS);
        if (transport === 'udp') expect([more('steered-ingress'), more('reply-left')]).toEqual([REQUESTS, REQUESTS]);
      }
    },
    60_000,
  );

  it('carries bulk TCP both ways', async () => {
    const [ours, theirs] = [outside, pod('shop')];
    for (const extra of [[], ['-R']]) {
      const { bytes } = await iperf({ from: { namespace: ours.namespace, address: bed.server.address }, to: theirs, seconds: 1, extra });
      expect(bytes).toBeGreaterThan(1_000_000);
    }
  }, 60_000);

  it('leaves alone what the app opens itself', async () => {
    const before = await counted();
    for (const transport of ['tcp', 'udp'] as const) {
      const results = await sendRequests(bed, { transport, ids: ids(`own-${transport}`), from: from('shop') });
      expect(results.filter(({ answered }) => !answered)).toEqual([]);
    }
    expect((await counted())['steered-ingress']).toBe(before['steered-ingress']);
  }, 60_000);

  it('was refused nothing by the firewalls: they saw both directions of everything', async () => {
    for (const { namespace } of firewalls) {
      const { stdout } = await inNamespace(namespace, ['nft', '-j', 'list', 'counter', 'inet', 'firewall', 'refused']);
      expect(stdout).toMatch(/"packets": ?0\b/);
    }
  });

  it('lets nothing in when the firewalls let nothing through', async () => {
    for (const { namespace } of firewalls) await inNamespace(namespace, ['nft', 'insert', 'rule', 'inet', 'firewall', 'forward', 'drop']);
    for (const transport of ['tcp', 'udp'] as const) {
      const to = { ...pod('shop'), port };
      const results = await sendRequests(bed, { transport, ids: ['late-1', 'late-2'], from: outside, to, timeout: 500 });
      expect(results.map(({ answered }) => answered)).toEqual([false, false]);
    }
  }, 60_000);
});
