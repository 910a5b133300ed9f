/**
 * Fixed-size records by fixed-size keys, on typed arrays: a chained hash table whose entries also stand
 * in a list by last use. Slots are stable for as long as their entry lives. Look-ups, additions and
 * removals allocate nothing, but for the arrays that grow by doubling up to the capacity.
 *
 *     heads[hash] ─► slot ─► its NEXT ─► …          oldest ─► its NEWER ─► … ─► newest
 *
 * What a look-up and a use need of a slot stands together, in one line of the processor's cache:
 *
 *     links  0                        1      2      3
 *            NEXT of the bucket,      NEWER  OLDER  HASH
 *            or of the free slots
 */

import { NONE } from './roots.js';

const FIRST_SLOTS = 64;

/** Words of a slot's links. */
const LINKS = 4;
const NEXT = 0;
const NEWER = 1;
const OLDER = 2;
const HASH = 3;

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
  #links = new Int32Array(0);
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
    const links = this.#links;
    const hash = this.#hash(key);
    for (let slot = this.#heads[this.#bucket(hash)] as number; slot !== NONE; slot = links[slot * LINKS + NEXT] as number) {
      if (links[slot * LINKS + HASH] !== hash) continue;
      const at = slot * words;
      let word = 0;
      while (word < words && keys[at + word] === key[word]) word += 1;
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
    this.#free = this.#links[slot * LINKS + NEXT] as number;
    const hash = this.#hash(key);
    for (let word = 0; word < this.#keyWords; word += 1) this.#keys[slot * this.#keyWords + word] = key[word] as number;
    this.#links[slot * LINKS + HASH] = hash;
    this.#chain(slot, hash);
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
    const links = this.#links;
    const after = links[slot * LINKS + NEXT] as number;
    const bucket = this.#bucket(links[slot * LINKS + HASH] as number);
    let before = this.#heads[bucket] as number;
    if (before === slot) this.#heads[bucket] = after;
    else {
      while (links[before * LINKS + NEXT] !== slot) before = links[before * LINKS + NEXT] as number;
      links[before * LINKS + NEXT] = after;
    }
    this.#unlist(slot);
    links[slot * LINKS + NEXT] = this.#free;
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
    for (let slot = this.#oldest; slot !== NONE; slot = this.#links[slot * LINKS + NEWER] as number) yield slot;
  }

  #bucket(hash: number): number {
    return hash & (this.#heads.length - 1);
  }

  /** Each word times an odd number of its own, so that the processor need not wait for one product to start the next. */
  #hash(key: Int32Array): number {
    let sum = 0;
    let multiplier = 0x9e3779b1;
    for (let word = 0; word < this.#keyWords; word += 1) {
      sum = (sum + Math.imul(key[word] as number, multiplier)) | 0;
      multiplier = Math.imul(multiplier, 0x85ebca6b);
    }
    sum = Math.imul(sum ^ (sum >>> 15), 0x2c1b3c6d);
    return sum ^ (sum >>> 16);
  }

  #chain(slot: number, hash: number): void {
    const bucket = this.#bucket(hash);
    this.#links[slot * LINKS + NEXT] = this.#heads[bucket] as number;
    this.#heads[bucket] = slot;
  }

  #list(slot: number): void {
    const links = this.#links;
    links[slot * LINKS + OLDER] = this.#newest;
    links[slot * LINKS + NEWER] = NONE;
    if (this.#newest === NONE) this.#oldest = slot;
    else links[this.#newest * LINKS + NEWER] = slot;
    this.#newest = slot;
  }

  #unlist(slot: number): void {
    const links = this.#links;
    const older = links[slot * LINKS + OLDER] as number;
    const newer = links[slot * LINKS + NEWER] as number;
    if (older === NONE) this.#oldest = newer;
    else links[older * LINKS + NEWER] = newer;
    if (newer === NONE) this.#newest = older;
    else links[newer * LINKS + OLDER] = older;
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
    this.#links = grown(this.#links, this.#slots * LINKS);
    const values = new Uint8Array(this.#slots * this.valueSize);
    values.set(this.#values);
    this.#values = values;
    this.#view = new DataView(values.buffer);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(1, this.#slots)))).fill(NONE);
    for (const slot of this.slots()) this.#chain(slot, this.#links[slot * LINKS + HASH] as number);
    for (let slot = this.#slots - 1; slot >= before; slot -= 1) {
      this.#links[slot * LINKS + NEXT] = this.#free;
      this.#free = slot;
    }
  }
}
