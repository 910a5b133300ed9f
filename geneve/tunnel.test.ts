/** Encapsulation and decapsulation against each other, and against bytes that nobody meant. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DROPPED, STEERED } from '../test/fixtures/wire/index.js';
import {
  checksum,
  decapsulate,
  decodePacket,
  encapsulate,
  encodeIpv4,
  encodeIpv6,
  encodeTcp,
  formatPacket,
  NSH_TTL_CLASSIFIER,
  overheadOver,
  parsePacket,
  replyTtl,
  SCTP_HEADER,
  type Tunnel,
  toSi,
  toSpi,
  UDP_HEADER,
} from './index.js';

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** TCP and UDP segments, and other protocols. */
const segments = fc
  .record({
    protocol: fc.constantFrom(6, 17, 1, 58, 132),
    sourcePort: fc.nat({ max: 65535 }),
    destinationPort: fc.nat({ max: 65535 }),
    flags: fc.nat({ max: 255 }),
    payload: fc.uint8Array({ maxLength: 200 }),
  })
  .map(({ protocol, sourcePort, destinationPort, flags, payload }) => {
    const ports = { sourcePort, destinationPort };
    const header =
      protocol === 6
        ? encodeTcp({ ...ports, sequence: 1, acknowledgement: 2, flags, window: 3, checksum: 4, urgentPointer: 5 })
        : protocol === 17
          ? UDP_HEADER.encode({ ...ports, length: 8 + payload.length, checksum: 0 })
          : protocol === 132
            ? SCTP_HEADER.encode({ ...ports, verificationTag: 1, checksum: 2 })
            : new Uint8Array(8);
    return { protocol, bytes: Uint8Array.from([...header, ...payload]) };
  });

const octet = fc.nat({ max: 255 });

const ipv4Packets = fc
  .record({
    segment: segments,
    tos: octet,
    identification: fc.nat({ max: 65535 }),
    ttl: fc.nat({ max: 255 }),
    source: octets(4),
    destination: octets(4),
    options: fc.constantFrom(0, 4, 40).chain(octets),
    fragmentOffset: fc.constantFrom(0, 0, 0, 7),
  })
  .map(({ segment, options, ...fields }) => {
    const totalLength = 20 + options.length + segment.bytes.length;
    const header = encodeIpv4({ ...fields, options, totalLength, protocol: segment.protocol, dontFragment: 0, moreFragments: 0 });
    return Uint8Array.from([...header, ...segment.bytes]);
  });

const ipv6Packets = fc
  .record({
    segment: segments,
    trafficClass: octet,
    flowLabel: fc.nat({ max: 0xfffff }),
    source: octets(16),
    destination: octets(16),
  })
  .map(({ segment, ...fields }) => {
    const header = encodeIpv6({ ...fields, payloadLength: segment.bytes.length, nextHeader: segment.protocol, hopLimit: 64 });
    return Uint8Array.from([...header, ...segment.bytes]);
  });

const packets = fc.oneof(ipv4Packets, ipv6Packets);

const tunnels: fc.Arbitrary<Tunnel> = fc
  .record({
    family: fc.constantFrom<1 | 2>(1, 2),
    addresses: octets(32),
    spi: fc.nat({ max: 0xffffff }).map(toSpi),
    si: fc.nat({ max: 255 }).map(toSi),
    ttl: fc.integer({ min: 1, max: 63 }),
    reply: fc.boolean(),
    port: fc.integer({ min: 1, max: 65535 }),
    zeroChecksum: fc.boolean(),
  })
  .map(({ family, addresses, ...rest }) => ({
    ...rest,
    source: { family, bytes: addresses.subarray(0, 16) },
    destination: { family, bytes: addresses.subarray(16) },
  }));

describe('a packet through a tunnel', () => {
  it('arrives as it was, with what the outer headers said', () => {
    fc.assert(
      fc.property(packets, tunnels, (inner, tunnel) => {
        const wrapped = encapsulate(inner, tunnel);
        if ('failure' in wrapped) throw new Error(formatPacket(decodePacket(inner)));
        expect(wrapped.length).toBe(inner.length + overheadOver(tunnel.source.family));
        const { port = 0, zeroChecksum = false } = tunnel;
        const { spi, si, ttl, reply } = tunnel;
        const read = decapsulate(wrapped, { port, zeroChecksum });
        expect(read).toMatchObject({ nsh: { spi, si, ttl }, reply, outer: { ttl: 64, fragment: 'none', destinationPort: port } });
        if (!('inner' in read)) return;
        const width = tunnel.source.family === 1 ? 4 : 16;
        expect(read.outer.source).toEqual(tunnel.source.bytes.subarray(0, width));
        expect(read.outer.destination).toEqual(tunnel.destination.bytes.subarray(0, width));
        expect(read.outer.tos).toBe(read.packet.tos);
        expect(read.inner).toEqual(inner);
        expect(read.packet).toEqual(parsePacket(inner));
        if (tunnel.source.family === 1) expect(checksum(wrapped.subarray(0, 20))).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('is described with good checksums, and no failure', () => {
    fc.assert(
      fc.property(packets, tunnels, (inner, tunnel) => {
        const wrapped = encapsulate(inner, tunnel);
        if ('failure' in wrapped) throw new Error('not wrapped');
        const described = decodePacket(wrapped, { port: tunnel.port ?? 0, zeroChecksum: tunnel.zeroChecksum ?? false });
        expect(described.failure).toBeUndefined();
        expect(described.drop).toBeUndefined();
        expect(described.transport?.checksum).toBe(tunnel.source.family === 1 || tunnel.zeroChecksum === true ? 'absent' : 'good');
        expect(described.steering).toMatchObject({ reply: tunnel.reply, nsh: { spi: tunnel.spi, si: tunnel.si, ttl: tunnel.ttl } });
        expect(described.inner).toEqual(decodePacket(inner, { port: -1 }));
      }),
    );
  });

  it('keeps one outer source port for a flow and direction', () => {
    fc.assert(
      fc.property(packets, tunnels, (inner, tunnel) => {
        const port = (reply: boolean): number => {
          const wrapped = encapsulate(inner, { ...tunnel, reply });
          const outer = 'failure' in wrapped ? wrapped : parsePacket(wrapped);
          return 'failure' in outer ? -1 : outer.sourcePort;
        };
        expect(port(false) & 0x8001).toBe(0x8000);
        expect(port(true)).toBe(port(false) + 1);
      }),
    );
  });
});

describe('what cannot be wrapped', () => {
  const tunnel: Tunnel = {
    source: { family: 1, bytes: new Uint8Array(16) },
    destination: { family: 1, bytes: new Uint8Array(16) },
    spi: toSpi(1),
    si: toSi(1),
    ttl: 63,
    reply: false,
  };
  const tunnel6: Tunnel = {
    ...tunnel,
    source: { family: 2, bytes: new Uint8Array(16) },
    destination: { family: 2, bytes: new Uint8Array(16) },
  };
  const packetOf = (length: number): Uint8Array => {
    const packet = new Uint8Array(length);
    packet.set(
      encodeIpv4({
        tos: 0,
        totalLength: length,
        identification: 0,
        dontFragment: 1,
        moreFragments: 0,
        fragmentOffset: 0,
        ttl: 64,
        protocol: 132,
        source: new Uint8Array(4),
        destination: new Uint8Array(4),
      }),
    );
    return packet;
  };

  it.each([
    ['IPv4', tunnel, 65_535 - 48],
    ['IPv6', tunnel6, 65_535 - 28],
  ])('is longer than the length field of outer %s holds', (_, outer, most) => {
    expect(encapsulate(packetOf(most), outer)).toBeInstanceOf(Uint8Array);
    expect(encapsulate(packetOf(most + 1), outer)).toMatchObject({
      failure: { reason: 'too-big', part: 'packet length', found: most + 1 },
    });
  });

  it('is no whole packet, at every length', () => {
    for (const { delivered, name } of STEERED)
      for (let length = 0; length < delivered.length; length++)
        expect(encapsulate(delivered.subarray(0, length), tunnel), `${length} bytes of ${name}`).toMatchObject({
          failure: { reason: 'malformed', problem: 'short', part: expect.stringMatching(/./) },
        });
  });

  it('is a mistake of the caller', () => {
    expect(() => encapsulate(packetOf(40), { ...tunnel, destination: tunnel6.destination })).toThrow(TypeError);
    expect(() => encapsulate(packetOf(40), { ...tunnel, ttl: 64 })).toThrow(RangeError);
    expect(() => encapsulate(packetOf(40), { ...tunnel, port: 65536 })).toThrow(RangeError);
    expect(() => toSpi(0x1000000)).toThrow(RangeError);
    expect(() => toSi(256)).toThrow(RangeError);
    expect(() => toSi(0.5)).toThrow(RangeError);
  });
});

describe('a reply', () => {
  it('has the hops that are left to the classifier', () => {
    expect(replyTtl(NSH_TTL_CLASSIFIER)).toBe(1);
    expect(replyTtl(61)).toBe(3);
  });
});

describe('bytes that nobody meant', () => {
  /** Steering packets with a few bytes changed: most of them get past the first checks. */
  const nearly = fc
    .tuple(
      fc.constantFrom(...STEERED, ...DROPPED),
      fc.array(fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 255 })), { maxLength: 4 }),
      fc.option(fc.nat({ max: 120 })),
    )
    .map(([{ bytes }, changes, cut]) => {
      const changed = Uint8Array.from(bytes);
      for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
      return cut === null ? changed : changed.subarray(0, cut);
    });

  it('are unwrapped, dropped or passed, each with its part, and never more', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.oneof(nearly, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const before = Uint8Array.from(bytes);
        const read = decapsulate(bytes);
        expect(bytes).toEqual(before);
        if ('inner' in read) {
          seen.add('unwrapped');
          expect(read.inner.length).toBe(read.packet.length);
          expect(read.overhead + read.inner.length).toBeLessThanOrEqual(bytes.length);
          expect(read.nsh.ttl).toBeGreaterThan(0);
          return;
        }
        const failure = 'failure' in read ? read.failure : read.pass;
        seen.add('failure' in read ? read.failure.reason : 'passed');
        expect(failure.part).not.toBe('');
        expect(['short', 'wrong']).toContain(failure.problem);
        if (failure.problem === 'short') expect(failure.found).toBeLessThan(Number(failure.wanted));
      }),
      { numRuns: 5000 },
    );
    expect(seen).toContain('unwrapped');
    expect(seen).toContain('passed');
    expect(seen.size).toBeGreaterThan(5);
  });

  it('are described on one line', () => {
    fc.assert(
      fc.property(fc.oneof(nearly, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const line = formatPacket(decodePacket(bytes));
        expect(line).not.toContain('undefined');
        expect(line).not.toContain('\n');
        expect(JSON.parse(JSON.stringify(decodePacket(bytes)))).toEqual(decodePacket(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});
