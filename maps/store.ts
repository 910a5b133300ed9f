/**
 * Maps in two layers: fixed-size bytes below (`RawMap`, one implementation in memory and one in the
 * kernel), typed codecs above (`TypedMap`). A missing key is a value, never an exception.
 */

import type { MapName, MapSpec } from './layouts.js';

/** A map of fixed-size keys and values. Returned arrays are copies that the caller owns. */
export interface RawMap {
  readonly spec: MapSpec;
  /** Entries it can hold. */
  readonly capacity: number;
  /** For a per-CPU map, one value a CPU, concatenated. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Adds or replaces. Throws `SfcError` code `MAP_FULL` when there is no room. */
  set(key: Uint8Array, value: Uint8Array): void;
  /** True when the key was there. */
  delete(key: Uint8Array): boolean;
  /** Every entry once, in the store's own order. Array maps yield every slot. */
  entries(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** Number of entries; array maps: the capacity. */
  size(): number;
  setMany(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void;
  deleteMany(keys: readonly Uint8Array[]): void;
}

/** All maps of one datapath. */
export interface MapStore {
  readonly kind: 'memory' | 'kernel';
  raw(name: MapName): RawMap;
  /** Where the map is pinned; undefined in memory. */
  pinPath(name: MapName): string | undefined;
  close(): void;
}
