/** Forged steering packets. Each story says who wants what. */

import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeFrame, type LiveCapture, liveCapture, readCapture } from '../../capture/index.js';
import { nodeNamed, podNamed } from '../../demo/testbed/index.js';
import type { ReasonName } from '../../maps/index.js';
import { DROPPED } from '../fixtures/wire/index.js';
import { behindIp, ipPacket, udp, withOuterChecksum, wrapped } from './packets.js';
import type { Scene } from './scene.js';

/** The chain's path at its first function. */
const PATH = { spi: 1, si: 2 };

/** What is frozen as wrong, to be put behind an outer header of either family: those of IPv4 stand for both. */
const FAULTS = DROPPED.filter(({ layers }) => 'outer IPv4' in layers).map(({ layers, reason }) => {
  const [outer = new Uint8Array(0), ...rest] = Object.values(layers);
  const more = ((outer[6] ?? 0) & 0x20) !== 0;
  return {
    reason: reason as ReasonName,
    behind: Buffer.concat(rest),
    tos: outer[1] ?? 0,
    options: (outer[0] ?? 0) > 0x45,
    ...(more ? { fragment: { offset: 0, more, id: 1 } } : {}),
  };
});

/** Declares the stories of a scene. */
export function tunnelAttacks(scene: Scene): void {
  const { bed, stranger, datapath } = scene;
  const capturedIn = () => join(bed.directory, 'firewall.pcap');
  let capture: LiveCapture;
  const firewall = scene.address('firewall');
  /** What the stranger would like the server to get from the functions. */
  const wish = (source = stranger) =>
    ipPacket(udp(source, 4000, bed.server.address, 9, 'let me through'), { from: source, to: bed.server.address });
  const forged = (from: string, to = firewall, path = PATH) => wrapped(wish(), from, to, path);

  beforeAll(async () => {
    const { namespace } = podNamed(bed, 'firewall');
    capture = await liveCapture({ namespace, interface: 'eth0', filter: 'udp', file: capturedIn() });
  });
  afterAll(() => capture?.stop());

  /*
   * A pod wraps packets itself: to get them into a function under a path of its choosing, past the functions before, in
   * the name of whoever it likes. It sends them to every kind of place, and hides the port as well as it can. The pods: one that
   * a selector names, one that none names, and a function.
   */
  it.each(['vpn', 'mallory', 'firewall'])('of the pod %s goes nowhere', async (pod) => {
    const own = scene.address(pod);
    const { node } = podNamed(bed, pod);
    const pods = ['firewall', 'shop', 'proxy'].filter((name) => name !== pod).map((name) => scene.address(name));
    const places = [...pods, nodeNamed(bed, node).address];
    const to = scene.address(pod === 'firewall' ? 'proxy' : 'firewall');
    const behind = behindIp(forged(own, to));
    const id = 77;
    const packets = [
      ...places.map((place) => forged(own, place)),
      forged(scene.address('rival'), to), // in another's name
      ipPacket(behind, { from: own, to, options: true }),
      ipPacket(behind.subarray(0, 40), { from: own, to, fragment: { offset: 0, more: true, id } }),
    ];
    const rest = ipPacket(behind.subarray(40), { from: own, to, fragment: { offset: 40, more: false, id } });
    // What follows is dropped too where it could be of a steered flow; of other pods it goes on, and nobody can put it together.
    const orphans: Partial<Record<ReasonName, number>> = pod === 'mallory' ? {} : { fragment: 1 };
    await scene.refuses(node, { 'spoofed-encap': packets.length, ...orphans }, () => scene.sends(pod, [...packets, rest]));
  });

  // Clients behind the vpn pod are as little trusted as the pod.
  it('of a client behind a pod is dropped where that pod sits', async () => {
    const from = bed.client?.addresses[0] ?? '';
    await scene.refuses('node1', { 'spoofed-encap': 1 }, () => scene.sends('clients', [forged(from)]));
  });

  // Somebody outside the cluster wants to speak to a function as if he were a hop. A machine is none either, even if it is a node.
  it('from outside the cluster, or of a node itself, is dropped in front of the function', async () => {
    await scene.refuses('node2', { 'not-a-peer': 2 }, async () => {
      await scene.sends('server', [forged(bed.server.fabricAddress)]);
      await scene.sends('node1', [forged(nodeNamed(bed, 'node1').address)]);
    });
  });

  // He takes the address of a pod that sits beside the function: but such a packet would not come from outside. Userspace cannot tell.
  if (datapath === 'kernel')
    it('in the name of a pod of that very node is dropped in front of the function', async () => {
      const packets = ['shop', 'firewall'].map((name) => forged(scene.address(name)));
      await scene.refuses('node2', { 'spoofed-hop': packets.length }, () => scene.sends('server', packets));
    });

  // A peer that is out of its mind, or an old one, names paths that are none. Somebody on the way has changed the packet.
  it('on a path that is none of ours, or with a wrong outer checksum, is dropped in front of the function', async () => {
    const peer = scene.address('vpn');
    const paths = [
      { spi: 4711, si: 1 },
      { spi: PATH.spi, si: 200 },
      { spi: 4711, si: 0 },
    ];
    const checksums = [0x1234, 0xffff].map((value) => withOuterChecksum(forged(peer), value));
    await scene.refuses('node2', { 'unknown-path': paths.length, 'outer-checksum': checksums.length }, () =>
      scene.sends('node1', [...paths.map((path) => forged(peer, firewall, path)), ...checksums]),
    );
  });

  // From a peer's address, everything that can be wrong with the headers: the frozen packets of the wire format.
  it('that is wrong anywhere in its headers is dropped in front of the function', async () => {
    const drops: Partial<Record<ReasonName, number>> = {};
    for (const { reason } of FAULTS) drops[reason] = (drops[reason] ?? 0) + 1;
    const packets = FAULTS.map(({ behind, ...outer }) => ipPacket(behind, { ...outer, from: scene.address('vpn'), to: firewall }));
    await scene.refuses('node2', drops, () => scene.sends('node1', packets));
  });

  // So it is not for another reason that all of these were refused: what a hop sends comes through.
  it('would have been unwrapped, had a hop made it', async () => {
    const before = (await scene.counted('decapsulated'))['node2 decapsulated'] ?? 0;
    await scene.sends('node1', [wrapped(wish(scene.known), scene.address('vpn'), firewall, PATH)]);
    await expect.poll(async () => (await scene.counted('decapsulated'))['node2 decapsulated']).toBeGreaterThan(before);
    expect((await scene.learned(scene.known)).map(({ previous_hop }) => previous_hop)).toContain(scene.address('vpn'));
    await capture.stop();
    const seen = (await readCapture(capturedIn())).flatMap((packet) => decodeFrame(packet)?.source ?? []);
    expect(seen).toContain(scene.known);
    expect(seen).not.toContain(stranger);
  });
}
