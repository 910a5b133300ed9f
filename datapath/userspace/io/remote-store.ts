/** The maps of the packet thread as the agent's thread sees them. */

import { checkEntry, checkKey, MAP_NAMES, MAPS, type MapName, type MapSpec, type MapStore, type RawMap } from '../../../maps/index.js';
import type { Call } from './calls.js';

type Ask = (call: Call) => unknown;

class RemoteMap implements RawMap {
  readonly spec: MapSpec;
  readonly capacity: number;
  readonly #name: MapName;
  readonly #ask: Ask;

  constructor(name: MapName, capacity: number, ask: Ask) {
    this.spec = MAPS[name];
    this.capacity = capacity;
    this.#name = name;
    this.#ask = ask;
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
    const cursor = this.#ask({ op: 'list', map: this.#name }) as number;
    const { key, value } = this.spec;
    let over = false;
    try {
      while (!over) {
        const packed = this.#ask({ op: 'next', cursor }) as Uint8Array;
        over = packed.length === 0;
        const size = key.size + value.size;
        for (let at = 0; at < packed.length; at += size) yield [packed.slice(at, at + key.size), packed.slice(at + key.size, at + size)];
      }
    } finally {
      if (!over) this.#ask({ op: 'leave', cursor });
    }
  }

  size(): number {
    return this.#ask({ op: 'size', map: this.#name }) as number;
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

/** `capacities` as the packet thread was given them. */
export function remoteStore(capacities: Partial<Record<MapName, number>>, ask: Ask): MapStore {
  const maps = new Map(MAP_NAMES.map((name) => [name, new RemoteMap(name, capacities[name] ?? MAPS[name].capacity, ask)]));
  return {
    kind: 'memory',
    raw: (name) => maps.get(name) as RemoteMap,
    pinPath: () => undefined,
    close: () => undefined,
  };
}
