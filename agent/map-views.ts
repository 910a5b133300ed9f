/** The maps and counters as the API shows them: read from the maps at the moment of asking. */

import {
  DIRECTION,
  formatEntry,
  type LayoutRecord,
  MAP_NAMES,
  type MapName,
  type MapStore,
  mapCodecs,
  REASONS,
  type TypedMaps,
} from '../maps/index.js';
import type { CounterView, MapEntryView, MapView } from './view.js';

/** @param used slots in use of the array maps, of which the kernel only knows that they are all there */
export function mapViews(store: MapStore, used: Readonly<Partial<Record<MapName, number>>>): MapView[] {
  return MAP_NAMES.map((name) => {
    const raw = store.raw(name);
    return {
      name,
      kind: raw.spec.kind,
      entries: used[name] ?? raw.size(),
      capacity: raw.capacity,
      pinPath: store.pinPath(name) ?? '',
      doc: raw.spec.doc,
    };
  });
}

/** Array maps give only slots that hold something: their empty ones say nothing. */
export function entryViews(maps: TypedMaps, name: MapName): MapEntryView[] {
  const views: MapEntryView[] = [];
  if (name === 'sfcbackend') {
    // A million slots, most of them empty: those are passed over as bytes.
    const { key, value } = mapCodecs(name);
    for (const [slot, bytes] of maps.sfcbackend.raw.entries()) {
      if (!bytes.every((byte) => byte === 0)) views.push(formatEntry(key.decode(slot), value.decode(bytes)));
    }
    return views;
  }
  const entries: Iterable<readonly [LayoutRecord, LayoutRecord]> = maps[name].entries();
  for (const [key, value] of entries) {
    if (name === 'metrics' && Object.values(value).every((field) => field === 0)) continue;
    views.push(formatEntry(key, value));
  }
  return views;
}

/** Every reason and direction that has counted something. The map is asked once, not once a reason: each time waits for its owner. */
export function counterViews(maps: TypedMaps): CounterView[] {
  const counts = new Map([...maps.metrics.entries()].map(([{ slot }, count]) => [slot, count]));
  const views: CounterView[] = [];
  for (const { number, name, class: reasonClass, doc } of REASONS) {
    for (const [direction, offset] of [
      ['from-pod', DIRECTION.fromPod],
      ['to-pod', DIRECTION.toPod],
    ] as const) {
      const count = counts.get(number * 2 + offset);
      if (count !== undefined && count.packets > 0)
        views.push({ reason: name, class: reasonClass, direction, packets: count.packets, bytes: count.bytes, doc });
    }
  }
  return views;
}
