/**
 * What stands before a packet whose checksum or segmentation is unfinished: struct
 * virtio_net_hdr_v1_hash_tunnel (linux/virtio_net.h), in the machine's byte order but for the last two fields.
 *
 *      0  flags u8          bit 0: one's-complement sum missing, see csum_start
 *      1  gso_type u8       0 none, 1 TCP over IPv4, 4 over IPv6, 0x80 ECN; 0x20, 0x40: in a UDP tunnel over IPv4, IPv6
 *      2  hdr_len u16       headers that every segment repeats
 *      4  gso_size u16      payload of each segment
 *      6  csum_start u16    where the sum begins; 8 csum_offset u16: where it goes, from there
 *     10  num_buffers u16, hash u32, hash_report u16, padding u16: not used here
 *     20  outer_th_offset le16, inner_nh_offset le16: in a tunnel, its UDP header and the inner IP header
 *
 * All offsets count from the first byte after this header. The first ten bytes are struct
 * virtio_net_hdr, which packet sockets take. Wrapping a packet moves it away from those offsets'
 * origin, so they are moved along; nothing else of checksums and segments is ours to finish.
 */

import { STEERING_LENGTH } from '../../../geneve/index.js';

/** Bytes of the whole header. */
export const VIRTIO_HEADER = 24;
/** Bytes of it that packet sockets read. */
export const PACKET_SOCKET_HEADER = 10;

const NEEDS_CHECKSUM = 1;
const GSO_NONE = 0;
const GSO_UDP_TUNNEL = 0x60;
const GSO_ECN = 0x80;
/** By version of the outer IP header: its bytes (it has neither options nor extension headers), and how the type says so. */
const OUTER = { 4: { length: 20, type: 0x20 }, 6: { length: 40, type: 0x40 } } as const;
export type OuterVersion = keyof typeof OUTER;

/**
 * The header at `from` becomes, at `to`, that of the packet behind `link` bytes of link header, of which
 * `added` were not there before, and in a tunnel of `outer` that has `overhead` bytes more than before: all of it, or
 * what a tunnel over one version has more than one over the other (less: below 0). 0: nothing was wrapped now;
 * what is in a tunnel already stays so.
 */
export function wrapVirtioHeader(
  view: DataView,
  from: number,
  to: number,
  added: number,
  link: number,
  overhead: number,
  outer: OuterVersion,
  little: boolean,
): void {
  const flags = view.getUint8(from);
  const type = view.getUint8(from + 1);
  const headers = view.getUint16(from + 2, little);
  const size = view.getUint16(from + 4, little);
  const start = view.getUint16(from + 6, little);
  const offset = view.getUint16(from + 8, little);
  const moved = added + overhead;
  const wraps = type !== GSO_NONE && overhead !== 0;
  const wrapped = (type & GSO_UDP_TUNNEL) !== 0;
  // In the tunnel fields little-endian is what virtio says, not the machine's order.
  const transport = wrapped ? view.getUint16(from + 20, true) + added : 0;
  const inner = wrapped ? view.getUint16(from + 22, true) : link - added;
  view.setUint8(to, flags);
  view.setUint8(to + 1, wraps ? (type & ~GSO_UDP_TUNNEL) | OUTER[outer].type : type);
  view.setUint16(to + 2, type === GSO_NONE ? 0 : headers + moved, little);
  view.setUint16(to + 4, size, little);
  view.setUint16(to + 6, (flags & NEEDS_CHECKSUM) !== 0 ? start + moved : start, little);
  view.setUint16(to + 8, offset, little);
  view.setUint32(to + 10, 0);
  view.setUint32(to + 14, 0);
  view.setUint16(to + 18, 0);
  view.setUint16(to + 20, wraps ? link + OUTER[outer].length : transport, true);
  view.setUint16(to + 22, wraps || wrapped ? inner + moved : 0, true);
}

/**
 * The header at `from` becomes, at `to`, that of the same frame without `overhead` bytes of outer
 * headers that began at `outer`; ten bytes are written. A sum that was missing in the outer headers is missing no more.
 */
export function unwrapVirtioHeader(view: DataView, from: number, to: number, overhead: number, outer: number, little: boolean): void {
  const flags = view.getUint8(from);
  const type = view.getUint8(from + 1) & ~GSO_UDP_TUNNEL;
  const headers = view.getUint16(from + 2, little);
  const size = view.getUint16(from + 4, little);
  const start = view.getUint16(from + 6, little);
  const offset = view.getUint16(from + 8, little);
  const inner = (flags & NEEDS_CHECKSUM) !== 0 && start >= outer + overhead;
  view.setUint8(to, inner ? NEEDS_CHECKSUM : 0);
  view.setUint8(to + 1, type);
  view.setUint16(to + 2, type === GSO_NONE ? 0 : headers - overhead, little);
  view.setUint16(to + 4, type === GSO_NONE ? 0 : size, little);
  view.setUint16(to + 6, inner ? start - overhead : 0, little);
  view.setUint16(to + 8, inner ? offset : 0, little);
}

const TCP_OFFSET = 12;
const UDP_HEADER = 8;
const UDP_L4 = 5;

/**
 * Length of one segment of the packet at `at`, IP header included, of what is in a tunnel without the outer headers; 0: it is
 * whole. `from`: its header.
 */
export function segmentLength(view: DataView, from: number, at: number, little: boolean): number {
  const type = view.getUint8(from + 1);
  if (type === GSO_NONE) return 0;
  const inTunnel = (type & GSO_UDP_TUNNEL) !== 0;
  // Outer header, UDP, Geneve and its options: as we write them.
  const packet = inTunnel ? at + (view.getUint8(at) >> 4 === 6 ? OUTER[6].length : OUTER[4].length) + UDP_HEADER + STEERING_LENGTH : at;
  const network = view.getUint8(packet) >> 4 === 6 ? OUTER[6].length : (view.getUint8(packet) & 0x0f) * 4;
  const isUdp = (type & ~GSO_UDP_TUNNEL & ~GSO_ECN) === UDP_L4;
  const transport = isUdp ? UDP_HEADER : (view.getUint8(packet + network + TCP_OFFSET) >> 4) * 4;
  return network + transport + view.getUint16(from + 4, little);
}
