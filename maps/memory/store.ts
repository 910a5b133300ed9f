/** All maps of one datapath in memory: for the userspace datapath, tests and dry runs. */

import { type ByteOrder, HOST_ORDER } from '../codec.js';
import { MAPS, type MapName, type MapSpec, PEER_STATIC_BITS, SELECT_STATIC_BITS } from '../layouts.js';
import type { MapStore, RawMap } from '../store.js';
import { ArrayMap } from './array-map.js';
import { HashMap } from './hash-map.js';
import { LpmMap } from './lpm-map.js';
import { SelectTable } from './select.js';

export interface MemoryStore extends MapStore {
  readonly kind: 'memory';
  /** The classifier's look-up in `sfcselect`; sees what is set through `raw('sfcselect')`. */
  readonly select: SelectTable;
}

/** Empty maps. `capacities` in entries, each in place of the layout's default. */
export function createMemoryStore(capacities: Partial<Record<MapName, number>> = {}, hostOrder: ByteOrder = HOST_ORDER): MemoryStore {
  const capacityOf = (name: MapName) => capacities[name] ?? MAPS[name].capacity;
  const sfcselect = new LpmMap(MAPS.sfcselect, capacityOf('sfcselect'), SELECT_STATIC_BITS, hostOrder);
  const map = (name: MapName) => open(MAPS[name], capacityOf(name), hostOrder);
  const maps: Record<MapName, RawMap> = {
    sfcselect,
    sfcpath: map('sfcpath'),
    sfcbackend: map('sfcbackend'),
    sfcflow: map('sfcflow'),
    endpoint: map('endpoint'),
    peer: map('peer'),
    metrics: map('metrics'),
  };
  return {
    kind: 'memory',
    select: new SelectTable(sfcselect.trie, hostOrder),
    raw: (name) => maps[name],
    pinPath: () => undefined,
    close: () => undefined,
  };
}

function open(spec: MapSpec, capacity: number, hostOrder: ByteOrder): RawMap {
  switch (spec.kind) {
    case 'hash':
    case 'lru-hash':
      return new HashMap(spec, capacity);
    case 'array':
    case 'percpu-array':
      return new ArrayMap(spec, capacity, hostOrder);
    case 'lpm-trie':
      return new LpmMap(spec, capacity, PEER_STATIC_BITS, hostOrder);
  }
}
