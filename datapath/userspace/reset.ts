/** The end of a TCP connection, written in place: a RST with no options and no payload. */

import { PROTOCOL } from '../../geneve/index.js';
import { FAMILY } from '../../maps/index.js';
import { checksum, sumOf } from './checksum.js';
import { IPV4_LENGTH, IPV6_LENGTH, type PacketReader } from './packet.js';
import { ACK, FIN, RST, SYN } from './tcp-state.js';

const TCP_LENGTH = 20;
const VERSION_AND_LENGTH = 0x4500;
const DONT_FRAGMENT = 0x4000;
const TTL = 64;
const DATA_OFFSET = (TCP_LENGTH / 4) << 12;

/** Bytes of the RST that answers a packet, or takes its place. */
export function resetLength(packet: PacketReader): number {
  return (packet.family === FAMILY.ipv6 ? IPV6_LENGTH : IPV4_LENGTH) + TCP_LENGTH;
}

/** What the TCP header at `at` of the packet says beside its ports and flags. */
export class SegmentReader {
  sequence = 0;
  acknowledgement = 0;
  /** SEG.LEN: payload, and one each for SYN and FIN. */
  length = 0;

  read(view: DataView, at: number, packet: PacketReader): void {
    this.sequence = view.getInt32(at + 4);
    this.acknowledgement = view.getInt32(at + 8);
    const payload = packet.length - packet.headerLength - (view.getUint8(at + 12) >> 4) * 4;
    this.length = Math.max(0, payload) + ((packet.tcpFlags & SYN) !== 0 ? 1 : 0) + ((packet.tcpFlags & FIN) !== 0 ? 1 : 0);
  }
}

/** What answers the segment, as its other end would that knows nothing of it (RFC 9293 3.10.7.1). */
export function writeAnswer(view: DataView, at: number, packet: PacketReader, segment: SegmentReader): void {
  if ((packet.tcpFlags & ACK) !== 0) writeReset(view, at, packet, true, segment.acknowledgement, 0, RST);
  else writeReset(view, at, packet, true, 0, (segment.sequence + segment.length) | 0, RST | ACK);
}

/** The segment itself, turned into a RST. */
export function writeTurned(view: DataView, at: number, packet: PacketReader, segment: SegmentReader): void {
  writeReset(view, at, packet, false, segment.sequence, segment.acknowledgement, RST | (packet.tcpFlags & ACK));
}

/** `back`: against the packet's direction. */
function writeReset(
  view: DataView,
  at: number,
  packet: PacketReader,
  back: boolean,
  sequence: number,
  acknowledgement: number,
  flags: number,
): void {
  const tcp = at + resetLength(packet) - TCP_LENGTH;
  const addresses = writeHeader(view, at, packet, back);
  view.setUint16(tcp, back ? packet.destinationPort : packet.sourcePort);
  view.setUint16(tcp + 2, back ? packet.sourcePort : packet.destinationPort);
  view.setInt32(tcp + 4, sequence);
  view.setInt32(tcp + 8, acknowledgement);
  view.setUint16(tcp + 12, DATA_OFFSET | flags);
  view.setUint16(tcp + 14, 0);
  view.setUint32(tcp + 16, 0);
  // The pseudo-header: both addresses, the protocol and the length (RFC 9293 3.1).
  view.setUint16(tcp + 16, checksum(sumOf(view, addresses, tcp - addresses + TCP_LENGTH) + PROTOCOL.tcp + TCP_LENGTH));
}

/** Writes the IP header; returns where its addresses stand, which end it. */
function writeHeader(view: DataView, at: number, packet: PacketReader, back: boolean): number {
  if (packet.family === FAMILY.ipv6) {
    view.setUint32(at, ((6 << 28) | (packet.tos << 20)) >>> 0);
    view.setUint16(at + 4, TCP_LENGTH);
    view.setUint16(at + 6, (PROTOCOL.tcp << 8) | TTL);
    packet.writeSource(view, at + (back ? 24 : 8));
    packet.writeDestination(view, at + (back ? 8 : 24));
    return at + 8;
  }
  view.setUint16(at, VERSION_AND_LENGTH | packet.tos);
  view.setUint16(at + 2, IPV4_LENGTH + TCP_LENGTH);
  view.setUint16(at + 4, 0);
  view.setUint16(at + 6, DONT_FRAGMENT);
  view.setUint16(at + 8, (TTL << 8) | PROTOCOL.tcp);
  view.setUint16(at + 10, 0);
  view.setInt32(at + 12, back ? packet.destination : packet.source);
  view.setInt32(at + 16, back ? packet.source : packet.destination);
  view.setUint16(at + 10, checksum(sumOf(view, at, IPV4_LENGTH)));
  return at + 12;
}
