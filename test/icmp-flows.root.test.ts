/**
 * ICMP through a chain of two functions: ping where it is selected, traceroute by probes of three protocols, and errors about
 * steered packets, of the server and of a router outside, which reach the program that sent them. By way of the chain: what
 * a function has not seen the start of, it would not pass on.
 */

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import {
  addressIn,
  blueprint,
  buildTestbed,
  type EchoServer,
  type Family,
  inFamily,
  inNamespace,
  nodeNamed,
  podNamed,
  sendRequests,
  startEchoServer,
  type Testbed,
} from '../demo/testbed/index.js';
import { adds, placeManifests, throughChain } from './cast.js';

const LONG = { timeout: 15_000 };
const PROTOCOLS = ['TCP', 'UDP', 'ICMP'];
/** Nobody listens there. */
const CLOSED = 9999;
/** In the server's network, and nobody's: the server routes, and says that it does not know how. */
const NOBODY = { 4: '203.0.113.77', 6: '2001:db8:113::77' } as const;

describe.each(['kernel', 'userspace'])('ICMP on the %s datapath', (datapath) => {
  const bed = blueprint({
    prefix: `sfct${datapath[0]}${process.pid}`,
    family: 'dual',
    nodes: ['routed', 'bridged', 'routed'],
    pods: [
      { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
      { name: 'firewall', podNamespace: 'firewall', role: 'firewall', node: 2 },
      { name: 'inspector', podNamespace: 'inspector', role: 'inspector', node: 3 },
      { name: 'proxy', podNamespace: 'proxy', role: 'proxy', node: 3 },
    ],
    clientsBehind: 'vpn',
    serverKnowsClients: true,
  });
  const clients = bed.client?.namespace ?? '';
  let testbed: Testbed;
  let cluster: Cluster;
  let server: EchoServer;

  /** The nodes know the way to the clients, as the server does: what they say about a packet is not lost. */
  async function teachNodes(): Promise<void> {
    const first = nodeNamed(bed, 'node1');
    for (const { namespace } of bed.nodes.filter((node) => node !== first))
      for (const { family, network } of bed.client?.addressing ?? [])
        await inNamespace(namespace, ['ip', 'route', 'add', network, 'via', inFamily(first.addressing, family).address]);
  }

  /** A host says so many ICMP errors a second and no more: not here, where one story follows the other. */
  async function unlimit(): Promise<void> {
    const limits = ['ipv4/icmp_ratemask', 'ipv6/icmp/ratelimit'].map((setting) => `/proc/sys/net/${setting}`);
    for (const { namespace } of [...bed.nodes, ...bed.pods, bed.server]) await inNamespace(namespace, ['tee', ...limits], { stdin: '0' });
  }

  async function makeServerARouter(): Promise<void> {
    const { namespace } = bed.server;
    await inNamespace(namespace, ['tee', '/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding'], { stdin: '1' });
    for (const address of Object.values(NOBODY)) await inNamespace(namespace, ['ip', 'route', 'add', 'unreachable', address]);
    await inNamespace(namespace, ['ip', 'link', 'set', 'eth0', 'mtu', String(bed.mtu.pod)]);
  }

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    await unlimit();
    await teachNodes();
    await makeServerARouter();
    cluster = await startCluster(testbed, {
      policy: throughChain(['firewall', 'inspector'], { protocols: PROTOCOLS }),
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

  const ask = async (...argv: readonly string[]) => (await inNamespace(clients, argv, { accept: [0, 1, 2] })).stdout;

  /** Who answered at each hop: an address, and a mark of the error that ended the way (`!H`, `!N`, …). */
  async function hops(to: string, ...method: readonly string[]): Promise<readonly string[]> {
    const lines = (await ask('traceroute', '-n', '-q', '1', '-w', '5', '-m', '8', ...method, to)).trimEnd().split('\n').slice(1);
    return lines.map((line) => {
      const [, address = '', , , mark = ''] = line.trim().split(/ +/);
      return mark === '' ? address : `${address} ${mark}`;
    });
  }

  describe.each(['inspector', 'proxy'])('through the firewall and the %s', (last) => {
    beforeAll(async () => {
      await placeManifests(cluster, 'policy.yaml', throughChain(['firewall', last], { protocols: PROTOCOLS }));
      const row = new RegExp(`^\\(1, 1\\) .*${last}/${last}`, 'm');
      for (const { name } of bed.nodes)
        await vi.waitFor(async () => expect(await cluster.sfc(name, 'get', 'chain', 'out')).toMatch(row), { ...LONG, interval: 100 });
    }, 60_000);

    describe.each<Family>([4, 6])('IPv%d', (family) => {
      const to = inFamily(bed.server.addressing, family).address;
      const { gateway, addresses: sources } = inFamily(bed.client?.addressing ?? [], family);
      const functions = ['firewall', last].map((name) => addressIn(podNamed(bed, name), family));
      const node3 = inFamily(nodeNamed(bed, 'node3').addressing, family).address;

      it('ping is answered, small and in fragments, and each packet takes the chain, there and back', async () => {
        const counts = await adds(cluster, ['steered-source', 'steered-next', 'steered-reply', 'left-cluster'], async () => {
          for (const size of ['56', '3000']) {
            expect(await ask('ping', '-n', '-c', '2', '-i', '0.2', '-W', '5', '-s', size, to)).toContain(
              '2 packets transmitted, 2 received',
            );
          }
        });
        // Two of one packet and two of three fragments.
        expect(counts['node1 steered-source']).toBe(8);
        expect(counts['node2 steered-next']).toBe(8);
        // What hides the source sends on a flow of its own, which nothing steers.
        if (last === 'inspector') expect(counts['node3 left-cluster']).toBe(8);
        expect(counts['node2 steered-reply']).toBe(8);
      });

      it.each([
        ['ICMP', ['-I']],
        ['TCP', ['-T', '-p', String(bed.server.port)]],
        ['UDP', ['-U', '-p', String(CLOSED)]],
      ])('traceroute by %s shows every function, the node behind them and the server', async (_, method) => {
        expect(await hops(to, ...method)).toEqual([gateway, ...functions, node3, to]);
      });

      it('a port where nobody listens is told to the client’s socket', async () => {
        const results = await sendRequests(bed, { transport: 'udp', ids: ['closed'], to: { address: to, port: CLOSED } });
        expect(results).toMatchObject([{ answered: false, error: expect.stringContaining('ECONNREFUSED') }]);
      });

      it('a router outside that knows no way is heard, whatever was sent', async () => {
        // One packet each, from a client each: of `unreachable` a host tells the same one five times in a row, whatever is set.
        for (const [index, method] of [['-I'], ['-U', '-p', '53'], ['-T', '-p', '80']].entries()) {
          const one = ['-f', '5', '-m', '5', '-N', '1', '-s', sources[index] ?? ''];
          expect(await hops(NOBODY[family], ...one, ...method)).toEqual([expect.stringMatching(/^\S+ !(H|N)$/)]);
        }
        expect(await ask('ping', '-n', '-c', '1', '-W', '5', '-I', sources[3] ?? '', NOBODY[family])).toMatch(
          /Unreachable|unreachable|No route/,
        );
      });
    });
  });
});
