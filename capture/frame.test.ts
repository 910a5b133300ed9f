import { describe, expect, it } from 'vitest';
import { decodeFrame } from './index.js';

/** tcpdump 4.99 -nn: IP 10.0.0.1.4660 > 10.0.0.2.9000: UDP, length 2 (checksum 0), padded as Ethernet pads. */
const UDP = '0a0000000002 0a0000000001 0800 4500001e00014000 40110000 0a000001 0a000002 1234 2328 000a 0000 6869 0000000000'.replaceAll(
  ' ',
  '',
);
/** tcpdump 4.99 -nn: IP 10.0.0.1.4660 > 10.0.0.2.9000: Flags [P.], seq 1:3, ack 1, win 1, length 2, with four bytes of options. */
const TCP =
  '0a0000000002 0a0000000001 0800 4500002e00014000 40060000 0a000001 0a000002 1234 2328 00000001 00000001 6018 0001 0000 0000 01010100 6869'.replaceAll(
    ' ',
    '',
  );

/** tcpdump 4.99 -nn: IP6 fd00::1.4660 > fd00::2.9000: UDP, length 2, padded. */
const UDP6 =
  '0a0000000002 0a0000000001 86dd 60000000 000a 11 40 fd000000000000000000000000000001 fd000000000000000000000000000002 1234 2328 000a 0000 6869 0000000000'.replaceAll(
    ' ',
    '',
  );
/** The same behind hop-by-hop options: IP6 fd00::1 > fd00::2: HBH 4660 > 9000: UDP, length 2. */
const UDP6_OPTIONS =
  '0a0000000002 0a0000000001 86dd 60000000 0012 00 40 fd000000000000000000000000000001 fd000000000000000000000000000002 1100010400000000 1234 2328 000a 0000 6869'.replaceAll(
    ' ',
    '',
  );
/** tcpdump 4.99 -nn: IP6 fd00::1.4660 > fd00::2.9000: Flags [P.], seq 1:3, ack 1, win 1, length 2. */
const TCP6 =
  '0a0000000002 0a0000000001 86dd 60000000 0016 06 40 fd000000000000000000000000000001 fd000000000000000000000000000002 1234 2328 00000001 00000001 5018 0001 0000 0000 6869'.replaceAll(
    ' ',
    '',
  );

function decode(hex: string, linkType = 1): ReturnType<typeof decodeFrame> {
  // Not at the start of its buffer, as packets of a capture are not.
  const bytes = Buffer.concat([Buffer.from('ffffff', 'hex'), Buffer.from(hex, 'hex')]).subarray(3);
  return decodeFrame({ data: bytes, linkType });
}

describe('a captured frame', () => {
  it.each([
    ['UDP', UDP, 'udp', 4],
    ['TCP', TCP, 'tcp', 4],
    ['UDP over IPv6', UDP6, 'udp', 6],
    ['UDP over IPv6 behind options', UDP6_OPTIONS, 'udp', 6],
    ['TCP over IPv6', TCP6, 'tcp', 6],
  ])('of %s names both ends and its payload', (_, hex, protocol, family) => {
    const frame = decode(hex);
    const [source, destination] = family === 4 ? ['10.0.0.1', '10.0.0.2'] : ['fd00::1', 'fd00::2'];
    expect(frame).toMatchObject({
      sourceMac: '0a:00:00:00:00:01',
      destinationMac: '0a:00:00:00:00:02',
      family,
      source,
      destination,
      protocol,
      sourcePort: 0x1234,
      destinationPort: 9000,
    });
    expect(Buffer.from(frame?.payload ?? []).toString()).toBe('hi');
  });

  it('cut anywhere in its headers is no frame, cut in its payload is one with less', () => {
    for (const [hex, headers] of [
      [UDP, 42],
      [TCP, 58],
      [UDP6, 62],
      [UDP6_OPTIONS, 70],
      [TCP6, 74],
    ] as const) {
      for (let length = 0; length < headers; length++) expect(decode(hex.slice(0, 2 * length)), `${length}`).toBeUndefined();
      expect(decode(hex.slice(0, 2 * (headers + 1)))?.payload).toHaveLength(1);
    }
  });

  it.each([
    ['another link type', UDP, 101],
    ['ARP', UDP.replace('08004500', '08064500'), 1],
    ['IPv6 by its type and IPv4 by its header', UDP.replace('08004500', '86dd4500'), 1],
    ['IPv4 by its type and IPv6 by its header', UDP6.replace('86dd', '0800'), 1],
    ['a fragment of IPv6', UDP6_OPTIONS.replace('00120040', '00122c40').replace('1100010400000000', '1100000100000001'), 1],
    ['a later fragment of IPv6', UDP6_OPTIONS.replace('00120040', '00122c40').replace('1100010400000000', '1100000800000001'), 1],
    ['ICMPv6', UDP6.replace('000a1140', '000a3a40'), 1],
    ['a fragment', UDP.replace('00014000', '00012000'), 1],
    ['a later fragment', UDP.replace('00014000', '00010001'), 1],
    ['ICMP', UDP.replace('4011', '4001'), 1],
    ['an IP header of 16 bytes', UDP.replace('08004500', '08004400'), 1],
    ['a TCP header longer than the packet', TCP.replace('6018', 'f018'), 1],
  ])('that is %s is passed over', (_, hex, linkType) => {
    expect(decode(hex, linkType)).toBeUndefined();
  });
});
