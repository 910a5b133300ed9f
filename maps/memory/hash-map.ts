/** `RawMap` of kind hash and lru-hash, over a table of records. */

import type { MapSpec } from '../layouts.js';
import type { RawMap } from '../store.js';
import { RecordTable } from './record-table.js';
import { checkEntry, checkKey, mapFull } from './refusals.js';
import { NONE } from './roots.js';

/** As kind `lru-hash` it is never full: a new key takes the place of the least recently used one. */
export class HashMap implements RawMap {
  readonly spec: MapSpec;
  readonly capacity: number;
  readonly table: RecordTable;
  readonly #lru: boolean;
  /** The key that is asked for, as words and as bytes. */
  readonly #probe: Int32Array;
  readonly #probeBytes: Uint8Array;

  constructor(spec: MapSpec, capacity: number) {
    this.spec = spec;
    this.capacity = capacity;
    this.table = new RecordTable(capacity, spec.key.size, spec.value.size);
    this.#lru = spec.kind === 'lru-hash';
    this.#probe = new Int32Array(spec.key.size / 4);
    this.#probeBytes = new Uint8Array(this.#probe.buffer);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    checkKey(this.spec, key);
    const slot = this.#find(key);
    if (slot === NONE) return undefined;
    if (this.#lru) this.table.use(slot);
    return this.table.value(slot);
  }

  set(key: Uint8Array, value: Uint8Array): void {
    checkEntry(this.spec, key, value);
    let slot = this.#find(key);
    if (slot === NONE) slot = this.add(this.#probe);
    else if (this.#lru) this.table.use(slot);
    this.table.setValue(slot, value);
  }

  /** Slot of a new entry whose value is zero. Throws `MAP_FULL`, but not for an LRU map. */
  add(key: Int32Array): number {
    if (this.table.size >= this.capacity) {
      if (!this.#lru) throw mapFull(this.spec.name, this.capacity);
      this.table.removeOldest();
    }
    return this.table.add(key);
  }

  delete(key: Uint8Array): boolean {
    checkKey(this.spec, key);
    const slot = this.#find(key);
    if (slot === NONE) return false;
    this.table.remove(slot);
    return true;
  }

  /** A snapshot of the keys: reading entries is no use in the sense of LRU, and may be mixed with it. */
  *entries(): IterableIterator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (const key of Array.from(this.table.slots(), (slot) => this.table.key(slot))) {
      const slot = this.#find(key);
      if (slot !== NONE) yield [key, this.table.value(slot)];
    }
  }

  size(): number {
    return this.table.size;
  }

  /** All or nothing: throws `MAP_FULL` before the first change. */
  setMany(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    const added = new Set<string>();
    for (const [key, value] of entries) {
      checkEntry(this.spec, key, value);
      if (this.#find(key) === NONE) added.add(Buffer.from(key).toString('latin1'));
    }
    if (!this.#lru && this.table.size + added.size > this.capacity) throw mapFull(this.spec.name, this.capacity);
    for (const [key, value] of entries) this.set(key, value);
  }

  deleteMany(keys: readonly Uint8Array[]): void {
    for (const key of keys) this.delete(key);
  }

  /** Leaves the key in the probe. */
  #find(key: Uint8Array): number {
    this.#probeBytes.set(key);
    return this.table.find(this.#probe);
  }
}
