/** UDP (RFC 768), TCP (RFC 9293), SCTP (RFC 9260), ICMP (RFC 792) and ICMPv6 (RFC 4443), as far as steering reads them. */

import { type Decoded, short, wrong } from './failure.js';
import { type RecordOf, wireHeader } from './field-table.js';

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

export const UDP_HEADER = wireHeader('UDP header', 'RFC 768', [
  ['sourcePort', 'u16', 'source port'],
  ['destinationPort', 'u16', 'destination port'],
  ['length', 'u16', 'of header and payload, bytes'],
  ['checksum', 'u16', 'over pseudo header, header and payload; 0 = none'],
]);
export type UdpHeader = RecordOf<typeof UDP_HEADER>;

export const TCP_HEADER = wireHeader('TCP header', 'RFC 9293 3.1', [
  ['sourcePort', 'u16', 'source port'],
  ['destinationPort', 'u16', 'destination port'],
  ['sequence', 'u32', 'sequence number'],
  ['acknowledgement', 'u32', 'acknowledgment number'],
  ['dataOffset', 'u4', 'length of the header with its options, in 4-byte words'],
  ['reserved', 'zero4', 'reserved'],
  ['flags', 'u8', 'CWR 0x80, ECE 0x40, URG 0x20, ACK 0x10, PSH 0x08, RST 0x04, SYN 0x02, FIN 0x01'],
  ['window', 'u16', 'window, not scaled'],
  ['checksum', 'u16', 'over pseudo header, header and payload'],
  ['urgentPointer', 'u16', 'urgent pointer'],
]);

export interface TcpHeader extends RecordOf<typeof TCP_HEADER> {
  /** Bytes, options included. */
  readonly headerLength: number;
  /** A view of the packet. */
  readonly options: Uint8Array;
}

export const SCTP_HEADER = wireHeader('SCTP header', 'RFC 9260 3.1', [
  ['sourcePort', 'u16', 'source port'],
  ['destinationPort', 'u16', 'destination port'],
  ['verificationTag', 'u32', 'verification tag'],
  ['checksum', 'u32', 'CRC32c of the packet'],
]);

/** Least significant bit first. */
export const TCP_FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'] as const;

/** ICMPv6 has the same four fields. */
export const ICMP_HEADER = wireHeader('ICMP header', 'RFC 792, RFC 4443 2.1', [
  ['type', 'u8', 'type'],
  ['code', 'u8', 'code'],
  ['checksum', 'u16', 'over the message; ICMPv6: over pseudo header and message'],
  ['rest', 'u32', 'depends on type and code'],
]);
/** ICMP types whose `rest` begins with an identifier (RFC 792). */
export const ICMP_ECHO = { reply: 0, request: 8 } as const;
export type IcmpHeader = RecordOf<typeof ICMP_HEADER>;

/** The header at byte `offset` with its options, which must be there in full. */
export function decodeTcp(bytes: Uint8Array, offset = 0): Decoded<TcpHeader> {
  const header = TCP_HEADER.decode(bytes, offset);
  if ('failure' in header) return header;
  const headerLength = header.dataOffset * 4;
  if (headerLength < TCP_HEADER.size) return wrong('TCP data offset', `at least ${TCP_HEADER.size / 4}`, header.dataOffset);
  if (bytes.length - offset < headerLength) return short('TCP options', headerLength, bytes.length - offset);
  return { ...header, headerLength, options: bytes.subarray(offset + TCP_HEADER.size, offset + headerLength) };
}

/** What a sender decides; the data offset follows from the options. */
export type TcpFields = Omit<RecordOf<typeof TCP_HEADER>, 'dataOffset'> & {
  /** Length a multiple of 4, at most 40. */
  readonly options?: Uint8Array;
};

/** A header with its options; the checksum is the caller's, who has the payload. */
export function encodeTcp(fields: TcpFields): Uint8Array {
  const { options = new Uint8Array(0) } = fields;
  const bytes = new Uint8Array(TCP_HEADER.size + options.length);
  TCP_HEADER.write(bytes, 0, { ...fields, dataOffset: bytes.length / 4 });
  bytes.set(options, TCP_HEADER.size);
  return bytes;
}
