/**
 * The codecs and a datapath: the same bytes out, the same verdict and reason in. Over IPv4, as far as
 * both go. Runs on every datapath; the frozen packets among them were built by another tool than ours.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesOf as addressOf, CAST, type Stage } from '../datapath/cast.js';
import { PEER_FLAG } from '../maps/index.js';
import { DROPPED, PASSED, STEERED } from '../test/fixtures/wire/index.js';
import {
  checksum,
  decapsulate,
  decodeGeneveOption,
  encapsulate,
  encodeGeneveOption,
  encodeIpv4,
  encodeTcp,
  NSH_OPTION,
  NSH_TTL_CLASSIFIER,
  NSH_TTL_MAX,
  PROTOCOL,
  parseAddress,
  parsePacket,
  replyTtl,
  type Tunnel,
  toSi,
  toSpi,
  UDP_HEADER,
} from './index.js';

const ETHERNET = Uint8Array.from(Buffer.from('0200000000010200000000020800', 'hex'));
const framed = (packet: Uint8Array): Uint8Array => Uint8Array.from([...ETHERNET, ...packet]);
const unframed = (frame: Uint8Array): Uint8Array => Uint8Array.from(frame.subarray(ETHERNET.length));

/** The pipeline goes as far as the kernel program does. */
const known = <T extends { name: string; confirmed: readonly string[] }>(fixtures: readonly T[]) =>
  fixtures.filter(({ confirmed }) => confirmed.includes('kernel program')).map((fixture) => [fixture.name, fixture] as const);

/** Those that a datapath sends by itself: it steers whole TCP and UDP packets. */
const sent = known(STEERED).filter(([, { directions, last }]) => {
  const inner = parsePacket(last);
  if ('failure' in inner || !directions.includes('write')) return false;
  return inner.fragment === 'none' && (inner.protocol === PROTOCOL.tcp || inner.protocol === PROTOCOL.udp);
});

/** Options that nobody has to know. */
const UNKNOWN = [
  encodeGeneveOption({ class: 0x0102, type: 0x03, body: Uint8Array.of(1, 2, 3, 4) }),
  encodeGeneveOption({ class: 0xffff, type: 0x7f, body: new Uint8Array(0) }),
  encodeGeneveOption({ class: NSH_OPTION.class, type: 0x02, body: new Uint8Array(124).fill(0xcc) }),
];
const OPTIONS_AT = 36;

/** The options of an IPv4 steering packet, as bytes. */
function optionsOf(packet: Uint8Array): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  const end = OPTIONS_AT + ((packet[28] ?? 0) & 0x3f) * 4;
  for (let at = OPTIONS_AT; at < end; ) {
    const option = decodeGeneveOption(packet, at, end);
    if ('failure' in option) throw new Error(`no option at ${at}`);
    found.push(packet.subarray(at, at + option.length));
    at += option.length;
  }
  return found;
}

/** The packet with other options; lengths and header checksum are right again. */
function withOptions(packet: Uint8Array, options: readonly Uint8Array[]): Uint8Array {
  const behind = packet.subarray(OPTIONS_AT + ((packet[28] ?? 0) & 0x3f) * 4);
  const bytes = Buffer.concat([packet.subarray(0, OPTIONS_AT), ...options, behind]);
  bytes.writeUInt8((bytes.readUInt8(28) & 0xc0) | ((bytes.length - behind.length - OPTIONS_AT) / 4), 28);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt16BE(bytes.length - 20, 24);
  bytes.writeUInt16BE(0, 10);
  bytes.writeUInt16BE(checksum(bytes.subarray(0, 20)), 10);
  return Uint8Array.from(bytes);
}

function orders<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length < 2) return [items];
  return items.flatMap((first, at) => orders(items.toSpliced(at, 1)).map((rest) => [first, ...rest]));
}

/** An IPv4 packet with its ends exchanged. */
function turned(packet: Uint8Array): Uint8Array {
  const at = ((packet[0] ?? 0) & 0x0f) * 4;
  const part = (from: number, to: number) => packet.subarray(from, to);
  const ends = [part(0, 12), part(16, 20), part(12, 16), part(20, at), part(at + 2, at + 4), part(at, at + 2)];
  return Uint8Array.from(Buffer.concat([...ends, part(at + 4, packet.length)]));
}

/** Packets of IPv6 are compared elsewhere (datapath/families.records.ts, make conformance). */
function knownToBoth(packet: Uint8Array): boolean {
  const read = decapsulate(packet);
  // The codecs judge no outer checksum: where a packet is captured, the inner one may not be finished.
  if (packet[26] !== 0 || packet[27] !== 0) return false;
  if (((packet[30] ?? 0) << 8) + (packet[31] ?? 0) === 0x86dd) return false;
  return !('inner' in read) || read.packet.family === 1;
}

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const port = fc.integer({ min: 1, max: 65535 }).filter((number) => number !== 7081);

/** Not multicast, nor broadcast: such packets stay on their link. */
const unicast = octets(4).map((bytes) => bytes.fill((bytes[0] ?? 0) & 0xdf, 0, 1));

/** Whole TCP and UDP packets over IPv4, with and without options. */
const packets = fc
  .record({
    ends: fc.record({ source: unicast, destination: unicast, sourcePort: port, destinationPort: port }),
    tcp: fc.boolean(),
    tos: fc.nat({ max: 255 }),
    identification: fc.nat({ max: 65535 }),
    options: fc.constantFrom(0, 0, 8).chain((length) => fc.constant(new Uint8Array(length).fill(1))),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ ends, tcp, payload, ...ip }) => ({ ends, tcp, payload, ip }));
type Drawn = typeof packets extends fc.Arbitrary<infer T> ? T : never;

function packetOf({ ends, tcp, payload, ip }: Drawn): Uint8Array {
  const header = tcp
    ? encodeTcp({ ...ends, sequence: 1, acknowledgement: 2, flags: 0x18, window: 512, checksum: 0, urgentPointer: 0 })
    : UDP_HEADER.encode({ ...ends, length: 8 + payload.length, checksum: 0 });
  const totalLength = 20 + ip.options.length + header.length + payload.length;
  const fixed = { ttl: 64, dontFragment: 0, moreFragments: 0, fragmentOffset: 0 };
  return Uint8Array.from([...encodeIpv4({ ...ip, ...ends, ...fixed, totalLength, protocol: tcp ? 6 : 17 }), ...header, ...payload]);
}

function hop(source: string, destination: string): Pick<Tunnel, 'source' | 'destination'> {
  const [from, to] = [parseAddress(source), parseAddress(destination)];
  if (from === undefined || to === undefined) throw new Error('no address');
  return { source: from, destination: to };
}

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function wireRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
    stage.maps.peer.set({ prefix_len: 32, family: 1, address: new Uint8Array(16) }, { flags: PEER_FLAG.trusted, ifindex: 0 });
  });

  afterAll(() => stage?.close());

  /** Puts a pod of this address on stage. */
  function pod(address: Uint8Array, settings: { selects?: boolean } = {}): void {
    stage.pod('firewall', settings);
    const ipv4 = Uint8Array.from(address.subarray(0, 4));
    for (const [key, value] of [...stage.maps.endpoint.entries()]) stage.maps.endpoint.set(key, { ...value, ipv4 });
  }

  /** What the datapath does with a packet to the pod of its destination address, and what it should. */
  function received(packet: Uint8Array): { datapath: unknown; codec: unknown } {
    pod(packet.subarray(16, 20));
    const frame = framed(packet);
    const read = decapsulate(packet);
    // The codecs know no paths: whichever the packet is on, there is one.
    if ('inner' in read) stage.path(read.nsh.spi, read.nsh.si || 1, []);
    const outcome = stage.receive(frame);
    const datapath = { verdict: outcome.verdict, counted: outcome.counted };
    if ('failure' in read) return { datapath, codec: { verdict: 'drop', counted: { [read.failure.reason]: 1 } } };
    const after = unframed(outcome.frame);
    if ('pass' in read) return { datapath: { ...datapath, after }, codec: { verdict: 'pass', counted: {}, after: packet } };
    return {
      datapath: { ...datapath, after: after.subarray(0, read.inner.length) },
      codec: { verdict: 'pass', counted: { decapsulated: 1 }, after: Uint8Array.from(read.inner) },
    };
  }

  describe('a packet that is received', () => {
    it.each<readonly [string, { readonly bytes: Uint8Array }]>([...known(STEERED), ...known(DROPPED), ...known(PASSED)])(
      'has the verdict that the codecs give it: %s',
      (_, { bytes }) => {
        const { datapath, codec } = received(Uint8Array.from(bytes));
        expect(datapath).toEqual(codec);
      },
    );

    it.each(known(STEERED))('may have options that nobody knows, in any order: %s', (_, { bytes, delivered }) => {
      const own = optionsOf(bytes);
      const wanted = { verdict: 'pass', counted: { decapsulated: 1 }, after: Uint8Array.from(delivered) };
      for (const options of orders([...own, ...UNKNOWN].slice(0, Math.max(4, own.length)))) {
        const { datapath, codec } = received(withOptions(bytes, options));
        expect(codec).toEqual(wanted);
        expect(datapath).toEqual(wanted);
      }
    });

    it('has the verdict that the codecs give it, also when nobody meant it', () => {
      const wire = [...known(STEERED), ...known(DROPPED)]
        .map(([, { bytes }]) => Uint8Array.from(bytes))
        .filter(({ length }) => length < 200);
      const changes = fc.array(fc.tuple(fc.nat({ max: 110 }), fc.nat({ max: 255 })), { maxLength: 3 });
      // Past the outer headers, where the decisions are.
      const deep = fc.array(fc.tuple(fc.integer({ min: 28, max: 80 }), fc.nat({ max: 255 })), { maxLength: 3 });
      const seen = new Set<string>();
      fc.assert(
        fc.property(fc.constantFrom(...wire), fc.oneof(changes, deep), fc.nat({ max: 12 }), (bytes, spots, padding) => {
          const packet = new Uint8Array(bytes.length + padding);
          packet.set(bytes);
          for (const [at, value] of spots) if (at < bytes.length) packet[at] = value;
          fc.pre(knownToBoth(packet));
          const { datapath, codec } = received(packet);
          for (const reason of Object.keys((codec as { counted: object }).counted)) seen.add(reason);
          expect(datapath).toEqual(codec);
        }),
        { numRuns: 1500 },
      );
      expect(seen.size).toBeGreaterThan(6);
    });
  });

  describe('a packet that is sent', () => {
    it.each(sent)('is the frozen one: %s', (_, { bytes, last, hop: { spi, si, ttl, reply, ...ends } }) => {
      stage.clear();
      stage.peer(['0.0.0.0', 0], PEER_FLAG.trusted | PEER_FLAG.decapsulates);
      pod(addressOf(ends.source), { selects: ttl === NSH_TTL_CLASSIFIER && !reply });
      stage.path(spi, si, ['firewall'], { base: 0 }).selects('firewall', spi, si).selects('firewall', spi, si, { protocol: PROTOCOL.tcp });
      stage.maps.sfcbackend.set({ slot: 0 }, { address: addressOf(ends.destination), family: 1 });
      const came = reply
        ? { ...hop(ends.destination, ends.source), si: toSi(si), ttl: NSH_TTL_MAX - ttl }
        : { ...hop(CAST.vpn, ends.source), si: toSi(si + 1), ttl: ttl + 1 };
      if (came.ttl <= NSH_TTL_CLASSIFIER) {
        stage.path(spi, came.si || 1, ['firewall'], { base: 0 });
        const request = encapsulate(reply ? turned(last) : last, { ...came, spi: toSpi(spi), reply: false });
        if ('failure' in request) throw new Error('not wrapped');
        expect(stage.receive(framed(request)).counted).toEqual({ decapsulated: 1 });
      }
      expect(unframed(stage.send(framed(last)).frame)).toEqual(Uint8Array.from(bytes));
    });

    it('is frozen in every kind', () => {
      expect(new Set(sent.map(([, { hop }]) => `${hop.reply} ${hop.si === 0} ${hop.ttl === NSH_TTL_CLASSIFIER}`)).size).toBeGreaterThan(3);
      expect(sent.length).toBeGreaterThan(9);
    });

    it('is the same to the last bit, from the classifier', () => {
      stage.pod('vpn', { selects: true }).path(0x1234, 3, ['firewall']);
      stage.selects('vpn', 0x1234, 3).selects('vpn', 0x1234, 3, { protocol: 6 });
      const tunnel = { ...hop(CAST.vpn, CAST.firewall), spi: toSpi(0x1234), si: toSi(3), ttl: NSH_TTL_CLASSIFIER, reply: false };
      fc.assert(
        fc.property(packets, (drawn) => {
          const packet = packetOf(drawn);
          const { counted, frame } = stage.send(framed(packet));
          expect(counted).toEqual({ 'steered-source': 1 });
          expect(unframed(frame)).toEqual(encapsulate(packet, tunnel));
        }),
        { numRuns: 500 },
      );
    });

    it('is the same to the last bit, as a reply to a packet of any TTL', () => {
      pod(addressOf(CAST.firewall));
      stage.path(7, 1, []);
      const path = { spi: toSpi(7), si: toSi(1) };
      fc.assert(
        fc.property(packets, fc.integer({ min: 1, max: NSH_TTL_CLASSIFIER }), (drawn, ttl) => {
          const request = encapsulate(packetOf(drawn), { ...hop(CAST.vpn, CAST.firewall), ...path, ttl, reply: false });
          if ('failure' in request) throw new Error('not wrapped');
          expect(stage.receive(framed(request)).counted).toEqual({ decapsulated: 1 });
          const { source, destination, sourcePort, destinationPort } = drawn.ends;
          const back = { source: destination, destination: source, sourcePort: destinationPort, destinationPort: sourcePort };
          const answer = packetOf({ ...drawn, ends: back });
          const { counted, frame } = stage.send(framed(answer));
          expect(counted).toEqual({ 'steered-reply': 1 });
          expect(unframed(frame)).toEqual(
            encapsulate(answer, { ...hop(CAST.firewall, CAST.vpn), ...path, ttl: replyTtl(ttl), reply: true }),
          );
        }),
        { numRuns: 300 },
      );
    });
  });
}
