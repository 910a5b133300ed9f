/** Attacks on what a node remembers: on flows, on fragments, on the size of a path. Each story says who wants what. */

import { expect, it } from 'vitest';
import { inNamespace, podNamed } from '../../demo/testbed/index.js';
import { ipPacket, tooBig, udp, wrapped } from './packets.js';
import { FLOWS_OF_ONE, type FlowEntry, type Scene } from './scene.js';

/** Flows that a pod tries to open. A device of the userspace datapath has room for 1000 packets, and what it is too slow for says nothing here. */
const FLOW_FLOOD = { kernel: 20_000, userspace: 900 } as const;
/** Datagrams of which a pod sends a fragment; an interface has room for 512 (`FRAGMENT_SLOTS`). */
const FRAGMENT_FLOOD = { kernel: 2000, userspace: 900 } as const;
/** Below these nobody is believed (docs/dataplane.md). */
const LEAST_MTU = { 4: 576, 6: 1280 } as const;
const PATH = { spi: 1, si: 2 };
const PORT = 45_000;

/** Runs in a process of its own: one request from this port; exits with 0 when it was answered. */
function ask({ from, fromPort, to, toPort, id }: { from: string; fromPort: number; to: string; toPort: number; id: string }): void {
  const socket = process.getBuiltinModule('node:dgram').createSocket(from.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message) => {
    if (message.toString().startsWith(`reply ${id} `)) process.exit(0);
  });
  socket.bind(fromPort, from, () => socket.send(`request ${id} .\n`, toPort, to));
  setTimeout(() => process.exit(1), 5000);
}

/** The same: a datagram to each of so many ports, of one flow each. */
function flood({ from, to, count }: { from: string; to: string; count: number }): void {
  const socket = process.getBuiltinModule('node:dgram').createSocket(from.includes(':') ? 'udp6' : 'udp4');
  let port = 10_000;
  const next = (): void => {
    if (port++ < 10_000 + count) socket.send('x', port, to, next);
    else socket.close();
  };
  socket.bind(0, from, next);
}

/** Declares the stories of a scene. */
export function flowAttacks(scene: Scene): void {
  const { bed, stranger, datapath } = scene;
  const { server } = bed;
  const client = bed.client?.addresses[0] ?? '';
  const vpn = scene.address('vpn');
  const v = server.family;
  let requests = 0;

  /** The client asks, always from the same port; his flow at the vpn pod. */
  async function asks(): Promise<FlowEntry> {
    const order = { from: client, fromPort: PORT, to: server.address, toPort: server.port, id: `again-${requests++}` };
    await inNamespace(`${bed.prefix}-clients`, [process.execPath, '-e', `(${ask})(${JSON.stringify(order)})`]);
    return known();
  }

  async function known(): Promise<FlowEntry> {
    const ifindex = await ifindexOf('vpn');
    const flows = (await scene.learned(client)).filter((flow) => [flow.port_a, flow.port_b].includes(PORT) && flow.ifindex === ifindex);
    expect(flows).toHaveLength(1);
    return flows[0] as FlowEntry;
  }

  async function ifindexOf(pod: string): Promise<number> {
    const { node, hostInterface } = podNamed(bed, pod);
    const { stdout } = await inNamespace(`${bed.prefix}-${node}`, ['ip', '-json', 'link', 'show', 'dev', hostInterface]);
    return (JSON.parse(stdout) as { ifindex: number }[])[0]?.ifindex ?? 0;
  }

  /** A datagram of a client's, in two fragments. */
  function inTwo(id: number, name: string): readonly [Uint8Array, Uint8Array] {
    const [from, to] = [client, server.address];
    const bytes = udp(from, 40_000 + id, to, server.port, `request ${name} ${'x'.repeat(580)}.\n`);
    const cut = 304;
    return [
      ipPacket(bytes.subarray(0, cut), { from, to, fragment: { offset: 0, more: true, id } }),
      ipPacket(bytes.subarray(cut), { from, to, fragment: { offset: cut, more: false, id } }),
    ];
  }

  /*
   * A router between two hops may say that a wrapped packet did not fit. Somebody outside says so to make a client's packets
   * small, or to keep them from fitting at all. He does not know the flow, or not its hop; or he says less than any path has.
   */
  it('errors about the tunnel are not believed from somebody who does not know the flow', async () => {
    const before = await asks();
    const about = (from: string, hop: string) =>
      wrapped(ipPacket(udp(from, PORT, server.address, server.port, 'x'), { from, to: server.address }), vpn, hop, PATH);
    const error = (what: Uint8Array, mtu: number) => tooBig(what, server.fabricAddress, vpn, mtu);
    const firewall = scene.address('firewall');
    const lies = [
      error(about(stranger, firewall), LEAST_MTU[v]),
      error(about(client, scene.address('proxy')), LEAST_MTU[v]),
      error(about(client, firewall), LEAST_MTU[v] - 1),
      error(about(client, firewall), 0),
    ];
    await scene.refuses('node1', { 'tunnel-error': lies.length }, () => scene.sends('server', lies));
    expect(await known()).toMatchObject({ next_path_mtu: 0, packets: before.packets });
    // Of somebody who knows both it is: he has seen a packet of the tunnel.
    await scene.refuses('node1', { 'tunnel-error': 1 }, () => scene.sends('server', [error(about(client, firewall), 1400)]));
    expect(await known()).toMatchObject({ next_path_mtu: 1400 });
    await asks();
  });

  // A pod wants to get past its functions with what has no ports, or to be taken for the rest of a datagram that others have sent.
  it('a later fragment without its first goes nowhere', async () => {
    const { address: to } = server;
    const fragment = { offset: 304, more: false, id: 4711 };
    const rest = (from: string) => ipPacket(Buffer.alloc(64), { from, to, fragment });
    await scene.refuses('node1', { fragment: 2 }, async () => {
      await scene.sends('clients', [rest(client)]);
      await scene.sends('rival', [rest(scene.address('rival'))]);
    });
  });

  // Pods send first fragments without end, so that what is remembered of others' datagrams is forgotten: of one node, through one function.
  it('a flood of fragments does not make orphans of another pod’s', async () => {
    const [first, rest] = inTwo(1, `in-fragments`);
    const floods = ['mallory', 'rival'].map((pod) => {
      const [from, to] = [scene.address(pod), server.address];
      const bytes = udp(from, 4000, to, 9, 'x'.repeat(64));
      const many = Array.from({ length: FRAGMENT_FLOOD[datapath] }, (_, id) =>
        ipPacket(bytes.subarray(0, 64), { from, to, fragment: { offset: 0, more: true, id: id + 1 } }),
      );
      return [pod, many] as const;
    });
    await scene.refuses('node1', {}, async () => {
      await scene.sends('clients', [first]);
      for (const [pod, many] of floods) await scene.sends(pod, many);
      await scene.sends('clients', [rest]);
      await expect.poll(() => scene.server.seen.map(({ id }) => id)).toContain(`in-fragments`);
    });
  });

  /*
   * Another pod sends packets with a client's addresses and ports, to change where his flow goes. They belong to the flows of its
   * own interface: of a pod that nothing selects they are nobody's, of one that is selected they are its own flow.
   */
  it('a pod that speaks in a client’s name does not touch the client’s flow', async () => {
    const before = await asks();
    const spoof = ipPacket(udp(client, PORT, server.address, server.port, 'request spoofed .\n'), { from: client, to: server.address });
    await scene.refuses('node1', {}, async () => {
      for (const pod of ['mallory', 'rival']) await scene.sends(pod, [spoof]);
    });
    expect(await known()).toMatchObject({ packets: before.packets, next_hop: before.next_hop, flags: before.flags, role: before.role });
    const others = (await scene.flows('node1')).filter((flow) => flow.role === 1 && [flow.port_a, flow.port_b].includes(PORT));
    expect(others.map(({ ifindex }) => ifindex).sort()).toEqual([await ifindexOf('vpn'), await ifindexOf('rival')].sort());
    expect(await asks()).toMatchObject({ packets: Number(before.packets) + 1, next_hop: before.next_hop });
  });

  // A pod opens flows without end, so that the node forgets those of others. It has a limit, far below what the table holds.
  it('a pod that opens flows without end does not take the place of another’s', async () => {
    const before = await asks();
    const rival = await ifindexOf('rival');
    const flows = async () => (await scene.flows('node1')).filter(({ ifindex }) => ifindex === rival).length;
    const had = await flows();
    const count = FLOW_FLOOD[datapath];
    const order = { from: scene.address('rival'), to: server.address, count };
    const refused = (await scene.counted())['node1 flow-limit'] ?? 0;
    const more = async () => ((await scene.counted())['node1 flow-limit'] ?? 0) - refused;
    const ordinary = scene.unanswered();
    await inNamespace(`${bed.prefix}-rival`, [process.execPath, '-e', `(${flood})(${JSON.stringify(order)})`]);
    expect(await ordinary).toEqual([]);
    await expect.poll(more).toBeGreaterThanOrEqual(count - FLOWS_OF_ONE);
    const has = await flows();
    expect(has).toBeLessThanOrEqual(FLOWS_OF_ONE);
    expect(await more()).toBe(count - (has - had));
    expect(await known()).toMatchObject({ packets: before.packets });
    expect(await scene.unanswered()).toEqual([]);
  });
}
