/** The codecs against the frozen packets of test/fixtures/wire. */

import { describe, expect, it } from 'vitest';
import { bytesOf, DROPPED, PASSED, STEERED, type SteeredFixture } from '../test/fixtures/wire/index.js';
import {
  DROP_REASONS,
  decapsulate,
  decodePacket,
  encapsulate,
  formatAddress,
  formatPacket,
  IPV4_HEADER,
  IPV6_HEADER,
  parseAddress,
  type Tunnel,
  toSi,
  toSpi,
  udpChecksum,
} from './index.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const named = <T extends { name: string }>(fixtures: readonly T[]): [string, T][] => fixtures.map((fixture) => [fixture.name, fixture]);

function tunnelOf({ hop }: SteeredFixture): Tunnel {
  const source = parseAddress(hop.source);
  const destination = parseAddress(hop.destination);
  if (source === undefined || destination === undefined) throw new Error(`no address: ${hop.source} or ${hop.destination}`);
  return { ...hop, source, destination, spi: toSpi(hop.spi), si: toSi(hop.si) };
}

describe('a steering packet', () => {
  it.each(named(STEERED.filter(({ directions }) => directions.includes('write'))))('is written: %s', (_, fixture) => {
    const written = encapsulate(fixture.last, tunnelOf(fixture));
    expect('failure' in written ? written : hex(written)).toBe(hex(fixture.bytes));
  });

  it.each(named(STEERED))('is read: %s', (_, { bytes, hop, overhead, delivered }) => {
    const { zeroChecksum = false, source, destination, reply, ...nsh } = hop;
    const read = decapsulate(bytes, { zeroChecksum });
    expect(read).toMatchObject({ nsh, reply, overhead });
    if (!('inner' in read)) throw new Error('not read');
    expect(formatAddress(read.outer.source, read.outer.family)).toBe(source);
    expect(formatAddress(read.outer.destination, read.outer.family)).toBe(destination);
    expect(hex(read.inner)).toBe(hex(delivered));
  });

  it.each(named(STEERED))('is the same at the start of its own buffer: %s', (_, { bytes, hop }) => {
    const options = { zeroChecksum: hop.zeroChecksum === true };
    expect(decapsulate(Uint8Array.from(bytes), options)).toEqual(decapsulate(bytes, options));
    expect(decodePacket(Uint8Array.from(bytes), options)).toEqual(decodePacket(bytes, options));
  });

  it.each(named(STEERED))('is told in one line: %s', (_, { bytes, hop, line }) => {
    expect(formatPacket(decodePacket(bytes, { zeroChecksum: hop.zeroChecksum === true }))).toBe(line);
  });

  it.each(named(STEERED))('may have bytes behind it, as Ethernet pads: %s', (_, { bytes, hop, delivered }) => {
    const padded = new Uint8Array(bytes.length + 9).fill(0xee);
    padded.set(bytes);
    const read = decapsulate(padded, { zeroChecksum: hop.zeroChecksum === true });
    expect('inner' in read && hex(read.inner)).toBe(hex(delivered));
  });

  it.each(named(STEERED))('on another port is not ours: %s', (_, { bytes, hop }) => {
    const read = decapsulate(bytes, { zeroChecksum: hop.zeroChecksum === true, port: 7082 });
    expect(read).toMatchObject({ pass: { part: 'UDP destination port', wanted: 7082, found: 7081 } });
  });
});

describe('a steering packet that is dropped', () => {
  it.each(named(DROPPED))('%s', (_, { bytes, reason, part }) => {
    expect(decapsulate(bytes)).toMatchObject({ failure: { reason, part } });
  });

  it.each(named(DROPPED))('is described all the same: %s', (_, { bytes, reason }) => {
    expect(formatPacket(decodePacket(bytes))).toContain(`[drop ${reason}: `);
  });

  it('for every reason that a receiver can have', () => {
    const sender = ['malformed', 'too-big'];
    expect([...new Set(DROPPED.map(({ reason }) => reason)), ...sender].sort()).toEqual([...DROP_REASONS].sort());
  });
});

describe('what is no steering packet', () => {
  it.each(named(PASSED))('passes: %s', (_, { bytes, part }) => {
    expect(decapsulate(bytes)).toMatchObject({ pass: { part } });
  });

  it.each(named(PASSED))('is described as nothing that is dropped: %s', (_, { bytes }) => {
    expect(decodePacket(bytes).drop).toBeUndefined();
  });
});

/** The first `length` bytes with the outer lengths made to agree, so that what lies deeper is what is short. */
function shortened(bytes: Uint8Array, length: number): Uint8Array {
  const cut = Uint8Array.from(bytes.subarray(0, length));
  const ip = IPV4_HEADER.decode(cut);
  if ('failure' in ip) throw new Error('no outer header');
  if (ip.version === 4) {
    IPV4_HEADER.write(cut, 0, { ...ip, totalLength: length });
    new DataView(cut.buffer).setUint16(24, length - 20);
    return cut;
  }
  const ip6 = IPV6_HEADER.decode(cut);
  if ('failure' in ip6) throw new Error('no outer header');
  IPV6_HEADER.write(cut, 0, { ...ip6, payloadLength: length - 40 });
  const view = new DataView(cut.buffer);
  view.setUint16(44, length - 40);
  view.setUint16(46, 0);
  view.setUint16(46, udpChecksum(ip6, cut.subarray(40)));
  return cut;
}

describe('a packet that is cut', () => {
  it.each(named([...STEERED, ...DROPPED]))('anywhere is no steering packet, and says what is short: %s', (_, { bytes }) => {
    for (let length = 0; length < bytes.length; length++) {
      const read = decapsulate(bytes.subarray(0, length));
      expect('pass' in read && read.pass.problem, `${length}`).toBe('short');
      expect('pass' in read && read.pass.part, `${length}`).toMatch(/^(IP|IPv[46]|UDP) /);
    }
  });

  it.each(named(STEERED))('inside its tunnel is dropped, and says where: %s', (_, { bytes, hop, last, delivered }) => {
    const start = hop.source.includes(':') ? 48 : 28;
    const end = bytes.length - (last.length - delivered.length);
    for (let length = start; length < end; length++) {
      const read = decapsulate(shortened(bytes, length));
      if (!('failure' in read)) throw new Error(`${length} bytes were read`);
      expect(['geneve-malformed', 'inner-malformed'], `${length}`).toContain(read.failure.reason);
      expect(read.failure.part, `${length}`).not.toBe('');
      expect(read.failure.problem, `${length}`).toBe('short');
    }
  });

  it.each(named([...STEERED, ...DROPPED, ...PASSED]))('is described as far as it goes: %s', (_, { bytes }) => {
    for (let length = 0; length < bytes.length; length++) {
      const described = decodePacket(bytes.subarray(0, length));
      expect(described.failure?.part, `${length}`).toMatch(/./);
      expect(formatPacket(described), `${length}`).toMatch(/\[.+\]/);
    }
  });
});

it('the bytes that the wire format fixes for path (1, 1)', () => {
  const written = STEERED[0]?.bytes.subarray(28, 48);
  expect(written).toEqual(bytesOf('03400800 00000000 01328202 0fc20201 00000101'));
});
