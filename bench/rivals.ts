/** Who finds the longest prefix: ours and its rivals. All answer with the prefix's number in the table, or NONE. */

import { createRequire } from 'node:module';
import { LpmTrie } from '../maps/memory/lpm.js';
import type { Addresses, PrefixTable } from './prefixes.js';

export const NONE = -1;

export interface Matcher {
  /** Looks up the first `count` addresses; the sum of the answers, so that no look-up can be left out. */
  run(addresses: Addresses, count: number): number;
  /** The answer for one address. */
  answer(addresses: Addresses, index: number): number;
}

export interface Rival {
  readonly name: string;
  /** Entries at most, so that the benchmark ends within minutes. */
  readonly most: number;
  /** Look-ups that take a measurable while, and not much longer. */
  readonly lookups: (entries: number) => number;
  /** Whether its memory is within what Node.js counts. */
  readonly counted: boolean;
  /** The table inserted one by one. */
  build(table: PrefixTable): Matcher;
}

const packages = createRequire(import.meta.url);
/** Takes addresses as text. */
const { IPTrie } = packages('arkime-iptrie') as {
  readonly IPTrie: new () => { add(address: string, length: number, value: number): void; find(address: string): number | undefined };
};
/** Takes prefixes as text. */
const LongestPrefixMatch = packages('longest-prefix-match') as new () => {
  addPrefix(prefix: string, value: number): void;
  getMatch(prefix: string): readonly number[];
};

/** The static part of every key: an endpoint, a port and a protocol. */
const S0 = 0x07000101;
const S1 = 0x01bb0600;

class Ours implements Matcher {
  readonly #trie: LpmTrie;

  constructor({ count, words: [w0, w1, w2, w3], lengths }: PrefixTable) {
    this.#trie = new LpmTrie('bench', count, 8);
    const value = new Uint8Array(8);
    const view = new DataView(value.buffer);
    for (let index = 0; index < count; index += 1) {
      view.setUint32(0, index);
      const prefix = { w0: w0[index] as number, w1: w1[index] as number, w2: w2[index] as number, w3: w3[index] as number };
      this.#trie.insert({ s0: S0, s1: S1, length: lengths[index] as number, ...prefix }, value);
    }
  }

  run({ words: [w0, w1, w2, w3] }: Addresses, count: number): number {
    const trie = this.#trie;
    let sum = 0;
    for (let index = 0; index < count; index += 1)
      sum += trie.lookup(S0, S1, w0[index] as number, w1[index] as number, w2[index] as number, w3[index] as number, 128);
    return sum;
  }

  answer({ words: [w0, w1, w2, w3] }: Addresses, index: number): number {
    const trie = this.#trie;
    const entry = trie.lookup(S0, S1, w0[index] as number, w1[index] as number, w2[index] as number, w3[index] as number, 128);
    return entry === NONE ? NONE : trie.entries.valueWord(entry, 0);
  }
}

/** Prefixes in typed arrays, longest first, so that the first that covers the address is the answer. */
class LinearScan implements Matcher {
  readonly #order: Int32Array;
  readonly #prefixes: Int32Array;
  readonly #masks: Int32Array;

  constructor({ count, words, lengths }: PrefixTable) {
    this.#order = Int32Array.from({ length: count }, (_, index) => index).sort((a, b) => (lengths[b] as number) - (lengths[a] as number));
    this.#prefixes = new Int32Array(count * 4);
    this.#masks = new Int32Array(count * 4);
    this.#order.forEach((index, place) => {
      words.forEach((column, word) => {
        const bits = Math.min(32, Math.max(0, (lengths[index] as number) - 32 * word));
        this.#prefixes[place * 4 + word] = column[index] as number;
        this.#masks[place * 4 + word] = bits === 0 ? 0 : -1 << (32 - bits);
      });
    });
  }

  run(addresses: Addresses, count: number): number {
    let sum = 0;
    for (let index = 0; index < count; index += 1) sum += this.answer(addresses, index);
    return sum;
  }

  answer({ words: [w0, w1, w2, w3] }: Addresses, index: number): number {
    const prefixes = this.#prefixes;
    const masks = this.#masks;
    const [a, b, c, d] = [w0[index] as number, w1[index] as number, w2[index] as number, w3[index] as number];
    for (let at = 0; at < prefixes.length; at += 4) {
      if (
        (a & (masks[at] as number)) === prefixes[at] &&
        (b & (masks[at + 1] as number)) === prefixes[at + 1] &&
        (c & (masks[at + 2] as number)) === prefixes[at + 2] &&
        (d & (masks[at + 3] as number)) === prefixes[at + 3]
      )
        return this.#order[at >>> 2] as number;
    }
    return NONE;
  }
}

class Native implements Matcher {
  readonly #trie = new IPTrie();

  constructor({ count, texts, lengths }: PrefixTable) {
    for (let index = 0; index < count; index += 1) this.#trie.add(texts[index] as string, lengths[index] as number, index);
  }

  run(addresses: Addresses, count: number): number {
    let sum = 0;
    for (let index = 0; index < count; index += 1) sum += this.answer(addresses, index);
    return sum;
  }

  answer({ texts }: Addresses, index: number): number {
    return this.#trie.find(texts[index] as string) ?? NONE;
  }
}

class PureScript implements Matcher {
  readonly #trie = new LongestPrefixMatch();
  readonly #host: string;

  constructor({ family, count, texts, lengths }: PrefixTable) {
    this.#host = family === 1 ? '/32' : '/128';
    for (let index = 0; index < count; index += 1) this.#trie.addPrefix(`${texts[index]}/${lengths[index]}`, index);
  }

  run(addresses: Addresses, count: number): number {
    let sum = 0;
    for (let index = 0; index < count; index += 1) sum += this.answer(addresses, index);
    return sum;
  }

  answer({ texts }: Addresses, index: number): number {
    return this.#trie.getMatch(texts[index] + this.#host)[0] ?? NONE;
  }
}

export const RIVALS: readonly Rival[] = [
  { name: 'sfc', most: 1_000_000, lookups: () => 1 << 17, counted: true, build: (table) => new Ours(table) },
  {
    name: 'linear scan',
    most: 16_384,
    lookups: (entries) => (entries > 100 ? 500 : 20_000),
    counted: true,
    build: (table) => new LinearScan(table),
  },
  { name: 'arkime-iptrie', most: 1_000_000, lookups: () => 10_000, counted: false, build: (table) => new Native(table) },
  { name: 'longest-prefix-match', most: 100_000, lookups: () => 500, counted: true, build: (table) => new PureScript(table) },
];
