/** `RawMap` over an LPM trie, with the kernel's meaning of keys that start with a prefix length. */

import { SfcError } from '../../errors/index.js';
import type { ByteOrder } from '../codec.js';
import type { MapSpec } from '../layouts.js';
import type { RawMap } from '../store.js';
import type { LpmPrefix } from './entry-pool.js';
import { LpmTrie } from './lpm.js';
import { checkEntry, checkKey, mapFull } from './refusals.js';
import { NONE } from './roots.js';
import { maskWord } from './trie-nodes.js';

const LONGEST_ADDRESS = 128;
const WORD_BITS = 32;

/**
 * Keys are `prefix_len u32 (host order) | static part | address`, the address of up to 16 bytes, in
 * whole words: what is left of the last word is padding, and zero. Unlike the kernel's
 * trie it keeps keys canonical: `entries` yields them with zero host bits.
 */
export class LpmMap implements RawMap {
  readonly spec: MapSpec;
  readonly capacity: number;
  readonly trie: LpmTrie;
  readonly #staticBits: 32 | 64;
  readonly #addressBits: number;
  readonly #little: boolean;

  constructor(spec: MapSpec, capacity: number, staticBits: 32 | 64, hostOrder: ByteOrder, addressBits: number = LONGEST_ADDRESS) {
    this.spec = spec;
    this.capacity = capacity;
    this.trie = new LpmTrie(spec.name, capacity, spec.value.size);
    this.#staticBits = staticBits;
    this.#addressBits = addressBits;
    this.#little = hostOrder === 'LE';
  }

  /** Value of the longest prefix that covers the key and is no longer than its `prefix_len`. */
  get(key: Uint8Array): Uint8Array | undefined {
    const prefix = this.#prefix(key);
    if (prefix === undefined) return undefined;
    const entry = this.trie.lookup(prefix.s0, prefix.s1, prefix.w0, prefix.w1, prefix.w2, prefix.w3, prefix.length);
    return entry === NONE ? undefined : this.trie.entries.value(entry);
  }

  set(key: Uint8Array, value: Uint8Array): void {
    checkEntry(this.spec, key, value);
    this.trie.insert(this.#validPrefix(key), value);
  }

  /** Index in `trie.entries` of the entry with exactly this prefix, or -1. */
  indexOf(key: Uint8Array): number {
    const prefix = this.#prefix(key);
    return prefix === undefined ? NONE : this.trie.find(prefix);
  }

  delete(key: Uint8Array): boolean {
    const prefix = this.#prefix(key);
    return prefix !== undefined && this.trie.delete(prefix);
  }

  /** A snapshot: changes made while it is read do not show. */
  entries(): Iterable<readonly [key: Uint8Array, value: Uint8Array]> {
    const { entries } = this.trie;
    return Array.from(entries.live(), (entry) => [this.#key(entries.prefix(entry)), entries.value(entry)] as const);
  }

  size(): number {
    return this.trie.size;
  }

  /** All or nothing: throws `MAP_FULL` before the first change. */
  setMany(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    const prepared = entries.map(([key, value]) => {
      checkEntry(this.spec, key, value);
      return [this.#validPrefix(key), value] as const;
    });
    const added = new Set<string>();
    for (const [prefix] of prepared) if (this.trie.find(prefix) === NONE) added.add(Object.values(prefix).join());
    if (this.size() + added.size > this.capacity) throw mapFull(this.spec.name, this.capacity);
    for (const [prefix, value] of prepared) this.trie.insert(prefix, value);
  }

  deleteMany(keys: readonly Uint8Array[]): void {
    for (const key of keys) this.delete(key);
  }

  #validPrefix(key: Uint8Array): LpmPrefix {
    const prefix = this.#prefix(key);
    if (prefix === undefined) {
      const least = this.#staticBits;
      throw new SfcError('MAP_IO', `map ${this.spec.name}: prefix_len is not within ${least}..${least + this.#addressBits}`);
    }
    return prefix;
  }

  /** Undefined when prefix_len is out of range: no entry can have it. */
  #prefix(key: Uint8Array): LpmPrefix | undefined {
    checkKey(this.spec, key);
    const view = new DataView(key.buffer, key.byteOffset, key.length);
    const length = view.getUint32(0, this.#little) - this.#staticBits;
    if (length < 0 || length > this.#addressBits) return undefined;
    const address = 4 + this.#staticBits / 8;
    const word = (index: number): number =>
      index * WORD_BITS < this.#addressBits ? maskWord(view.getInt32(address + 4 * index), length - index * WORD_BITS) : 0;
    return {
      s0: view.getInt32(4),
      s1: this.#staticBits === 64 ? view.getInt32(8) : 0,
      length,
      w0: word(0),
      w1: word(1),
      w2: word(2),
      w3: word(3),
    };
  }

  #key(prefix: LpmPrefix): Uint8Array {
    const key = new Uint8Array(this.spec.key.size);
    const view = new DataView(key.buffer);
    view.setUint32(0, prefix.length + this.#staticBits, this.#little);
    view.setInt32(4, prefix.s0);
    if (this.#staticBits === 64) view.setInt32(8, prefix.s1);
    const address = 4 + this.#staticBits / 8;
    [prefix.w0, prefix.w1, prefix.w2, prefix.w3].forEach((word, index) => {
      if (index * WORD_BITS < this.#addressBits) view.setInt32(address + 4 * index, word);
    });
    return key;
  }
}
