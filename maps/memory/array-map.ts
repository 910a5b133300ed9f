/** `RawMap` of kind array and percpu-array (one CPU): every slot exists, zero until it is set. */

import { SfcError } from '../../errors/index.js';
import type { ByteOrder } from '../codec.js';
import type { MapSpec } from '../layouts.js';
import type { RawMap } from '../store.js';
import { perCpuStride } from '../typed.js';
import { checkEntry, checkKey, mapFull } from './refusals.js';

export class ArrayMap implements RawMap {
  readonly spec: MapSpec;
  readonly capacity: number;
  /** Bytes of a slot; for a per-CPU map rounded up as the kernel does. */
  readonly stride: number;
  /** All slots; a slot begins at `slot * stride`. */
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  readonly #little: boolean;

  constructor(spec: MapSpec, capacity: number, hostOrder: ByteOrder) {
    this.spec = spec;
    this.capacity = capacity;
    this.stride = spec.kind === 'percpu-array' ? perCpuStride(spec.value.size) : spec.value.size;
    this.#bytes = new Uint8Array(capacity * this.stride);
    this.view = new DataView(this.#bytes.buffer);
    this.#little = hostOrder === 'LE';
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const slot = this.#slot(key);
    return slot < this.capacity ? this.#bytes.slice(slot * this.stride, (slot + 1) * this.stride) : undefined;
  }

  /** A slot past the end is `MAP_FULL`, as in the kernel (E2BIG). */
  set(key: Uint8Array, value: Uint8Array): void {
    this.setMany([[key, value]]);
  }

  /** Throws `MAP_IO`: a slot cannot be removed, only overwritten (the kernel says EINVAL). */
  delete(key: Uint8Array): boolean {
    throw new SfcError('MAP_IO', `map ${this.spec.name}: slot ${this.#slot(key)} cannot be deleted, an array keeps every slot`);
  }

  *entries(): IterableIterator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (let slot = 0; slot < this.capacity; slot += 1) {
      const key = new Uint8Array(4);
      new DataView(key.buffer).setUint32(0, slot, this.#little);
      yield [key, this.#bytes.slice(slot * this.stride, (slot + 1) * this.stride)];
    }
  }

  size(): number {
    return this.capacity;
  }

  setMany(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    for (const [key, value] of entries) {
      checkEntry(this.spec, key, value, this.stride);
      if (this.#slot(key) >= this.capacity) throw mapFull(this.spec.name, this.capacity);
    }
    for (const [key, value] of entries) this.#bytes.set(value, this.#slot(key) * this.stride);
  }

  deleteMany(keys: readonly Uint8Array[]): void {
    for (const key of keys) this.delete(key);
  }

  #slot(key: Uint8Array): number {
    checkKey(this.spec, key);
    return new DataView(key.buffer, key.byteOffset, key.length).getUint32(0, this.#little);
  }
}
