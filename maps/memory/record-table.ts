/**
 * Fixed-size records by fixed-size keys, on typed arrays: a chained hash table whose entries also stand
 * in a list by last use. Slots are stable for as long as their entry lives. Look-ups, additions and
 * removals allocate nothing, but for the arrays that grow by doubling up to the capacity.
 *
 *     heads[hash] ─► slot ─► next[slot] ─► …          oldest ─► newer[slot] ─► … ─► newest
 */

import { NONE } from './roots.js';

const FIRST_SLOTS = 64;

export class RecordTable {
  readonly capacity: number;
  /** Bytes of a value; the value of a slot begins at `slot * valueSize` of `view`. */
  readonly valueSize: number;
  readonly #keyWords: number;
  #slots = 0;
  #keys = new Int32Array(0);
  #values = new Uint8Array(0);
  #view = new DataView(this.#values.buffer);
  #heads = new Int32Array(0);
  #next = new Int32Array(0);
  #newer = new Int32Array(0);
  #older = new Int32Array(0);
  #oldest = NONE;
  #newest = NONE;
  #free = NONE;
  #size = 0;

  /** Sizes in bytes, multiples of 4. */
  constructor(capacity: number, keySize: number, valueSize: number) {
    if (keySize % 4 !== 0 || valueSize % 4 !== 0)
      throw new RangeError(`a record of ${keySize} and ${valueSize} bytes is not made of words`);
    this.capacity = capacity;
    this.valueSize = valueSize;
    this.#keyWords = keySize / 4;
    this.#grow();
  }

  get size(): number {
    return this.#size;
  }

  /** All values. Replaced when the table grows: not to be kept over an addition. */
  get view(): DataView {
    return this.#view;
  }

  /** Slot of the entry with this key, or -1. Does not count as use. */
  find(key: Int32Array): number {
    const words = this.#keyWords;
    const keys = this.#keys;
    for (let slot = this.#heads[this.#bucket(key)] as number; slot !== NONE; slot = this.#next[slot] as number) {
      let word = 0;
      while (word < words && keys[slot * words + word] === key[word]) word += 1;
      if (word === words) return slot;
    }
    return NONE;
  }

  /** Makes the slot the one that was used last. */
  use(slot: number): void {
    if (slot === this.#newest) return;
    this.#unlist(slot);
    this.#list(slot);
  }

  /** Slot of a new entry whose value is zero, or -1 when there is no room. The key must not be there yet. */
  add(key: Int32Array): number {
    if (this.#free === NONE) {
      if (this.#slots >= this.capacity) return NONE;
      this.#grow();
    }
    const slot = this.#free;
    this.#free = this.#next[slot] as number;
    for (let word = 0; word < this.#keyWords; word += 1) this.#keys[slot * this.#keyWords + word] = key[word] as number;
    const bucket = this.#bucket(key);
    this.#next[slot] = this.#heads[bucket] as number;
    this.#heads[bucket] = slot;
    this.#list(slot);
    this.#size += 1;
    this.clear(slot);
    return slot;
  }

  /** Zeroes the value of a slot. */
  clear(slot: number): void {
    this.#values.fill(0, slot * this.valueSize, (slot + 1) * this.valueSize);
  }

  remove(slot: number): void {
    const at = slot * this.#keyWords;
    const bucket = this.#bucketAt(this.#keys, at);
    let before = this.#heads[bucket] as number;
    if (before === slot) this.#heads[bucket] = this.#next[slot] as number;
    else {
      while (this.#next[before] !== slot) before = this.#next[before] as number;
      this.#next[before] = this.#next[slot] as number;
    }
    this.#unlist(slot);
    this.#next[slot] = this.#free;
    this.#free = slot;
    this.#size -= 1;
  }

  /** Removes the entry that was used longest ago; there must be one. */
  removeOldest(): void {
    this.remove(this.#oldest);
  }

  /** Bytes of the key, a copy. */
  key(slot: number): Uint8Array {
    const size = this.#keyWords * 4;
    return new Uint8Array(this.#keys.buffer.slice(slot * size, (slot + 1) * size));
  }

  /** Bytes of the value, a copy. */
  value(slot: number): Uint8Array {
    return this.#values.slice(slot * this.valueSize, (slot + 1) * this.valueSize);
  }

  setValue(slot: number, value: Uint8Array): void {
    this.#values.set(value, slot * this.valueSize);
  }

  /** Slots in use, oldest use first. */
  *slots(): IterableIterator<number> {
    for (let slot = this.#oldest; slot !== NONE; slot = this.#newer[slot] as number) yield slot;
  }

  #bucket(key: Int32Array): number {
    return this.#bucketAt(key, 0);
  }

  #bucketAt(words: Int32Array, at: number): number {
    let hash = 0x5fc15fc1;
    for (let word = 0; word < this.#keyWords; word += 1) {
      hash = Math.imul(hash ^ (words[at + word] as number), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash & (this.#heads.length - 1);
  }

  #list(slot: number): void {
    this.#older[slot] = this.#newest;
    this.#newer[slot] = NONE;
    if (this.#newest === NONE) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
  }

  #unlist(slot: number): void {
    const older = this.#older[slot] as number;
    const newer = this.#newer[slot] as number;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }

  /** Doubles the slots; every entry keeps its own. */
  #grow(): void {
    const before = this.#slots;
    this.#slots = Math.min(this.capacity, Math.max(FIRST_SLOTS, before * 2));
    const grown = (old: Int32Array, length: number) => {
      const array = new Int32Array(length);
      array.set(old);
      return array;
    };
    this.#keys = grown(this.#keys, this.#slots * this.#keyWords);
    this.#newer = grown(this.#newer, this.#slots);
    this.#older = grown(this.#older, this.#slots);
    this.#next = grown(this.#next, this.#slots);
    const values = new Uint8Array(this.#slots * this.valueSize);
    values.set(this.#values);
    this.#values = values;
    this.#view = new DataView(values.buffer);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(1, this.#slots)))).fill(NONE);
    for (let slot = this.#oldest; slot !== NONE; slot = this.#newer[slot] as number) {
      const bucket = this.#bucketAt(this.#keys, slot * this.#keyWords);
      this.#next[slot] = this.#heads[bucket] as number;
      this.#heads[bucket] = slot;
    }
    for (let slot = this.#slots - 1; slot >= before; slot -= 1) {
      this.#next[slot] = this.#free;
      this.#free = slot;
    }
  }
}
