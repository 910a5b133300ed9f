/** All maps of one datapath in memory: for the userspace datapath, tests and dry runs. */

import { type ByteOrder, HOST_ORDER } from '../codec.js';
import { MAPS, type MapName, PEER_STATIC_BITS, PORTS_STATIC_BITS, SELECT_STATIC_BITS } from '../layouts.js';
import type { MapStore, RawMap } from '../store.js';
import { ArrayMap } from './array-map.js';
import { HashMap } from './hash-map.js';
import { LpmMap } from './lpm-map.js';
import { PortTable, SelectTable } from './select.js';

const PORT_BITS = 16;

export interface MemoryStore extends MapStore {
  readonly kind: 'memory';
  /** The tables themselves, for a datapath that reads and writes them packet by packet. */
  readonly tables: {
    readonly sfcselect: LpmMap;
    readonly sfcports: LpmMap;
    readonly sfcpath: HashMap;
    readonly sfcbackend: ArrayMap;
    readonly sfcaffinity: HashMap;
    readonly sfcflow: HashMap;
    readonly sfcfragment: HashMap;
    readonly sfcquota: HashMap;
    readonly endpoint: HashMap;
    readonly peer: LpmMap;
    readonly sfcprobe: HashMap;
    readonly metrics: ArrayMap;
  };
  readonly hostOrder: ByteOrder;
  /** The classifier's look-up in `sfcselect`; sees what is set through `raw('sfcselect')`. */
  readonly select: SelectTable;
  /** The same of `sfcports`. */
  readonly ports: PortTable;
}

/** Empty maps. `capacities` in entries, each in place of the layout's default. */
export function createMemoryStore(capacities: Partial<Record<MapName, number>> = {}, hostOrder: ByteOrder = HOST_ORDER): MemoryStore {
  const capacityOf = (name: MapName) => capacities[name] ?? MAPS[name].capacity;
  const tables = {
    sfcselect: new LpmMap(MAPS.sfcselect, capacityOf('sfcselect'), SELECT_STATIC_BITS, hostOrder),
    sfcports: new LpmMap(MAPS.sfcports, capacityOf('sfcports'), PORTS_STATIC_BITS, hostOrder, PORT_BITS),
    sfcpath: new HashMap(MAPS.sfcpath, capacityOf('sfcpath')),
    sfcbackend: new ArrayMap(MAPS.sfcbackend, capacityOf('sfcbackend'), hostOrder),
    sfcaffinity: new HashMap(MAPS.sfcaffinity, capacityOf('sfcaffinity')),
    sfcflow: new HashMap(MAPS.sfcflow, capacityOf('sfcflow')),
    sfcfragment: new HashMap(MAPS.sfcfragment, capacityOf('sfcfragment')),
    sfcquota: new HashMap(MAPS.sfcquota, capacityOf('sfcquota')),
    endpoint: new HashMap(MAPS.endpoint, capacityOf('endpoint')),
    peer: new LpmMap(MAPS.peer, capacityOf('peer'), PEER_STATIC_BITS, hostOrder),
    sfcprobe: new HashMap(MAPS.sfcprobe, capacityOf('sfcprobe')),
    metrics: new ArrayMap(MAPS.metrics, capacityOf('metrics'), hostOrder),
  };
  const maps: Record<MapName, RawMap> = tables;
  return {
    kind: 'memory',
    tables,
    hostOrder,
    select: new SelectTable(tables.sfcselect.trie, hostOrder),
    ports: new PortTable(tables.sfcports.trie, hostOrder),
    raw: (name) => maps[name],
    pinPath: () => undefined,
    close: () => undefined,
  };
}
