/**
 * ICMP errors that the datapath makes itself (RFC 792, RFC 4443): what does not fit, what is prohibited. They go back where
 * the packet came from, with its addresses exchanged (datapath/kernel/bpf/icmp.h says why).
 *
 *     | IP | ICMP, 8 | the packet's IP header | the first bytes behind it |
 */

import { PROTOCOL } from '../../geneve/index.js';
import { FAMILY } from '../../maps/index.js';
import { checksum, sumOf } from './checksum.js';
import { ICMP_LENGTH, IPV4_LENGTH, IPV6_LENGTH, type PacketReader } from './packet.js';

/** More than any message has, bytes. */
export const MESSAGE_MAX = 256;

const TTL = 64;
/** Internetwork control (RFC 1812 4.3.2.5). */
const TOS = 0xc0;
const DONT_FRAGMENT = 0x4000;
const IPV6_LEAST_MTU = 1280;
/** How much behind the IP header is repeated as a whole, and how much of more: as the kernel program can. */
const WHOLE = { [FAMILY.ipv4]: 34, [FAMILY.ipv6]: 54 } as const;
const REPEATED = { [FAMILY.ipv4]: 32, [FAMILY.ipv6]: 52 } as const;
const HEADER_MAX = 100;
const KEPT_MAX = 160;

/** What an error says, in one number: type, code, and the MTU where it names one. */
const says = (type: number, code: number, mtu: number) => (type << 24) | (code << 16) | mtu;

/** The sender's packets must become smaller: `mtu` bytes at most. Of IPv6 no less than every link carries (RFC 8200 5). */
export function tooBig(family: number, mtu: number): number {
  return family === FAMILY.ipv6 ? says(2, 0, Math.max(mtu, IPV6_LEAST_MTU)) : says(3, 4, mtu & 0xffff);
}

/** The chain's policy refuses the packet. */
export function prohibited(family: number): number {
  return family === FAMILY.ipv6 ? says(1, 1, 0) : says(3, 13, 0);
}

/** Below these no path goes (RFC 791 3.2, RFC 8200 5): who says so is not believed. */
const LEAST_MTU_IPV4 = 576;

/** The MTU that the ICMP error at `at` tells; 0: it tells none that is believed. */
export function toldMtu(view: DataView, at: number, family: number): number {
  if (family === FAMILY.ipv6) {
    const mtu = view.getUint32(at + 4);
    return view.getUint8(at) === 2 && mtu >= IPV6_LEAST_MTU && mtu <= 0xffff ? mtu : 0;
  }
  const mtu = view.getUint16(at + 6);
  return view.getUint16(at) === 0x0304 && mtu >= LEAST_MTU_IPV4 ? mtu : 0;
}

/** Writes to the start of `to` the error that answers the packet at `at` of `view`. Its length; 0: nothing is to be answered. */
export function writeError(to: DataView, view: DataView, at: number, packet: PacketReader, message: number): number {
  const v6 = packet.family === FAMILY.ipv6;
  const family = v6 ? FAMILY.ipv6 : FAMILY.ipv4;
  const rest = packet.length - packet.headerLength;
  const kept = packet.headerLength + (rest > WHOLE[family] ? REPEATED[family] : rest);
  if (!packet.canBeAnswered || packet.headerLength > HEADER_MAX || kept > KEPT_MAX) return 0;
  const header = v6 ? IPV6_LENGTH : IPV4_LENGTH;
  const length = ICMP_LENGTH + kept;
  to.setUint16(header, message >>> 16);
  to.setUint16(header + 2, 0);
  to.setUint32(header + 4, message & 0xffff);
  for (let offset = 0; offset < kept; offset++) to.setUint8(header + ICMP_LENGTH + offset, view.getUint8(at + offset));
  let sum = sumOf(to, header, length);
  if (v6) {
    to.setUint32(0, ((6 << 28) | (TOS << 20)) >>> 0);
    to.setUint16(4, length);
    to.setUint16(6, (PROTOCOL.icmpv6 << 8) | TTL);
    packet.writeDestination(to, 8);
    packet.writeSource(to, 24);
    sum += sumOf(to, 8, 32) + length + PROTOCOL.icmpv6;
  } else {
    to.setUint16(0, 0x4500 | TOS);
    to.setUint16(2, header + length);
    to.setUint16(4, 0);
    to.setUint16(6, DONT_FRAGMENT);
    to.setUint16(8, (TTL << 8) | PROTOCOL.icmp);
    to.setUint16(10, 0);
    to.setInt32(12, packet.destination);
    to.setInt32(16, packet.source);
    to.setUint16(10, checksum(sumOf(to, 0, header)));
  }
  to.setUint16(header + 2, checksum(sum));
  return header + length;
}
