/**
 * Addresses as the maps and the wire hold them: 16 bytes, an IPv4 address in the first four. Text is
 * read strictly: `ipaddr.js` alone would take octal, hexadecimal and short forms of IPv4.
 */

import ipaddr from 'ipaddr.js';

/** 1 = IPv4, 2 = IPv6: the number that the maps use. */
export type AddressFamily = 1 | 2;

export interface IpAddress {
  readonly family: AddressFamily;
  /** 16 bytes, network order; IPv4 in the first four, the rest zero. */
  readonly bytes: Uint8Array;
  /** Canonical text (RFC 5952 for IPv6). */
  readonly text: string;
}

export interface IpPrefix extends IpAddress {
  readonly prefixLength: number;
  /** True when the text had bits set behind the prefix; `bytes` and `text` have them cleared. */
  readonly hostBits: boolean;
}

const IPV4 = /^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;

/** Dotted quad or IPv6 text, no zone, no leading zeros; undefined for anything else. IPv4-mapped IPv6 stays IPv6. */
export function parseAddress(text: string): IpAddress | undefined {
  const bytes = new Uint8Array(16);
  if (IPV4.test(text)) bytes.set(ipaddr.IPv4.parse(text).toByteArray());
  else if (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text)) bytes.set(ipaddr.IPv6.parse(text).toByteArray());
  else return undefined;
  const family = text.includes(':') ? 2 : 1;
  return { family, bytes, text: formatAddress(bytes, family) };
}

/** Canonical text of the first 4 (IPv4) or 16 (IPv6) bytes. */
export function formatAddress(bytes: Uint8Array, family: AddressFamily): string {
  if (family === 1) return bytes.subarray(0, 4).join('.');
  return new ipaddr.IPv6([...bytes.subarray(0, 16)]).toRFC5952String();
}

/** `address/length`; undefined when either part is wrong or the length is missing. */
export function parseCidr(text: string): IpPrefix | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const address = match?.[1] === undefined ? undefined : parseAddress(match[1]);
  const prefixLength = Number(match?.[2]);
  if (address === undefined || prefixLength > (address.family === 1 ? 32 : 128)) return undefined;
  const bytes = maskAddress(address.bytes, prefixLength);
  const hostBits = bytes.some((byte, index) => byte !== address.bytes[index]);
  return { family: address.family, bytes, prefixLength, hostBits, text: `${formatAddress(bytes, address.family)}/${prefixLength}` };
}

/** A copy with every bit behind the prefix cleared. */
export function maskAddress(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, prefixLength - index * 8));
    return byte & (0xff << (8 - kept));
  });
}
