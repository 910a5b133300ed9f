/**
 * Short cuts through the dense parts of a trie. A node where many others branch off gets a *fan*: a
 * table with a slot for each value of the next few bits, which says where so many single steps would
 * lead. A fan of 3 bits at a node of 8 bits:
 *
 *     bits 8..10   000     001     010  …  111
 *                ┌───────┬───────┬───────┬───────┐   passed  entry of the longest prefix of 9 or 10 bits
 *                │passed │passed │       │       │           on the way, or NONE
 *                │next   │next   │       │       │   next    the first node of 11 bits or more, or NONE
 *                └───────┴───────┴───────┴───────┘
 *
 * The binary trie stays the truth and a fan a copy of what it says, repainted after each change. A
 * change touches the slots under its own prefix, and in a slot only `passed` (it lies within the fan)
 * or only `next` (it lies behind it): a look-up, which reads one slot of a fan, sees the trie before
 * the change or after it.
 *
 * A fan has at most `SLOTS_A_NODE` slots for each node that it saves a look-up to visit, so all fans
 * together take no more memory than the nodes. It never crosses a word of the address.
 */

import type { LpmPrefix } from './entry-pool.js';
import { NONE } from './roots.js';
import { type Allocate, FAN_BITS_MASK, FAN_BITS_SHIFT, FAN_PLACE_SHIFT, STRIDE, type TrieNodes, wordAt } from './trie-nodes.js';

/** Words of a slot. */
export const SLOT = 2;
/** Words that a place counts: a fan of the fewest bits. */
export const PLACE_SHIFT = 5;
const FEWEST_BITS = 4;
const MOST_BITS = 15;
const SLOTS_A_NODE = 4;
/** Places that fit into a node's head. Past them there is no fan, and look-ups go node by node. */
const MOST_PLACES = 2 ** 20;

export class Fans {
  readonly #nodes: TrieNodes;
  readonly #allocate: Allocate;
  /** All slots; replaced as a whole when they grow. */
  slots: Int32Array;
  /** Changes below each fan since it was last reviewed, by its place. */
  #changes = new Int32Array(16);
  /** Places that were ever in use. */
  #reach = 0;
  /** Free places by the bits of the fan that was there. */
  readonly #free: number[][] = Array.from({ length: MOST_BITS + 1 }, () => []);
  /** Nodes by their distance from the node under review. */
  readonly #found = new Int32Array(MOST_BITS);

  constructor(nodes: TrieNodes, allocate: Allocate) {
    this.#nodes = nodes;
    this.#allocate = allocate;
    this.slots = allocate(16 << PLACE_SHIFT);
  }

  /** Brings the fans on the way from `root` to the prefix up to date, after any change of the trie at the prefix. */
  refresh(root: number, prefix: LpmPrefix): void {
    const nodes = this.#nodes;
    let passedUpTo = 0;
    let node = root;
    while (node !== NONE) {
      const length = nodes.length(node);
      if (length >= prefix.length || nodes.common(node, prefix) < length) return;
      const bits = this.#bits(node);
      if (bits !== 0) this.#repaint(node, bits, prefix);
      if (bits !== 0 || length >= passedUpTo) {
        this.#consider(node, length, bits);
        passedUpTo = length + this.#bits(node);
      }
      const word = wordAt(length, prefix.w0, prefix.w1, prefix.w2, prefix.w3);
      node = nodes.child(node, (word >>> (31 - (length & 31))) & 1);
    }
  }

  /** Takes the node's fan away, if it has one. */
  drop(node: number): void {
    const bits = this.#bits(node);
    if (bits === 0) return;
    this.#free[bits]?.push(this.#place(node));
    this.#nodes.words[node * STRIDE] = this.#nodes.length(node);
  }

  #bits(node: number): number {
    return ((this.#nodes.words[node * STRIDE] as number) >>> FAN_BITS_SHIFT) & FAN_BITS_MASK;
  }

  /** Of the node's fan, if it has one. */
  #place(node: number): number {
    return (this.#nodes.words[node * STRIDE] as number) >>> FAN_PLACE_SHIFT;
  }

  /** Gives the node the fan that its surroundings deserve: at once where it has none, else now and then. */
  #consider(node: number, length: number, bits: number): void {
    if (bits !== 0) {
      const place = this.#place(node);
      const changes = (this.#changes[place] as number) + 1;
      this.#changes[place] = changes;
      if (changes * 4 < 1 << bits) return;
      this.#changes[place] = 0;
    }
    const most = Math.min(bits === 0 ? FEWEST_BITS : bits + 2, MOST_BITS, 32 - (length & 31));
    const wanted = this.#wanted(node, length, most);
    if (wanted !== bits) this.#exchange(node, length, wanted);
  }

  /** Bits of the widest fan, up to `most`, that saves enough nodes for its slots; 0 for none. */
  #wanted(node: number, length: number, most: number): number {
    this.#found.fill(0);
    this.#count(node, length, length + most);
    let wanted = 0;
    let saved = 0;
    for (let bits = 1; bits <= most; bits += 1) {
      saved += this.#found[bits - 1] as number;
      if (bits >= FEWEST_BITS && saved * SLOTS_A_NODE >= 1 << bits) wanted = bits;
    }
    return wanted;
  }

  #count(node: number, from: number, end: number): void {
    if (node === NONE) return;
    const distance = this.#nodes.length(node) - from;
    if (from + distance >= end) return;
    this.#found[distance] = (this.#found[distance] as number) + 1;
    this.#count(this.#nodes.child(node, 0), from, end);
    this.#count(this.#nodes.child(node, 1), from, end);
  }

  /** Puts a fan of `bits` in place of the node's, in one write; none for 0. */
  #exchange(node: number, length: number, bits: number): void {
    const place = bits === 0 ? NONE : this.#take(bits);
    if (place === NONE) {
      this.drop(node);
      return;
    }
    this.#paint(node, place, bits, 0, 1 << bits);
    const old = this.#bits(node);
    if (old !== 0) this.#free[old]?.push(this.#place(node));
    this.#nodes.words[node * STRIDE] = length | (bits << FAN_BITS_SHIFT) | (place << FAN_PLACE_SHIFT);
    this.#dropWithin(this.#nodes.child(node, 0), length + bits);
    this.#dropWithin(this.#nodes.child(node, 1), length + bits);
  }

  /** Fans of nodes that look-ups no longer visit. */
  #dropWithin(node: number, end: number): void {
    if (node === NONE || this.#nodes.length(node) >= end) return;
    this.drop(node);
    this.#dropWithin(this.#nodes.child(node, 0), end);
    this.#dropWithin(this.#nodes.child(node, 1), end);
  }

  /** Writes the slots under the prefix, which is longer than the node. */
  #repaint(node: number, bits: number, prefix: LpmPrefix): void {
    const length = this.#nodes.length(node);
    const word = wordAt(length, prefix.w0, prefix.w1, prefix.w2, prefix.w3);
    const first = (word << (length & 31)) >>> (32 - bits);
    const open = Math.max(0, length + bits - prefix.length);
    this.#paint(node, this.#place(node), bits, first, first + (1 << open));
  }

  /** Writes slots `first` to `after` - 1 of the node's fan at `place`: each as the trie leads an address with these bits. */
  #paint(node: number, place: number, bits: number, first: number, after: number): void {
    const nodes = this.#nodes;
    const length = nodes.length(node);
    for (let slot = first; slot < after; slot += 1) {
      let passed = NONE;
      let next = nodes.child(node, slot >>> (bits - 1));
      while (next !== NONE) {
        // Bits of the slot that the next node leaves open: none for one behind the fan.
        const open = Math.max(0, length + bits - nodes.length(next));
        const own = (nodes.word(next, length >>> 5) << (length & 31)) >>> (32 - bits);
        if ((own ^ slot) >>> open !== 0) next = NONE;
        else if (open === 0) break;
        else {
          if (nodes.entry(next) !== NONE) passed = nodes.entry(next);
          next = nodes.child(next, (slot >>> (open - 1)) & 1);
        }
      }
      const at = (place << PLACE_SHIFT) + slot * SLOT;
      this.slots[at] = passed;
      this.slots[at + 1] = next;
    }
  }

  /** Place of a new fan, not painted yet, or NONE. */
  #take(bits: number): number {
    let place = this.#free[bits]?.pop() ?? NONE;
    if (place === NONE) {
      const places = 1 << (bits - FEWEST_BITS);
      if (this.#reach + places > MOST_PLACES) return NONE;
      place = this.#reach;
      this.#reach += places;
      if (this.#reach << PLACE_SHIFT > this.slots.length) this.#grow();
    }
    this.#changes[place] = 0;
    return place;
  }

  #grow(): void {
    let places = this.slots.length >>> PLACE_SHIFT;
    while (places < this.#reach) places *= 2;
    const slots = this.#allocate(places << PLACE_SHIFT);
    slots.set(this.slots);
    this.slots = slots;
    const changes = new Int32Array(places);
    changes.set(this.#changes);
    this.#changes = changes;
  }
}
