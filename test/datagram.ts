/** Datagrams made by hand, of either IP version, for tests that send what no socket sends. */

import {
  checksum,
  encodeIpv4,
  encodeIpv6,
  IPV4_HEADER,
  IPV6_EXTENSION,
  IPV6_FRAGMENT_HEADER,
  IPV6_HEADER,
  PROTOCOL,
  parseAddress,
  UDP_HEADER,
} from '../geneve/index.js';

/** A UDP datagram over IP, as it is on the wire. */
export function datagram(from: string, to: { readonly address: string; readonly port: number }, text: string): Uint8Array {
  const [source, destination] = [from, to.address].map((address) => parseAddress(address));
  if (source === undefined || destination === undefined) throw new Error('no address');
  const payload = Buffer.from(text);
  const udp = { sourcePort: 4000, destinationPort: to.port, length: UDP_HEADER.size + payload.length, checksum: 0 };
  const transport = Buffer.concat([UDP_HEADER.encode(udp), payload]);
  const [protocol, ttl] = [PROTOCOL.udp, 64];
  if (source.family === 1) {
    const flags = { reserved: 0, dontFragment: 0, moreFragments: 0, fragmentOffset: 0, identification: 1, tos: 0 };
    const addresses = { source: source.bytes.subarray(0, 4), destination: destination.bytes.subarray(0, 4) };
    return Buffer.concat([encodeIpv4({ ...flags, ...addresses, totalLength: 20 + transport.length, ttl, protocol }), transport]);
  }
  // A UDP checksum of zero is none over IPv4, and refused over IPv6 (RFC 8200 8.1).
  transport.writeUInt16BE(udpChecksum(source.bytes, destination.bytes, transport), 6);
  const fields = { trafficClass: 0, flowLabel: 0, payloadLength: transport.length, nextHeader: protocol, hopLimit: ttl };
  return Buffer.concat([encodeIpv6({ ...fields, source: source.bytes, destination: destination.bytes }), transport]);
}

/** The packet in fragments, each with so many bytes of it behind its headers at most; a multiple of 8. No header extensions, no options. */
export function fragmentsOf(packet: Uint8Array, identification: number, piece: number): readonly Uint8Array[] {
  const isIpv6 = (packet[0] ?? 0) >> 4 === 6;
  const header = packet.subarray(0, isIpv6 ? IPV6_HEADER.size : IPV4_HEADER.size);
  const rest = packet.subarray(header.length);
  return Array.from({ length: Math.ceil(rest.length / piece) }, (_, index) => {
    const [at, part] = [index * piece, rest.subarray(index * piece, (index + 1) * piece)];
    const moreFragments = at + part.length < rest.length ? 1 : 0;
    const own = Buffer.from(header);
    if (!isIpv6) {
      own.writeUInt16BE(own.length + part.length, 2);
      own.writeUInt16BE(identification, 4);
      own.writeUInt16BE((moreFragments << 13) | (at / 8), 6);
      own.writeUInt16BE(0, 10);
      own.writeUInt16BE(checksum(own), 10);
      return Buffer.concat([own, part]);
    }
    own.writeUInt16BE(IPV6_FRAGMENT_HEADER.size + part.length, 4);
    own.writeUInt8(IPV6_EXTENSION.fragment, 6);
    const fields = { nextHeader: PROTOCOL.udp, reserved: 0, fragmentOffset: at / 8, reserved2: 0, moreFragments, identification };
    return Buffer.concat([own, IPV6_FRAGMENT_HEADER.encode(fields), part]);
  });
}

function udpChecksum(source: Uint8Array, destination: Uint8Array, transport: Uint8Array): number {
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(transport.length, 0);
  pseudo.writeUInt8(PROTOCOL.udp, 7);
  return checksum(Buffer.concat([source, destination, pseudo, transport])) || 0xffff;
}
