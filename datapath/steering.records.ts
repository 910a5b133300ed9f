/**
 * What a datapath does with a packet: each test is a packet record in words (packet in, state in,
 * verdict, packet out, state out), and runs on every datapath. The story is the walkthrough's: a client behind the vpn pod, steered through a firewall (path 1) and, because the
 * firewall's own pod is selected for it, through a proxy (path 2) to a server outside.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CAST, checksum, frame, type Stage, tunnelOf } from './cast.js';

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function steeringRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']);
  });

  afterAll(() => stage?.close());

  const request = frame({ from: CAST.client, to: CAST.server });
  const answer = frame({ from: CAST.server, to: CAST.client, sourcePort: 80, destinationPort: 4000 });

  /** The request as the vpn pod's node sends it to the firewall. */
  function toFirewall(): Buffer {
    return stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).send(request).frame;
  }

  describe('a selected pod', () => {
    it('sends a matching packet to the function, 48 bytes longer, with the inner packet untouched', () => {
      const out = stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).send(request);
      expect(tunnelOf(out.frame)).toEqual({ from: CAST.vpn, to: CAST.firewall, reply: false, spi: 1, si: 1, ttl: 63 });
      expect(out.frame.length).toBe(request.length + 48);
      expect(out.frame.subarray(14 + 48)).toEqual(Buffer.from(request).subarray(14));
      expect(out.counted).toEqual({ 'steered-source': 1 });
    });

    it('writes the bytes that the wire format fixes', () => {
      const out = toFirewall();
      expect(out.subarray(42, 62).toString('hex')).toBe('0340080000000000013282020fc2020100000101');
      expect(checksum(out.subarray(14, 34))).toBe(0);
      expect(out.readUInt16BE(16)).toBe(out.length - 14);
      expect(out.readUInt16BE(18)).toBe(0x1234); // identification of the inner packet
      expect(out.readUInt16BE(20)).toBe(0x4000); // do not fragment
      expect(out.readUInt16BE(34) & 0x8001).toBe(0x8000);
      expect(out.readUInt16BE(40)).toBe(0); // no UDP checksum over IPv4
    });

    it('keeps the flow: one entry, two packets counted', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      stage.send(request);
      stage.send(request);
      const flows = [...stage.maps.sfcflow.entries()];
      expect(flows).toHaveLength(1);
      expect(flows[0]?.[1]).toMatchObject({ role: 1, path: 0x101, packets: 2, bytes: 66 });
    });

    it('keeps a live flow on its instance when the table of backends changes', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      stage.send(request);
      stage.path(1, 1, ['proxy']);
      expect(tunnelOf(stage.send(request).frame)?.to).toBe(CAST.firewall);
      stage.pod('vpn', { selects: true, generation: 2 });
      expect(tunnelOf(stage.send(request).frame)?.to).toBe(CAST.firewall);
    });

    it('takes a new path at the next packet when the generation changed', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      stage.send(request);
      stage.selects('vpn', 2, 1).pod('vpn', { selects: true, generation: 2 });
      expect(tunnelOf(stage.send(request).frame)).toMatchObject({ to: CAST.proxy, spi: 2 });
    });

    it('is let go, and its flow forgotten, when nothing selects it any more', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      stage.send(request);
      stage.pod('vpn', { generation: 2 });
      expect(stage.send(request).frame).toEqual(Buffer.from(request));
      expect(stage.maps.sfcflow.size()).toBe(0);
    });

    it('passes what no selector matches', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: ['198.51.100.0', 24] });
      const out = stage.send(request);
      expect(out).toMatchObject({ verdict: 'pass', counted: {} });
      expect(out.frame).toEqual(Buffer.from(request));
    });

    it.each([
      ['a longer prefix over an exact port', { cidr: ['203.0.113.0', 24] as [string, number] }, { port: 80 }],
      ['an exact port over all ports on the same prefix', { port: 80 }, {}],
    ])('prefers %s', (_, winner, loser) => {
      stage.pod('vpn', { selects: true }).selects('vpn', 2, 1, winner).selects('vpn', 1, 1, loser);
      expect(tunnelOf(stage.send(request).frame)?.spi).toBe(2);
    });

    it('passes ICMP', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      expect(stage.send(frame({ from: CAST.client, to: CAST.server, protocol: 'icmp' })).verdict).toBe('pass');
    });

    it('drops when the chain has no ready function, unless the chain says bypass', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).path(1, 1, []);
      expect(stage.send(request)).toMatchObject({ verdict: 'drop', counted: { 'no-backend': 1 } });
      stage.path(1, 1, [], { failurePolicy: 1 });
      expect(stage.send(request)).toMatchObject({ verdict: 'pass', counted: { bypassed: 1 } });
    });

    it.each([
      ['IPv4', { ipv4: false }, 'firewall'],
      ['IPv6', { ipv6: false }, 'firewall6'],
    ] as const)('drops what it selects of a pod that has no %s address for an instance that is reached so', (_, lacks, instance) => {
      stage
        .pod('vpn', { selects: true, ...lacks })
        .selects('vpn', 1, 1)
        .path(1, 1, [instance]);
      expect(stage.send(request)).toMatchObject({ verdict: 'drop', counted: { 'no-address': 1 } });
      expect(stage.maps.sfcflow.size()).toBe(0);
    });

    it('drops on a path that is not there', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 9, 1);
      expect(stage.send(request)).toMatchObject({ verdict: 'drop', counted: { 'unknown-path': 1 } });
    });

    it('drops what contradicts its own length', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      const broken = Buffer.from(request);
      broken.writeUInt16BE(200, 16);
      expect(stage.send(broken)).toMatchObject({ verdict: 'drop', counted: { malformed: 1 } });
    });

    it('answers a connection that somebody opened to it without steering the answer', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: 6 });
      stage.receive(frame({ from: CAST.server, to: CAST.vpn, protocol: 'tcp', sourcePort: 5000, destinationPort: 443, tcpFlags: 0x02 }));
      const out = stage.send(
        frame({ from: CAST.vpn, to: CAST.server, protocol: 'tcp', sourcePort: 443, destinationPort: 5000, tcpFlags: 0x12 }),
      );
      expect(out.verdict).toBe('pass');
      expect(tunnelOf(out.frame)).toBeUndefined();
    });
  });

  describe('any pod', () => {
    it('cannot send to the steering port itself', () => {
      const forged = frame({ from: CAST.vpn, to: CAST.firewall, destinationPort: 7081 });
      expect(stage.pod('vpn').send(forged)).toMatchObject({ verdict: 'drop', counted: { 'spoofed-encap': 1 } });
    });

    it('that is not known is none of our business', () => {
      expect(stage.send(request)).toMatchObject({ verdict: 'pass', counted: {} });
    });
  });

  describe('a function', () => {
    it('receives the original packet, byte for byte', () => {
      const wrapped = toFirewall();
      const out = stage.pod('firewall').receive(wrapped);
      expect(out).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      expect(out.frame).toEqual(Buffer.from(request));
    });

    it('hands the flow to the chain that its own pod is selected for, one TTL less', () => {
      const wrapped = toFirewall();
      stage.pod('firewall', { selects: true }).selects('firewall', 2, 1).receive(wrapped);
      const out = stage.send(request);
      expect(tunnelOf(out.frame)).toEqual({ from: CAST.firewall, to: CAST.proxy, reply: false, spi: 2, si: 1, ttl: 62 });
      expect(out.counted).toEqual({ 'steered-next': 1 });
    });

    it('hands on within a chain of two: service index 2, then 1', () => {
      stage.path(3, 2, ['firewall']).path(3, 1, ['proxy']).pod('vpn', { selects: true }).selects('vpn', 3, 2);
      const wrapped = stage.send(request).frame;
      expect(tunnelOf(wrapped)).toMatchObject({ to: CAST.firewall, si: 2 });
      stage.pod('firewall').receive(wrapped);
      expect(tunnelOf(stage.send(request).frame)).toMatchObject({ to: CAST.proxy, spi: 3, si: 1, ttl: 62 });
    });

    it('in the middle of a chain keeps a live flow on the next instance when the next function is scaled out or in', () => {
      stage.path(3, 2, ['firewall']).path(3, 1, ['proxy']).pod('vpn', { selects: true }).selects('vpn', 3, 2);
      const wrapped = stage.send(request).frame;
      stage.pod('firewall').receive(wrapped);
      const next = () => tunnelOf(stage.as('firewall').send(request).frame)?.to;
      expect(next()).toBe(CAST.proxy);
      stage.path(3, 1, ['destination', 'proxy', 'destination']).pod('firewall', { generation: 2 });
      expect(next()).toBe(CAST.proxy);
      stage.path(3, 1, ['destination']).pod('firewall', { generation: 4 });
      expect(next()).toBe(CAST.proxy);
      // And the first function's own scaling does not move what is on its way there.
      stage.path(3, 2, ['destination', 'firewall']).pod('vpn', { selects: true, generation: 2 });
      expect(tunnelOf(stage.send(request).frame)).toMatchObject({ to: CAST.firewall, si: 2 });
    });

    it('at the end of its path sends plain to a destination outside', () => {
      const wrapped = toFirewall();
      stage.pod('firewall').receive(wrapped);
      const out = stage.send(request);
      expect(out).toMatchObject({ verdict: 'pass', counted: { 'left-cluster': 1 } });
      expect(out.frame).toEqual(Buffer.from(request));
    });

    it('at the end of its path sends encapsulated, at service index 0, to a destination pod', () => {
      const inside = frame({ from: CAST.client, to: CAST.destination });
      const wrapped = stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).send(inside).frame;
      stage.pod('firewall').receive(wrapped);
      const out = stage.send(inside);
      expect(tunnelOf(out.frame)).toMatchObject({ to: CAST.destination, spi: 1, si: 0 });
      expect(out.counted).toEqual({ 'steered-destination': 1 });
    });

    it('does not re-enter the chain that the packet has just been through', () => {
      const wrapped = toFirewall();
      stage.pod('firewall', { selects: true }).selects('firewall', 1, 1).receive(wrapped);
      expect(stage.send(request)).toMatchObject({ verdict: 'pass', counted: { 'left-cluster': 1 } });
    });

    it('sends the reply to the hop that the request came from, with the reply bit', () => {
      const wrapped = toFirewall();
      stage.pod('firewall').receive(wrapped);
      const out = stage.send(answer);
      expect(tunnelOf(out.frame)).toEqual({ from: CAST.firewall, to: CAST.vpn, reply: true, spi: 1, si: 1, ttl: 1 });
      expect(out.counted).toEqual({ 'steered-reply': 1 });
    });

    it('lets a packet die whose TTL ends: a ring of chains does not circle', () => {
      const wrapped = toFirewall();
      wrapped.writeUInt16BE((1 << 6) | 2, 54);
      stage.pod('firewall', { selects: true }).selects('firewall', 2, 1).receive(wrapped);
      expect(stage.send(request)).toMatchObject({ verdict: 'drop', counted: { 'nsh-ttl': 1 } });
    });
  });

  describe('the source, when the reply comes back', () => {
    it('receives it unwrapped and counts it on the flow', () => {
      const wrapped = toFirewall();
      stage.pod('firewall').receive(wrapped);
      const reply = stage.send(answer).frame;
      const out = stage.pod('vpn', { selects: true }).receive(reply);
      expect(out.frame).toEqual(Buffer.from(answer));
      const flow = [...stage.maps.sfcflow.entries()].find(([, value]) => value.role === 1)?.[1];
      expect(flow).toMatchObject({ packets: 1, reply_packets: 1, reply_bytes: 33 });
    });
  });

  describe('a receiver', () => {
    /** Offsets of the frame: 42 Geneve, 50 option, 54 NSH, 62 inner packet. */
    const faults: readonly (readonly [string, (packet: Buffer) => void, string])[] = [
      ['a Geneve version other than 0', (p) => p.writeUInt8(0x43, 42), 'geneve-version'],
      ['options longer than the packet', (p) => p.writeUInt8(0x3f, 42), 'geneve-malformed'],
      ['no option at all', (p) => p.writeUInt8(0, 42), 'geneve-no-nsh'],
      ['an unknown critical option', (p) => p.writeUInt8(0x85, 52), 'geneve-critical-option'],
      ['an unknown option that is not critical, and no NSH', (p) => p.writeUInt8(0x05, 52), 'geneve-no-nsh'],
      ['an option that overruns', (p) => p.writeUInt8(9, 53), 'geneve-malformed'],
      ['an NSH option of the wrong size', (p) => p.writeUInt8(1, 53), 'nsh-malformed'],
      ['an NSH version other than 0', (p) => p.writeUInt16BE(0x4fc2, 54), 'nsh-version'],
      ['an NSH length other than its content', (p) => p.writeUInt16BE(0x0fc3, 54), 'nsh-malformed'],
      ['TTL 0', (p) => p.writeUInt16BE(2, 54), 'nsh-ttl'],
      ['a next protocol that disagrees', (p) => p.writeUInt8(2, 57), 'next-protocol'],
      ['an ethertype that disagrees', (p) => p.writeUInt16BE(0x86dd, 44), 'next-protocol'],
      ['an inner version that disagrees', (p) => p.writeUInt8(0x65, 62), 'next-protocol'],
      ['an inner packet longer than what is there', (p) => p.writeUInt16BE(2000, 64), 'inner-malformed'],
      ['a UDP length that contradicts the IP length', (p) => p.writeUInt16BE(30, 38), 'outer-malformed'],
      ['a Geneve control packet', (p) => p.writeUInt8(0xc0, 43), 'control'],
      ['an NSH OAM packet', (p) => p.writeUInt8(0x2f, 54), 'control'],
      ['congestion told to a packet that cannot carry it', (p) => p.writeUInt8(3, 15), 'ecn'],
      ['an outer source that is no peer', (p) => p.set([198, 51, 100, 1], 26), 'not-a-peer'],
    ];

    it.each(faults)('drops %s, counted once', (_, spoil, reason) => {
      const packet = toFirewall();
      spoil(packet);
      const out = stage.pod('firewall').receive(packet);
      expect(out).toMatchObject({ verdict: 'drop', counted: { [reason]: 1 } });
      expect(Object.keys(out.counted)).toHaveLength(1);
      expect([...stage.maps.sfcflow.entries()].every(([, value]) => value.role !== 2)).toBe(true);
    });

    it('drops every truncation of a steering packet', () => {
      const whole = toFirewall();
      stage.pod('firewall');
      for (let length = 14 + 20 + 8; length < whole.length; length++) {
        const cut = Buffer.from(whole.subarray(0, length));
        cut.writeUInt16BE(length - 14, 16);
        cut.writeUInt16BE(length - 34, 38);
        expect(stage.receive(cut).verdict, `cut to ${length} bytes`).toBe('drop');
      }
    });

    it('finds the NSH option behind another one, whatever their order', () => {
      const plain = toFirewall();
      const other = Buffer.from('0102030101020304', 'hex'); // not critical, one word
      const packet = Buffer.concat([plain.subarray(0, 50), other, plain.subarray(50)]);
      packet.writeUInt8(5, 42);
      packet.writeUInt16BE(packet.length - 14, 16);
      packet.writeUInt16BE(packet.length - 34, 38);
      const out = stage.pod('firewall').receive(packet);
      expect(out.counted).toEqual({ decapsulated: 1 });
      expect(out.frame).toEqual(Buffer.from(request));
    });

    /** RFC 6040 4.2, normal mode: what leaves, by inner and outer codepoint. Not-ECT 0, ECT(1) 1, ECT(0) 2, CE 3. */
    const leaving: readonly (readonly [inner: number, byOuter: readonly [number, number, number, number | 'drop']])[] = [
      [0, [0, 0, 0, 'drop']],
      [1, [1, 1, 1, 3]],
      [2, [2, 1, 2, 3]],
      [3, [3, 3, 3, 3]],
    ];

    it.each(leaving)('tells an inner ECN codepoint %i what the way met, with the checksum right', (inner, byOuter) => {
      const marked = frame({ from: CAST.client, to: CAST.server, tos: 0xb8 | inner });
      const packet = stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).send(marked).frame;
      expect(packet.readUInt8(15)).toBe(0xb8 | inner);
      stage.pod('firewall');
      byOuter.forEach((expected, outer) => {
        packet.writeUInt8(0xb8 | outer, 15);
        const out = stage.receive(packet);
        if (expected === 'drop') expect(out).toMatchObject({ verdict: 'drop', counted: { ecn: 1 } });
        else {
          expect(out.frame.readUInt8(15)).toBe(0xb8 | expected);
          expect(checksum(out.frame.subarray(14, 34))).toBe(0);
        }
      });
    });

    it('lets traffic that is not steering pass untouched', () => {
      const plain = frame({ from: CAST.server, to: CAST.firewall });
      expect(stage.pod('firewall').receive(plain)).toMatchObject({ verdict: 'pass', counted: {} });
    });
  });
}
