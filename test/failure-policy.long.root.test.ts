/**
 * A function is scaled to nothing while traffic runs. What becomes of it is the chain's `failurePolicy`: datagrams
 * of new flows and of one that lives on, and TCP connections, on both datapaths. The proxy hides who asks, so the
 * server tells a steered packet from a plain one; and `sfc` says what happens, for as long as it does.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutageView } from '../agent/view.js';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { type Manifest, worldOf } from '../demo/manifests.js';
import {
  type Background,
  blueprint,
  buildTestbed,
  type EchoServer,
  familyOf,
  inNamespace,
  type SeenRequest,
  sendRequests,
  startEchoServer,
  startInNamespace,
  type Testbed,
} from '../demo/testbed/index.js';
import { placeManifests, throughChain } from './cast.js';

type Policy = OutageView['failurePolicy'];

/** How a function loses its instances: they are there and not ready, or there are none. */
type Loss = 'none ready' | 'no pods';

/** Runs in a process of its own: a datagram of a fresh flow and one of the same flow, fifty times a second. */
function drip(order: { host: string; port: number; from: string }): void {
  const dgram = process.getBuiltinModule('node:dgram');
  const live = dgram.createSocket('udp4').bind(0, order.from);
  let n = 0;
  const line = (what: string) => `request ${what}-${n} .\n`;
  setInterval(() => {
    n++;
    live.send(line('live'), order.port, order.host);
    const fresh = dgram.createSocket('udp4').bind(0, order.from);
    fresh.send(line('fresh'), order.port, order.host, () => fresh.close());
  }, 20);
}

/** Runs in a process of its own: asks on one connection, twenty times a second, and says what it hears first and last. */
function keepAsking(order: { host: string; port: number }): void {
  const socket = process.getBuiltinModule('node:net').connect(order);
  let n = 0;
  const asking = setInterval(() => socket.write(`request kept-${n++} .\n`), 50);
  socket.once('data', () => process.stdout.write('answered\n'));
  // Who writes at the moment of a reset may be told of it there, and reads an end: what it was, the kernel counts.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearInterval(asking);
    process.stdout.write('over\n');
  });
}

const ENOUGH = 40;

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

function policyOf(failurePolicy: Policy): readonly Manifest[] {
  return [
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name: 'out' },
      spec: { failurePolicy, serviceFunctions: [{ name: 'proxy', namespace: 'proxy', podSelector: labels('app', 'proxy') }] },
    },
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name: 'vpn' },
      spec: {
        serviceFunctionChain: 'out',
        subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'vpn'), podSelector: labels('app', 'vpn') } },
        egress: {
          to: { ipBlock: { cidr: '0.0.0.0/0' } },
          ports: ['TCP', 'UDP'].map((protocol) => ({ allPorts: { protocol } })),
        },
      },
    },
  ];
}

describe.each(['kernel', 'userspace'])('a function without an instance, on the %s datapath', (datapath) => {
  const bed = blueprint({
    prefix: `sfcf${datapath[0]}${process.pid}`,
    family: 'dual',
    nodes: ['routed', 'bridged'],
    pods: [
      { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
      { name: 'proxy-1', podNamespace: 'proxy', role: 'proxy', node: 1 },
      { name: 'proxy-2', podNamespace: 'proxy', role: 'proxy', node: 2 },
    ],
    clientsBehind: 'vpn',
    serverKnowsClients: true,
  });
  const proxies = bed.pods.flatMap(({ role, address }) => (role === 'proxy' ? [address] : []));
  const [client = ''] = bed.client?.addresses ?? [];
  let testbed: Testbed;
  let cluster: Cluster;
  let server: EchoServer;
  let stream: Background;

  /** The proxies as they are, or lost. */
  async function scale(loss?: Loss): Promise<void> {
    const world = worldOf(bed).flatMap((manifest) => {
      const { kind, metadata, status } = manifest as { kind: string; metadata: { namespace?: string }; status: object };
      if (kind !== 'Pod' || metadata.namespace !== 'proxy' || loss === undefined) return [manifest];
      return loss === 'no pods' ? [] : [{ ...manifest, status: { ...status, conditions: [{ type: 'Ready', status: 'False' }] } }];
    });
    await placeManifests(cluster, 'world.yaml', world);
  }

  /** `sfc status` on the node that steers says it, as soon as the round is done. */
  const outages = async () => (await cluster.status('node1')).outages;

  async function counted(reason: string): Promise<number> {
    const { counters } = await cluster.status('node1');
    return counters.filter((counter) => counter.reason === reason).reduce((sum, { packets }) => sum + packets, 0);
  }

  const isLive = ({ id }: SeenRequest) => id.startsWith('live');
  /** Who the last datagrams came from, those of the living flow and of fresh ones. */
  const lastSeenFrom = () => {
    const last = server.seen.filter(({ transport }) => transport === 'udp').slice(-ENOUGH);
    return { live: [...new Set(last.filter(isLive).map(({ peer }) => peer))], all: [...new Set(last.map(({ peer }) => peer))].sort() };
  };
  const steered = () => expect.poll(() => lastSeenFrom().all.every((peer) => proxies.includes(peer)), { timeout: 15_000 }).toBe(true);

  const overTcp = () => sendRequests(bed, { transport: 'tcp', ids: ['one', 'two'].map((id) => `${id}-${process.pid}`), timeout: 1000 });

  /** Connections of the clients that a RST has ended: `EstabResets` of RFC 4022, as /proc/net/snmp has it. */
  async function resets(): Promise<number> {
    const { stdout } = await inNamespace(bed.client?.namespace ?? '', ['cat', '/proc/net/snmp']);
    const [names = [], values = []] = stdout.split('\n').flatMap((line) => (line.startsWith('Tcp:') ? [line.split(' ')] : []));
    return Number(values[names.indexOf('EstabResets')]);
  }

  async function begin(policy: Policy): Promise<void> {
    await scale();
    await placeManifests(cluster, 'policy.yaml', policyOf(policy));
    await expect.poll(() => cluster.sfc('node1', 'get', 'chains'), { timeout: 15_000 }).toMatch(new RegExp(`True +${policy} +-`));
    const { length } = server.seen;
    await expect.poll(() => server.seen.length, { timeout: 15_000 }).toBeGreaterThan(length + ENOUGH);
    await steered();
  }

  /** Every way of asking tells of it; the agent itself is ready. */
  async function told(policy: Policy, words: string): Promise<void> {
    const outage = { chain: 'out', serviceFunction: 'proxy/proxy', path: '(1, 1)', failurePolicy: policy, ready: 0 };
    await expect.poll(outages, { timeout: 15_000 }).toMatchObject([outage]);
    const status = await cluster.sfc('node1', 'status');
    expect(status).toMatch(/^ready +yes$/m);
    expect(status).toMatch(new RegExp(`^instances +proxy/proxy at \\(1, 1\\) of chain out: ${words}.*, for `, 'm'));
    expect(await cluster.sfc('node1', 'get', 'chains')).toMatch(
      new RegExp(`^out +1 +proxy +True +True +False +${policy} +proxy: ${words}`, 'm'),
    );
    expect(await cluster.sfc('node1', 'get', 'problems')).toMatch(
      new RegExp(`ServiceFunctionChain/out .*proxy/proxy at \\(1, 1\\): ${words}`),
    );
  }

  async function over(): Promise<void> {
    await scale();
    await expect.poll(outages, { timeout: 15_000 }).toEqual([]);
    const { length } = server.seen;
    await expect.poll(() => server.seen.length, { timeout: 15_000 }).toBeGreaterThan(length + ENOUGH);
    await steered();
    expect(lastSeenFrom().live).toHaveLength(1);
    for (const { answered, seenAs } of await overTcp()) expect([answered, proxies.includes(seenAs)]).toEqual([true, true]);
    expect(await cluster.sfc('node1', 'status')).not.toMatch(/^instances/m);
  }

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, {
      flags: ['--datapath', datapath],
      policy: policyOf('Drop'),
      expected: () => ({ sfcpath: 1 }),
    });
    await cluster.ready();
    server = await startEchoServer(bed);
    const order = { host: bed.server.address, port: bed.server.port, from: client };
    stream = startInNamespace(bed.client?.namespace ?? '', [process.execPath, '-e', `(${drip})(${JSON.stringify(order)})`]);
  }, 120_000);

  afterAll(async () => {
    await stream?.stop();
    await server?.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  it('Drop: nothing arrives, everything is counted, and it goes on when there is an instance again', async () => {
    await begin('Drop');
    await scale('no pods');
    await told('Drop', 'no pod matches: packets that need one are dropped');
    const before = await counted('no-backend');
    await expect.poll(() => counted('no-backend'), { timeout: 15_000 }).toBeGreaterThan(before + ENOUGH);
    const { length } = server.seen;
    for (const { answered } of await overTcp()) expect(answered).toBe(false);
    expect(await counted('no-backend')).toBeGreaterThan(before + 2 * ENOUGH);
    expect(server.seen.slice(length)).toEqual([]);
    expect(await counted('bypassed')).toBe(0);
    await over();
  }, 90_000);

  it('Bypass: everything arrives, past the function, and through it when there is an instance again', async () => {
    await begin('Bypass');
    const from = server.seen.length;
    const dropped = await counted('no-backend');
    await scale('none ready');
    await told('Bypass', '2 pods match, none is ready: packets that need one go on unsteered');
    await expect.poll(lastSeenFrom, { timeout: 15_000 }).toEqual({ live: [client], all: [client] });
    for (const { answered, seenAs, source } of await overTcp()) expect([answered, seenAs]).toEqual([true, source]);
    expect(await counted('bypassed')).toBeGreaterThan(ENOUGH);
    await over();
    // None is missing, not even of the living flow's: the pods themselves were there all the time.
    const numbers = server.seen
      .slice(from)
      .filter(isLive)
      .map(({ id }) => Number(id.slice('live-'.length)));
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
    expect(await counted('no-backend')).toBe(dropped);
  }, 90_000);

  it('Reject: clients are told at once, of both families and in the middle of a connection, and let in again', async () => {
    await begin('Reject');
    await placeManifests(cluster, 'policy.yaml', throughChain(['proxy'], { failurePolicy: 'Reject' }));
    const bypassed = await counted('bypassed');
    const ask = async (transport: 'tcp' | 'udp', address: string) => {
      const to = { address, port: bed.server.port };
      const ids = [`asked-${transport}-${familyOf(address)}`];
      const [result] = await sendRequests(bed, { transport, ids, to, timeout: 20_000 });
      return result;
    };
    for (const address of bed.server.addresses)
      for (const transport of ['tcp', 'udp'] as const)
        await expect.poll(() => ask(transport, address), { timeout: 15_000 }).toMatchObject({ answered: true });

    // A connection of each family that has been answered once, and asks again when there is nobody any more.
    const talks = bed.server.addresses.map((host) => {
      const order = { host, port: bed.server.port };
      const program = startInNamespace(bed.client?.namespace ?? '', [process.execPath, '-e', `(${keepAsking})(${JSON.stringify(order)})`], {
        stdout: 'pipe',
      });
      let heard = '';
      program.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        heard += chunk;
      });
      return { program, heard: () => heard };
    });
    for (const { heard } of talks) await expect.poll(heard, { timeout: 15_000 }).toContain('answered');
    const { length } = server.seen;
    const resetBefore = await resets();
    await scale('none ready');
    await told('Reject', '2 pods match, none is ready: packets that need one are refused');
    for (const { heard } of talks) await expect.poll(heard, { timeout: 15_000 }).toContain('over');
    expect((await resets()) - resetBefore).toBe(talks.length);
    for (const { program } of talks) await program.stop();

    const before = await counted('rejected');
    for (const address of bed.server.addresses) {
      expect(await ask('tcp', address)).toMatchObject({ answered: false, error: expect.stringContaining('ECONNREFUSED') });
      // ICMP says "prohibited": ip(7) and ipv6(7) have different words for it.
      const word = familyOf(address) === 4 ? 'EHOSTUNREACH' : 'EACCES';
      expect(await ask('udp', address)).toMatchObject({ answered: false, error: expect.stringContaining(word) });
    }
    expect(await counted('rejected')).toBeGreaterThanOrEqual(before + 2 * bed.server.addresses.length);
    const after = server.seen.slice(length).filter(({ id }) => id.startsWith('asked'));
    expect(after).toEqual([]);
    expect(await counted('bypassed')).toBe(bypassed);
    await scale();
    for (const address of bed.server.addresses)
      for (const transport of ['tcp', 'udp'] as const)
        await expect.poll(() => ask(transport, address), { timeout: 15_000 }).toMatchObject({ answered: true });
  }, 90_000);
});
