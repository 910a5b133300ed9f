/**
 * IPv6 through the devices of the userspace datapath. The pods are selected for IPv4, so all that they send and
 * receive is caught, and IPv6 goes on as it came; what is between neighbours is not caught at all.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import {
  addressIn,
  blueprint,
  buildTestbed,
  type EchoServer,
  inFamily,
  inNamespace,
  iperf,
  nodeNamed,
  podNamed,
  sendRequests,
  startEchoServer,
  type Testbed,
} from '../demo/testbed/index.js';

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
    metadata: { name: 'app-to-guard' },
    spec: {
      serviceFunctionChain: 'guard',
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'app'), podSelector: labels('app', 'app') } },
      egress: { to: { ipBlock: { cidr: '0.0.0.0/0' } }, ports: [{ allPorts: { protocol: 'TCP' } }, { allPorts: { protocol: 'UDP' } }] },
    },
  },
];

const bed = blueprint({
  prefix: `sfcj${process.pid}`,
  family: 'dual',
  nodes: ['routed', 'bridged'],
  pods: [
    { name: 'app-1', podNamespace: 'app', role: 'plain', node: 1, labels: { app: 'app' } },
    { name: 'app-2', podNamespace: 'app', role: 'plain', node: 2, labels: { app: 'app' } },
    { name: 'firewall', podNamespace: 'firewall', role: 'firewall', node: 2 },
  ],
});
const server = { ...inFamily(bed.server.addressing, 6), namespace: bed.server.namespace, port: bed.server.port };
let testbed: Testbed;
let cluster: Cluster;
let echo: EchoServer;

beforeAll(async () => {
  testbed = await buildTestbed(bed);
  const expected = () => ({ sfcpath: 1, sfcselect: 2 });
  cluster = await startCluster(testbed, { policy: POLICY, flags: ['--datapath', 'userspace'], expected });
  await cluster.ready();
  echo = await startEchoServer(bed);
}, 120_000);

afterAll(async () => {
  await echo?.stop();
  await testbed?.teardown();
}, 30_000);

/** Packets that the kernel has handed to a device of the datapath so far. */
async function handed(node: string, device: string): Promise<number> {
  const { stdout } = await inNamespace(nodeNamed(bed, node).namespace, ['ip', '-json', '-s', 'link', 'show', 'dev', device]);
  const [link] = JSON.parse(stdout) as { readonly stats64: { readonly tx: { readonly packets: number } } }[];
  return link?.stats64.tx.packets ?? 0;
}

async function devicesOf(name: string): Promise<readonly [node: string, sender: string, receiver: string]> {
  const pod = podNamed(bed, name);
  const { stdout } = await inNamespace(nodeNamed(bed, pod.node).namespace, ['ip', '-json', 'link', 'show', 'dev', pod.hostInterface]);
  const [link] = JSON.parse(stdout) as { readonly ifindex: number }[];
  return [pod.node, `sfc${link?.ifindex}`, `sfcr${link?.ifindex}`];
}

describe.each(['app-1', 'app-2'])('IPv6 of the selected pod %s', (name) => {
  const pod = podNamed(bed, name);
  const address = addressIn(pod, 6);

  it.each(['tcp', 'udp'] as const)('goes through the datapath and back, over %s', async (transport) => {
    const [node, sender, receiver] = await devicesOf(name);
    const before = [await handed(node, sender), await handed(node, receiver)];
    const ids = Array.from({ length: 5 }, (_, index) => `${transport}-${index}`);
    const results = await sendRequests(bed, { transport, ids, from: pod, to: server });
    expect(results).toMatchObject(ids.map((id) => ({ id, answered: true, seenAs: address })));
    const after = [await handed(node, sender), await handed(node, receiver)];
    for (const [index, count] of after.entries()) expect(count).toBeGreaterThanOrEqual((before[index] ?? 0) + ids.length);
  });

  it('carries bulk TCP both ways', async () => {
    const from = { namespace: pod.namespace, address };
    for (const extra of [[], ['-R']]) expect((await iperf({ from, to: server, seconds: 1, extra })).bytes).toBeGreaterThan(1_000_000);
  }, 60_000);

  /** Sends one datagram; whether it arrives is not the question. */
  async function send(namespace: string, from: string, to: string): Promise<void> {
    const talk = (from: string, to: string) => {
      const socket = process.getBuiltinModule('node:dgram').createSocket('udp6');
      socket.bind(0, from, () => socket.send('x', 9, to, () => socket.close()));
    };
    await inNamespace(namespace, [process.execPath, '-e', `(${talk})('${from}', '${to}')`]);
  }

  /** Ethernet address of a neighbour that is reachable; empty while there is none. */
  async function neighbour(namespace: string, to: string, device: string): Promise<string> {
    const { stdout } = await inNamespace(namespace, ['ip', '-json', '-6', 'neigh', 'show', to, 'dev', device]);
    const [found] = JSON.parse(stdout || '[]') as { readonly lladdr?: string; readonly state: readonly string[] }[];
    return found?.state.includes('REACHABLE') ? (found.lladdr ?? '') : '';
  }

  it('leaves it to the pod and its node to find each other: nothing of that is caught', async () => {
    const node = nodeNamed(bed, pod.node);
    const isRouted = node.attachment === 'routed';
    const { gateway, address: own } = inFamily(node.addressing, 6);
    const agent = cluster.agent(node.name).child;
    const flush = (namespace: string, device: string) => inNamespace(namespace, ['ip', '-6', 'neigh', 'flush', 'dev', device]);
    const device = isRouted ? pod.hostInterface : 'cni0';
    // A datapath that stands still gives back nothing that it is given.
    agent.kill('SIGSTOP');
    try {
      await flush(pod.namespace, 'eth0');
      await send(pod.namespace, address, isRouted ? own : gateway);
      await expect.poll(() => neighbour(pod.namespace, isRouted ? 'fe80::1' : gateway, 'eth0'), { timeout: 5000 }).toMatch(/^(..:){5}..$/);
      await flush(node.namespace, device);
      await send(node.namespace, isRouted ? own : gateway, address);
      await expect.poll(() => neighbour(node.namespace, address, device), { timeout: 5000 }).toMatch(/^(..:){5}..$/);
    } finally {
      agent.kill('SIGCONT');
    }
    const [result] = await sendRequests(bed, { transport: 'udp', ids: ['again'], from: pod, to: server });
    expect(result).toMatchObject({ answered: true });
  }, 60_000);
});

describe('the node’s side of the datapath', () => {
  it('has no address of its own and says nothing', async () => {
    for (const { namespace } of bed.nodes) {
      const { stdout } = await inNamespace(namespace, ['ip', '-json', '-6', 'addr', 'show', 'dev', 'sfc0']);
      expect((JSON.parse(stdout || '[]') as object[]).filter((link) => Object.keys(link).length > 0)).toEqual([]);
    }
  });
});
