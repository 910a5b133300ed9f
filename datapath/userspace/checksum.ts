/** Internet checksums (RFC 1071), and the sum over a packet from its headers alone. */

import { PROTOCOL } from '../../geneve/index.js';
import { FAMILY } from '../../maps/index.js';
import { FRAGMENT, IPV6_LENGTH, type PacketReader } from './packet.js';

/** Sum over the 16-bit words of `length` bytes, an odd last byte as the first of its word. Not folded. */
export function sumOf(view: DataView, at: number, length: number): number {
  let sum = 0;
  const even = at + (length & ~1);
  for (let offset = at; offset < even; offset += 2) sum += view.getUint16(offset);
  return (length & 1) === 0 ? sum : sum + (view.getUint8(even) << 8);
}

/** In 16 bits. `sum` is below 2^32. */
export function foldSum(sum: number): number {
  const folded = (sum & 0xffff) + (sum >>> 16);
  return (folded & 0xffff) + (folded >>> 16);
}

export function checksum(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/** The difference of two sums, each folded. */
export function less(sum: number, other: number): number {
  return sum + (~other & 0xffff);
}

export const NOT_KNOWN = -1;
const UDP_CHECKSUM = 6;

/**
 * The sum over the inner packet at `at`, from its headers: what a checksum of its own covers sums up to nothing but the
 * complement of its pseudo-header, whether that checksum is finished or is left to a network card. (Linux calls this local
 * checksum offload.) NOT_KNOWN: of fragments, of protocols that have no such checksum.
 */
export function sumOfInner(view: DataView, at: number, packet: PacketReader): number {
  const protocol = packet.ownProtocol;
  const v6 = packet.family === FAMILY.ipv6;
  const length = packet.length - packet.headerLength;
  if (packet.fragment !== FRAGMENT.none) return NOT_KNOWN;
  if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp && protocol !== (v6 ? PROTOCOL.icmpv6 : PROTOCOL.icmp)) return NOT_KNOWN;
  if (protocol === PROTOCOL.udp && view.getUint16(at + packet.headerLength + UDP_CHECKSUM) === 0) return NOT_KNOWN;
  if (v6) return packet.headerLength === IPV6_LENGTH ? foldSum(less(sumOf(view, at, 8), foldSum(length + protocol))) : NOT_KNOWN;
  if (protocol === PROTOCOL.icmp) return 0; // no pseudo-header
  const { source, destination } = packet;
  return checksum(protocol + length + (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff));
}
