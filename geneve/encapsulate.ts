/** Wrapping a packet for the next hop: outer IP, UDP, Geneve, NSH (docs/wire-format.md). */

import type { AddressFamily, IpAddress } from './address.js';
import { udpChecksum } from './checksum.js';
import { ETHERTYPE } from './ethernet.js';
import { type DropFailure, drop, wrong } from './failure.js';
import { flowHash, outerSourcePort } from './flow-hash.js';
import { GENEVE_HEADER, GENEVE_OPTION_HEADER, GENEVE_VERSION, STEERING_PORT } from './geneve-header.js';
import { encodeIpv4, IPV4_HEADER } from './ipv4.js';
import { encodeIpv6, IPV6_HEADER } from './ipv6.js';
import {
  NSH_BASE_HEADER,
  NSH_MD_TYPE_2,
  NSH_NEXT_PROTOCOL,
  NSH_OPTION,
  NSH_SERVICE_PATH_HEADER,
  NSH_VERSION,
  NSH_WORDS,
  type Si,
  type Spi,
} from './nsh.js';
import { type Packet, parsePacket } from './packet.js';
import { PROTOCOL, UDP_HEADER } from './transport.js';

/** What goes into the outer headers and is not the packet's own. */
export interface Tunnel {
  /** The sending pod's own address: the receiver learns its previous hop from it. */
  readonly source: Pick<IpAddress, 'family' | 'bytes'>;
  /** Of the same family as the source; the inner packet's may be the other. */
  readonly destination: Pick<IpAddress, 'family' | 'bytes'>;
  readonly spi: Spi;
  readonly si: Si;
  /** NSH TTL, 1..63: `NSH_TTL_CLASSIFIER` at the classifier, `replyTtl` for a reply. */
  readonly ttl: number;
  readonly reply: boolean;
  /** UDP destination port; the default is `STEERING_PORT`. */
  readonly port?: number;
  /** Over IPv6: leave the UDP checksum out, for a peer that accepts that (RFC 6935, RFC 6936). */
  readonly zeroChecksum?: boolean;
}

/** TTL or hop limit of the outer header. */
export const OUTER_TTL = 64;

const NSH_LENGTH = NSH_WORDS * 4;
/** Geneve header, option header and NSH, bytes. */
export const STEERING_LENGTH = GENEVE_HEADER.size + GENEVE_OPTION_HEADER.size + NSH_LENGTH;

/** Bytes that encapsulation adds: 48 over IPv4, 68 over IPv6. */
export function overheadOver(family: AddressFamily): number {
  return (family === 1 ? IPV4_HEADER.size : IPV6_HEADER.size) + UDP_HEADER.size + STEERING_LENGTH;
}

/**
 * The packet at the start of `inner`, wrapped; bytes behind it are left out. Fails with `malformed`
 * for what is no whole IP packet and `too-big` where the outer length field would overflow. An
 * argument that no header can hold is a RangeError, families that differ a TypeError.
 */
export function encapsulate(inner: Uint8Array, tunnel: Tunnel): Uint8Array | { readonly failure: DropFailure } {
  const { source, destination } = tunnel;
  if (source.family !== destination.family) throw new TypeError('outer source and destination are of different families');
  const packet = parsePacket(inner);
  if ('failure' in packet) return drop('malformed', packet);
  const overhead = overheadOver(source.family);
  // The length field of IPv6 does not count the IPv6 header.
  const most = 0xffff - overhead + (source.family === 1 ? 0 : IPV6_HEADER.size);
  if (packet.length > most) return drop('too-big', wrong('packet length', `at most ${most}`, packet.length));
  const bytes = new Uint8Array(overhead + packet.length);
  const udpAt = overhead - STEERING_LENGTH - UDP_HEADER.size;
  bytes.set(outerIp(packet, tunnel, bytes.length), 0);
  writeSteering(bytes, udpAt + UDP_HEADER.size, packet, tunnel);
  bytes.set(inner.subarray(0, packet.length), overhead);
  writeUdp(bytes, udpAt, packet, tunnel);
  return bytes;
}

function outerIp(packet: Packet, { source, destination }: Tunnel, totalLength: number): Uint8Array {
  if (source.family === 1)
    return encodeIpv4({
      tos: packet.tos, // ECN too: RFC 6040 4.1 normal mode
      totalLength,
      identification: packet.identification,
      dontFragment: 1,
      moreFragments: 0,
      fragmentOffset: 0,
      ttl: OUTER_TTL,
      protocol: PROTOCOL.udp,
      source: source.bytes.subarray(0, 4),
      destination: destination.bytes.subarray(0, 4),
    });
  return encodeIpv6({
    trafficClass: packet.tos,
    flowLabel: 0,
    payloadLength: totalLength - IPV6_HEADER.size,
    nextHeader: PROTOCOL.udp,
    hopLimit: OUTER_TTL,
    source: source.bytes,
    destination: destination.bytes,
  });
}

function writeSteering(bytes: Uint8Array, at: number, packet: Packet, { spi, si, ttl }: Tunnel): void {
  const protocol = packet.family === 1 ? 'ipv4' : 'ipv6';
  const nshAt = at + GENEVE_HEADER.size + GENEVE_OPTION_HEADER.size;
  GENEVE_HEADER.write(bytes, at, {
    version: GENEVE_VERSION,
    optionWords: (GENEVE_OPTION_HEADER.size + NSH_LENGTH) / 4,
    control: 0,
    critical: 1,
    protocolType: ETHERTYPE[protocol],
    vni: 0,
  });
  GENEVE_OPTION_HEADER.write(bytes, at + GENEVE_HEADER.size, { ...NSH_OPTION, words: NSH_WORDS });
  NSH_BASE_HEADER.write(bytes, nshAt, {
    version: NSH_VERSION,
    oam: 0,
    ttl,
    words: NSH_WORDS,
    mdType: NSH_MD_TYPE_2,
    nextProtocol: NSH_NEXT_PROTOCOL[protocol],
  });
  NSH_SERVICE_PATH_HEADER.write(bytes, nshAt + NSH_BASE_HEADER.size, { spi, si });
}

/** Last, because over IPv6 the checksum covers everything behind it. */
function writeUdp(bytes: Uint8Array, at: number, packet: Packet, tunnel: Tunnel): void {
  const segment = bytes.subarray(at);
  const header = {
    sourcePort: outerSourcePort(flowHash(packet), tunnel.reply),
    destinationPort: tunnel.port ?? STEERING_PORT,
    length: segment.length,
    checksum: 0,
  };
  UDP_HEADER.write(segment, 0, header);
  // RFC 8926 3.3: over IPv4 it may be 0.
  if (tunnel.source.family === 1 || tunnel.zeroChecksum === true) return;
  const ends = { source: tunnel.source.bytes, destination: tunnel.destination.bytes };
  UDP_HEADER.write(segment, 0, { ...header, checksum: udpChecksum(ends, segment) });
}
