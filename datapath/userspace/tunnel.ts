/** Writing and reading the outer headers in place (docs/wire-format.md). IPv4 outside and inside. */

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
import type { PacketReader } from './packet.js';

/** Bytes that wrapping puts in front of a packet. */
export const OVERHEAD = overheadOver(FAMILY.ipv4);

const IPV4_LENGTH = 20;
const UDP_LENGTH = 8;
const OUTER_TTL = 64;
const MD_TYPE = 2;
const CRITICAL = 0x40;
const DONT_FRAGMENT = 0x4000;
const OPTION_LENGTH = 4;

// Bytes that stand together and are the same in every packet, as big-endian words.
const VERSION_AND_LENGTH = 0x4500;
const TTL_AND_PROTOCOL = (OUTER_TTL << 8) | PROTOCOL.udp;
const GENEVE_START = (((OPTION_LENGTH + NSH_WORDS * 4) / 4) << 8) | CRITICAL;

/** Wraps the packet at `at`, writing the `OVERHEAD` bytes before it. */
export function writeTunnel(
  view: DataView,
  at: number,
  packet: PacketReader,
  port: number,
  source: number,
  destination: number,
  path: number,
  ttl: number,
  reply: boolean,
): void {
  const ip = at - OVERHEAD;
  const total = packet.length + OVERHEAD;
  view.setUint16(ip, VERSION_AND_LENGTH | packet.tos);
  view.setUint16(ip + 2, total);
  view.setUint16(ip + 4, packet.id);
  view.setUint16(ip + 6, DONT_FRAGMENT);
  view.setUint16(ip + 8, TTL_AND_PROTOCOL);
  view.setUint16(ip + 10, headerChecksum(packet.tos, total, packet.id, source, destination));
  view.setInt32(ip + 12, source);
  view.setInt32(ip + 16, destination);
  const udp = ip + IPV4_LENGTH;
  view.setUint16(udp, outerSourcePort(packet.flowHash(), reply));
  view.setUint16(udp + 2, port);
  view.setUint16(udp + 4, total - IPV4_LENGTH);
  view.setUint16(udp + 6, 0);
  const geneve = udp + UDP_LENGTH;
  view.setUint16(geneve, GENEVE_START);
  view.setUint16(geneve + 2, ETHERTYPE.ipv4);
  view.setUint32(geneve + 4, 0);
  const option = geneve + GENEVE_HEADER.size;
  view.setUint16(option, NSH_OPTION.class);
  view.setUint16(option + 2, (NSH_OPTION.type << 8) | NSH_WORDS);
  view.setUint16(option + 4, (ttl << 6) | NSH_WORDS);
  view.setUint16(option + 6, (MD_TYPE << 8) | NSH_NEXT_PROTOCOL.ipv4);
  view.setUint32(option + 8, path);
}

/**
 * Sends a tunnelled packet on to another hop, in place: outer addresses, TTL and DF, and of the NSH at
 * `nsh` its TTL and path. Everything else in the outer headers stays, options of others included.
 */
export function redirectTunnel(
  view: DataView,
  ip: number,
  nsh: number,
  source: number,
  destination: number,
  path: number,
  ttl: number,
): void {
  view.setUint16(ip + 6, DONT_FRAGMENT);
  view.setUint8(ip + 8, OUTER_TTL);
  view.setUint16(ip + 10, headerChecksum(view.getUint8(ip + 1), view.getUint16(ip + 2), view.getUint16(ip + 4), source, destination));
  view.setInt32(ip + 12, source);
  view.setInt32(ip + 16, destination);
  view.setUint16(ip + IPV4_LENGTH + 6, 0); // a UDP checksum would cover the addresses
  view.setUint16(nsh, (view.getUint16(nsh) & ~(0x3f << 6)) | (ttl << 6));
  view.setUint32(nsh + 4, path);
}

/** RFC 1071 over the outer header, from what is written into it. */
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

  /** Reads what stands behind the outer IPv4 header at `at`; `available` bytes are there. The reason of a drop, or undefined. */
  read(view: DataView, at: number, available: number, outer: PacketReader): ReasonName | undefined {
    if (outer.headerLength !== IPV4_LENGTH || outer.fragment !== 0) return 'outer-malformed';
    const geneve = at + IPV4_LENGTH + UDP_LENGTH;
    if (outer.length < IPV4_LENGTH + UDP_LENGTH + GENEVE_HEADER.size) return 'geneve-malformed';
    if (view.getUint16(at + IPV4_LENGTH + 4) !== outer.length - IPV4_LENGTH) return 'outer-malformed';
    const base = view.getUint8(geneve);
    if (base >> 6 !== 0) return 'geneve-version';
    if ((view.getUint8(geneve + 1) & 0x80) !== 0) return 'control';
    const options = (base & 0x3f) * 4;
    this.overhead = IPV4_LENGTH + UDP_LENGTH + GENEVE_HEADER.size + options;
    if (this.overhead > outer.length) return 'geneve-malformed';
    this.reply = (view.getUint16(at + IPV4_LENGTH) & SOURCE_PORT.reply) !== 0;
    if (available < IPV4_LENGTH + UDP_LENGTH + STEERING_LENGTH) return options === 0 ? 'geneve-no-nsh' : 'geneve-malformed';
    const nsh = findNsh(view, geneve + GENEVE_HEADER.size, options);
    if (typeof nsh === 'string') return nsh;
    const word = view.getUint16(nsh);
    if (word >> 14 !== 0) return 'nsh-version';
    if ((word & 0x2000) !== 0) return 'control';
    if ((word & 0x3f) !== NSH_WORDS || (view.getUint8(nsh + 2) & 0x0f) !== 2) return 'nsh-malformed';
    this.ttl = (word >> 6) & 0x3f;
    if (this.ttl === 0) return 'nsh-ttl';
    if (view.getUint16(geneve + 2) !== ETHERTYPE.ipv4 || view.getUint8(nsh + 3) !== NSH_NEXT_PROTOCOL.ipv4) return 'next-protocol';
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

/** Writes the ECN codepoint that leaves the tunnel into the inner header at `at`, checksum included (RFC 1624, equation 3). */
export function tellEcn(view: DataView, at: number, outerTos: number, innerTos: number): void {
  const outer = outerTos & ECN.mask;
  const inner = innerTos & ECN.mask;
  const leaves = outer === ECN.ce || (outer === ECN.ect1 && inner === ECN.ect0) ? outer : inner;
  if (leaves === inner) return;
  const before = view.getUint16(at);
  const after = (before & ~ECN.mask) | leaves;
  let sum = (~view.getUint16(at + 10) & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at, after);
  view.setUint16(at + 10, ~sum & 0xffff);
}
