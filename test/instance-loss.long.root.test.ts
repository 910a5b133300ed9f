/**
 * What becomes of live TCP connections when the instance that they pass is not ready any more: real sockets that
 * stay open, on both datapaths, behind a node that routes to its pods and one that bridges. The server knows the
 * clients themselves, and stateful firewalls drop what they saw only half of.
 */

import { rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { type Manifest, worldOf } from '../demo/manifests.js';
import {
  type Attachment,
  type Background,
  blueprint,
  buildTestbed,
  type Family,
  inNamespace,
  nodeNamed,
  startInNamespace,
  TERMS,
  type Testbed,
} from '../demo/testbed/index.js';
import { FLOW_FLAG, FLOW_ROLE } from '../maps/index.js';

type Loss = 'Move' | 'Stay' | 'Reset';
type Kind = 'firewall' | 'inspector';

/** What happened to a connection, by the client's port. */
interface Happening {
  readonly what: 'listening' | 'open' | 'line' | 'error';
  readonly port: number;
  readonly code: string;
}

/** Runs in a process of its own: connections that stay. At SIGUSR2 it writes a line of `size` bytes on each. */
function talk(order: { host: string; port: number; from: string; connections: number; size: number }): void {
  const net = process.getBuiltinModule('node:net');
  const open = new Set<import('node:net').Socket>();
  const tell = (what: string, port = 0, code = '') => process.stdout.write(`${JSON.stringify({ what, port, code })}\n`);
  const follow = (socket: import('node:net').Socket, port: number): void => {
    open.add(socket);
    tell('open', port);
    let heard = 0;
    socket.on('data', (chunk) => {
      heard += chunk.length;
      if (heard < order.size) return;
      heard -= order.size;
      tell('line', port);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => tell('error', port, error.code));
    socket.on('close', () => open.delete(socket));
  };
  process.on('SIGUSR2', () => {
    for (const socket of open) socket.write('x'.repeat(order.size));
  });
  if (order.connections === 0)
    net.createServer((socket) => follow(socket, socket.remotePort ?? 0)).listen(order.port, order.host, () => tell('listening'));
  for (let n = 0; n < order.connections; n++) {
    const socket = net.connect({ host: order.host, port: order.port, localAddress: order.from });
    socket.on('connect', () => follow(socket, socket.localPort ?? 0));
  }
}

/** One end of the connections, and what it has said so far. */
class End {
  readonly #program: Background;
  readonly #heard: Happening[] = [];

  constructor(namespace: string, order: Parameters<typeof talk>[0]) {
    const source = `(${talk})(${JSON.stringify(order)})`;
    this.#program = startInNamespace(namespace, [process.execPath, '-e', source], { stdout: 'pipe' });
    let rest = '';
    this.#program.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#heard.push(JSON.parse(line) as Happening);
    });
  }

  /** Ports of the connections to which this has happened, in order. */
  ports(what: Happening['what'], code = ''): readonly number[] {
    return this.#heard.flatMap((one) => (one.what === what && one.code === code ? [one.port] : [])).sort((a, b) => a - b);
  }

  speak(): void {
    this.#program.child.kill('SIGUSR2');
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

const CONNECTIONS = 8;
/** More than a segment: it leaves the pod whole (GSO). */
const SIZE = 20_000;
const kinds: readonly Kind[] = ['firewall', 'inspector'];

function policyOf(kind: Kind, onInstanceLoss: Loss, family: Family): readonly Manifest[] {
  const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });
  return [
    ...kinds.map((name) => ({
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name },
      spec: { onInstanceLoss, serviceFunctions: [{ name, namespace: name, podSelector: labels('app', name) }] },
    })),
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name: 'vpn' },
      spec: {
        serviceFunctionChain: kind,
        subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'vpn'), podSelector: labels('app', 'vpn') } },
        egress: { to: { ipBlock: { cidr: TERMS[family].any } }, ports: [{ allPorts: { protocol: 'TCP' } }] },
      },
    },
  ];
}

/** ethtool(8) without ethtool: are checksums of what a device sends left to it, as a veth pretends to do them? */
async function leaveChecksums(namespace: string, device: string, leave: boolean): Promise<void> {
  const set = ({ addressOf, ioctl, openSocket }: typeof import('../datapath/libc.js'), device: string, value: number) => {
    const [SIOCETHTOOL, ETHTOOL_STXCSUM] = [0x8946, 0x17];
    const given = Buffer.from(Uint32Array.of(ETHTOOL_STXCSUM, value).buffer);
    const request = Buffer.alloc(40);
    request.write(device);
    request.set(new Uint8Array(BigUint64Array.of(BigInt(addressOf(given))).buffer), 16);
    ioctl(openSocket(2, 2, 0, 'open a socket'), SIOCETHTOOL, request, 'set the checksum offload');
    if (given.length === 0) throw new Error('the kernel reads it by address: it must live as long as this');
  };
  const call = `import(${JSON.stringify(resolve('dist/datapath/libc.js'))}).then((libc) => (${set})(libc, '${device}', ${leave ? 1 : 0}))`;
  await inNamespace(namespace, [process.execPath, '-e', call]);
}

describe.each<[string, Attachment, Family]>([
  ['kernel', 'routed', 4],
  ['kernel', 'bridged', 6],
  ['userspace', 'bridged', 4],
  ['userspace', 'routed', 6],
])('connections whose instance goes, on the %s datapath, %s pods, over IPv%i', (datapath, attachment, family) => {
  const pods = (role: Kind, nodes: readonly number[]) =>
    nodes.map((node, at) => ({ name: `${role}-${at + 1}`, podNamespace: role, role, node }));
  const bed = blueprint({
    prefix: `sfcl${datapath[0]}${attachment[0]}${process.pid}`,
    family: `${family}`,
    nodes: [attachment, 'routed', 'bridged'],
    pods: [{ name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 }, ...pods('firewall', [2, 3, 1]), ...pods('inspector', [3, 2])],
    clientsBehind: 'vpn',
    serverKnowsClients: true,
  });
  let testbed: Testbed;
  let cluster: Cluster;
  let client: End;
  let server: End;

  async function place(name: string, manifests: readonly Manifest[]): Promise<void> {
    const file = join(cluster.manifests, name);
    await writeFile(`${file}.draft`, manifests.map((manifest) => stringify(manifest)).join('---\n'));
    await rename(`${file}.draft`, file);
  }

  /** The pods as they are but one, which is not ready; with no name, all are. */
  async function ready(without?: string): Promise<void> {
    const changed = worldOf(bed).map((manifest) => {
      const { kind, metadata, status } = manifest as { kind: string; metadata: { name: string }; status: object };
      if (kind !== 'Pod' || metadata.name !== without) return manifest;
      return { ...manifest, status: { ...status, conditions: [{ type: 'Ready', status: 'False' }] } };
    });
    await place('world.yaml', changed);
    const gone = without === undefined ? '' : (bed.pods.find(({ name }) => name === without)?.address ?? '');
    await expect.poll(() => instances(), { timeout: 15_000 }).toEqual(functions().filter((address) => address !== gone));
  }

  const functions = () => bed.pods.flatMap(({ role, address }) => (kinds.some((kind) => kind === role) ? [address] : [])).sort();

  /** Every instance in the tables of the vpn's node. */
  async function instances(): Promise<readonly string[]> {
    const words = (await cluster.sfc('node1', 'bpf', 'sfcbackend', 'list')).split(/\s+/);
    return functions().filter((address) => words.includes(address));
  }

  async function flows(): Promise<readonly { readonly port: number; readonly hop: string; readonly flags: number }[]> {
    const entries = JSON.parse(await cluster.sfc('node1', 'bpf', 'sfcflow', 'list', '-o', 'json')) as Record<string, string | number>[];
    return entries.flatMap(({ port_a, port_b, role, next_hop, flags }) => {
      const port = [port_a, port_b].map(Number).find((one) => one !== bed.server.port);
      return role === FLOW_ROLE.source && port !== undefined ? [{ port, hop: String(next_hop), flags: Number(flags) }] : [];
    });
  }

  /** Opens the connections; gives an instance that some of them pass, and their ports. */
  async function connected(kind: Kind, onInstanceLoss: Loss) {
    await place('policy.yaml', policyOf(kind, onInstanceLoss, family));
    await ready();
    await expect.poll(async () => (await cluster.sfc('node1', 'get', 'selector')).includes(kind), { timeout: 15_000 }).toBe(true);
    const { address, port, namespace } = bed.server;
    server = new End(namespace, { host: address, port, from: '', connections: 0, size: SIZE });
    await expect.poll(() => server.ports('listening').length, { timeout: 10_000 }).toBe(1);
    const from = bed.client?.addresses[0] ?? '';
    client = new End(bed.client?.namespace ?? '', { host: address, port, from, connections: CONNECTIONS, size: SIZE });
    const opened = () => [client.ports('open').length, server.ports('open').length];
    await expect.poll(opened, { timeout: 10_000 }).toEqual([CONNECTIONS, CONNECTIONS]);
    client.speak();
    server.speak();
    const all = client.ports('open');
    await expect.poll(() => [client.ports('line'), server.ports('line')], { timeout: 10_000 }).toEqual([all, all]);
    const placed = (await flows()).filter(({ port }) => all.includes(port));
    const [hop = ''] = placed.map((flow) => flow.hop).sort();
    const lost = placed.flatMap((flow) => (flow.hop === hop ? [flow.port] : [])).sort((a, b) => a - b);
    const pod = bed.pods.find((one) => one.address === hop);
    if (pod === undefined) throw new Error(`no instance has the address ${hop}`);
    expect(pod.role).toBe(kind);
    return { pod, all, lost, rest: all.filter((port) => !lost.includes(port)) };
  }

  async function counted(reason: string): Promise<number> {
    const { counters } = await cluster.status('node1');
    return counters.filter((counter) => counter.reason === reason).reduce((sum, { packets }) => sum + packets, 0);
  }

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    const policy = policyOf('firewall', 'Reset', family);
    cluster = await startCluster(testbed, { flags: ['--datapath', datapath], policy, expected: () => ({ sfcpath: 2 }) });
    await cluster.ready();
  }, 120_000);

  afterAll(async () => {
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  async function closed(): Promise<void> {
    await client?.stop();
    await server?.stop();
  }

  describe.each(['client', 'server'] as const)('Reset, when the %s speaks next', (speaker) => {
    // Packets come from the pods without checksums and from the node with them, or the other way round; the ends check them.
    it.each([
      ['the node', true],
      ['the pods', false],
    ])(
      'both ends see the reset, and nobody else does (checksums are finished by %s)',
      async (_, leave) => {
        const vpn = bed.pods.find(({ role }) => role === 'vpn');
        if (vpn === undefined || bed.client === undefined) throw new Error('clients stand behind a vpn pod');
        for (const { namespace } of [vpn, bed.client, bed.server]) await leaveChecksums(namespace, 'eth0', leave);
        const { namespace } = nodeNamed(bed, vpn.node);
        for (const device of ['eth0', vpn.hostInterface]) await leaveChecksums(namespace, device, !leave);
        try {
          const { pod, all, lost, rest } = await connected('firewall', 'Reset');
          const before = await counted('instance-lost');
          await ready(pod.name);
          const marked = async () => (await flows()).flatMap(({ port, flags }) => ((flags & FLOW_FLAG.reset) !== 0 ? [port] : []));
          await expect
            .poll(async () => (await marked()).filter((port) => all.includes(port)).sort((a, b) => a - b), { timeout: 10_000 })
            .toEqual(lost);
          (speaker === 'client' ? client : server).speak();
          await expect
            .poll(() => [client.ports('error', 'ECONNRESET'), server.ports('error', 'ECONNRESET')], { timeout: 10_000 })
            .toEqual([lost, lost]);
          const other = speaker === 'client' ? server : client;
          await expect.poll(() => other.ports('line'), { timeout: 10_000 }).toEqual([...all, ...rest].sort((a, b) => a - b));
          expect(await counted('instance-lost')).toBeGreaterThanOrEqual(before + lost.length);
        } finally {
          await closed();
        }
      },
      60_000,
    );
  });

  it('Stay: they go on over the same instance', async () => {
    const { pod, all } = await connected('firewall', 'Stay');
    try {
      await ready(pod.name);
      await sleep(1500); // the second sweep
      for (const end of [client, server]) end.speak();
      const twice = [...all, ...all].sort((a, b) => a - b);
      await expect.poll(() => [client.ports('line'), server.ports('line')], { timeout: 10_000 }).toEqual([twice, twice]);
      const hops = (await flows()).filter(({ port }) => all.includes(port)).map(({ hop }) => hop);
      expect(hops).toContain(pod.address);
    } finally {
      await closed();
    }
  }, 60_000);

  it('Move: they go on over another instance', async () => {
    const { pod, all } = await connected('inspector', 'Move');
    try {
      await ready(pod.name);
      await sleep(1500);
      for (const end of [client, server]) end.speak();
      const twice = [...all, ...all].sort((a, b) => a - b);
      await expect.poll(() => [client.ports('line'), server.ports('line')], { timeout: 10_000 }).toEqual([twice, twice]);
      const hops = (await flows()).filter(({ port }) => all.includes(port)).map(({ hop }) => hop);
      expect(hops).toHaveLength(CONNECTIONS);
      expect(hops).not.toContain(pod.address);
    } finally {
      await closed();
    }
  }, 60_000);
});
