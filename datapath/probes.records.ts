/**
 * Probes through a function, in words, run on every datapath. The agent of the vpn's node asks the firewall:
 *
 *     agent ═(probe,1)═► firewall ═(probe,0)═► vpn's way in, where it ends
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encapsulate, toSi, toSpi } from '../geneve/index.js';
import { PEER_FLAG, PROBE } from '../maps/index.js';
import { addressOf, CAST, frame, type Segment, type Stage, tunnelOf } from './cast.js';

const ETHERNET = 14;
const PORT = 7082;
/** An address of the vpn's node. */
const NODE = '172.30.0.1';
/** The magic word, and sequence number 0x61626364, as text. */
const PAYLOAD = 'sfcpabcd';
const SEQUENCE = 0x61626364;

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function probeRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    for (const name of ['firewall', 'proxy', 'vpn'] as const) stage.pod(name);
    stage.probes('firewall', PORT);
  });

  afterAll(() => stage?.close());

  const probe = (segment: Partial<Segment> = {}) =>
    frame({ from: NODE, to: CAST.vpn, sourcePort: PORT, destinationPort: PORT, payload: PAYLOAD, ...segment });

  interface Wrapping {
    readonly from?: string;
    readonly to?: string;
    readonly si?: number;
    readonly ttl?: number;
    readonly reply?: boolean;
  }

  function wrapped(bytes: Uint8Array, wrapping: Wrapping = {}): Uint8Array {
    const { from = CAST.vpn, to = CAST.firewall, si = 1, ttl = 63, reply = false } = wrapping;
    const ends = { source: addressOf(from), destination: addressOf(to) };
    const packet = encapsulate(bytes.subarray(ETHERNET), { ...ends, spi: toSpi(PROBE.spi), si: toSi(si), ttl, reply });
    if (!(packet instanceof Uint8Array)) throw new Error(`not wrapped: ${packet.failure.reason}`);
    return Buffer.concat([bytes.subarray(0, ETHERNET), packet]);
  }

  /** Back from an instance. */
  const answer = (segment: Partial<Segment> = {}, wrapping: Wrapping = {}) =>
    wrapped(probe({ ttl: 63, ...segment }), { from: CAST.firewall, to: CAST.vpn, si: 0, ttl: 62, ...wrapping });

  const flowsAt = (id: number) => [...stage.maps.sfcflow.entries()].filter(([, { endpoint }]) => endpoint === id);
  const answers = () => [...stage.maps.sfcprobe.entries()].map(([{ address, port }, { sequence }]) => [address[3], port, sequence]);
  const NONE = [[addressOf(CAST.firewall).bytes[3], PORT, 0]];
  const ONE = [[addressOf(CAST.firewall).bytes[3], PORT, SEQUENCE]];

  describe('the way of a probe', () => {
    it('goes through the instance and ends at the way in of the pod that it came from', () => {
      const inside = stage.as('firewall').receive(wrapped(probe()));
      expect(inside).toMatchObject({ verdict: 'pass', frame: Buffer.from(probe()), counted: { decapsulated: 1 } });
      const back = stage.send(probe({ ttl: 63 }));
      expect(back.counted).toEqual({ 'steered-destination': 1 });
      expect(tunnelOf(back.frame)).toEqual({ from: CAST.firewall, to: CAST.vpn, reply: false, spi: PROBE.spi, si: 0, ttl: 62 });
      expect(Buffer.from(answer()).equals(back.frame)).toBe(true);
      const before = stage.maps.sfcprobe.entries().next().value?.[1].answered;
      expect(before).toBe(0);
      expect(stage.as('vpn').receive(back.frame)).toMatchObject({ verdict: 'drop', counted: { 'probe-answered': 1 } });
      expect(answers()).toEqual(ONE);
      expect(stage.maps.sfcprobe.entries().next().value?.[1].answered).toBeGreaterThan(0);
      expect(flowsAt(1)).toEqual([]);
    });

    it('is the same for every probe after it, and the last one counts', () => {
      for (const sequence of ['abcd', 'abce', 'abcf']) {
        const payload = `sfcp${sequence}`;
        stage.as('firewall').receive(wrapped(probe({ payload })));
        const back = stage.send(probe({ payload, ttl: 63 }));
        expect(stage.as('vpn').receive(back.frame).counted).toEqual({ 'probe-answered': 1 });
        expect(answers()).toEqual([[addressOf(CAST.firewall).bytes[3], PORT, Buffer.from(sequence).readUInt32BE()]]);
      }
    });

    it('joins no chain of the function’s own, now or after a change of policy', () => {
      stage.path(3, 1, ['proxy']).selects('firewall', 3, 1);
      for (const generation of [1, 2, 3]) {
        stage.pod('firewall', { selects: true, generation });
        stage.receive(wrapped(probe()));
        expect(tunnelOf(stage.send(probe({ ttl: 63 })).frame)).toMatchObject({ to: CAST.vpn, spi: PROBE.spi, si: 0 });
      }
      // Its other packets do.
      expect(tunnelOf(stage.send(frame({ from: CAST.client, to: CAST.vpn })).frame)).toMatchObject({ to: CAST.proxy, spi: 3 });
    });

    it('ends there though the pod’s ingress is selected', () => {
      stage.path(3, 1, ['proxy']).pod('vpn', { ingress: 4 }).selects('vpn', 3, 1, { ingress: true });
      expect(stage.receive(answer())).toMatchObject({ verdict: 'drop', counted: { 'probe-answered': 1 } });
      expect(answers()).toEqual(ONE);
    });

    it('is not back where the function has translated its source: that is a packet of its own', () => {
      stage.as('firewall').receive(wrapped(probe()));
      const out = stage.send(probe({ from: CAST.firewall, ttl: 63 }));
      expect(out).toMatchObject({ verdict: 'pass', counted: {} });
      expect(stage.as('vpn').receive(out.frame)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(answers()).toEqual(NONE);
    });
  });

  describe('what is kept and says nothing', () => {
    it.each<readonly [string, Partial<Segment>, Wrapping]>([
      ['of an instance that is not asked', {}, { from: CAST.proxy }],
      ['of a port that is not asked', { destinationPort: 7083 }, {}],
      ['another word', { payload: 'sfcqabcd' }, {}],
      ['too short for a sequence number', { payload: 'sfcpabc' }, {}],
      ['nothing in it', { payload: '' }, {}],
      ['another protocol with those ports', { protocol: 'sctp' }, {}],
      ['a protocol without ports', { protocol: 'gre' }, {}],
      ['an ICMP error', { protocol: 'icmp', icmpType: 3 }, {}],
      ['a first fragment', { fragment: 0x2000 }, {}],
      ['a later fragment', { fragment: 0x0002 }, {}],
      ['a reply', {}, { reply: true }],
      ['a reply as from a function', {}, { reply: true, si: 1 }],
    ])('%s', (_, segment, wrapping) => {
      expect(stage.as('vpn').receive(answer(segment, wrapping))).toMatchObject({ verdict: 'drop', counted: { 'probe-answered': 1 } });
      expect(answers()).toEqual(NONE);
      expect(flowsAt(1)).toEqual([]);
    });
  });

  it('a source that is no peer is not believed', () => {
    stage.peer(['10.244.2.0', 24], 0);
    expect(stage.as('vpn').receive(answer())).toMatchObject({ verdict: 'drop', counted: { 'not-a-peer': 1 } });
    stage.peer(['10.244.2.0', 24], PEER_FLAG.decapsulates);
    expect(stage.receive(answer())).toMatchObject({ verdict: 'drop', counted: { 'not-a-peer': 1 } });
    expect(answers()).toEqual(NONE);
  });

  it('one for another pod behind this interface passes', () => {
    expect(stage.as('vpn').receive(answer({}, { to: CAST.proxy }))).toMatchObject({ verdict: 'pass', counted: {} });
    expect(answers()).toEqual(NONE);
  });

  it('a broken one is dropped as any other', () => {
    const bytes = Buffer.from(answer());
    bytes.writeUInt8(0x44, 62); // the inner header's length
    expect(stage.as('vpn').receive(bytes)).toMatchObject({ verdict: 'drop', counted: { 'inner-malformed': 1 } });
  });
}
