/**
 * The nodes of binary tries, path-compressed: eight words each in one Int32Array. A node's words are
 * zero past its length. A node without an entry is a fork and has two children.
 *
 *     word  0     1     2      3              4  5  6  7
 *           head  left  right  entry or NONE  w0 w1 w2 w3
 *
 *     head  31         12 11        8 7          0
 *          ┌─────────────┬───────────┬────────────┐
 *          │ fan's place │ fan's bits│ length     │   bits 0: no fan (fans.ts)
 *          └─────────────┴───────────┴────────────┘
 */

import type { LpmPrefix } from './entry-pool.js';
import { NONE } from './roots.js';

/** Words of a node, and where they stand. */
export const STRIDE = 8;
export const LEFT = 1;
export const ENTRY = 3;
const WORDS = 4;

export const LENGTH_MASK = 0xff;
export const FAN_BITS_SHIFT = 8;
export const FAN_BITS_MASK = 0xf;
export const FAN_PLACE_SHIFT = 12;

/** Makes an array of zeros; a test gives one that watches what is written. */
export type Allocate = (words: number) => Int32Array;
export const allocateWords: Allocate = (words) => new Int32Array(words);

export class TrieNodes {
  readonly #allocate: Allocate;
  /** All nodes; replaced as a whole when they grow. */
  words: Int32Array;
  /** Nodes that were ever in use. */
  #reach = 0;
  /** First free node; the next stands in its LEFT word. */
  #free = NONE;

  constructor(allocate: Allocate) {
    this.#allocate = allocate;
    this.words = allocate(64 * STRIDE);
  }

  length(node: number): number {
    return (this.words[node * STRIDE] as number) & LENGTH_MASK;
  }

  child(node: number, side: number): number {
    return this.words[node * STRIDE + LEFT + side] as number;
  }

  entry(node: number): number {
    return this.words[node * STRIDE + ENTRY] as number;
  }

  /** Word `index` (0..3) of the node's prefix. */
  word(node: number, index: number): number {
    return this.words[node * STRIDE + WORDS + index] as number;
  }

  /** Leading bits that a prefix of at most its length shares with the node, at most the node's length. */
  common(node: number, prefix: LpmPrefix): number {
    const { length, w0, w1, w2, w3 } = prefix;
    return Math.min(commonBits(this.words, node * STRIDE, w0, w1, w2, w3), length, this.length(node));
  }

  bit(node: number, index: number): number {
    return (this.word(node, index >>> 5) >>> (31 - (index & 31))) & 1;
  }

  setChild(node: number, side: number, child: number): void {
    this.words[node * STRIDE + LEFT + side] = child;
  }

  setEntry(node: number, entry: number): void {
    this.words[node * STRIDE + ENTRY] = entry;
  }

  /** A node of the first `length` bits of `prefix`, without children. */
  take(length: number, prefix: LpmPrefix, entry: number): number {
    let node = this.#free;
    if (node === NONE) {
      node = this.#reach;
      this.#reach += 1;
      if (this.#reach * STRIDE > this.words.length) this.#grow();
    } else {
      this.#free = this.child(node, 0);
    }
    const { w0, w1, w2, w3 } = prefix;
    const words = [maskWord(w0, length), maskWord(w1, length - 32), maskWord(w2, length - 64), maskWord(w3, length - 96)];
    this.words.set([length, NONE, NONE, entry, ...words], node * STRIDE);
    return node;
  }

  /** The caller has unlinked it. */
  release(node: number): void {
    this.setChild(node, 0, this.#free);
    this.#free = node;
  }

  #grow(): void {
    const grown = this.#allocate(this.words.length * 2);
    grown.set(this.words);
    this.words = grown;
  }
}

/** The first `bits` bits of a word, as a signed word; none for 0 and below, all for 32 and above. */
export function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word | 0 : word & (-1 << (32 - bits));
}

/** Leading bits that the words of the node at `at` share with the address, counting the node's zeros past its length. */
export function commonBits(nodes: Int32Array, at: number, w0: number, w1: number, w2: number, w3: number): number {
  let difference = (nodes[at + WORDS] as number) ^ w0;
  if (difference !== 0) return Math.clz32(difference);
  difference = (nodes[at + WORDS + 1] as number) ^ w1;
  if (difference !== 0) return 32 + Math.clz32(difference);
  difference = (nodes[at + WORDS + 2] as number) ^ w2;
  if (difference !== 0) return 64 + Math.clz32(difference);
  return 96 + Math.clz32((nodes[at + WORDS + 3] as number) ^ w3);
}

/** The word that holds bit `index` (0..127) of an address. */
export function wordAt(index: number, w0: number, w1: number, w2: number, w3: number): number {
  return index < 64 ? (index < 32 ? w0 : w1) : index < 96 ? w2 : w3;
}
