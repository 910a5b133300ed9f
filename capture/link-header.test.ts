/** Link headers by hand, as https://www.tcpdump.org/linktypes.html draws them. */

import { describe, expect, it } from 'vitest';
import { ETHERTYPE } from '../geneve/index.js';
import { LINK_TYPE, LinkReader, WAY } from './index.js';

function read(linkType: number, hex: string) {
  const link = new LinkReader(linkType, 'test');
  const frame = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  if (!link.read(frame)) return 'short';
  // Where there is a type, it stands where the reader says.
  if (link.type !== 0 && link.typeAt >= 0) expect(frame.readUInt16BE(link.typeAt)).toBe(link.type);
  expect(link.typeAt >= 0).toBe(linkType !== LINK_TYPE.raw);
  return { type: link.type, offset: link.offset, way: link.way };
}

const MACS = '020000000001 020000000002';

describe('a link header', () => {
  it.each([
    ['Ethernet', LINK_TYPE.ethernet, `${MACS} 0800 45`, { type: ETHERTYPE.ipv4, offset: 14, way: WAY.unknown }],
    ['Ethernet with a VLAN tag', LINK_TYPE.ethernet, `${MACS} 8100 0064 86dd 60`, { type: ETHERTYPE.ipv6, offset: 18, way: WAY.unknown }],
    [
      'Ethernet with two',
      LINK_TYPE.ethernet,
      `${MACS} 88a8 0064 8100 0065 0800 45`,
      { type: ETHERTYPE.ipv4, offset: 22, way: WAY.unknown },
    ],
    ['Ethernet with a length (IEEE 802.3)', LINK_TYPE.ethernet, `${MACS} 0026 4242`, { type: 0, offset: 14, way: WAY.unknown }],
    ['raw IPv4', LINK_TYPE.raw, '45', { type: ETHERTYPE.ipv4, offset: 0, way: WAY.unknown }],
    ['raw IPv6', LINK_TYPE.raw, '60', { type: ETHERTYPE.ipv6, offset: 0, way: WAY.unknown }],
    ['raw of no version', LINK_TYPE.raw, '00', { type: 0, offset: 0, way: WAY.unknown }],
    ['cooked, sent', LINK_TYPE.cooked, '0004 0001 0006 0200000000010000 0800 45', { type: ETHERTYPE.ipv4, offset: 16, way: WAY.sent }],
    [
      'cooked, received',
      LINK_TYPE.cooked,
      '0000 0001 0006 0200000000010000 0800 45',
      { type: ETHERTYPE.ipv4, offset: 16, way: WAY.received },
    ],
    [
      'cooked v2, sent',
      LINK_TYPE.cookedV2,
      '0800 0000 00000007 0001 04 06 0200000000010000 45',
      { type: ETHERTYPE.ipv4, offset: 20, way: WAY.sent },
    ],
  ])('of %s', (_, linkType, hex, expected) => {
    expect(read(linkType, hex)).toEqual(expected);
  });

  it('that is cut is told from one that is not', () => {
    expect(read(LINK_TYPE.ethernet, MACS)).toBe('short');
    expect(read(LINK_TYPE.ethernet, `${MACS} 8100 0064`)).toBe('short');
    expect(read(LINK_TYPE.cooked, '0004 0001 0006 0200000000010000 08')).toBe('short');
    expect(read(LINK_TYPE.cookedV2, '0800 0000 00000007 0001 04 06 02000000000100')).toBe('short');
    expect(read(LINK_TYPE.raw, '')).toBe('short');
  });

  it('of another link type is refused with those that are read', () => {
    expect(() => new LinkReader(105, 'wifi.pcap')).toThrow(
      /wifi\.pcap: link type 105 is not read; these are: 1 \(Ethernet\), 101 \(raw IP\)/,
    );
  });
});
