import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf } from '../test/fixtures/wire/index.js';
import { checksum, foldSum, sumWords, transportChecksum, udpChecksum, updateChecksum, updateChecksumBytes } from './index.js';

describe('the Internet checksum', () => {
  it('is that of the example in RFC 1071 3', () => {
    expect(sumWords(bytesOf('0001 f203 f4f5 f6f7'))).toBe(0x2ddf0);
    expect(checksum(bytesOf('0001 f203 f4f5 f6f7'))).toBe(0xffff - 0xddf2);
  });

  it('takes an odd last byte as the upper half of a word', () => {
    expect(checksum(bytesOf('0001 f2'))).toBe(checksum(bytesOf('0001 f200')));
    expect(checksum(bytesOf('0001 f2'))).not.toBe(checksum(bytesOf('0001 00f2')));
  });

  it('is 0 over bytes that hold it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 1500 }), (bytes) => {
        const whole = Uint8Array.from(bytes.length % 2 === 0 ? bytes : bytes.subarray(1));
        const view = new DataView(whole.buffer, whole.byteOffset);
        view.setUint16(0, 0);
        view.setUint16(0, checksum(whole));
        expect(checksum(whole)).toBe(0);
      }),
    );
  });

  it('folds the greatest sum of a packet', () => {
    expect(checksum(new Uint8Array(65_536).fill(0xff))).toBe(0);
    expect(foldSum(0x1fffe)).toBe(0);
    expect(foldSum(0)).toBe(0xffff);
  });

  it('covers the pseudo header of either family, and its length', () => {
    // scapy 2.5.0: UDP(sport=40000, dport=9000) / b'hello', over IPv4 and over IPv6.
    const v4 = { source: bytesOf('c0a84d0a'), destination: bytesOf('cb00710a') };
    expect(udpChecksum(v4, bytesOf('9c402328 000d0000 68656c6c 6f'))).toBe(0xb2db);
    const v6 = { source: bytesOf('20010db8 00770000 00000000 00000010'), destination: bytesOf('20010db8 01130000 00000000 00000010') };
    expect(udpChecksum(v6, bytesOf('9c402328 000d0000 68656c6c 6f'))).toBe(0x9f7d);
    expect(transportChecksum({ ...v6, protocol: 17 }, bytesOf('9c402328 000d9f7d 68656c6c 6f'))).toBe(0);
    expect(transportChecksum({ ...v6, protocol: 6 }, bytesOf('9c402328 000d9f7d 68656c6c 6f'))).not.toBe(0);
  });

  it('of 0 is sent as 0xffff over UDP, where 0 says that there is none', () => {
    const ends = { source: new Uint8Array(4), destination: new Uint8Array(4) };
    // 17 + 8 of the pseudo header, 8 of the length: what is left to 0xffff stands in the source port.
    const segment = bytesOf('ffde0000 00080000');
    expect(transportChecksum({ ...ends, protocol: 17 }, segment)).toBe(0);
    expect(udpChecksum(ends, segment)).toBe(0xffff);
  });
});

describe('the checksum after a change', () => {
  /** A header like IPv4's: never all zero, because its first word is not. */
  const headers = fc.uint8Array({ minLength: 20, maxLength: 60 }).map((bytes) => {
    const header = Uint8Array.from(bytes.subarray(0, bytes.length & ~1));
    header[0] = 0x45;
    return header;
  });

  it('of one word is what the full sum gives', () => {
    fc.assert(
      fc.property(headers, fc.nat({ max: 0xffff }), fc.nat(), (header, after, where) => {
        const view = new DataView(header.buffer);
        const at = 2 + 2 * (where % (header.length / 2 - 1));
        const before = view.getUint16(at);
        const old = checksum(header);
        view.setUint16(at, after);
        expect(updateChecksum(old, before, after)).toBe(checksum(header));
      }),
      { numRuns: 1000 },
    );
  });

  it('of several words is what the full sum gives', () => {
    fc.assert(
      fc.property(headers, fc.uint8Array({ minLength: 8, maxLength: 8 }), (header, after) => {
        const old = checksum(header);
        const before = header.slice(12, 20);
        header.set(after, 12);
        expect(updateChecksumBytes(old, before, after)).toBe(checksum(header));
      }),
      { numRuns: 1000 },
    );
  });

  it('is right where RFC 1624 4 has its example', () => {
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  it('takes whole words only', () => {
    expect(() => updateChecksumBytes(0, new Uint8Array(4), new Uint8Array(2))).toThrow(RangeError);
    expect(() => updateChecksumBytes(0, new Uint8Array(3), new Uint8Array(3))).toThrow(RangeError);
  });
});
