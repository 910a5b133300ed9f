/**
 * Longest-prefix match over a static part (two words, always matched in full) and an address of 128
 * bits. Each static part has its own path-compressed binary trie; nodes live in one Int32Array:
 *
 *     word  0       1     2      3              4  5  6  7
 *           length  left  right  entry or NONE  w0 w1 w2 w3
 *
 * A node's words are zero past its length. A node without an entry is a fork and has two children.
 * Every update completes the new node before the one write that links it, so a look-up sees the trie
 * before the update or after it. Look-ups allocate nothing.
 */

import { EntryPool, type LpmPrefix } from './entry-pool.js';
import { mapFull } from './refusals.js';
import { NONE, RootTable } from './roots.js';

const STRIDE = 8;
const LEFT = 1;
const ENTRY = 3;
const WORDS = 4;

export class LpmTrie {
  readonly name: string;
  readonly capacity: number;
  /** Prefix and value of each entry, by the index that `lookup` returns. */
  readonly entries: EntryPool;
  readonly #roots = new RootTable();
  #nodes = new Int32Array(64 * STRIDE);
  /** Nodes that were ever in use. */
  #reach = 0;
  /** First free node; the next stands in its LEFT word. */
  #free = NONE;
  #size = 0;

  /** `valueSize` in bytes. */
  constructor(name: string, capacity: number, valueSize: number) {
    this.name = name;
    this.capacity = capacity;
    // One slot to spare: a replacement is written beside the entry it replaces, also in a full map.
    this.entries = new EntryPool(valueSize, capacity + 1);
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Index of the entry with the longest prefix that covers the address and is no longer than `limit`
   * bits, or -1. Words are big-endian 32-bit values, signed or unsigned.
   */
  lookup(s0: number, s1: number, w0: number, w1: number, w2: number, w3: number, limit: number): number {
    const nodes = this.#nodes;
    let node = this.#roots.find(s0 | 0, s1 | 0);
    let best = NONE;
    while (node !== NONE) {
      const at = node * STRIDE;
      const length = nodes[at] as number;
      if (length > limit || commonBits(nodes, at, w0, w1, w2, w3) < length) break;
      const entry = nodes[at + ENTRY] as number;
      if (entry !== NONE) best = entry;
      if (length === 128) break;
      node = nodes[at + LEFT + bitAt(length, w0, w1, w2, w3)] as number;
    }
    return best;
  }

  /** Index of the entry with exactly this prefix, or -1. */
  find(prefix: LpmPrefix): number {
    const entry = this.lookup(prefix.s0, prefix.s1, prefix.w0, prefix.w1, prefix.w2, prefix.w3, prefix.length);
    return entry !== NONE && this.entries.prefixLength(entry) === prefix.length ? entry : NONE;
  }

  /** Adds or replaces. Throws `MAP_FULL`, with nothing changed, when a new prefix has no room. */
  insert(prefix: LpmPrefix, value: Uint8Array): void {
    if (this.#size >= this.capacity && this.find(prefix) === NONE) throw mapFull(this.name, this.capacity);
    const { length, w0, w1, w2, w3 } = prefix;
    const entry = this.entries.take(prefix, value);
    let parent = NONE;
    let side = 0;
    let node = this.#roots.find(prefix.s0, prefix.s1);
    let common = 0;
    while (node !== NONE) {
      const at = node * STRIDE;
      const nodeLength = this.#nodes[at] as number;
      common = Math.min(commonBits(this.#nodes, at, w0, w1, w2, w3), length, nodeLength);
      if (common < nodeLength) break;
      if (nodeLength === length) {
        this.#exchange(at, entry);
        return;
      }
      parent = node;
      side = bitAt(nodeLength, w0, w1, w2, w3);
      node = this.#nodes[at + LEFT + side] as number;
    }
    // `node` is now nothing, or a node that the new prefix covers, or one that departs from it at `common`.
    const leaf = this.#take(length, prefix, entry);
    let top = leaf;
    if (node !== NONE) {
      if (common < length) {
        top = this.#take(common, prefix, NONE);
        this.#nodes[top * STRIDE + LEFT + bitAt(common, w0, w1, w2, w3)] = leaf;
      }
      this.#nodes[top * STRIDE + LEFT + this.#nodeBit(node, common)] = node;
    }
    this.#link(prefix, parent, side, top);
    this.#size += 1;
  }

  /** Removes the entry with exactly this prefix; true when it was there. */
  delete(prefix: LpmPrefix): boolean {
    const entry = this.find(prefix);
    if (entry === NONE) return false;
    const nodes = this.#nodes;
    const { w0, w1, w2, w3 } = prefix;
    let grandparent = NONE;
    let parentSide = 0;
    let parent = NONE;
    let side = 0;
    let node = this.#roots.find(prefix.s0, prefix.s1);
    while (nodes[node * STRIDE + ENTRY] !== entry) {
      grandparent = parent;
      parentSide = side;
      parent = node;
      side = bitAt(nodes[node * STRIDE] as number, w0, w1, w2, w3);
      node = nodes[node * STRIDE + LEFT + side] as number;
    }
    const left = nodes[node * STRIDE + LEFT] as number;
    const right = nodes[node * STRIDE + LEFT + 1] as number;
    if (left !== NONE && right !== NONE) {
      nodes[node * STRIDE + ENTRY] = NONE;
    } else if (left === NONE && right === NONE && parent !== NONE && nodes[parent * STRIDE + ENTRY] === NONE) {
      // The parent was a fork: without this node its other child takes its place.
      this.#link(prefix, grandparent, parentSide, nodes[parent * STRIDE + LEFT + 1 - side] as number);
      this.#release(parent);
      this.#release(node);
    } else {
      this.#link(prefix, parent, side, left === NONE ? right : left);
      this.#release(node);
    }
    this.entries.release(entry);
    this.#size -= 1;
    return true;
  }

  #exchange(at: number, entry: number): void {
    const old = this.#nodes[at + ENTRY] as number;
    this.#nodes[at + ENTRY] = entry;
    if (old === NONE) this.#size += 1;
    else this.entries.release(old);
  }

  #link(prefix: LpmPrefix, parent: number, side: number, node: number): void {
    if (parent === NONE) this.#roots.set(prefix.s0, prefix.s1, node);
    else this.#nodes[parent * STRIDE + LEFT + side] = node;
  }

  #nodeBit(node: number, index: number): number {
    return ((this.#nodes[node * STRIDE + WORDS + (index >>> 5)] as number) >>> (31 - (index & 31))) & 1;
  }

  /** A node of the first `length` bits of `prefix`, without children. */
  #take(length: number, prefix: LpmPrefix, entry: number): number {
    let node = this.#free;
    if (node === NONE) {
      node = this.#reach;
      this.#reach += 1;
      if (this.#reach * STRIDE > this.#nodes.length) {
        const grown = new Int32Array(this.#nodes.length * 2);
        grown.set(this.#nodes);
        this.#nodes = grown;
      }
    } else {
      this.#free = this.#nodes[node * STRIDE + LEFT] as number;
    }
    const { w0, w1, w2, w3 } = prefix;
    const words = [maskWord(w0, length), maskWord(w1, length - 32), maskWord(w2, length - 64), maskWord(w3, length - 96)];
    this.#nodes.set([length, NONE, NONE, entry, ...words], node * STRIDE);
    return node;
  }

  #release(node: number): void {
    this.#nodes[node * STRIDE + LEFT] = this.#free;
    this.#free = node;
  }
}

/** The first `bits` bits of a word, as a signed word; none for 0 and below, all for 32 and above. */
export function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word | 0 : word & (-1 << (32 - bits));
}

/** Leading bits that the node's words share with the address, counting the node's zeros past its length. */
function commonBits(nodes: Int32Array, at: number, w0: number, w1: number, w2: number, w3: number): number {
  let difference = (nodes[at + WORDS] as number) ^ w0;
  if (difference !== 0) return Math.clz32(difference);
  difference = (nodes[at + WORDS + 1] as number) ^ w1;
  if (difference !== 0) return 32 + Math.clz32(difference);
  difference = (nodes[at + WORDS + 2] as number) ^ w2;
  if (difference !== 0) return 64 + Math.clz32(difference);
  return 96 + Math.clz32((nodes[at + WORDS + 3] as number) ^ w3);
}

function bitAt(index: number, w0: number, w1: number, w2: number, w3: number): number {
  const word = index < 64 ? (index < 32 ? w0 : w1) : index < 96 ? w2 : w3;
  return (word >>> (31 - (index & 31))) & 1;
}
