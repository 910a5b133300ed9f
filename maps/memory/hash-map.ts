/** `RawMap` of kind hash and lru-hash. A key is found by its bytes, read as Latin-1 text. */

import type { MapSpec } from '../layouts.js';
import type { RawMap } from '../store.js';
import { checkEntry, checkKey, mapFull } from './refusals.js';

/** As kind `lru-hash` it is never full: a new key takes the place of the least recently used one. */
export class HashMap implements RawMap {
  readonly spec: MapSpec;
  readonly capacity: number;
  /** Oldest use first, for an LRU map; else in the order of insertion. */
  readonly #values = new Map<string, Uint8Array>();

  constructor(spec: MapSpec, capacity: number) {
    this.spec = spec;
    this.capacity = capacity;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    checkKey(this.spec, key);
    const text = textOf(key);
    const value = this.#values.get(text);
    if (value === undefined) return undefined;
    if (this.#lru) {
      this.#values.delete(text);
      this.#values.set(text, value);
    }
    return value.slice();
  }

  set(key: Uint8Array, value: Uint8Array): void {
    checkEntry(this.spec, key, value);
    const text = textOf(key);
    if (!this.#values.has(text) && this.#values.size >= this.capacity) {
      if (!this.#lru) throw mapFull(this.spec.name, this.capacity);
      for (const oldest of this.#values.keys()) {
        this.#values.delete(oldest);
        break;
      }
    }
    if (this.#lru) this.#values.delete(text);
    this.#values.set(text, value.slice());
  }

  delete(key: Uint8Array): boolean {
    checkKey(this.spec, key);
    return this.#values.delete(textOf(key));
  }

  /** A snapshot of the keys: reading entries is no use in the sense of LRU, and may be mixed with it. */
  *entries(): IterableIterator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (const text of [...this.#values.keys()]) {
      const value = this.#values.get(text);
      if (value !== undefined) yield [Uint8Array.from(Buffer.from(text, 'latin1')), value.slice()];
    }
  }

  size(): number {
    return this.#values.size;
  }

  /** All or nothing: throws `MAP_FULL` before the first change. */
  setMany(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    const added = new Set<string>();
    for (const [key, value] of entries) {
      checkEntry(this.spec, key, value);
      const text = textOf(key);
      if (!this.#values.has(text)) added.add(text);
    }
    if (!this.#lru && this.#values.size + added.size > this.capacity) throw mapFull(this.spec.name, this.capacity);
    for (const [key, value] of entries) this.set(key, value);
  }

  deleteMany(keys: readonly Uint8Array[]): void {
    for (const key of keys) this.delete(key);
  }

  get #lru(): boolean {
    return this.spec.kind === 'lru-hash';
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
