/**
 * The Internet checksum: in full (RFC 1071) and after a change of few words (RFC 1624, equation 3).
 * A checksum is the number that stands in the header, 0..0xffff.
 */

/** Sum of the big-endian 16-bit words, not folded; an odd last byte is the upper half of a word. Exact up to 2^36 words. */
export function sumWords(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  return bytes.length % 2 === 0 ? sum : sum + ((bytes[bytes.length - 1] ?? 0) << 8);
}

/** The checksum that belongs to a sum of words: its ones' complement, carries folded in. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/** RFC 1071 over bytes whose checksum field is zero. Over bytes with their checksum in place: 0 when it is right. */
export function checksum(bytes: Uint8Array): number {
  return foldSum(sumWords(bytes));
}

/** Who talks to whom: the part of the IP header that a transport checksum covers. Addresses of 4 bytes each, or of 16. */
export interface PseudoHeader {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
}

/**
 * Checksum of a TCP, UDP or ICMPv6 message `segment` whose own checksum field is zero; 0 when it is in
 * place and right. Pseudo header of RFC 793 3.1 or RFC 8200 8.1: the two give the same sum.
 */
export function transportChecksum({ source, destination, protocol }: PseudoHeader, segment: Uint8Array): number {
  return foldSum(sumWords(segment, sumWords(destination, sumWords(source, protocol + segment.length))));
}

/** The same for UDP, where 0 means that there is none: a sum of 0 is sent as 0xffff (RFC 768). */
export function udpChecksum(ends: Omit<PseudoHeader, 'protocol'>, segment: Uint8Array): number {
  return transportChecksum({ ...ends, protocol: 17 }, segment) || 0xffff;
}

/** The checksum after one of the 16-bit words that it covers went from `before` to `after`. */
export function updateChecksum(old: number, before: number, after: number): number {
  return foldSum((~old & 0xffff) + (~before & 0xffff) + after);
}

/** The same for several words, an address for instance: as many bytes `before` as `after`, an even number, at an even place. */
export function updateChecksumBytes(old: number, before: Uint8Array, after: Uint8Array): number {
  if (before.length !== after.length || before.length % 2 !== 0)
    throw new RangeError(`${before.length} bytes for ${after.length}: whole words only, as many as there were`);
  const complement = before.map((byte) => ~byte);
  return foldSum((~old & 0xffff) + sumWords(after, sumWords(complement)));
}
