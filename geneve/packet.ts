/**
 * What steering needs to know of an IP packet, and no more: the same that `parse_ipv4` of the kernel
 * program reads, for both families.
 */

import type { AddressFamily } from './address.js';
import { type Decoded, short, wrong } from './failure.js';
import { decodeIpv4, IPV4_HEADER } from './ipv4.js';
import { decodeIpv6 } from './ipv6.js';
import { ICMP_ECHO, ICMP_HEADER, PROTOCOL, SCTP_HEADER, TCP_HEADER, UDP_HEADER } from './transport.js';

/** `later` fragments carry no ports. */
export type FragmentKind = 'none' | 'first' | 'later';

export interface Packet {
  readonly family: AddressFamily;
  /** A view of the packet, 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Of the transport; behind IPv6 extension headers. */
  readonly protocol: number;
  /** 0 where the packet carries none: a later fragment, or not TCP, UDP or SCTP. Of an ICMP echo both are its identifier. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** 0 where there is no TCP header. */
  readonly tcpFlags: number;
  /** IPv4 type of service or IPv6 traffic class: DSCP 6 bits, ECN 2 bits. */
  readonly tos: number;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** Of IPv4; 0 for IPv6. */
  readonly identification: number;
  readonly fragment: FragmentKind;
  /** Of the IP header with options or extension headers, bytes. */
  readonly headerLength: number;
  /** Of the whole packet, as its IP header says, bytes. */
  readonly length: number;
}

type IpPart = Omit<Packet, 'sourcePort' | 'destinationPort' | 'tcpFlags'>;

/**
 * The packet at the start of `bytes`, which may go on behind it (Ethernet pads). Fails when the IP
 * packet is not all there, or not the start of its TCP, UDP, SCTP or ICMP header.
 */
export function parsePacket(bytes: Uint8Array): Decoded<Packet> {
  const ip = parseIp(bytes);
  if ('failure' in ip) return ip;
  if (ip.length > bytes.length) return short(ip.family === 1 ? 'IPv4 packet' : 'IPv6 packet', ip.length, bytes.length);
  const packet = bytes.subarray(0, ip.length);
  const portless = { ...ip, sourcePort: 0, destinationPort: 0, tcpFlags: 0 };
  if (ip.fragment === 'later') return portless;
  if (ip.protocol === PROTOCOL.udp) {
    const udp = UDP_HEADER.decode(packet, ip.headerLength);
    return 'failure' in udp ? udp : { ...portless, sourcePort: udp.sourcePort, destinationPort: udp.destinationPort };
  }
  if (ip.protocol === PROTOCOL.tcp) {
    const tcp = TCP_HEADER.decode(packet, ip.headerLength);
    if ('failure' in tcp) return tcp;
    return { ...portless, sourcePort: tcp.sourcePort, destinationPort: tcp.destinationPort, tcpFlags: tcp.flags };
  }
  if (ip.protocol === PROTOCOL.sctp) {
    const sctp = SCTP_HEADER.decode(packet, ip.headerLength);
    return 'failure' in sctp ? sctp : { ...portless, sourcePort: sctp.sourcePort, destinationPort: sctp.destinationPort };
  }
  if (ip.protocol === PROTOCOL.icmp) {
    const icmp = ICMP_HEADER.decode(packet, ip.headerLength);
    if ('failure' in icmp) return icmp;
    const echo = icmp.type === ICMP_ECHO.request || icmp.type === ICMP_ECHO.reply;
    return echo ? { ...portless, sourcePort: icmp.rest >>> 16, destinationPort: icmp.rest >>> 16 } : portless;
  }
  return portless;
}

/** What the first four bits of a packet say. */
export function decodeVersion(bytes: Uint8Array): Decoded<{ readonly version: 4 | 6 }> {
  const [first] = bytes;
  if (first === undefined) return short('IP header', IPV4_HEADER.size, 0);
  const version = first >> 4;
  return version === 4 || version === 6 ? { version } : wrong('IP version', '4 or 6', version);
}

function parseIp(bytes: Uint8Array): Decoded<IpPart> {
  const ip = decodeVersion(bytes);
  if ('failure' in ip) return ip;
  return ip.version === 4 ? parseIpv4(bytes) : parseIpv6(bytes);
}

function parseIpv4(bytes: Uint8Array): Decoded<IpPart> {
  const ip = decodeIpv4(bytes);
  if ('failure' in ip) return ip;
  const { source, destination, protocol, tos, ttl, identification, headerLength, totalLength: length } = ip;
  const fragment = fragmentKind(ip);
  return { family: 1, source, destination, protocol, tos, ttl, identification, fragment, headerLength, length };
}

function parseIpv6(bytes: Uint8Array): Decoded<IpPart> {
  const ip = decodeIpv6(bytes);
  if ('failure' in ip) return ip;
  const { source, destination, protocol, trafficClass: tos, hopLimit: ttl, headerLength, totalLength: length } = ip;
  const fragment = ip.fragment === undefined ? 'none' : fragmentKind(ip.fragment);
  return { family: 2, source, destination, protocol, tos, ttl, identification: 0, fragment, headerLength, length };
}

function fragmentKind({ fragmentOffset, moreFragments }: { fragmentOffset: number; moreFragments: number }): FragmentKind {
  if (fragmentOffset !== 0) return 'later';
  return moreFragments === 1 ? 'first' : 'none';
}
