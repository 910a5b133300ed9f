/** Writing and reading the outer headers in place (docs/wire-format.md). */

import {
  ETHERTYPE,
  GENEVE_HEADER,
  NSH_NEXT_PROTOCOL,
  NSH_OPTION,
  NSH_WORDS,
  outerSourcePort,
  overheadOver,
  PROTOCOL,
  SOURCE_PORT,
  STEERING_LENGTH,
} from '../../geneve/index.js';
import { FAMILY, type ReasonName } from '../../maps/index.js';
import { checksum, foldSum, less, NOT_KNOWN, sumOf, sumOfInner } from './checksum.js';
import { IPV4_LENGTH, IPV6_LENGTH, type PacketReader, UDP_LENGTH } from './packet.js';

const OVER_IPV4 = overheadOver(FAMILY.ipv4);
const OVER_IPV6 = overheadOver(FAMILY.ipv6);
/** Bytes that wrapping puts in front of a packet, at most. */
export const OVERHEAD = OVER_IPV6;

/** Bytes that wrapping in outer headers of this family puts in front of a packet. */
export function overheadOf(family: number): number {
  return family === FAMILY.ipv6 ? OVER_IPV6 : OVER_IPV4;
}

const OUTER_TTL = 64;
const MD_TYPE = 2;
const CRITICAL = 0x40;
const DONT_FRAGMENT = 0x4000;
const OPTION_LENGTH = 4;

// Bytes that stand together and are the same in every packet, as big-endian words.
const VERSION_AND_LENGTH = 0x4500;
const TTL_AND_PROTOCOL = (OUTER_TTL << 8) | PROTOCOL.udp;
const NEXT_HEADER_AND_HOP_LIMIT = (PROTOCOL.udp << 8) | OUTER_TTL;
const GENEVE_START = (((OPTION_LENGTH + NSH_WORDS * 4) / 4) << 8) | CRITICAL;

/**
 * Wraps the packet at `at` in outer headers of `family`, which stand before it then. Their addresses, 16 bytes each, stand at
 * `local` and `hop` of `addresses`. `whole`: the packet is no GSO packet, whose segments would need checksums of their own.
 */
export function writeTunnel(
  view: DataView,
  at: number,
  packet: PacketReader,
  port: number,
  family: number,
  addresses: DataView,
  local: number,
  hop: number,
  path: number,
  ttl: number,
  reply: boolean,
  whole: boolean,
): void {
  const hash = packet.flowHash();
  const v6 = family === FAMILY.ipv6;
  const udp = at - STEERING_LENGTH - UDP_LENGTH;
  writeSteering(view, udp, packet, port, hash, path, ttl, reply);
  if (v6) {
    writeIpv6(view, udp, packet, addresses, local, hop);
    const inner = whole ? sumOfInner(view, at, packet) : NOT_KNOWN;
    if (inner !== NOT_KNOWN) view.setUint16(udp + 6, udpChecksum(view, udp, inner));
    return;
  }
  const ip = udp - IPV4_LENGTH;
  const total = packet.length + OVER_IPV4;
  const id = packet.family === FAMILY.ipv4 ? packet.id : 0; // with DF it says nothing (RFC 6864 4.1)
  const source = addresses.getInt32(local);
  const destination = addresses.getInt32(hop);
  view.setUint16(ip, VERSION_AND_LENGTH | packet.tos);
  view.setUint16(ip + 2, total);
  view.setUint16(ip + 4, id);
  view.setUint16(ip + 6, DONT_FRAGMENT);
  view.setUint16(ip + 8, TTL_AND_PROTOCOL);
  view.setUint16(ip + 10, headerChecksum(packet.tos, total, id, source, destination));
  view.setInt32(ip + 12, source);
  view.setInt32(ip + 16, destination);
}

function writeIpv6(view: DataView, udp: number, packet: PacketReader, addresses: DataView, local: number, hop: number): void {
  const ip = udp - IPV6_LENGTH;
  view.setUint32(ip, ((6 << 28) | (packet.tos << 20)) >>> 0);
  view.setUint16(ip + 4, packet.length + OVER_IPV6 - IPV6_LENGTH);
  view.setUint16(ip + 6, NEXT_HEADER_AND_HOP_LIMIT);
  copyAddress(view, ip + 8, addresses, local);
  copyAddress(view, ip + 24, addresses, hop);
}

function copyAddress(view: DataView, at: number, from: DataView, offset: number): void {
  view.setInt32(at, from.getInt32(offset));
  view.setInt32(at + 4, from.getInt32(offset + 4));
  view.setInt32(at + 8, from.getInt32(offset + 8));
  view.setInt32(at + 12, from.getInt32(offset + 12));
}

function writeSteering(
  view: DataView,
  udp: number,
  packet: PacketReader,
  port: number,
  hash: number,
  path: number,
  ttl: number,
  reply: boolean,
): void {
  const v6 = packet.family === FAMILY.ipv6;
  view.setUint16(udp, outerSourcePort(hash, reply));
  view.setUint16(udp + 2, port);
  view.setUint16(udp + 4, packet.length + UDP_LENGTH + STEERING_LENGTH);
  view.setUint16(udp + 6, 0);
  const geneve = udp + UDP_LENGTH;
  view.setUint16(geneve, GENEVE_START);
  view.setUint16(geneve + 2, v6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4);
  view.setUint32(geneve + 4, 0);
  const option = geneve + GENEVE_HEADER.size;
  view.setUint16(option, NSH_OPTION.class);
  view.setUint16(option + 2, (NSH_OPTION.type << 8) | NSH_WORDS);
  view.setUint16(option + 4, (ttl << 6) | NSH_WORDS);
  view.setUint16(option + 6, (MD_TYPE << 8) | (v6 ? NSH_NEXT_PROTOCOL.ipv6 : NSH_NEXT_PROTOCOL.ipv4));
  view.setUint32(option + 8, path);
}

/**
 * The UDP checksum at `udp`, over the pseudo-header of the IPv6 header before it (RFC 8200 8.1), our own headers, and an inner packet of
 * this sum; its field is zero so far. Zero would mean that there is none.
 */
function udpChecksum(view: DataView, udp: number, inner: number): number {
  const own = sumOf(view, udp - 32, 32 + UDP_LENGTH + STEERING_LENGTH) + view.getUint16(udp + 4) + PROTOCOL.udp;
  const result = checksum(own + inner);
  return result === 0 ? 0xffff : result;
}

/**
 * Does the outer UDP checksum fit? First as we make it, from headers alone: what the inner packet's own checksum covers it need not
 * cover twice, and a packet of this machine may not have that one yet. Then over all that is there, as somebody else may have made it.
 * `ip`: where the outer header stands, `at`: the inner packet.
 */
export function checksumFits(view: DataView, ip: number, outer: PacketReader, at: number, inner: PacketReader): boolean {
  const udp = ip + outer.headerLength;
  if (view.getUint16(udp + 6) === 0) return true;
  const length = outer.length - outer.headerLength;
  const pseudo = outer.family === FAMILY.ipv6 ? sumOf(view, ip + 8, 32) : sumOf(view, ip + 12, 8);
  const sum = pseudo + length + PROTOCOL.udp;
  const rest = sumOfInner(view, at, inner);
  if (rest !== NOT_KNOWN && foldSum(sum + rest + sumOf(view, udp, at - udp)) === 0xffff) return true;
  return foldSum(sum + sumOf(view, udp, length)) === 0xffff;
}

/**
 * Sends a tunnelled packet of this family on to another hop of it, in place: outer addresses, TTL and DF, and of the NSH at
 * `nsh` its TTL and path. Everything else in the outer headers stays, options of others included.
 */
export function redirectTunnel(
  view: DataView,
  ip: number,
  family: number,
  nsh: number,
  addresses: DataView,
  local: number,
  hop: number,
  path: number,
  ttl: number,
): void {
  let before = sumOf(view, nsh, 8);
  view.setUint16(nsh, (view.getUint16(nsh) & ~(0x3f << 6)) | (ttl << 6));
  view.setUint32(nsh + 4, path);
  let after = sumOf(view, nsh, 8);
  if (family === FAMILY.ipv6) {
    before += sumOf(view, ip + 8, 32);
    view.setUint8(ip + 7, OUTER_TTL);
    copyAddress(view, ip + 8, addresses, local);
    copyAddress(view, ip + 24, addresses, hop);
    after += sumOf(view, ip + 8, 32);
    const check = view.getUint16(ip + IPV6_LENGTH + 6);
    if (check === 0) return;
    const changed = checksum(less(foldSum((~check & 0xffff) + foldSum(after)), foldSum(before))); // RFC 1624, equation 3
    view.setUint16(ip + IPV6_LENGTH + 6, changed === 0 ? 0xffff : changed);
    return;
  }
  const source = addresses.getInt32(local);
  const destination = addresses.getInt32(hop);
  view.setUint16(ip + 6, DONT_FRAGMENT);
  view.setUint8(ip + 8, OUTER_TTL);
  view.setUint16(ip + 10, headerChecksum(view.getUint8(ip + 1), view.getUint16(ip + 2), view.getUint16(ip + 4), source, destination));
  view.setInt32(ip + 12, source);
  view.setInt32(ip + 16, destination);
  view.setUint16(ip + IPV4_LENGTH + 6, 0); // a UDP checksum would cover the addresses
}

/** RFC 1071 over the outer IPv4 header, from what is written into it. */
function headerChecksum(tos: number, total: number, id: number, source: number, destination: number): number {
  let sum = (VERSION_AND_LENGTH | tos) + total + id + DONT_FRAGMENT + TTL_AND_PROTOCOL;
  sum += (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** What outer headers said. */
export class TunnelReader {
  /** Of the outer headers, bytes. */
  overhead = 0;
  path = 0;
  /** Where the NSH stands in the buffer. */
  nsh = 0;
  ttl = 0;
  reply = false;
  innerFamily: number = FAMILY.ipv4;

  /** Reads what stands behind the outer IP header at `at`; `available` bytes are there. The reason of a drop, or undefined. */
  read(view: DataView, at: number, available: number, outer: PacketReader): ReasonName | undefined {
    const header = outer.family === FAMILY.ipv6 ? IPV6_LENGTH : IPV4_LENGTH;
    if (outer.headerLength !== header || outer.fragment !== 0) return 'outer-malformed';
    const geneve = at + header + UDP_LENGTH;
    if (outer.length < header + UDP_LENGTH + GENEVE_HEADER.size) return 'geneve-malformed';
    if (view.getUint16(at + header + 4) !== outer.length - header) return 'outer-malformed';
    const base = view.getUint8(geneve);
    if (base >> 6 !== 0) return 'geneve-version';
    if ((view.getUint8(geneve + 1) & 0x80) !== 0) return 'control';
    const options = (base & 0x3f) * 4;
    this.overhead = header + UDP_LENGTH + GENEVE_HEADER.size + options;
    if (this.overhead > outer.length) return 'geneve-malformed';
    this.reply = (view.getUint16(at + header) & SOURCE_PORT.reply) !== 0;
    if (available < header + UDP_LENGTH + STEERING_LENGTH) return options === 0 ? 'geneve-no-nsh' : 'geneve-malformed';
    const nsh = findNsh(view, geneve + GENEVE_HEADER.size, options);
    if (typeof nsh === 'string') return nsh;
    const word = view.getUint16(nsh);
    if (word >> 14 !== 0) return 'nsh-version';
    if ((word & 0x2000) !== 0) return 'control';
    if ((word & 0x3f) !== NSH_WORDS || (view.getUint8(nsh + 2) & 0x0f) !== 2) return 'nsh-malformed';
    this.ttl = (word >> 6) & 0x3f;
    if (this.ttl === 0) return 'nsh-ttl';
    const type = view.getUint16(geneve + 2);
    const next = view.getUint8(nsh + 3);
    if (type === ETHERTYPE.ipv4 && next === NSH_NEXT_PROTOCOL.ipv4) this.innerFamily = FAMILY.ipv4;
    else if (type === ETHERTYPE.ipv6 && next === NSH_NEXT_PROTOCOL.ipv6) this.innerFamily = FAMILY.ipv6;
    else return 'next-protocol';
    this.nsh = nsh;
    this.path = view.getUint32(nsh + 4);
    return undefined;
  }
}

/** Place of the first NSH, or why the options are refused. */
function findNsh(view: DataView, start: number, length: number): number | ReasonName {
  let found = 0;
  for (let at = 0; at < length; ) {
    if (at + OPTION_LENGTH > length) return 'geneve-malformed';
    const body = (view.getUint8(start + at + 3) & 0x1f) * 4;
    if (at + OPTION_LENGTH + body > length) return 'geneve-malformed';
    const type = view.getUint8(start + at + 2);
    if (view.getUint16(start + at) === NSH_OPTION.class && type === NSH_OPTION.type) {
      if (body !== NSH_WORDS * 4) return 'nsh-malformed';
      if (found === 0) found = start + at + OPTION_LENGTH;
    } else if ((type & 0x80) !== 0) {
      return 'geneve-critical-option';
    }
    at += OPTION_LENGTH + body;
  }
  return found === 0 ? 'geneve-no-nsh' : found;
}

const ECN = { mask: 3, ect1: 1, ect0: 2, ce: 3 } as const;

/** Can what the way met be told to the inner packet? RFC 6040 4.2: not when that is Not-ECT and the way was congested. */
export function ecnDrops(outerTos: number, innerTos: number): boolean {
  return (outerTos & ECN.mask) === ECN.ce && (innerTos & ECN.mask) === 0;
}

/** Writes the ECN codepoint that leaves the tunnel into the inner header at `at`, of IPv4 checksum included (RFC 1624, equation 3). */
export function tellEcn(view: DataView, at: number, outerTos: number, inner: PacketReader): void {
  const outer = outerTos & ECN.mask;
  const own = inner.tos & ECN.mask;
  const leaves = outer === ECN.ce || (outer === ECN.ect1 && own === ECN.ect0) ? outer : own;
  if (leaves === own) return;
  const before = view.getUint16(at);
  if (inner.family === FAMILY.ipv6) {
    view.setUint16(at, (before & ~(ECN.mask << 4)) | (leaves << 4));
    return;
  }
  const after = (before & ~ECN.mask) | leaves;
  let sum = (~view.getUint16(at + 10) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at, after);
  view.setUint16(at + 10, ~sum & 0xffff);
}
