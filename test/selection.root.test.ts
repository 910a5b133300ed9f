/**
 * The walkthrough with other selectors: ranges of ports in place of all ports, and ICMP. Real requests
 * and pings between namespaces, on each datapath.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { liveCapture, readCapture } from '../capture/index.js';
import { checksum, frame } from '../datapath/cast.js';
import { type Cluster, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import { buildTestbed, inNamespace, sendRaw, type Testbed, walkthroughCast } from '../demo/testbed/index.js';
import { observeTraffic } from '../demo/walkthrough.js';

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

const chain = (name: string): Manifest => ({
  apiVersion: 'networking.gke.io/v1',
  kind: 'ServiceFunctionChain',
  metadata: { name },
  spec: { serviceFunctions: [{ name, namespace: name, podSelector: labels('app', name) }] },
});

/** Everything that the walkthrough's server is asked for, and pings. */
const selector = (from: string, to: string, port: number): Manifest => ({
  apiVersion: 'networking.gke.io/v1',
  kind: 'TrafficSelector',
  metadata: { name: `${from}-to-${to}` },
  spec: {
    serviceFunctionChain: to,
    subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', from), podSelector: labels('app', from) } },
    egress: {
      to: { ipBlock: { cidr: '0.0.0.0/0', except: ['192.0.2.0/24'] } },
      ports: [
        { portNumber: { protocol: 'TCP', port: port - 3, endPort: port + 5 } },
        { portNumber: { protocol: 'UDP', port: port - 3, endPort: port + 5 } },
        { allPorts: { protocol: 'ICMP' } },
      ],
    },
  },
});

/** An echo request whose checksum is right. */
function ping(from: string, to: string, id: number): Uint8Array {
  const packet = Buffer.from(frame({ from, to, protocol: 'icmp', sourcePort: id, payload: 'even' }).subarray(14));
  packet.writeUInt16BE(checksum(packet.subarray(20)), 22);
  return packet;
}

describe.each(['kernel', 'userspace'])('ranges and ICMP on the %s datapath', (datapath) => {
  const bed = walkthroughCast({ prefix: `sfcr${datapath[0]}${process.pid}` });
  const policy = [
    chain('firewall'),
    chain('proxy'),
    ...[['vpn', 'firewall'] as const, ['firewall', 'proxy'] as const].map(([from, to]) => selector(from, to, bed.server.port)),
  ];
  let testbed: Testbed;
  let cluster: Cluster;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, { policy, flags: ['--datapath', datapath], expected: () => ({ sfcpath: 2 }) });
    await cluster.ready();
    // The walkthrough's firewalls let TCP and UDP through.
    const allow = ['nft', 'insert', 'rule', 'inet', 'firewall', 'forward', 'ct', 'state', 'new', 'icmp', 'type', 'echo-request', 'accept'];
    for (const { role, namespace } of bed.pods) if (role === 'firewall') await inNamespace(namespace, allow);
  }, 120_000);

  afterAll(async () => {
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  async function counted(node: string, reason: string): Promise<number> {
    const { counters } = await cluster.status(node);
    return counters.filter((counter) => counter.reason === reason).reduce((sum, { packets }) => sum + packets, 0);
  }

  it('steers requests to a port in the range through both chains', async () => {
    expect((await observeTraffic(testbed, { requests: 5 })).faults).toEqual([]);
  }, 60_000);

  it('steers pings through both chains, and their answers back', async () => {
    const nodes = bed.nodes.map(({ name }) => name);
    const sum = async (reason: string) => (await Promise.all(nodes.map((node) => counted(node, reason)))).reduce((a, b) => a + b, 0);
    const before = { source: await counted('node1', 'steered-source'), next: await sum('steered-next'), reply: await sum('steered-reply') };
    const client = bed.client;
    if (client === undefined) throw new Error('the walkthrough has clients');
    const file = join(bed.directory, 'pings.pcap');
    const capture = await liveCapture({ namespace: client.namespace, interface: 'eth0', filter: 'icmp[icmptype] == icmp-echoreply', file });
    const pings = [1, 2, 3].map((id) => ping(client.addresses[0] ?? '', bed.server.address, id));
    await sendRaw(
      client.namespace,
      pings.map((bytes) => ({ destination: bed.server.address, bytes })),
    );
    await expect.poll(() => sum('steered-reply'), { timeout: 10_000 }).toBe(before.reply + 2 * pings.length);
    await expect.poll(async () => (await readCapture(file)).length, { timeout: 10_000 }).toBe(pings.length);
    await capture.stop();
    expect(await counted('node1', 'steered-source')).toBe(before.source + pings.length);
    expect(await sum('steered-next')).toBe(before.next + pings.length);
  }, 60_000);
});
