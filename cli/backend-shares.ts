/** `sfcbackend` as an operator reads it: not its slots, but who has how many of a path's. */

import type { MapEntryView } from '../agent/view.js';
import type { Column } from './table.js';

export interface BackendShare {
  /** Empty: no path names these slots; they are being filled, or were only just left. */
  readonly path: string;
  /** Empty: the path has no instance that takes new flows. */
  readonly backend: string;
  readonly slots: number;
  /** Slots of the path. */
  readonly of: number;
}

export const SHARE_COLUMNS: readonly Column<BackendShare>[] = [
  { title: 'PATH', value: ({ path }) => path },
  { title: 'BACKEND', value: ({ backend }) => backend },
  { title: 'SLOTS', value: ({ slots }) => slots },
  { title: 'SHARE', value: ({ path, slots, of }) => (path === '' || of === 0 ? '' : `${((slots * 100) / of).toFixed(2)}%`) },
];

const collator = new Intl.Collator('en', { numeric: true });

/** By path and backend, in their order. `paths`: the entries of sfcpath. */
export function backendShares(backends: readonly MapEntryView[], paths: readonly MapEntryView[]): readonly BackendShare[] {
  const slots = new Map(backends.map(({ slot, address }) => [Number(slot), String(address)]));
  const count = (numbers: Iterable<number>) => {
    const found = new Map<string, number>();
    for (const slot of numbers) {
      const backend = slots.get(slot);
      if (backend !== undefined) found.set(backend, (found.get(backend) ?? 0) + 1);
    }
    return found;
  };
  const named = new Set<number>();
  const shares: BackendShare[] = [];
  for (const { path, backend_base, backend_slots } of paths) {
    const of = Number(backend_slots);
    const own = Array.from({ length: of }, (_, index) => Number(backend_base) + index);
    for (const slot of own) named.add(slot);
    const found = [...count(own)];
    if (found.length === 0) shares.push({ path: String(path), backend: '', slots: 0, of });
    for (const [backend, has] of found) shares.push({ path: String(path), backend, slots: has, of });
  }
  const nobodys = count([...slots.keys()].filter((slot) => !named.has(slot)));
  for (const [backend, has] of nobodys) shares.push({ path: '', backend, slots: has, of: 0 });
  // What no path names comes last.
  return shares.sort(
    (a, b) => Number(a.path === '') - Number(b.path === '') || collator.compare(a.path, b.path) || collator.compare(a.backend, b.backend),
  );
}
