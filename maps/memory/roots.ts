/** Static part (two words) to the root of its trie: open addressing with linear probing. */

import type { Allocate } from './trie-nodes.js';

/** No node: also the mark of a static part whose trie has become empty. */
export const NONE = -1;
/** A slot that was never used, where probing ends. */
const FREE = -2;

/** Words of a slot: the static part, the root, the slot's padding to 16 bytes. */
const STRIDE = 4;

export class RootTable {
  /** Replaced as a whole when it grows, so that a look-up sees either the old table or the new one. */
  #slots: Int32Array;
  /** Slots that are not FREE; those of emptied tries stay until the next growth. */
  #used = 0;
  readonly #allocate: Allocate;

  constructor(allocate: Allocate) {
    this.#allocate = allocate;
    this.#slots = emptySlots(16, allocate);
  }

  /** Root of the trie under (s0, s1), or NONE. Words are signed. */
  find(s0: number, s1: number): number {
    const slots = this.#slots;
    const at = locate(slots, s0, s1);
    const root = slots[at + 2] as number;
    return root === FREE ? NONE : root;
  }

  /** Makes `root` the trie of (s0, s1); NONE removes it. */
  set(s0: number, s1: number, root: number): void {
    let at = locate(this.#slots, s0, s1);
    if (this.#slots[at + 2] === FREE) {
      if (root === NONE) return;
      if ((this.#used + 1) * 2 > this.#slots.length / STRIDE) {
        this.#rebuild();
        at = locate(this.#slots, s0, s1);
      }
      this.#slots[at] = s0;
      this.#slots[at + 1] = s1;
      this.#used += 1;
    }
    this.#slots[at + 2] = root;
  }

  #rebuild(): void {
    const old = this.#slots;
    let live = 0;
    for (let at = 0; at < old.length; at += STRIDE) if ((old[at + 2] as number) >= 0) live += 1;
    let size = 16;
    while (size < (live + 1) * 4) size *= 2;
    const slots = emptySlots(size, this.#allocate);
    for (let at = 0; at < old.length; at += STRIDE) {
      if ((old[at + 2] as number) < 0) continue;
      const to = locate(slots, old[at] as number, old[at + 1] as number);
      slots.set(old.subarray(at, at + STRIDE), to);
    }
    this.#used = live;
    this.#slots = slots;
  }
}

function emptySlots(count: number, allocate: Allocate): Int32Array {
  const slots = allocate(count * STRIDE);
  for (let at = 2; at < slots.length; at += STRIDE) slots[at] = FREE;
  return slots;
}

/** Offset of the slot that holds (s0, s1), else of the FREE slot where it would go. Never full. */
function locate(slots: Int32Array, s0: number, s1: number): number {
  const mask = (slots.length >>> 2) - 1;
  const hash = Math.imul(s0 ^ Math.imul(s1, 0x85ebca6b), 0x9e3779b1);
  let slot = (hash ^ (hash >>> 16)) & mask;
  for (;;) {
    const at = slot * STRIDE;
    if (slots[at + 2] === FREE || (slots[at] === s0 && slots[at + 1] === s1)) return at;
    slot = (slot + 1) & mask;
  }
}
