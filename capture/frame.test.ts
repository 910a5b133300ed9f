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

function decode(hex: string, linkType = 1): ReturnType<typeof decodeFrame> {
  // Not at the start of its buffer, as packets of a capture are not.
  const bytes = Buffer.concat([Buffer.from('ffffff', 'hex'), Buffer.from(hex, 'hex')]).subarray(3);
  return decodeFrame({ data: bytes, linkType });
}

describe('a captured frame', () => {
  it.each([
    ['UDP', UDP, 'udp'],
    ['TCP', TCP, 'tcp'],
  ])('of %s names both ends and its payload', (_, hex, protocol) => {
    const frame = decode(hex);
    expect(frame).toMatchObject({
      sourceMac: '0a:00:00:00:00:01',
      destinationMac: '0a:00:00:00:00:02',
      source: '10.0.0.1',
      destination: '10.0.0.2',
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
    ] as const) {
      for (let length = 0; length < headers; length++) expect(decode(hex.slice(0, 2 * length)), `${length}`).toBeUndefined();
      expect(decode(hex.slice(0, 2 * (headers + 1)))?.payload).toHaveLength(1);
    }
  });

  it.each([
    ['another link type', UDP, 101],
    ['IPv6', UDP.replace('08004500', '86dd6500'), 1],
    ['a fragment', UDP.replace('00014000', '00012000'), 1],
    ['a later fragment', UDP.replace('00014000', '00010001'), 1],
    ['ICMP', UDP.replace('4011', '4001'), 1],
    ['an IP header of 16 bytes', UDP.replace('08004500', '08004400'), 1],
    ['a TCP header longer than the packet', TCP.replace('6018', 'f018'), 1],
  ])('that is %s is passed over', (_, hex, linkType) => {
    expect(decode(hex, linkType)).toBeUndefined();
  });
});
