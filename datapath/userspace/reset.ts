/** The end of a TCP connection, written in place: a RST with no options and no payload, in an IPv4 packet. */

import { PROTOCOL } from '../../geneve/index.js';
import type { PacketReader } from './packet.js';
import { ACK, FIN, RST, SYN } from './tcp-state.js';

/** Bytes of the packet. */
export const RESET_LENGTH = 40;

const IPV4_LENGTH = 20;
const TCP_LENGTH = 20;
const VERSION_AND_LENGTH = 0x4500;
const DONT_FRAGMENT = 0x4000;
const TTL_AND_PROTOCOL = (64 << 8) | PROTOCOL.tcp;
const DATA_OFFSET = (TCP_LENGTH / 4) << 12;

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
  writeAddresses(view, at, packet.destination, packet.source, packet.destinationPort, packet.sourcePort);
  if ((packet.tcpFlags & ACK) !== 0) writeRest(view, at, packet.tos, segment.acknowledgement, 0, RST);
  else writeRest(view, at, packet.tos, 0, (segment.sequence + segment.length) | 0, RST | ACK);
}

/** The segment itself, turned into a RST. */
export function writeTurned(view: DataView, at: number, packet: PacketReader, segment: SegmentReader): void {
  writeAddresses(view, at, packet.source, packet.destination, packet.sourcePort, packet.destinationPort);
  writeRest(view, at, packet.tos, segment.sequence, segment.acknowledgement, RST | (packet.tcpFlags & ACK));
}

function writeAddresses(
  view: DataView,
  at: number,
  source: number,
  destination: number,
  sourcePort: number,
  destinationPort: number,
): void {
  view.setInt32(at + 12, source);
  view.setInt32(at + 16, destination);
  view.setUint16(at + IPV4_LENGTH, sourcePort);
  view.setUint16(at + IPV4_LENGTH + 2, destinationPort);
}

/** Everything but addresses and ports, which are there. */
function writeRest(view: DataView, at: number, tos: number, sequence: number, acknowledgement: number, flags: number): void {
  view.setUint16(at, VERSION_AND_LENGTH | tos);
  view.setUint16(at + 2, RESET_LENGTH);
  view.setUint16(at + 4, 0);
  view.setUint16(at + 6, DONT_FRAGMENT);
  view.setUint16(at + 8, TTL_AND_PROTOCOL);
  view.setUint16(at + 10, 0);
  view.setUint16(at + 10, checksum(sumOf(view, at, IPV4_LENGTH)));
  const tcp = at + IPV4_LENGTH;
  view.setInt32(tcp + 4, sequence);
  view.setInt32(tcp + 8, acknowledgement);
  view.setUint16(tcp + 12, DATA_OFFSET | flags);
  view.setUint16(tcp + 14, 0);
  view.setUint32(tcp + 16, 0);
  // The pseudo-header: both addresses, the protocol and the length (RFC 9293 3.1).
  view.setUint16(tcp + 16, checksum(sumOf(view, at + 12, 8 + TCP_LENGTH) + PROTOCOL.tcp + TCP_LENGTH));
}

function sumOf(view: DataView, at: number, length: number): number {
  let sum = 0;
  for (let offset = 0; offset < length; offset += 2) sum += view.getUint16(at + offset);
  return sum;
}

/** RFC 1071. */
function checksum(sum: number): number {
  const folded = (sum & 0xffff) + (sum >>> 16);
  return ~((folded & 0xffff) + (folded >>> 16)) & 0xffff;
}
