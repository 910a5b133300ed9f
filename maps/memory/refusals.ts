/** What every map in memory refuses, in the kernel's spirit: no room, and bytes of the wrong width. */

import { SfcError } from '../../errors/index.js';
import type { MapSpec } from '../layouts.js';

export function mapFull(name: string, capacity: number): SfcError {
  return new SfcError('MAP_FULL', `map ${name} is full: it holds ${capacity} entries`);
}

/** Throws `MAP_IO` unless the key has the layout's size. */
export function checkKey(spec: MapSpec, key: Uint8Array): void {
  if (key.length !== spec.key.size) {
    throw new SfcError('MAP_IO', `map ${spec.name}: a key is ${spec.key.size} bytes, got ${key.length}`);
  }
}

/** Throws `MAP_IO` unless key and value have the layout's sizes; `valueSize` where it is not the layout's. */
export function checkEntry(spec: MapSpec, key: Uint8Array, value: Uint8Array, valueSize = spec.value.size): void {
  checkKey(spec, key);
  if (value.length !== valueSize) {
    throw new SfcError('MAP_IO', `map ${spec.name}: a value is ${valueSize} bytes, got ${value.length}`);
  }
}
