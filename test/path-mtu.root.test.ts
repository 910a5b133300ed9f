/**
 * Pods of MTU 1500, and links that are too small for what steering adds: everywhere, behind a router in the middle, at one
 * node, at a receiver's host side. TCP sets DF; it gets through in smaller segments, because somebody tells the client, which
 * knows nothing of a tunnel: the datapath that wraps, or a router, whose error about the tunnel the datapath has heard.
 * Bulk requests are answered in kind, so that each transfer goes both ways. The judge of what is told is tshark.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import {
  type Background,
  blueprint,
  buildTestbed,
  type EchoServer,
  type FamilyForm,
  familyOf,
  inNamespace,
  nodeNamed,
  podNamed,
  sendRequests,
  sendSegments,
  startEchoServer,
  type Testbed,
} from '../demo/testbed/index.js';
import { adds, counted, placeManifests, throughChain } from './cast.js';
import { type Listener, listen } from './tshark.js';
import { forgetPaths, learnedMtu, putRouterBefore, setFabric, setMtu, setPieces, setSizes } from './underlay.js';

const BULK = 100_000;
const POD_MTU = 1500;
/** As long as it takes. */
const LONG = { timeout: 10_000 };
/** Segments in one piece, where nobody says otherwise. */
const ANY = 65_535;
/** Of the link behind the router. */
const SMALL = 1400;
/** Bytes of the IP and UDP headers of a datagram that a client sends. */
const HEADERS = { 4: 28, 6: 48 } as const;

const BEDS: readonly (readonly [datapath: 'kernel' | 'userspace', family: FamilyForm, overhead: number])[] = [
  ['kernel', 'dual', 48],
  ['kernel', '6', 68],
  ['userspace', 'dual', 48],
];

describe.each(BEDS)('path MTU on the %s datapath, family %s: %i bytes are added', (datapath, family, overhead) => {
  const bed = blueprint({
    prefix: `sfcq${datapath[0]}${family[0]}${process.pid}`,
    family,
    nodes: ['routed', 'bridged', 'bridged'],
    pods: [
      { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
      { name: 'inspector', podNamespace: 'inspector', role: 'inspector', node: 1 },
      { name: 'firewall', podNamespace: 'firewall', role: 'firewall', node: 2 },
      { name: 'proxy', podNamespace: 'proxy', role: 'proxy', node: 3 },
    ],
    clientsBehind: 'vpn',
    mtu: { pod: POD_MTU, fabric: POD_MTU },
  });
  const wide = POD_MTU + overhead;
  const clients = bed.client?.namespace ?? '';
  const { addresses, port } = bed.server;
  let testbed: Testbed;
  let cluster: Cluster;
  let server: EchoServer;
  let series = 0;
  const open: (Listener | Background)[] = [];

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, {
      policy: throughChain(['firewall', 'proxy']),
      flags: ['--datapath', datapath],
      expected: () => ({ sfcpath: 2 }),
    });
    await cluster.ready();
    server = await startEchoServer(bed);
    await inPieces(1);
  }, 120_000);

  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });

  afterAll(async () => {
    await server?.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  /** Links, host sides and the pods' own interfaces; and what was learned of others is forgotten. */
  async function size(fabric: number, hostSides = fabric, pods = POD_MTU): Promise<void> {
    await setSizes(bed, { fabric, hostSides, pods });
    await forgetPaths(bed);
  }

  /** What both ends of TCP give to their interfaces at a time. */
  async function inPieces(segments: number): Promise<void> {
    for (const namespace of [clients, bed.server.namespace]) await setPieces(namespace, segments);
  }

  /** Each family's bulk gets through, and back. */
  async function transfer(): Promise<void> {
    for (const address of addresses) {
      const ids = [`bulk-${++series}`];
      const results = await sendRequests(bed, { transport: 'tcp', ids, padding: BULK, to: { address, port }, timeout: 10_000 });
      expect(results).toMatchObject([{ answered: true, error: '' }]);
    }
  }

  const tells = (run: () => Promise<unknown>) => adds(cluster, ['too-big', 'tunnel-error'], run);
  /** At least one packet of each family. */
  const some = (given: number | undefined) => expect(given ?? 0).toBeGreaterThanOrEqual(addresses.length);
  const learned = (namespace: string) => Promise.all(addresses.map((address) => learnedMtu(namespace, address)));
  const all = <T>(value: T) => addresses.map(() => value);

  async function hear(...where: Parameters<typeof listen> extends [unknown, ...infer Rest] ? Rest : never): Promise<Listener> {
    const listener = await listen(bed, ...where);
    open.push(listener);
    return listener;
  }

  it('links of 1500: the node that wraps tells the client, in the name of the server, what fits', async () => {
    await size(POD_MTU);
    // The error is then finished before it is heard: no checksum in it is left to a device.
    const offload = (state: string) =>
      inNamespace(nodeNamed(bed, 'node1').namespace, ['ethtool', '-K', podNamed(bed, 'vpn').hostInterface, 'tx', state]);
    if (datapath === 'kernel') await offload('off');
    const told = await hear(clients, 'eth0', 'icmp or icmp6');
    const counts = await tells(transfer).finally(() => offload('on'));
    some(counts['node1 too-big']);
    // The node's own stack sends the userspace datapath's packets: there it is the one who says first that they do not fit.
    if (datapath === 'userspace') some(counts['node1 tunnel-error']);
    else expect(counts['node1 tunnel-error']).toBeUndefined();
    expect(await learned(clients)).toEqual(all(POD_MTU - overhead));
    const fields = ['ip.src', 'icmp.type', 'icmp.code', 'icmp.mtu', 'icmp.checksum.status', 'ip.checksum.status'] as const;
    const fields6 = ['ipv6.src', 'icmpv6.type', 'icmpv6.code', 'icmpv6.mtu', 'icmpv6.checksum.status'] as const;
    const errors = (await told.read([...fields, ...fields6, 'tcp.dstport'])).filter(
      (packet) => packet('icmp.type')[0] === '3' || packet('icmpv6.type')[0] === '2',
    );
    for (const address of addresses) {
      const [ip, icmp, code] = familyOf(address) === 4 ? (['ip', 'icmp', '4'] as const) : (['ipv6', 'icmpv6', '0'] as const);
      // The second address is that of the packet that is repeated.
      const mine = errors.filter((packet) => packet(`${ip}.src`)[0] === address);
      expect(mine.length).toBeGreaterThanOrEqual(1);
      for (const packet of mine) {
        expect(packet(`${icmp}.code`)).toEqual([code]);
        expect(packet(`${icmp}.mtu`)).toEqual([String(POD_MTU - overhead)]);
        expect(packet(`${icmp}.checksum.status`)).toEqual(['1']);
        expect(packet('tcp.dstport')).toEqual([String(port)]);
      }
    }
    expect(errors.length).toBeLessThan(100);
  });

  it('links that are large enough: nobody is told anything, and TCP stays in large pieces up to the function’s node', async () => {
    const told = await hear(clients, 'eth0', 'icmp[0] == 3 or icmp6[0] == 2');
    const passing = await hear(nodeNamed(bed, 'node2').namespace, 'eth0', 'udp dst port 7081');
    await size(wide);
    await inPieces(ANY);
    expect(await tells(transfer)).toEqual({});
    expect(await learned(clients)).toEqual(all(undefined));
    expect(await told.read(['frame.len'])).toEqual([]);
    const lengths = (await passing.read(['frame.len'])).map((packet) => Number(packet('frame.len')[0]));
    if (datapath === 'kernel') expect(Math.max(...lengths)).toBeGreaterThan(2 * POD_MTU);
    await inPieces(1);
  });

  it('UDP in segments that fit arrives whole; the sender of others is told, and then refused by its own kernel', async () => {
    await size(wide);
    await inPieces(ANY);
    for (const address of addresses) {
      const passing = await hear(nodeNamed(bed, 'node1').namespace, 'eth0', 'udp dst port 7081');
      const full = POD_MTU - HEADERS[familyOf(address)];
      const send = async (segment: number) => {
        const ids = Array.from({ length: 16 }, (_, index) => `gso-${++series}-${index}`);
        const result = await sendSegments(clients, { server: address, port, segment, ids });
        open.push(result.sender);
        return { ...result, arrived: () => ids.filter((id) => server.seen.some((request) => request.id === id)).length };
      };
      const fits = await send(full);
      await expect.poll(fits.arrived, LONG).toBe(16);
      const lengths = (await passing.read(['frame.len'])).map((packet) => Number(packet('frame.len')[0]));
      // As one piece to the function's node; what is inside a tunnel the kernel cuts up behind it.
      if (datapath === 'kernel') expect(Math.max(...lengths)).toBeGreaterThan(16 * full);

      await setFabric(bed, POD_MTU);
      const [narrow, reason] = [full - overhead, datapath === 'kernel' ? 'too-big' : 'tunnel-error'];
      const before = await counted(cluster, 'node1', reason);
      const tooBig = await send(full);
      expect(tooBig).toMatchObject({ bytes: 16 * full, error: '' });
      await expect.poll(() => counted(cluster, 'node1', reason), LONG).toBeGreaterThan(before);
      // In userspace the node's own stack has answered all sixteen: the flow's next would be told.
      if (datapath === 'kernel') {
        expect(await learnedMtu(clients, address)).toBe(POD_MTU - overhead);
        expect((await send(full)).error).toMatch(/^(EMSGSIZE|EINVAL)$/);
      }
      await expect.poll((await send(narrow)).arrived, LONG).toBe(16);
      expect(tooBig.arrived()).toBe(0);
      await setFabric(bed, wide);
    }
    await inPieces(1);
  });

  it('host sides that are no larger than the pods: the receiver’s node tells the tunnel, and the flow learns it', async () => {
    const narrow = POD_MTU - overhead;
    await size(POD_MTU, narrow, narrow);
    // A pod of `narrow` says so itself; what it then wraps fills the link, and does not fit behind it.
    const counts = await tells(transfer);
    for (const what of ['node1 tunnel-error', 'node1 too-big', 'node3 tunnel-error', 'node3 too-big']) some(counts[what]);
    expect(await learned(clients)).toEqual(all(narrow - overhead));
  });

  it('a small link behind a router between two nodes: its error is heard at the pod’s way in', async () => {
    await size(wide);
    await putRouterBefore(bed, 'node3', SMALL);
    const v6 = bed.families.pods[0] === 6;
    const { address } = podNamed(bed, 'firewall');
    const errors = await hear(bed.fabric.namespace, bed.fabric.bridge, `${v6 ? 'icmp6[0] == 2' : 'icmp[0] == 3'} and dst host ${address}`);
    const counts = await tells(transfer);
    // At node2 of what goes forth, at node3 of what comes back; to node1 the way is wide.
    for (const what of ['node2 tunnel-error', 'node2 too-big', 'node3 tunnel-error', 'node3 too-big']) some(counts[what]);
    expect(Object.keys(counts)).toHaveLength(4);
    expect(await learned(clients)).toEqual(all(SMALL - overhead));
    // What the router repeats begins with the outer headers; the firewall, whose address stands there, hears nothing of it.
    const [ip, mtu] = v6 ? (['ipv6', 'icmpv6.mtu'] as const) : (['ip', 'icmp.mtu'] as const);
    const heard = await errors.read([`${ip}.dst`, mtu, 'udp.dstport']);
    some(heard.length);
    for (const packet of heard) {
      expect(packet(`${ip}.dst`)[0]).toBe(address);
      expect(packet(mtu)).toEqual([String(SMALL)]);
      expect(packet('udp.dstport')).toEqual(['7081']);
    }
  });

  it('a node whose own link is small: replies that it wraps are answered too, and the server sends smaller ones', async () => {
    await setMtu(bed.fabric.namespace, 'to-node3', SMALL);
    await setMtu(nodeNamed(bed, 'node3').namespace, 'eth0', SMALL);
    await forgetPaths(bed);
    const counts = await tells(transfer);
    for (const what of ['node2 too-big', 'node3 too-big']) some(counts[what]);
    if (datapath === 'kernel') expect(counts['node3 tunnel-error']).toBeUndefined();
    expect(await learned(clients)).toEqual(all(SMALL - overhead));
  });

  // Marked as a tunnel's, the kernel would take its datagrams for tunnels when it cuts the piece up.
  if (datapath === 'kernel')
    it('UDP in one piece to a function of the same node, which routes to it, is delivered', async () => {
      await setSizes(bed, { fabric: wide, hostSides: wide, pods: POD_MTU });
      await inPieces(ANY);
      await placeManifests(cluster, 'policy.yaml', throughChain(['inspector']));
      await expect.poll(() => cluster.sfc('node1', 'get', 'chain', 'out'), LONG).toContain('inspector');
      const isSeen = (id: string) => () => server.seen.some((request) => request.id === id);
      await sendRequests(bed, { transport: 'udp', ids: ['whole'], padding: 1000, timeout: 2000 });
      expect(isSeen('whole')()).toBe(true);
      const { sender } = await sendSegments(clients, { server: bed.server.address, port, segment: 1200, ids: ['seg-a', 'seg-b'] });
      open.push(sender);
      await expect.poll(isSeen('seg-b'), { timeout: 1500 }).toBe(true);
    });
});
