/** For tests of the trie: its oracle, a list that is scanned from end to end, and what both are fed with. */

import type { LpmPrefix } from './entry-pool.js';
import type { LpmTrie } from './lpm.js';
import { maskWord } from './trie-nodes.js';

export type Words = readonly [number, number, number, number];

export class LinearScan {
  readonly held = new Map<string, { readonly prefix: LpmPrefix; readonly value: number }>();

  insert(prefix: LpmPrefix, value: number): void {
    this.held.set(nameOf(prefix), { prefix, value });
  }

  delete(prefix: LpmPrefix): boolean {
    return this.held.delete(nameOf(prefix));
  }

  lookup(s0: number, s1: number, words: Words, limit: number): number | undefined {
    let longest = -1;
    let found: number | undefined;
    for (const { prefix, value } of this.held.values()) {
      if (prefix.s0 !== s0 || prefix.s1 !== s1 || prefix.length > limit || prefix.length <= longest || !covers(prefix, words)) continue;
      longest = prefix.length;
      found = value;
    }
    return found;
  }
}

function nameOf({ s0, s1, length, w0, w1, w2, w3 }: LpmPrefix): string {
  return `${s0} ${s1} ${length} ${w0} ${w1} ${w2} ${w3}`;
}

function covers({ length, w0, w1, w2, w3 }: LpmPrefix, words: Words): boolean {
  const own: Words = [w0, w1, w2, w3];
  for (let word = 0; word * 32 < length; word += 1) {
    const rest = length - word * 32;
    const difference = (own[word] as number) ^ (words[word] as number);
    if (rest >= 32 ? difference !== 0 : difference >>> (32 - rest) !== 0) return false;
  }
  return true;
}

export function canonical(s0: number, s1: number, [w0, w1, w2, w3]: Words, length: number): LpmPrefix {
  return {
    s0,
    s1,
    length,
    w0: maskWord(w0, length),
    w1: maskWord(w1, length - 32),
    w2: maskWord(w2, length - 64),
    w3: maskWord(w3, length - 96),
  };
}

/** A value of the tries under test: 8 bytes, of which the last four hold the number. */
export function bytesOf(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(4, value);
  return bytes;
}

export function valueAt(trie: LpmTrie, entry: number): number | undefined {
  return entry === -1 ? undefined : trie.entries.valueWord(entry, 4);
}

/** Numbers below `end`, the same in every run: a congruential generator (Numerical Recipes), its bits mixed. */
export function generator(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
    return ((mixed ^ (mixed >>> 13)) >>> 0) % end;
  };
}
