/**
 * Longest-prefix match over a static part (two words, always matched in full) and an address of 128
 * bits. Each static part has its own binary trie (trie-nodes.ts); where it is dense, a fan takes a
 * look-up through many nodes in one step (fans.ts).
 *
 * Every update completes the new node before the one write that links it, so a look-up sees the trie
 * before the update or after it. Look-ups allocate nothing.
 */

import { EntryPool, type LpmPrefix } from './entry-pool.js';
import { Fans, PLACE_SHIFT, SLOT } from './fans.js';
import { mapFull } from './refusals.js';
import { NONE, RootTable } from './roots.js';
import {
  type Allocate,
  allocateWords,
  commonBits,
  ENTRY,
  FAN_BITS_MASK,
  FAN_BITS_SHIFT,
  FAN_PLACE_SHIFT,
  LEFT,
  LENGTH_MASK,
  STRIDE,
  TrieNodes,
  wordAt,
} from './trie-nodes.js';

export class LpmTrie {
  readonly name: string;
  readonly capacity: number;
  /** Prefix and value of each entry, by the index that `lookup` returns. */
  readonly entries: EntryPool;
  readonly #roots: RootTable;
  readonly #nodes: TrieNodes;
  readonly #fans: Fans;
  #size = 0;

  /** `valueSize` in bytes. */
  constructor(name: string, capacity: number, valueSize: number, allocate: Allocate = allocateWords) {
    this.name = name;
    this.capacity = capacity;
    // One slot to spare: a replacement is written beside the entry it replaces, also in a full map.
    this.entries = new EntryPool(valueSize, capacity + 1);
    this.#roots = new RootTable(allocate);
    this.#nodes = new TrieNodes(allocate);
    this.#fans = new Fans(this.#nodes, allocate);
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Index of the entry with the longest prefix that covers the address and is no longer than `limit`
   * bits, or -1. Words are big-endian 32-bit values, signed or unsigned.
   */
  lookup(s0: number, s1: number, w0: number, w1: number, w2: number, w3: number, limit: number): number {
    const nodes = this.#nodes.words;
    const slots = this.#fans.slots;
    let node = this.#roots.find(s0 | 0, s1 | 0);
    let best = NONE;
    while (node !== NONE) {
      const at = node * STRIDE;
      const head = nodes[at] as number;
      const length = head & LENGTH_MASK;
      if (length > limit || commonBits(nodes, at, w0, w1, w2, w3) < length) break;
      const entry = nodes[at + ENTRY] as number;
      if (entry !== NONE) best = entry;
      const rest = wordAt(length, w0, w1, w2, w3) << (length & 31);
      const bits = (head >>> FAN_BITS_SHIFT) & FAN_BITS_MASK;
      if (bits !== 0 && length + bits <= limit) {
        const slot = ((head >>> FAN_PLACE_SHIFT) << PLACE_SHIFT) + (rest >>> (32 - bits)) * SLOT;
        const passed = slots[slot] as number;
        if (passed !== NONE) best = passed;
        node = slots[slot + 1] as number;
      } else {
        node = nodes[at + LEFT + (rest >>> 31)] as number;
      }
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
    const nodes = this.#nodes;
    const { length } = prefix;
    const entry = this.entries.take(prefix, value);
    let parent = NONE;
    let side = 0;
    let node = this.#roots.find(prefix.s0, prefix.s1);
    let common = 0;
    while (node !== NONE) {
      const nodeLength = nodes.length(node);
      common = nodes.common(node, prefix);
      if (common < nodeLength) break;
      if (nodeLength === length) {
        this.#exchange(node, prefix, entry);
        return;
      }
      parent = node;
      side = bitAt(prefix, nodeLength);
      node = nodes.child(node, side);
    }
    // `node` is now nothing, or a node that the new prefix covers, or one that departs from it at `common`.
    const leaf = nodes.take(length, prefix, entry);
    let top = leaf;
    if (node !== NONE) {
      if (common < length) {
        top = nodes.take(common, prefix, NONE);
        nodes.setChild(top, bitAt(prefix, common), leaf);
      }
      nodes.setChild(top, nodes.bit(node, common), node);
    }
    this.#link(prefix, parent, side, top);
    this.#refresh(prefix);
    this.#size += 1;
  }

  /** Removes the entry with exactly this prefix; true when it was there. */
  delete(prefix: LpmPrefix): boolean {
    const entry = this.find(prefix);
    if (entry === NONE) return false;
    const nodes = this.#nodes;
    let grandparent = NONE;
    let parentSide = 0;
    let parent = NONE;
    let side = 0;
    let node = this.#roots.find(prefix.s0, prefix.s1);
    while (nodes.entry(node) !== entry) {
      grandparent = parent;
      parentSide = side;
      parent = node;
      side = bitAt(prefix, nodes.length(node));
      node = nodes.child(node, side);
    }
    const left = nodes.child(node, 0);
    const right = nodes.child(node, 1);
    const fork = left !== NONE && right !== NONE;
    // A parent that is a fork goes with its child: the other child takes its place.
    const both = left === NONE && right === NONE && parent !== NONE && nodes.entry(parent) === NONE;
    if (fork) nodes.setEntry(node, NONE);
    else if (both) this.#link(prefix, grandparent, parentSide, nodes.child(parent, 1 - side));
    else this.#link(prefix, parent, side, left === NONE ? right : left);
    this.#refresh(prefix);
    if (!fork) this.#release(node);
    if (both) this.#release(parent);
    this.entries.release(entry);
    this.#size -= 1;
    return true;
  }

  #exchange(node: number, prefix: LpmPrefix, entry: number): void {
    const old = this.#nodes.entry(node);
    this.#nodes.setEntry(node, entry);
    this.#refresh(prefix);
    if (old === NONE) this.#size += 1;
    else this.entries.release(old);
  }

  #link(prefix: LpmPrefix, parent: number, side: number, node: number): void {
    if (parent === NONE) this.#roots.set(prefix.s0, prefix.s1, node);
    else this.#nodes.setChild(parent, side, node);
  }

  #refresh(prefix: LpmPrefix): void {
    this.#fans.refresh(this.#roots.find(prefix.s0, prefix.s1), prefix);
  }

  #release(node: number): void {
    this.#fans.drop(node);
    this.#nodes.release(node);
  }
}

function bitAt({ w0, w1, w2, w3 }: LpmPrefix, index: number): number {
  return (wordAt(index, w0, w1, w2, w3) >>> (31 - (index & 31))) & 1;
}
