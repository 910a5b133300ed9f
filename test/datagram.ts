/** Datagrams made by hand, of either IP version, for tests that send what no socket sends. */

import { checksum, encodeIpv4, encodeIpv6, PROTOCOL, parseAddress, UDP_HEADER } from '../geneve/index.js';

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

function udpChecksum(source: Uint8Array, destination: Uint8Array, transport: Uint8Array): number {
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(transport.length, 0);
  pseudo.writeUInt8(PROTOCOL.udp, 7);
  return checksum(Buffer.concat([source, destination, pseudo, transport])) || 0xffff;
}
