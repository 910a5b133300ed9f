/** Headers whose length stands in themselves: IPv4 and TCP with options, Geneve options. */

import { describe, expect, it } from 'vitest';
import { bytesOf } from '../test/fixtures/wire/index.js';
import { checksum, decodeGeneveOption, decodeIpv4, decodeTcp, encodeGeneveOption, encodeIpv4, encodeTcp } from './index.js';

const OPTIONS = bytesOf('94040000 01010100');

describe('IPv4', () => {
  const fields = {
    tos: 0,
    totalLength: 28,
    identification: 7,
    dontFragment: 1,
    moreFragments: 0,
    fragmentOffset: 0,
    ttl: 64,
    protocol: 17,
    source: bytesOf('c0a84d0a'),
    destination: bytesOf('cb00710a'),
    options: OPTIONS,
  };
  const whole = encodeIpv4(fields);

  it('is written with its options, length and checksum', () => {
    expect(whole).toHaveLength(28);
    expect(checksum(whole)).toBe(0);
    expect(decodeIpv4(whole)).toMatchObject({ ...fields, version: 4, headerWords: 7, headerLength: 28 });
  });

  it('is short, by name, of every byte that is missing', () => {
    for (let length = 0; length < 20; length++)
      expect(decodeIpv4(whole.subarray(0, length))).toEqual({
        failure: { part: 'IPv4 header', problem: 'short', wanted: 20, found: length },
      });
    for (let length = 20; length < 28; length++)
      expect(decodeIpv4(whole.subarray(0, length))).toEqual({
        failure: { part: 'IPv4 options', problem: 'short', wanted: 28, found: length },
      });
  });

  it.each([
    ['another version', 0, 0x67, 'IPv4 version'],
    ['a header shorter than a header', 0, 0x44, 'IPv4 header length'],
    ['a length less than its header', 3, 27, 'IPv4 total length'],
  ])('of %s is wrong', (_, at, value, part) => {
    const broken = Uint8Array.from(whole);
    broken[at] = value;
    expect(decodeIpv4(broken)).toMatchObject({ failure: { part, problem: 'wrong' } });
  });

  it('holds no options that are not whole words, or too many', () => {
    expect(() => encodeIpv4({ ...fields, options: new Uint8Array(3) })).toThrow(RangeError);
    expect(() => encodeIpv4({ ...fields, options: new Uint8Array(44) })).toThrow(RangeError);
  });
});

describe('TCP', () => {
  const fields = {
    sourcePort: 40000,
    destinationPort: 9000,
    sequence: 0xffffffff,
    acknowledgement: 1,
    flags: 2,
    window: 3,
    checksum: 4,
    urgentPointer: 5,
    options: OPTIONS,
  };
  const whole = encodeTcp(fields);

  it('is written with its options and data offset', () => {
    expect(decodeTcp(whole)).toMatchObject({ ...fields, dataOffset: 7, headerLength: 28 });
  });

  it('is short, by name, of every byte that is missing', () => {
    for (let length = 0; length < 28; length++) {
      const part = length < 20 ? 'TCP header' : 'TCP options';
      const failure = { part, problem: 'short', wanted: length < 20 ? 20 : 28, found: length };
      expect(decodeTcp(whole.subarray(0, length))).toEqual({ failure });
    }
  });

  it.each([0, 1, 4])('of a data offset of %d words is wrong', (words) => {
    const broken = Uint8Array.from(whole);
    broken[12] = words << 4;
    expect(decodeTcp(broken)).toMatchObject({ failure: { part: 'TCP data offset', problem: 'wrong', found: words } });
  });
});

describe('a Geneve option', () => {
  const whole = encodeGeneveOption({ class: 0x0132, type: 0x82, body: bytesOf('0fc20201 00000101') });

  it('is written with its length', () => {
    expect(whole).toEqual(Uint8Array.from(bytesOf('01328202 0fc20201 00000101')));
    expect(decodeGeneveOption(whole, 0, 12)).toMatchObject({ class: 0x0132, type: 0x82, critical: true, words: 2, length: 12 });
  });

  it('is critical by the first bit of its type', () => {
    const plain = encodeGeneveOption({ class: 0x0132, type: 0x7f, body: new Uint8Array(0) });
    expect(decodeGeneveOption(plain, 0, 4)).toMatchObject({ critical: false, words: 0, length: 4 });
  });

  it('lies inside the options, and inside the bytes', () => {
    for (let end = 0; end < 12; end++) {
      const failure = { part: 'Geneve option', problem: 'short', wanted: end < 4 ? 4 : 12, found: end };
      expect(decodeGeneveOption(whole, 0, end)).toEqual({ failure });
      expect(decodeGeneveOption(whole.subarray(0, end), 0, 12)).toEqual({ failure });
    }
  });

  it('has a body of whole words, 31 of them at most', () => {
    const option = { class: 1, type: 1 };
    expect(encodeGeneveOption({ ...option, body: new Uint8Array(124) })).toHaveLength(128);
    for (const length of [3, 128]) expect(() => encodeGeneveOption({ ...option, body: new Uint8Array(length) })).toThrow(RangeError);
  });
});
