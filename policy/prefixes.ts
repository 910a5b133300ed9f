/** Sets of prefixes. Pure; a prefix is canonical, so that equal prefixes have equal texts. */

import { formatMapAddress } from '../maps/index.js';
import type { Cidr } from './desired.js';

function bitAt(bytes: Uint8Array, index: number): number {
  return ((bytes[index >>> 3] ?? 0) >>> (7 - (index & 7))) & 1;
}

/** Does `outer` hold every address of `inner`? A prefix covers itself. */
export function covers(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.prefixLength > inner.prefixLength) return false;
  const whole = outer.prefixLength >>> 3;
  for (let index = 0; index < whole; index++) if (outer.bytes[index] !== inner.bytes[index]) return false;
  for (let bit = whole * 8; bit < outer.prefixLength; bit++) if (bitAt(outer.bytes, bit) !== bitAt(inner.bytes, bit)) return false;
  return true;
}

/** The prefix of this length that covers `cidr`. */
export function shortened(cidr: Cidr, prefixLength: number): Cidr {
  if (prefixLength >= cidr.prefixLength) return cidr;
  const bytes = cidr.bytes.map((byte, index) => {
    const bits = prefixLength - index * 8;
    return bits >= 8 ? byte : bits <= 0 ? 0 : byte & (0xff << (8 - bits));
  });
  return { family: cidr.family, bytes, prefixLength, text: `${formatMapAddress(bytes, cidr.family)}/${prefixLength}` };
}

/** By family, then address, then length: a prefix stands right before those it covers. */
export function comparePrefixes(a: Cidr, b: Cidr): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let index = 0; index < a.bytes.length; index++) {
    const apart = (a.bytes[index] ?? 0) - (b.bytes[index] ?? 0);
    if (apart !== 0) return apart;
  }
  return a.prefixLength - b.prefixLength;
}

/** Two halves of one prefix. */
function siblings(a: Cidr, b: Cidr): boolean {
  const length = a.prefixLength;
  return length > 0 && length === b.prefixLength && shortened(a, length - 1).text === shortened(b, length - 1).text;
}

/** The fewest prefixes with the same addresses: none within another, no two halves of one. */
export function mergePrefixes(cidrs: readonly Cidr[]): Cidr[] {
  const merged: Cidr[] = [];
  for (const cidr of [...cidrs].sort(comparePrefixes)) {
    const last = merged.at(-1);
    if (last !== undefined && covers(last, cidr)) continue;
    merged.push(cidr);
    for (;;) {
      const [left, right] = merged.slice(-2);
      if (left === undefined || right === undefined || !siblings(left, right)) break;
      merged.splice(-2, 2, shortened(left, left.prefixLength - 1));
    }
  }
  return merged;
}

/** Do the prefixes together hold every address of `cidr`? */
export function fill(cidr: Cidr, prefixes: readonly Cidr[]): boolean {
  return mergePrefixes(prefixes).some((prefix) => covers(prefix, cidr));
}
