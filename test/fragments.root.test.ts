/**
 * Datagrams in fragments through a chain with a stateful firewall, which puts them together before it decides (nftables: conntrack
 * defragments). Those of large datagrams as a real sender's kernel makes them, and hand-made ones in orders that no kernel sends.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import {
  blueprint,
  buildTestbed,
  type EchoServer,
  type Family,
  inFamily,
  inNamespace,
  podNamed,
  sendRaw,
  sendRequests,
  startEchoServer,
  type Testbed,
} from '../demo/testbed/index.js';
import { adds, throughChain } from './cast.js';
import { datagram, fragmentsOf } from './datagram.js';
import { listen } from './tshark.js';

const LONG = { timeout: 10_000 };
/** Bytes that a hand-made datagram is longer than its id, and that a fragment of it carries at most. */
const [PADDING, PIECE] = [1800, 800];

describe.each(['kernel', 'userspace'])('fragments on the %s datapath', (datapath) => {
  const bed = blueprint({
    prefix: `sfcg${datapath[0]}${process.pid}`,
    family: 'dual',
    nodes: ['routed', 'bridged', 'routed'],
    pods: [
      { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
      { name: 'firewall', podNamespace: 'firewall', role: 'firewall', node: 2 },
      { name: 'proxy', podNamespace: 'proxy', role: 'proxy', node: 3 },
    ],
    clientsBehind: 'vpn',
  });
  const clients = bed.client?.namespace ?? '';
  let testbed: Testbed;
  let cluster: Cluster;
  let server: EchoServer;
  let identification = 100;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    await inNamespace(bed.server.namespace, ['ip', 'link', 'set', 'eth0', 'mtu', String(bed.mtu.pod)]);
    cluster = await startCluster(testbed, {
      policy: throughChain(['firewall', 'proxy']),
      flags: ['--datapath', datapath],
      expected: () => ({ sfcpath: 2 }),
    });
    await cluster.ready();
    server = await startEchoServer(bed);
  }, 120_000);

  afterAll(async () => {
    await server?.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  const dropped = (run: () => Promise<unknown>) => adds(cluster, ['fragment', 'malformed', 'inner-malformed', 'too-big'], run);
  const arrived = (id: string) => expect.poll(() => server.seen.some((request) => request.id === id), LONG).toBe(true);
  /** What the firewall has let in, datagrams put together, and what it has refused. */
  async function judged(): Promise<readonly [opened: number, refused: number]> {
    const { stdout } = await inNamespace(podNamed(bed, 'firewall').namespace, ['nft', '-j', 'list', 'counters']);
    const { nftables } = JSON.parse(stdout) as { nftables: { counter?: { name: string; packets: number } }[] };
    const of = (name: string) => nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? 0;
    return [of('opened'), of('refused')];
  }

  describe.each<Family>([4, 6])('of IPv%d', (family) => {
    const from = inFamily(bed.client?.addressing ?? [], family).addresses;
    const to = { address: inFamily(bed.server.addressing, family).address, port: bed.server.port };
    /** Three fragments of a request, of a client of its own choice. */
    const made = (id: string, client = 0, given = ++identification) => {
      const whole = datagram(from[client] ?? '', to, `request ${id} ${'x'.repeat(PADDING)}.\n`);
      const pieces = fragmentsOf(whole, given, PIECE).map((bytes) => ({ destination: to.address, bytes }));
      expect(pieces).toHaveLength(3);
      return pieces as [(typeof pieces)[0], (typeof pieces)[0], (typeof pieces)[0]];
    };
    const name = (what: string) => `${what}-${family}`;

    it('a kernel’s own are put together at the firewall and the server, and their answers at the client', async () => {
      const [opened, refused] = await judged();
      const ids = [3000, 9000, 30_000].map((size) => name(`large-${size}`));
      const run = async () => {
        for (const [index, size] of [3000, 9000, 30_000].entries()) {
          const results = await sendRequests(bed, { transport: 'udp', ids: [ids[index] ?? ''], padding: size, to });
          expect(results).toMatchObject([{ answered: true, error: '' }]);
        }
      };
      expect(await dropped(run)).toEqual({});
      expect(await judged()).toEqual([opened + ids.length, refused]);
    });

    it('in order, and the later ones in another', async () => {
      const [one, two, three] = made(name('in-order'));
      const [first, middle, last] = made(name('later-turned'), 1);
      const run = async () => {
        await sendRaw(clients, [one, two, three, first, last, middle]);
        for (const id of ['in-order', 'later-turned']) await arrived(name(id));
      };
      expect(await dropped(run)).toEqual({});
    });

    it('of two datagrams in turns, of one client and of two that number alike', async () => {
      const mine = [made(name('turn-a')), made(name('turn-b'))] as const;
      const shared = ++identification;
      const theirs = [made(name('alike-a'), 2, shared), made(name('alike-b'), 3, shared)] as const;
      const run = async () => {
        for (const [a, b] of [mine, theirs]) await sendRaw(clients, [a[0], b[0], b[2], a[1], a[2], b[1]]);
        for (const id of ['turn-a', 'turn-b', 'alike-a', 'alike-b']) await arrived(name(id));
      };
      expect(await dropped(run)).toEqual({});
    });

    it('a later one that comes first is dropped and counted, and nobody sees the datagram until it comes again', async () => {
      const [first, middle, last] = made(name('last-first'), 4);
      const plain = await listen(bed, bed.server.namespace, 'eth0', 'udp or ip[6:2] & 0x1fff != 0 or ip6[6] == 44');
      const probe = made(name('behind'), 5);
      const run = async () => {
        await sendRaw(clients, [last, first, middle, ...probe]);
        await arrived(name('behind'));
      };
      expect(await dropped(run)).toEqual({ 'node1 fragment': 1 });
      expect(server.seen.some(({ id }) => id === name('last-first'))).toBe(false);
      await sendRaw(clients, [last]);
      await arrived(name('last-first'));
      // None of it came to the server past the proxy, which hides who sends.
      const [source] = family === 4 ? (['ip.src'] as const) : (['ipv6.src'] as const);
      const senders = new Set((await plain.read([source])).flatMap((packet) => packet(source)));
      for (const client of from) expect(senders).not.toContain(client);
    });
  });
});
