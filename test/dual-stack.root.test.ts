/**
 * Pods of both families, of IPv6 first and of IPv6 alone, behind a node that routes and one that bridges: found on
 * their interfaces, compiled, in the maps, and shown by everything that shows addresses.
 */

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import {
  blueprint,
  buildTestbed,
  inNamespace,
  nodeNamed,
  type PodBlueprint,
  podNamed as podOf,
  type Testbed,
} from '../demo/testbed/index.js';
import { placeManifests } from './cast.js';

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

const bed = blueprint({
  prefix: `sfcv${process.pid}`,
  nodes: ['routed', 'bridged'],
  pods: [
    { name: 'vpn', podNamespace: 'vpn', role: 'plain', node: 1, labels: { app: 'vpn' } },
    { name: 'shop', podNamespace: 'shop', role: 'plain', node: 2, labels: { app: 'shop' } },
    { name: 'six-1', podNamespace: 'six', role: 'plain', node: 1, labels: { app: 'six' } },
    { name: 'six-2', podNamespace: 'six', role: 'plain', node: 2, labels: { app: 'six' } },
    { name: 'four', podNamespace: 'six', role: 'plain', node: 2, labels: { app: 'six' } },
  ],
});

const numberOf = ({ node }: PodBlueprint) => nodeNamed(bed, node).number;
const ipv6Of = (pod: PodBlueprint) => `fd00:244:${numberOf(pod)}::${bed.pods.indexOf(pod) + 10}`;

/** Primary first, as Kubernetes lists them. */
const ADDRESSES: Readonly<Record<string, (pod: PodBlueprint) => readonly string[]>> = {
  vpn: (pod) => [pod.address, ipv6Of(pod)],
  shop: (pod) => [ipv6Of(pod), pod.address],
  'six-1': (pod) => [ipv6Of(pod)],
  'six-2': (pod) => [ipv6Of(pod), pod.address],
  four: (pod) => [pod.address],
};
const addressesOf = (pod: PodBlueprint) => ADDRESSES[pod.name]?.(pod) ?? [];

const world: readonly Manifest[] = [
  ...bed.nodes.map(({ name, number, podCidr }) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr, `fd00:244:${number}::/64`] },
  })),
  ...bed.pods.map((pod) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: pod.podNamespace, labels: pod.labels },
    spec: { nodeName: pod.node },
    status: {
      phase: 'Running',
      podIP: addressesOf(pod)[0],
      podIPs: addressesOf(pod).map((one) => ({ ip: one })),
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  })),
];

const policy: readonly Manifest[] = [
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: { name: 'six', uid: '0b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a' },
    spec: { serviceFunctions: [{ name: 'six', namespace: 'six', podSelector: labels('app', 'six') }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'sf-six-5a5a5a5a', namespace: 'six' },
    spec: { clusterIP: 'fd00:96:0::7c' },
  },
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name: 'vpn' },
    spec: {
      serviceFunctionChain: 'six',
      subject: { pods: { namespaceSelector: {}, podSelector: labels('app', 'vpn') } },
      egress: {
        to: { ipBlock: { cidr: '2001:DB8::/32', except: ['2001:db8:1::/48'] } },
        ports: [{ portNumber: { port: 443 } }, { allPorts: { protocol: 'ICMP' } }],
      },
      ingress: { ports: [{ allPorts: { protocol: 'UDP' } }] },
    },
  },
];

const podNamed = (name: string) => podOf(bed, name);

let testbed: Testbed;
let cluster: Cluster;

const ip = (namespace: string, ...args: readonly string[]) => inNamespace(namespace, ['ip', ...args]);

/** The testbed has IPv4 alone: its pods and nodes get addresses of the other family. */
async function addIpv6(): Promise<void> {
  const enable = ['sh', '-c', 'echo 0 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6'];
  for (const { namespace, number, attachment } of bed.nodes) {
    await inNamespace(namespace, enable);
    if (attachment === 'bridged') await ip(namespace, 'addr', 'add', `fd00:244:${number}::1/64`, 'dev', 'cni0', 'nodad');
  }
  for (const pod of bed.pods) {
    const { namespace, attachment } = nodeNamed(bed, pod.node);
    await inNamespace(pod.namespace, enable);
    await ip(pod.namespace, 'addr', 'add', `${ipv6Of(pod)}/${attachment === 'routed' ? 128 : 64}`, 'dev', 'eth0', 'nodad');
    if (attachment === 'routed') await ip(namespace, 'route', 'add', `${ipv6Of(pod)}/128`, 'dev', pod.hostInterface);
  }
}

beforeAll(async () => {
  testbed = await buildTestbed(bed);
  await addIpv6();
  cluster = await startCluster(testbed, { policy, expected: () => ({ sfcpath: 1 }) });
  await placeManifests(cluster, 'world.yaml', world);
  const settled = async (node: string) => {
    expect(await cluster.sfc(node, 'get', 'chain', 'six')).toContain(ipv6Of(podNamed('six-1')));
    expect(await cluster.sfc(node, 'status')).toMatch(/^ready +yes$/m);
  };
  for (const { name } of bed.nodes) await vi.waitFor(() => settled(name), { timeout: 20_000, interval: 100 });
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  await testbed?.teardown();
}, 60_000);

/** Words of the lines of a listing, its head left out. */
async function listed(node: string, ...args: readonly string[]): Promise<readonly (readonly string[])[]> {
  const [, ...lines] = (await cluster.sfc(node, ...args)).trimEnd().split('\n');
  return lines.map((line) => line.split(/ {2,}/));
}

describe('pods of several families', () => {
  it.each(bed.nodes.map(({ name }) => name))('of %s are found on their interfaces, whichever address is the first', async (node) => {
    const wanted = bed.pods
      .filter((pod) => pod.node === node)
      .map((pod) => [`${pod.podNamespace}/${pod.name}`, addressesOf(pod).join(', '), pod.hostInterface])
      .sort();
    const found = (await listed(node, 'get', 'endpoints')).map(([, pod, addresses, device]) => [pod, addresses, device]);
    expect(found.sort()).toEqual(wanted);
    const entries = JSON.parse(await cluster.sfc(node, 'bpf', 'endpoint', 'list', '-o', 'json')) as { ipv4: string; ipv6: string }[];
    const families = bed.pods.filter((pod) => pod.node === node).map((pod) => addressesOf(pod).toSorted().join(' '));
    expect(entries.map(({ ipv4, ipv6 }) => [ipv4, ipv6].filter(Boolean).join(' ')).sort()).toEqual(families.sort());
  });

  it('are instances at their primary address, those of IPv6 alone too', async () => {
    const primary = ['four', 'six-1', 'six-2'].map((name) => addressesOf(podNamed(name))[0]);
    const rows = await listed('node1', 'get', 'chain', 'six');
    const instances = rows.filter(([path]) => path === '(1, 1)');
    expect(instances.map((row) => row[5])).toEqual(primary);
    expect(instances.map((row) => row.slice(7))).toEqual(Array(3).fill(['yes', '100', 'yes']));
    const shares = await listed('node1', 'bpf', 'sfcbackend', 'list');
    expect(shares.map(([, backend]) => backend).sort()).toEqual([...primary].sort());
  });

  it('have peers of both families, and the pods of the node stand among them with their interface', async () => {
    const ranges = (await listed('node1', 'bpf', 'peer', 'list')).map(([range = '', , , comesBy = '']) => [range, comesBy.slice(0, 9)]);
    const own = (await listed('node1', 'bpf', 'endpoint', 'list')).flatMap(([, , ipv4 = '-', ipv6 = '-']) => [ipv4, ipv6]);
    const local = own
      .filter((address) => address !== '-')
      .map((address) => [`${address}/${address.includes(':') ? 128 : 32}`, 'interface']);
    expect(local.length).toBeGreaterThan(2);
    const others = ['10.244.1.0/24', '10.244.2.0/24', 'fd00:244:1::/64', 'fd00:244:2::/64'].map((range) => [range, '-']);
    expect(ranges.sort()).toEqual([...others, ...local].sort());
  });

  it('are selected by IPv6 prefixes and exceptions, and by both families where none is named', async () => {
    const selects = (await listed('node1', 'bpf', 'sfcselect', 'list')).map(([selector = '', path]) => [
      selector.replace(/^\d+, /, ''),
      path,
    ]);
    expect(selects.sort()).toEqual([
      ['egress, 0/ICMPv6, 2001:db8:1::/48', '-'],
      ['egress, 0/ICMPv6, 2001:db8::/32', '/32 (1, 1)'],
      ['egress, 443/TCP, 2001:db8:1::/48', '-'],
      ['egress, 443/TCP, 2001:db8::/32', '/32 (1, 1)'],
      ['ingress, 0/UDP, 0.0.0.0/0', '/0 (1, 1)'],
      ['ingress, 0/UDP, ::/0', '/0 (1, 1)'],
    ]);
  });

  it('have a Service of IPv6 where that was given', async () => {
    expect(await listed('node1', 'bpf', 'sfcpath', 'list')).toEqual([['(1, 1)', 'fd00:96::7c']]);
    expect(await listed('node1', 'get', 'services')).toEqual([['six', 'sf-six-5a5a5a5a', 'fd00:96::7c', '7081/UDP', 'six']]);
  });

  it('leave nothing to complain of', async () => {
    for (const { name } of bed.nodes) expect(await cluster.sfc(name, 'get', 'problems')).toBe('');
  });
});
