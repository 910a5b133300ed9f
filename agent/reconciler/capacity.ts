/** What does not fit is refused before anything is applied: whole selectors, whole paths. Pure. */

import type { Capacities, Observed, Target, TargetSelect } from './model.js';

export interface Refusal {
  readonly what: 'selector' | 'path' | 'endpoint' | 'peer';
  /** Selector's name, path as a number, ifindex, peer's key. */
  readonly name: string;
  readonly message: string;
  /** It fits as soon as stale entries are gone: plan again at once. */
  readonly transient: boolean;
}

export interface Fitting {
  readonly refusals: Refusal[];
  readonly paths: ReadonlySet<number>;
  readonly endpoints: ReadonlySet<number>;
  readonly peers: ReadonlySet<string>;
  readonly selects: ReadonlyMap<string, TargetSelect>;
}

/** Keys that fit beside the stale ones still in the map; those already there go first, then in order. */
function keepFitting<K extends string | number>(
  what: Refusal['what'],
  map: string,
  wanted: Iterable<K>,
  present: ReadonlyMap<K, unknown>,
  capacity: number,
  refusals: Refusal[],
): Set<K> {
  const all = [...wanted].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const kept = new Set(all.filter((key) => present.has(key)));
  let room = capacity - present.size;
  let stale = present.size - kept.size;
  for (const key of all) {
    if (kept.has(key)) continue;
    if (room > 0) {
      kept.add(key);
      room--;
      continue;
    }
    const transient = stale > 0;
    stale--;
    const message = `${map} is full: ${all.length} entries wanted, capacity ${capacity}`;
    refusals.push({ what, name: String(key), message, transient });
  }
  return kept;
}

export function fitCapacities(target: Target, observed: Observed, capacities: Capacities): Fitting {
  const refusals: Refusal[] = [];
  const paths = keepFitting('path', 'sfcpath', target.paths.keys(), observed.paths, capacities.sfcpath, refusals);
  const endpoints = keepFitting('endpoint', 'endpoint', target.endpoints.keys(), observed.endpoints, capacities.endpoint, refusals);
  const peers = keepFitting('peer', 'peer', target.peers.keys(), observed.peers, capacities.peer, refusals);
  return { refusals, paths, endpoints, peers, selects: fitSelects(target, observed, capacities, paths, endpoints, refusals) };
}

function fitSelects(
  target: Target,
  observed: Observed,
  capacities: Capacities,
  paths: ReadonlySet<number>,
  endpoints: ReadonlySet<number>,
  refusals: Refusal[],
): Map<string, TargetSelect> {
  const ids = new Set([...endpoints].map((ifindex) => target.endpoints.get(ifindex)?.id));
  const groups = new Map<string, { readonly entries: [string, TargetSelect][]; present: number; blocked: string }>();
  for (const [text, select] of target.selects) {
    let group = groups.get(select.selector);
    if (group === undefined) {
      group = { entries: [], present: 0, blocked: '' };
      groups.set(select.selector, group);
    }
    group.entries.push([text, select]);
    if (observed.selects.has(text)) group.present++;
    if (!paths.has(select.value.path)) group.blocked = 'its path is not in sfcpath';
    else if (!ids.has(select.key.endpoint)) group.blocked = `endpoint ${select.key.endpoint} is not in the endpoint map`;
  }

  const kept = new Map<string, TargetSelect>();
  let wanted = 0;
  // Entries in the map that no kept selector owns still take room until they are deleted.
  let occupied = observed.selects.size;
  const complete = (group: { entries: unknown[]; present: number }) => group.present === group.entries.length;
  const order = [...groups].sort(
    ([nameA, a], [nameB, b]) =>
      Number(complete(b)) - Number(complete(a)) || Number(b.present > 0) - Number(a.present > 0) || (nameA < nameB ? -1 : 1),
  );
  for (const [name, group] of order) {
    if (group.blocked !== '') {
      refusals.push({ what: 'selector', name, message: group.blocked, transient: false });
      continue;
    }
    const added = group.entries.length - group.present;
    if (wanted + group.entries.length > capacities.sfcselect) {
      const message = `sfcselect is full: ${group.entries.length} entries wanted beside ${wanted}, capacity ${capacities.sfcselect}`;
      refusals.push({ what: 'selector', name, message, transient: false });
      continue;
    }
    wanted += group.entries.length;
    const transient = added > 0 && occupied + added > capacities.sfcselect;
    if (transient) {
      refusals.push({ what: 'selector', name, message: 'sfcselect is full until stale entries are deleted', transient });
      // What it already has stays: the rest follows within the same reconciliation.
      for (const [text, select] of group.entries) if (observed.selects.has(text)) kept.set(text, select);
      continue;
    }
    occupied += added;
    for (const [text, select] of group.entries) kept.set(text, select);
  }
  return kept;
}
