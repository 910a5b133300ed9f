/**
 * Links and pods' interfaces of 1500 and pods of 1500: wrapped packets do not fit, and the agent says where, by how
 * much and what to set, until somebody sets it. No restart. That it is right is shown by datagrams of full size.
 */

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { type Manifest, worldOf } from '../demo/manifests.js';
import {
  blueprint,
  buildTestbed,
  type EchoServer,
  inNamespace,
  nodeNamed,
  sendRequests,
  startEchoServer,
  type Testbed,
} from '../demo/testbed/index.js';
import { placeManifests } from './cast.js';

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

/** Everything that the vpn pod sends, to these destinations or to all of both families. */
const policyOf = (cidr?: string): readonly Manifest[] => [
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: { name: 'out' },
    spec: { serviceFunctions: [{ name: 'proxy', namespace: 'proxy', podSelector: labels('app', 'proxy') }] },
  },
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name: 'vpn' },
    spec: {
      serviceFunctionChain: 'out',
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'vpn'), podSelector: labels('app', 'vpn') } },
      egress: { ...(cidr === undefined ? {} : { to: { ipBlock: { cidr } } }), ports: [{ allPorts: { protocol: 'UDP' } }] },
    },
  },
];

const bed = blueprint({
  prefix: `sfcz${process.pid}`,
  nodes: ['routed', 'bridged'],
  pods: [
    { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
    { name: 'proxy', podNamespace: 'proxy', role: 'proxy', node: 2 },
  ],
  clientsBehind: 'vpn',
  mtu: { pod: 1500, fabric: 1500 },
});
const [node1, node2] = ['node1', 'node2'].map((name) => nodeNamed(bed, name));
const HOST_SIDES = { node1: ['v-vpn'], node2: ['cni0', 'v-proxy'] } as const;
const IPV6 = { vpn: 'fd00:244:1::10', proxy: 'fd00:244:2::11' } as const;

let testbed: Testbed;
let cluster: Cluster;
let server: EchoServer;

const ip = (namespace: string, ...args: readonly string[]) => inNamespace(namespace, ['ip', ...args]);
const setMtu = (namespace: string, device: string, mtu: number) => ip(namespace, 'link', 'set', device, 'mtu', String(mtu));

/** The fabric, and the nodes' ways to it. */
async function setFabric(mtu: number): Promise<void> {
  const { namespace, bridge } = bed.fabric;
  for (const port of ['to-node1', 'to-node2', 'to-server', bridge]) await setMtu(namespace, port, mtu);
  for (const { namespace: node } of bed.nodes) await setMtu(node, 'eth0', mtu);
}

async function setHostSides(mtu: number): Promise<void> {
  for (const { name, namespace } of bed.nodes)
    for (const device of [...HOST_SIDES[name as keyof typeof HOST_SIDES]].reverse()) await setMtu(namespace, device, mtu);
}

/** What does not fit on a node, as `sfc status` has it: kind, links, missing bytes and outer family. */
const sizes = async (node: string) =>
  (await cluster.status(node)).sizes.map(({ kind, links, missing, outer }) => `${kind} ${links.join(' ')} ${missing} ${outer}`);
const eventually = (node: string, expected: readonly string[]) => expect.poll(() => sizes(node), { timeout: 15_000 }).toEqual(expected);

/** Does a datagram that fills the pods' MTU get through? `request` and its id are 31 bytes, the headers 28. */
async function fullSized(id: string): Promise<boolean> {
  const ids = [`${id}-${process.pid}`];
  const [result] = await sendRequests(bed, { transport: 'udp', ids, padding: 1400, timeout: 1000 });
  return result?.answered === true;
}

async function logged(node: string): Promise<readonly string[]> {
  const lines = (await readFile(cluster.paths(node).log, 'utf8')).split('\n').filter(Boolean);
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg).filter((message) => /too small|fit every link/.test(message));
}

beforeAll(async () => {
  testbed = await buildTestbed(bed);
  cluster = await startCluster(testbed, { policy: policyOf('0.0.0.0/0'), expected: () => ({ sfcpath: 1 }) });
  await cluster.ready();
  server = await startEchoServer(bed);
}, 120_000);

afterAll(async () => {
  await server?.stop();
  await cluster?.stop();
  await testbed?.teardown();
}, 60_000);

describe('sizes', () => {
  it('that do not fit are named, with what to set on which side', async () => {
    await eventually('node1', ['link eth0 48 IPv4', 'interface v-vpn 48 IPv4']);
    await eventually('node2', ['link eth0 48 IPv4', 'interface cni0 v-proxy 48 IPv4']);
    const [link] = (await cluster.status('node1')).sizes;
    expect(link).toMatchObject({ mtu: 1500, podMtu: 1500, needed: 1548, fitting: 1452, towards: ['node2'] });
    const status = await cluster.sfc('node1', 'status');
    expect(status).toMatch(/^ready +yes$/m);
    expect(status).toMatch(
      /^sizes +MTU 1500 of eth0 towards node2 is 48 too small: pods have 1500, and steering adds 48 \(outer IPv4\)\n +Set it, .* to 1548 or more; or the pods' MTU to 1452 or less\.$/m,
    );
    expect(await cluster.sfc('node1', 'get', 'problems')).toMatch(
      /^warning: Link\/eth0 mtu: MTU 1500 of eth0 towards node2 is 48 too small/m,
    );
    expect(await fullSized('narrow')).toBe(false);
  });

  it('are looked at again when a link changes', async () => {
    await setFabric(1548);
    await eventually('node1', ['interface v-vpn 48 IPv4']);
    await eventually('node2', ['interface cni0 v-proxy 48 IPv4']);
    // The link is wide enough, and still the packet ends before the proxy's interface.
    expect(await fullSized('host-side')).toBe(false);
    await setHostSides(1548);
    await eventually('node1', []);
    await eventually('node2', []);
    expect(await fullSized('wide')).toBe(true);
    expect(await cluster.sfc('node1', 'status')).not.toMatch(/^sizes/m);
    expect(await cluster.sfc('node1', 'get', 'problems')).toBe('');
    expect(await logged('node1')).toEqual([
      expect.stringMatching(/^MTU 1500 of eth0 towards node2 is 48 too small/),
      expect.stringMatching(/^MTU 1500 of pods' host sides v-vpn is 48 too small/),
      'steered packets fit every link again',
    ]);
  });

  it('of pods are those inside them', async () => {
    await setFabric(1500);
    await setHostSides(1500);
    await eventually('node1', ['link eth0 48 IPv4', 'interface v-vpn 48 IPv4']);
    for (const { namespace } of bed.pods) await setMtu(namespace, 'eth0', 1452);
    // Nothing on the node tells of that: it is seen when something else happens there, or after half a minute.
    for (const { namespace } of bed.nodes) await ip(namespace, 'link', 'set', 'eth0', 'alias', 'seen');
    await eventually('node1', []);
    await eventually('node2', []);
    for (const { namespace } of bed.pods) await setMtu(namespace, 'eth0', 1500);
  });

  it('are larger by 68 where the outer headers are IPv6', async () => {
    await setFabric(1548);
    await setHostSides(1548);
    for (const { namespace } of bed.nodes) {
      await inNamespace(namespace, ['sh', '-c', 'echo 0 | tee /proc/sys/net/ipv6/conf/*/disable_ipv6']);
      await inNamespace(namespace, ['sh', '-c', 'echo 1 | tee /proc/sys/net/ipv6/conf/all/forwarding']);
    }
    const [first, second] = [node1?.namespace ?? '', node2?.namespace ?? ''];
    await ip(first, 'addr', 'add', 'fd00:172::1/64', 'dev', 'eth0', 'nodad');
    await ip(second, 'addr', 'add', 'fd00:172::2/64', 'dev', 'eth0', 'nodad');
    await ip(first, 'route', 'add', 'fd00:244:2::/64', 'via', 'fd00:172::2');
    await ip(second, 'route', 'add', 'fd00:244:1::/64', 'via', 'fd00:172::1');
    const dual = worldOf(bed).map((manifest) => {
      const { kind, metadata, spec, status } = manifest as { kind: string; metadata: { name: string }; spec: object; status: object };
      if (kind === 'Node') {
        const node = nodeNamed(bed, metadata.name);
        return { ...manifest, spec: { podCIDRs: [node.podCidr, `fd00:244:${node.number}::/64`] } };
      }
      if (kind !== 'Pod') return manifest;
      const pod = bed.pods.find(({ name }) => name === metadata.name);
      const podIPs = [{ ip: pod?.address }, { ip: IPV6[metadata.name as keyof typeof IPV6] }];
      return { ...manifest, spec, status: { ...status, podIP: pod?.address, podIPs } };
    });
    await placeManifests(cluster, 'world.yaml', dual);
    await expect.poll(() => cluster.sfc('node1', 'get', 'endpoints'), { timeout: 15_000 }).toContain('10.244.1.10, fd00:244:1::10');
    // Only IPv4 is steered, to instances that are reached over IPv4.
    await eventually('node1', []);
    await placeManifests(cluster, 'policy.yaml', policyOf());
    await eventually('node1', ['link eth0 20 IPv6', 'interface v-vpn 20 IPv6']);
    await eventually('node2', ['link eth0 20 IPv6', 'interface cni0 v-proxy 20 IPv6']);
    await setFabric(1568);
    await setHostSides(1568);
    await eventually('node1', []);
    await eventually('node2', []);
  }, 60_000);
});
