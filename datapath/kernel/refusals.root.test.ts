/**
 * What only the kernel program can meet, because only the kernel knows it of a packet: by which interface it came, that it is many
 * in one. The rest of what is refused is in the records of both datapaths.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PEER_FLAG, PEER_STATIC_BITS, type ReasonName } from '../../maps/index.js';
import { meets } from '../../test/meets.js';
import { addressFor, addressOf, frame, type Name, type Version } from '../cast.js';
import { KernelStage } from './cast.js';
import { type PacketMeta, testRun } from './test-run.js';

const DROP = 2;

let stage: KernelStage;
beforeAll(() => {
  stage = new KernelStage();
});
afterAll(() => stage?.close());

const counted = (reason: ReasonName) => stage.counters().get(reason) ?? 0;

describe.each<Version>([4, 6])('IPv%d', (version) => {
  const instance = version === 6 ? 'firewall6' : 'firewall';
  const request = frame({ from: addressFor('client', version), to: addressFor('server', version) });

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, [instance]);
    stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: [version === 6 ? '::' : '0.0.0.0', 0] });
    stage.pod('firewall', { isFunction: true }).pod('proxy');
  });

  /** The pod is one of this node. */
  function isHere(name: Name): void {
    const { bytes, family } = addressOf(addressFor(name, version));
    const key = { prefix_len: PEER_STATIC_BITS + (version === 6 ? 128 : 32), family, address: bytes };
    stage.maps.peer.set(key, { flags: PEER_FLAG.trusted | PEER_FLAG.decapsulates, ifindex: stage.ifindexOf(name) });
  }

  const sends = (meta: PacketMeta) => testRun(stage.datapath.programs.from_pod, request, stage.ifindexOf('vpn'), meta);
  const receives = (bytes: Uint8Array, meta: PacketMeta) =>
    testRun(stage.datapath.programs.to_pod, bytes, stage.ifindexOf('firewall'), meta).verdict;

  it('a packet of segments of which the kernel does not know the kind is not wrapped', async () => {
    await meets('encap-failed', counted, () => {
      const { verdict, frame: left } = sends({ segment: 512 });
      expect([verdict, Buffer.from(left)]).toEqual([DROP, Buffer.from(request)]);
    });
  });

  it('a pod of this node is believed by its own interface, and by the node’s; others are not believed in its name', async () => {
    const wrapped = stage.as('vpn').send(request).frame;
    isHere('vpn');
    await meets(
      'spoofed-hop',
      counted,
      () => {
        for (const name of ['proxy', 'destination', 'firewall'] as const)
          expect(receives(wrapped, { ingress: stage.ifindexOf(name) })).toBe(DROP);
      },
      3,
    );
    for (const ingress of [stage.ifindexOf('vpn'), 0]) {
      stage.evict('firewall');
      expect(receives(wrapped, { ingress })).not.toBe(DROP);
    }
  });

  it('a hop elsewhere is believed by any interface but a pod’s', async () => {
    const wrapped = stage.as('vpn').send(request).frame;
    await meets('spoofed-hop', counted, () => expect(receives(wrapped, { ingress: stage.ifindexOf('proxy') })).toBe(DROP));
    // Nobody's: no endpoint is behind it.
    expect(receives(wrapped, { ingress: stage.ifindexOf('server') })).not.toBe(DROP);
  });

  it('what another pod’s way in has wrapped is believed, by whatever it came to the node: its mark says so', () => {
    const into = frame({ from: addressFor('server', version), to: addressFor('vpn', version) });
    stage.pod('vpn', { ingress: 4 }).selects('vpn', 1, 1, { cidr: [version === 6 ? '::' : '0.0.0.0', 0], ingress: true });
    isHere('vpn');
    const { frame: wrapped, mark } = testRun(stage.datapath.programs.to_pod, into, stage.ifindexOf('vpn'));
    expect(mark).not.toBe(0);
    const ingress = stage.ifindexOf('server');
    expect(receives(wrapped, { ingress, mark })).not.toBe(DROP);
    stage.evict('firewall');
    expect(receives(wrapped, { ingress })).toBe(DROP);
  });
});
