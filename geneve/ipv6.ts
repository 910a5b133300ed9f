/** IPv6 (RFC 8200) and the walk over its extension headers. */

import { type Decoded, type Failed, short, wrong } from './failure.js';
import { type RecordOf, wireHeader } from './field-table.js';

export const IPV6_HEADER = wireHeader('IPv6 header', 'RFC 8200 3', [
  ['version', 'u4', '6'],
  ['trafficClass', 'u8', 'DSCP 6 bits, ECN 2 bits (RFC 2474, RFC 3168)'],
  ['flowLabel', 'u20', 'flow label'],
  ['payloadLength', 'u16', 'length of what follows this header, bytes'],
  ['nextHeader', 'u8', 'protocol of what follows'],
  ['hopLimit', 'u8', 'hops'],
  ['source', 'bytes16', 'source address'],
  ['destination', 'bytes16', 'destination address'],
]);

/** How hop-by-hop options, routing and destination options begin. */
export const IPV6_EXTENSION_HEADER = wireHeader('IPv6 extension header', 'RFC 8200 4.3, 4.4, 4.6', [
  ['nextHeader', 'u8', 'protocol of what follows'],
  ['length', 'u8', 'length in 8-byte units, the first not counted'],
]);

export const IPV6_FRAGMENT_HEADER = wireHeader('IPv6 fragment header', 'RFC 8200 4.5', [
  ['nextHeader', 'u8', 'protocol of what the fragment is part of'],
  ['reserved', 'zero8', 'reserved'],
  ['fragmentOffset', 'u13', 'place of the fragment, in 8-byte units'],
  ['reserved2', 'zero2', 'reserved'],
  ['moreFragments', 'u1', 'M: not the last fragment'],
  ['identification', 'u32', 'of the packet that the fragment belongs to'],
]);

export const AUTHENTICATION_HEADER = wireHeader('authentication header', 'RFC 4302 2', [
  ['nextHeader', 'u8', 'protocol of what follows'],
  ['length', 'u8', 'length in 4-byte words, the first two not counted'],
  ['reserved', 'zero16', 'reserved'],
  ['spi', 'u32', 'security parameters index'],
  ['sequence', 'u32', 'sequence number'],
]);

export const IPV6_EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, authentication: 51, destinationOptions: 60 } as const;

const NAMES = new Map<number, string>([
  [IPV6_EXTENSION.hopByHop, 'IPv6 hop-by-hop options'],
  [IPV6_EXTENSION.routing, 'IPv6 routing header'],
  [IPV6_EXTENSION.fragment, IPV6_FRAGMENT_HEADER.name],
  [IPV6_EXTENSION.authentication, AUTHENTICATION_HEADER.name],
  [IPV6_EXTENSION.destinationOptions, 'IPv6 destination options'],
]);

/**
 * Most extension headers that a walk takes: RFC 8200 4.1 knows seven places, each header once and
 * destination options twice. A packet with more only costs time.
 */
export const IPV6_EXTENSION_LIMIT = 8;

export interface Ipv6Extension {
  readonly protocol: number;
  /** From the start of the IPv6 header, bytes. */
  readonly offset: number;
  readonly length: number;
}

export interface Ipv6Header extends RecordOf<typeof IPV6_HEADER> {
  readonly extensions: readonly Ipv6Extension[];
  /** Protocol of what follows the last extension header. */
  readonly protocol: number;
  /** Of the IPv6 header with its extension headers, bytes. */
  readonly headerLength: number;
  /** 40 + `payloadLength`. */
  readonly totalLength: number;
  readonly fragment?: RecordOf<typeof IPV6_FRAGMENT_HEADER>;
}

/**
 * The header at byte `offset` with its extension headers, which must lie inside the payload. The walk
 * ends at the first protocol that is none of ours (ESP and "no next header" among them) and behind
 * the fragment header of a later fragment, where no header follows. Hop-by-hop options stand first or
 * not at all (RFC 8200 4.1). Says nothing of the packet behind the headers.
 */
export function decodeIpv6(bytes: Uint8Array, offset = 0): Decoded<Ipv6Header> {
  const header = IPV6_HEADER.decode(bytes, offset);
  if ('failure' in header) return header;
  if (header.version !== 6) return wrong('IPv6 version', 6, header.version);
  const totalLength = IPV6_HEADER.size + header.payloadLength;
  const packet = bytes.subarray(offset, offset + totalLength);
  const extensions: Ipv6Extension[] = [];
  let fragment: RecordOf<typeof IPV6_FRAGMENT_HEADER> | undefined;
  let protocol = header.nextHeader;
  let at = IPV6_HEADER.size;
  while (NAMES.has(protocol) && (fragment?.fragmentOffset ?? 0) === 0) {
    if (extensions.length === IPV6_EXTENSION_LIMIT)
      return wrong('IPv6 extension headers', `at most ${IPV6_EXTENSION_LIMIT}`, extensions.length + 1);
    if (protocol === IPV6_EXTENSION.hopByHop && extensions.length > 0)
      return wrong('IPv6 hop-by-hop options', 'first', extensions.length + 1);
    const extension = readExtension(packet, at, protocol);
    if ('failure' in extension) return extension;
    extensions.push({ protocol, offset: at, length: extension.length });
    fragment = extension.fragment ?? fragment;
    protocol = extension.nextHeader;
    at += extension.length;
  }
  return { ...header, extensions, protocol, headerLength: at, totalLength, ...(fragment && { fragment }) };
}

/** One extension header, of which all bytes must be there. */
function readExtension(
  packet: Uint8Array,
  at: number,
  protocol: number,
): Failed | { nextHeader: number; length: number; fragment?: RecordOf<typeof IPV6_FRAGMENT_HEADER> } {
  const part = NAMES.get(protocol) ?? IPV6_EXTENSION_HEADER.name;
  if (protocol === IPV6_EXTENSION.fragment) {
    const fragment = IPV6_FRAGMENT_HEADER.decode(packet, at);
    return 'failure' in fragment ? fragment : { nextHeader: fragment.nextHeader, length: IPV6_FRAGMENT_HEADER.size, fragment };
  }
  const authentication = protocol === IPV6_EXTENSION.authentication;
  const table = authentication ? AUTHENTICATION_HEADER : IPV6_EXTENSION_HEADER;
  const header = table.decode(packet, at);
  if ('failure' in header) return short(part, table.size, header.failure.found);
  const length = authentication ? (header.length + 2) * 4 : (header.length + 1) * 8;
  if (length < table.size) return wrong(`${part} length`, `at least ${table.size}`, length);
  if (packet.length - at < length) return short(part, length, packet.length - at);
  return { nextHeader: header.nextHeader, length };
}

/** What a sender decides; the version follows. */
export type Ipv6Fields = Omit<RecordOf<typeof IPV6_HEADER>, 'version'>;

/** A header without extension headers: 40 bytes. */
export function encodeIpv6(fields: Ipv6Fields): Uint8Array {
  return IPV6_HEADER.encode({ ...fields, version: 6 });
}
