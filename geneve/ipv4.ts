/** IPv4 (RFC 791 3.1), with options. */

import { checksum } from './checksum.js';
import { type Decoded, short, wrong } from './failure.js';
import { type RecordOf, wireHeader } from './field-table.js';

export const IPV4_HEADER = wireHeader('IPv4 header', 'RFC 791 3.1', [
  ['version', 'u4', '4'],
  ['headerWords', 'u4', 'length of the header with its options, in 4-byte words'],
  ['tos', 'u8', 'DSCP 6 bits, ECN 2 bits (RFC 2474, RFC 3168)'],
  ['totalLength', 'u16', 'length of the packet, header included, bytes'],
  ['identification', 'u16', 'of the packet that a fragment belongs to'],
  ['reserved', 'zero1', 'reserved'],
  ['dontFragment', 'u1', 'DF'],
  ['moreFragments', 'u1', 'MF: not the last fragment'],
  ['fragmentOffset', 'u13', 'place of the fragment, in 8-byte units'],
  ['ttl', 'u8', 'time to live, hops'],
  ['protocol', 'u8', 'of what follows the header'],
  ['checksum', 'u16', 'of the header (RFC 1071)'],
  ['source', 'bytes4', 'source address'],
  ['destination', 'bytes4', 'destination address'],
]);

export interface Ipv4Header extends RecordOf<typeof IPV4_HEADER> {
  /** Bytes, options included. */
  readonly headerLength: number;
  /** A view of the packet; empty mostly. */
  readonly options: Uint8Array;
}

/**
 * The header at byte `offset`. Says nothing of the packet behind it: `totalLength` may be more than
 * is there (a capture cuts), but never less than the header.
 */
export function decodeIpv4(bytes: Uint8Array, offset = 0): Decoded<Ipv4Header> {
  const header = IPV4_HEADER.decode(bytes, offset);
  if ('failure' in header) return header;
  if (header.version !== 4) return wrong('IPv4 version', 4, header.version);
  const headerLength = header.headerWords * 4;
  if (headerLength < IPV4_HEADER.size) return wrong('IPv4 header length', `at least ${IPV4_HEADER.size}`, headerLength);
  if (bytes.length - offset < headerLength) return short('IPv4 options', headerLength, bytes.length - offset);
  if (header.totalLength < headerLength) return wrong('IPv4 total length', `at least ${headerLength}`, header.totalLength);
  return { ...header, headerLength, options: bytes.subarray(offset + IPV4_HEADER.size, offset + headerLength) };
}

/** What a sender decides; version, header length and checksum follow from it. */
export type Ipv4Fields = Omit<RecordOf<typeof IPV4_HEADER>, 'version' | 'headerWords' | 'checksum'> & {
  /** Length a multiple of 4, at most 40. */
  readonly options?: Uint8Array;
};

/** A header with its options, checksum filled in. */
export function encodeIpv4(fields: Ipv4Fields): Uint8Array {
  const { options = new Uint8Array(0) } = fields;
  const bytes = new Uint8Array(IPV4_HEADER.size + options.length);
  const header = { ...fields, version: 4, headerWords: bytes.length / 4, checksum: 0 };
  IPV4_HEADER.write(bytes, 0, header);
  bytes.set(options, IPV4_HEADER.size);
  IPV4_HEADER.write(bytes, 0, { ...header, checksum: checksum(bytes) });
  return bytes;
}
