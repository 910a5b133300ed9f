/** Packets as somebody makes them who wants what he should not have: bytes in, bytes out. */

import {
  checksum,
  encapsulate,
  encodeIpv4,
  encodeIpv6,
  formatAddress,
  type IpAddress,
  NSH_TTL_CLASSIFIER,
  PROTOCOL,
  parseAddress,
  type Si,
  type Spi,
  transportChecksum,
  UDP_HEADER,
  udpChecksum,
} from '../../geneve/index.js';

export const STEERING_PORT = 7081;
const DESTINATION_OPTIONS = 60;
const FRAGMENT_HEADER = 44;
const ICMPV6 = 58;
/** ICMP: destination unreachable, fragmentation needed (RFC 792). ICMPv6: packet too big (RFC 4443 3.2). */
const TOO_BIG = { 4: [3, 4], 6: [2, 0] } as const;

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

export interface IpOptions {
  readonly from: string;
  readonly to: string;
  /** By default UDP. */
  readonly protocol?: number;
  /** IPv4: options; IPv6: destination options. Of the kind that says nothing. */
  readonly options?: boolean;
  /** A fragment: its offset in bytes, whether more follow, and which datagram it is of. */
  readonly fragment?: { readonly offset: number; readonly more: boolean; readonly id: number };
  readonly tos?: number;
}

/** An IP packet of the family of its addresses with this behind the IP header. */
export function ipPacket(behind: Uint8Array, options: IpOptions): Uint8Array {
  const { protocol = PROTOCOL.udp, fragment = { offset: 0, more: false, id: 1 }, tos = 0 } = options;
  const [source, destination] = [address(options.from), address(options.to)];
  if (source.family === 1) {
    const more = options.options === true ? Uint8Array.of(1, 1, 1, 0) : new Uint8Array(0);
    const header = encodeIpv4({
      tos,
      totalLength: 20 + more.length + behind.length,
      identification: fragment.id,
      dontFragment: 0,
      moreFragments: fragment.more ? 1 : 0,
      fragmentOffset: fragment.offset / 8,
      ttl: 64,
      protocol,
      source: source.bytes.subarray(0, 4),
      destination: destination.bytes.subarray(0, 4),
      options: more,
    });
    return Buffer.concat([header, behind]);
  }
  let rest = Buffer.from(behind);
  let next: number = protocol;
  if (options.options === true) {
    rest = Buffer.concat([Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0), rest]);
    next = DESTINATION_OPTIONS;
  }
  if (fragment.more || fragment.offset > 0) {
    const header = Buffer.alloc(8);
    header.writeUInt8(next, 0);
    header.writeUInt16BE(fragment.offset | (fragment.more ? 1 : 0), 2);
    header.writeUInt32BE(fragment.id, 4);
    rest = Buffer.concat([header, rest]);
    next = FRAGMENT_HEADER;
  }
  const fields = { trafficClass: tos, flowLabel: 0, payloadLength: rest.length, nextHeader: next, hopLimit: 64 };
  return Buffer.concat([encodeIpv6({ ...fields, source: source.bytes, destination: destination.bytes }), rest]);
}

/** A UDP datagram, without its IP header. */
export function udp(from: string, fromPort: number, to: string, toPort: number, payload: Uint8Array | string): Uint8Array {
  const text = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const header = { sourcePort: fromPort, destinationPort: toPort, length: UDP_HEADER.size + text.length, checksum: 0 };
  const bytes = Buffer.concat([UDP_HEADER.encode(header), text]);
  bytes.writeUInt16BE(udpChecksum(ends(from, to), bytes), 6);
  return bytes;
}

function ends(from: string, to: string): { source: Uint8Array; destination: Uint8Array } {
  const [source, destination] = [address(from), address(to)];
  const length = source.family === 1 ? 4 : 16;
  return { source: source.bytes.subarray(0, length), destination: destination.bytes.subarray(0, length) };
}

/** `inner` in the tunnel, as a datapath would wrap it. */
export function wrapped(inner: Uint8Array, from: string, to: string, path: { readonly spi: number; readonly si: number }): Uint8Array {
  const { spi, si } = path;
  const tunnel = { source: address(from), destination: address(to), spi: spi as Spi, si: si as Si, ttl: NSH_TTL_CLASSIFIER, reply: false };
  const bytes = encapsulate(inner, tunnel);
  if ('failure' in bytes) throw new Error('the forger made a mistake');
  return bytes;
}

/** The destination in the IP header. */
export const destinationOf = (packet: Uint8Array): string =>
  (packet[0] ?? 0) >> 4 === 6 ? formatAddress(packet.subarray(24, 40), 2) : formatAddress(packet.subarray(16, 20), 1);

/** What stands behind the IP header of a packet without options. */
export const behindIp = (packet: Uint8Array): Uint8Array => packet.subarray((packet[0] ?? 0) >> 4 === 6 ? 40 : 20);

/** A copy of an encapsulated packet with this outer UDP checksum. */
export function withOuterChecksum(packet: Uint8Array, value: number): Uint8Array {
  const bytes = Buffer.from(packet);
  bytes.writeUInt16BE(value, bytes.length - behindIp(bytes).length + 6);
  return bytes;
}

/** "This did not fit, only so many bytes do", said by `from` to the sender of what it repeats. */
export function tooBig(about: Uint8Array, from: string, to: string, mtu: number): Uint8Array {
  const v6 = from.includes(':');
  const [type, code] = TOO_BIG[v6 ? 6 : 4];
  const message = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 0, 0]), about.subarray(0, 500)]);
  message.writeUInt32BE(mtu, 4);
  message.writeUInt16BE(v6 ? transportChecksum({ ...ends(from, to), protocol: ICMPV6 }, message) : checksum(message), 2);
  return ipPacket(message, { from, to, protocol: v6 ? ICMPV6 : PROTOCOL.icmp });
}
