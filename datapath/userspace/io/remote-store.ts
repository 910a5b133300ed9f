/** The maps of the packet thread as the agent's thread sees them. */

import { checkEntry, checkKey, MAP_NAMES, MAPS, type MapName, type MapSpec, type MapStore, type RawMap } from '../../../maps/index.js';
import type { Call, Listed } from './calls.js';

type Ask = (call: Call) => unknown;
type SizeOf = (map: MapName) => number;

class RemoteMap implements RawMap {
  readonly spec: MapSpec;
  readonly capacity: number;
  readonly #name: MapName;
  readonly #ask: Ask;
  readonly #sizeOf: SizeOf;

  constructor(name: MapName, capacity: number, ask: Ask, sizeOf: SizeOf) {
    this.spec = MAPS[name];
    this.capacity = capacity;
    this.#name = name;
    this.#ask = ask;
    this.#sizeOf = sizeOf;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#ask({ op: 'get', map: this.#name, key }) as Uint8Array | undefined;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.setMany([[key, value]]);
  }

  delete(key: Uint8Array): boolean {
    return this.#ask({ op: 'delete', map: this.#name, key }) as boolean;
  }

  *entries(): IterableIterator<readonly [key: Uint8Array, value: Uint8Array]> {
    const { key, value } = this.spec;
    const size = key.size + value.size;
    let listed = this.#ask({ op: 'list', map: this.#name }) as Listed;
    try {
      for (;;) {
        const { entries, cursor } = listed;
        for (let at = 0; at < entries.length; at += size) yield [entries.slice(at, at + key.size), entries.slice(at + key.size, at + size)];
        if (cursor === undefined) return;
        listed = this.#ask({ op: 'next', cursor }) as Listed;
      }
    } finally {
      if (listed.cursor !== undefined) this.#ask({ op: 'leave', cursor: listed.cursor });
    }
  }

  size(): number {
    return this.#sizeOf(this.#name);
  }

  setMany(entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    for (const [key, value] of entries) checkEntry(this.spec, key, value);
    if (entries.length > 0) this.#ask({ op: 'setMany', map: this.#name, entries: pack(entries.flat()) });
  }

  deleteMany(keys: readonly Uint8Array[]): void {
    for (const key of keys) checkKey(this.spec, key);
    if (keys.length > 0) this.#ask({ op: 'deleteMany', map: this.#name, keys: pack(keys) });
  }
}

function pack(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** `capacities` as the packet thread was given them; `sizeOf` a map's number of entries, without a call. */
export function remoteStore(capacities: Partial<Record<MapName, number>>, ask: Ask, sizeOf: SizeOf): MapStore {
  const maps = new Map(MAP_NAMES.map((name) => [name, new RemoteMap(name, capacities[name] ?? MAPS[name].capacity, ask, sizeOf)]));
  return {
    kind: 'memory',
    raw: (name) => maps.get(name) as RemoteMap,
    pinPath: () => undefined,
    close: () => undefined,
  };
}
