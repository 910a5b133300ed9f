/**
 * The four combinations of inner and outer family: the walkthrough's two chains, from the client behind the vpn pod through
 * firewall and proxy, out, and back.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINT_FLAG } from '../maps/index.js';
import { addressFor, type Backend, frame, type Name, type Stage, tunnelOf, type Version, withUdpChecksum } from './cast.js';

const COMBINATIONS: readonly (readonly [inner: Version, outer: Version])[] = [
  [4, 4],
  [6, 4],
  [4, 6],
  [6, 6],
];
const UDP_AT = { 4: 34, 6: 54 } as const;
const OVERHEAD = { 4: 48, 6: 68 } as const;

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function familyRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });
  beforeEach(() => stage.clear());
  afterAll(() => stage?.close());

  describe.each(COMBINATIONS)('an IPv%d packet in an IPv%d tunnel', (inner, outer) => {
    const at = (name: Name) => addressFor(name, inner);
    const outerAddress = (name: Name) =>
      addressFor(name, outer).replace(/^fd00::(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
        const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number);
        return `fd00::${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
      });
    const instance = (name: Name): Backend => (outer === 6 ? `${name}6` : name);
    const everything = { cidr: [inner === 6 ? '::' : '0.0.0.0', 0] as [string, number] };
    const request = frame({ from: at('client'), to: at('server'), tos: 0xb8 });
    const reply = frame({ from: at('server'), to: at('client'), sourcePort: 80, destinationPort: 4000 });

    beforeEach(() => {
      stage.path(1, 1, [instance('firewall')]).path(2, 1, [instance('proxy')]);
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, everything);
      stage.pod('firewall', { selects: true }).selects('firewall', 2, 1, everything);
      stage.pod('proxy');
    });

    /** The frame between two pods: what one sends as it comes to the other. */
    const between = (from: Name, bytes: Uint8Array, to: Name) => {
      const { frame: sent, counted } = stage.as(from).send(bytes);
      return { sent, counted, received: stage.as(to).receive(sent) };
    };

    it('goes through both functions, leaves as it came, and its reply goes back the same way', () => {
      const first = between('vpn', request, 'firewall');
      expect(tunnelOf(first.sent)).toEqual({
        from: outerAddress('vpn'),
        to: outerAddress('firewall'),
        reply: false,
        spi: 1,
        si: 1,
        ttl: 63,
      });
      expect(first.sent.length).toBe(request.length + OVERHEAD[outer]);
      expect(first.received.frame).toEqual(Buffer.from(request));
      const second = between('firewall', request, 'proxy');
      expect(tunnelOf(second.sent)).toMatchObject({ to: outerAddress('proxy'), spi: 2, si: 1, ttl: 62 });
      expect(second.received.frame).toEqual(Buffer.from(request));
      expect(stage.as('proxy').send(request)).toMatchObject({ verdict: 'pass', counted: { 'left-cluster': 1 } });

      const back = between('proxy', reply, 'firewall');
      expect(tunnelOf(back.sent)).toMatchObject({ from: outerAddress('proxy'), to: outerAddress('firewall'), reply: true, spi: 2, si: 1 });
      expect(back.received.frame).toEqual(Buffer.from(reply));
      const home = between('firewall', reply, 'vpn');
      expect(tunnelOf(home.sent)).toMatchObject({ to: outerAddress('vpn'), reply: true, spi: 1, si: 1 });
      expect(home.received.frame).toEqual(Buffer.from(reply));
    });

    it('goes to a destination pod at service index 0', () => {
      const inside = frame({ from: at('client'), to: at('destination') });
      stage.pod('firewall').pod('destination');
      between('vpn', inside, 'firewall');
      const { frame: sent, counted } = stage.as('firewall').send(inside);
      expect(counted).toEqual({ 'steered-destination': 1 });
      // The destination is reached at the address that the packet is for: its tunnel is of the inner family.
      expect(tunnelOf(sent)).toMatchObject({ spi: 1, si: 0, ttl: 62 });
      expect(stage.as('destination').receive(sent)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
    });

    it('a reply that comes plain to the source enters the chain', () => {
      between('vpn', request, 'firewall');
      const out = stage.as('vpn').receive(reply);
      expect(out.counted).toEqual({ 'reply-entered': 1 });
      expect(tunnelOf(out.frame)).toMatchObject({ to: outerAddress('firewall'), reply: true, si: 0 });
    });

    it('into a pod whose ingress is selected goes through its function and comes back', () => {
      const inward = frame({ from: at('server'), to: at('destination') });
      stage.pod('destination', { ingress: ENDPOINT_FLAG.selectsAllPorts }).selects('destination', 1, 1, { ...everything, ingress: true });
      stage.pod('firewall');
      const out = stage.as('destination').receive(inward);
      expect(out.counted).toEqual({ 'steered-ingress': 1 });
      expect(packetIn(stage.as('firewall').receive(out.frame).frame)).toEqual(packetIn(inward));
      const back = stage.as('firewall').send(inward).frame;
      const home = stage.as('destination').receive(back);
      expect(home.verdict).toBe('pass');
      expect(packetIn(home.frame)).toEqual(packetIn(inward));
    });

    it('carries the traffic class, and brings congestion back', () => {
      const ect = frame({ from: at('client'), to: at('server'), tos: 0xba });
      const { sent } = between('vpn', ect, 'firewall');
      const tos = outer === 6 ? (sent.readUInt16BE(14) >> 4) & 0xff : sent.readUInt8(15);
      expect(tos).toBe(0xba);
      if (outer === 6) sent.writeUInt16BE((sent.readUInt16BE(14) & 0xf00f) | (0xbb << 4), 14);
      else {
        sent.writeUInt8(0xbb, 15);
        sent.writeUInt16BE(sent.readUInt16BE(24) - 1, 24);
      }
      const arrived = stage.as('firewall').receive(sent).frame;
      expect(inner === 6 ? (arrived.readUInt16BE(14) >> 4) & 0xff : arrived.readUInt8(15)).toBe(0xbb);
    });

    it('is dropped where the pod that it comes from has no address of the tunnel’s family', () => {
      stage.pod('vpn', { selects: true, ipv4: outer !== 4, ipv6: outer !== 6 });
      expect(stage.send(request)).toMatchObject({ verdict: 'drop', counted: { 'no-address': 1 } });
    });

    it('has the source port of its flow, whatever its size', () => {
      const [one, other] = ['hello', 'a longer one'].map(
        (payload) => stage.as('vpn').send(frame({ from: at('client'), to: at('server'), payload })).frame,
      );
      expect(one?.readUInt16BE(UDP_AT[outer])).toBe(other?.readUInt16BE(UDP_AT[outer]));
    });

    it.each(['tcp', 'udp', 'icmp'] as const)(
      '%s: its outer checksum is right where there is one, and a wrong one is refused',
      (protocol) => {
        const sent = stage
          .pod('vpn', { selects: true, alsoSelects: ENDPOINT_FLAG.selectsAnyProtocol })
          .selects('vpn', 1, 1, { ...everything, protocol: 0 })
          .send(withTransportChecksum(frame({ from: at('client'), to: at('server'), protocol }), inner)).frame;
        const right = withUdpChecksum(sent);
        expect(sent.readUInt16BE(UDP_AT[outer] + 6)).toBe(outer === 6 ? right.readUInt16BE(UDP_AT[outer] + 6) : 0);
        expect(stage.as('firewall').receive(right).counted).toEqual({ decapsulated: 1 });
        right.writeUInt16BE(right.readUInt16BE(UDP_AT[outer] + 6) ^ 0x0101, UDP_AT[outer] + 6);
        expect(stage.as('firewall').receive(right)).toMatchObject({ verdict: 'drop', counted: { 'outer-checksum': 1 } });
      },
    );
  });

  it('IPv6 that keeps to its link is none of a chain’s: neighbours, listeners, link-local and multicast addresses', () => {
    stage.path(1, 1, ['firewall6']);
    stage
      .pod('vpn', { selects: true, alsoSelects: ENDPOINT_FLAG.selectsAnyProtocol })
      .selects('vpn', 1, 1, { cidr: ['::', 0], protocol: 0 });
    const link = { from: 'fe80::1', to: addressFor('server', 6) };
    const untouched = [
      ...[130, 131, 132, 133, 134, 135, 136, 137, 143].map((icmpType) =>
        frame({ from: addressFor('vpn', 6), to: addressFor('server', 6), protocol: 'icmp', icmpType }),
      ),
      frame(link),
      frame({ from: addressFor('vpn', 6), to: 'fe80::1' }),
      frame({ from: addressFor('vpn', 6), to: 'ff02::fb', destinationPort: 5353 }),
    ];
    for (const packet of untouched) expect(stage.send(packet)).toMatchObject({ verdict: 'pass', counted: {}, frame: Buffer.from(packet) });
    expect(stage.send(frame({ from: addressFor('vpn', 6), to: addressFor('server', 6), protocol: 'icmp' })).counted).toEqual({
      'steered-source': 1,
    });
  });

  it.each([
    ['hop-by-hop options', [0]],
    ['a routing header', [43]],
    ['destination options', [60]],
    ['an authentication header', [51]],
    ['several of them', [0, 60, 43, 60]],
  ])('IPv6 with %s is selected by what stands behind', (_, extensions) => {
    stage.path(1, 1, ['firewall6']);
    stage.pod('vpn', { selects: 'ports' }).selects('vpn', 1, 1, { cidr: ['::', 0], port: 80 });
    const packet = (destinationPort: number) =>
      frame({ from: addressFor('client', 6), to: addressFor('server', 6), destinationPort, extensions });
    const out = stage.send(packet(80));
    expect(out.counted).toEqual({ 'steered-source': 1 });
    expect(out.frame.subarray(14 + 68)).toEqual(Buffer.from(packet(80)).subarray(14));
    expect(stage.send(packet(81))).toMatchObject({ verdict: 'pass', counted: {} });
  });

  it('IPv6 with more extension headers than anybody needs, or one that is cut off, is malformed', () => {
    stage.path(1, 1, ['firewall6']);
    stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: ['::', 0] });
    const many = frame({ from: addressFor('client', 6), to: addressFor('server', 6), extensions: [0, 60, 60, 60, 60, 60, 60] });
    const long = Buffer.from(frame({ from: addressFor('client', 6), to: addressFor('server', 6), extensions: [60] }));
    long.writeUInt8(9, 14 + 40 + 1); // 80 bytes of options, of which 8 are there
    for (const packet of [many, long]) expect(stage.send(packet)).toMatchObject({ verdict: 'drop', counted: { malformed: 1 } });
  });
}

/** Without the Ethernet addresses, which the node writes. */
const packetIn = (bytes: Uint8Array) => Buffer.from(bytes.subarray(12));

/** The checksum that the packet's own transport has, as its sender makes it. */
function withTransportChecksum(bytes: Uint8Array, version: Version): Buffer {
  const out = Buffer.from(bytes);
  const ip = 14;
  const header = version === 6 ? 40 : 20;
  const protocol = out.readUInt8(ip + (version === 6 ? 6 : 9));
  const field = ip + header + (protocol === 6 ? 16 : protocol === 17 ? 6 : 2);
  const segment = out.subarray(ip + header);
  const addresses = version === 6 ? out.subarray(ip + 8, ip + 40) : out.subarray(ip + 12, ip + 20);
  const pseudo = protocol === 1 ? Buffer.alloc(0) : Buffer.concat([addresses, Buffer.from([0, protocol, 0, segment.length])]);
  out.writeUInt16BE(0, field);
  const padded = Buffer.concat([pseudo, segment, Buffer.alloc(segment.length & 1)]);
  let sum = 0;
  for (let offset = 0; offset < padded.length; offset += 2) sum += padded.readUInt16BE(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  out.writeUInt16BE(~sum & 0xffff, field);
  return out;
}
