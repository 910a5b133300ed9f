/** The walk over IPv6 extension headers: what it takes, and where it ends. */

import { describe, expect, it } from 'vitest';
import { bytesOf } from '../test/fixtures/wire/index.js';
import { decodeIpv6, encodeIpv6, IPV6_EXTENSION_LIMIT, parsePacket } from './index.js';

const source = bytesOf('20010db8 00770000 00000000 00000010');
const destination = bytesOf('20010db8 01130000 00000000 00000010');
const UDP = '9c40 2328 000d 0000 68656c6c6f';

/** A packet whose first header is `nextHeader`, followed by these bytes. */
function packet(nextHeader: number, hex: string, payloadLength?: number): Uint8Array {
  const payload = bytesOf(hex);
  const header = encodeIpv6({
    trafficClass: 0,
    flowLabel: 0,
    payloadLength: payloadLength ?? payload.length,
    nextHeader,
    hopLimit: 64,
    source,
    destination,
  });
  return Uint8Array.from([...header, ...payload]);
}

describe('the walk', () => {
  it('passes hop-by-hop, destination, routing, fragment and authentication headers', () => {
    const chain =
      '3c00 010400000000 2b01 010c000000000000 00000000 0000 2c00 000000000000 3300 0000 00000007 1104 0000 00000001 00000002 000000000000000000000000';
    const bytes = packet(0, chain + UDP);
    const header = decodeIpv6(bytes);
    expect(header).toMatchObject({
      protocol: 17,
      headerLength: 40 + 8 + 16 + 8 + 8 + 24,
      fragment: { fragmentOffset: 0, moreFragments: 0, identification: 7 },
      extensions: [
        { protocol: 0, offset: 40, length: 8 },
        { protocol: 60, offset: 48, length: 16 },
        { protocol: 43, offset: 64, length: 8 },
        { protocol: 44, offset: 72, length: 8 },
        { protocol: 51, offset: 80, length: 24 },
      ],
    });
    expect(parsePacket(bytes)).toMatchObject({ protocol: 17, sourcePort: 40000, destinationPort: 9000, fragment: 'none' });
  });

  it('names the header that is cut, at every byte', () => {
    const chain =
      '3c00 010400000000 2b01 010c000000000000 00000000 0000 2c00 000000000000 3300 0000 00000007 1104 0000 00000001 00000002 000000000000000000000000';
    const whole = packet(0, chain);
    const ends: [number, string][] = [
      [40, 'IPv6 header'],
      [48, 'IPv6 hop-by-hop options'],
      [64, 'IPv6 destination options'],
      [72, 'IPv6 routing header'],
      [80, 'IPv6 fragment header'],
      [104, 'authentication header'],
    ];
    for (let length = 0; length < whole.length; length++) {
      const part = ends.find(([end]) => length < end)?.[1];
      expect(decodeIpv6(whole.subarray(0, length)), `${length}`).toMatchObject({ failure: { part, problem: 'short' } });
      // The same when the payload length says so and more bytes follow.
      if (length < 40) continue;
      expect(decodeIpv6(packet(0, chain, length - 40)), `${length}`).toMatchObject({ failure: { part, problem: 'short' } });
    }
  });

  it('ends at a later fragment, where no header follows', () => {
    const bytes = packet(44, '3c00 0009 00000007 ffffffffffffffff');
    expect(decodeIpv6(bytes)).toMatchObject({ protocol: 60, headerLength: 48, fragment: { fragmentOffset: 1, moreFragments: 1 } });
    expect(parsePacket(bytes)).toMatchObject({ fragment: 'later', sourcePort: 0, destinationPort: 0 });
  });

  it.each([
    ['ESP', 50],
    ['no next header', 59],
    ['a protocol it has never heard of', 253],
  ])('ends at %s', (_, protocol) => {
    expect(decodeIpv6(packet(protocol, '0000000000000000'))).toMatchObject({ protocol, headerLength: 40, extensions: [] });
  });

  it(`takes ${IPV6_EXTENSION_LIMIT} headers and no more`, () => {
    const chain = (count: number): string => `${'3c00010400000000'.repeat(count - 1)}1100010400000000${UDP}`;
    expect(parsePacket(packet(60, chain(IPV6_EXTENSION_LIMIT)))).toMatchObject({ protocol: 17, destinationPort: 9000 });
    expect(parsePacket(packet(60, chain(IPV6_EXTENSION_LIMIT + 1)))).toMatchObject({
      failure: { part: 'IPv6 extension headers', problem: 'wrong', found: IPV6_EXTENSION_LIMIT + 1 },
    });
  });

  it('takes hop-by-hop options at the beginning only', () => {
    expect(decodeIpv6(packet(60, `0000010400000000 1100010400000000${UDP}`))).toMatchObject({
      failure: { part: 'IPv6 hop-by-hop options', problem: 'wrong', found: 2 },
    });
  });

  it('takes no authentication header shorter than one', () => {
    expect(decodeIpv6(packet(51, '1100 0000 00000001 00000002'))).toMatchObject({ failure: { part: 'authentication header length' } });
  });

  it('takes a jumbogram for the packet of no payload that its length says', () => {
    expect(decodeIpv6(packet(0, '1100 c20400010000', 0))).toMatchObject({ failure: { part: 'IPv6 hop-by-hop options', found: 0 } });
  });
});
