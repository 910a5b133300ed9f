/** What does not fit is refused before anything is applied: whole selectors, whole paths. Pure. */

import type { Capacities, Observed, Target, TargetPorts, TargetSelect } from './model.js';

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
  readonly ports: ReadonlyMap<string, TargetPorts>;
  readonly groupOf: GroupOf;
}

/** The selectors that are applied with this one or not at all, under one name. */
export type GroupOf = (selector: string) => string;

const MAP_OF = { selects: 'sfcselect', ports: 'sfcports' } as const;

/** Selectors that entries of the target need together; most stand alone, under their own name. */
function selectorGroups({ selects, ports }: Target): GroupOf {
  const parents = new Map<string, string>();
  const rootOf = (selector: string): string => {
    let root = selector;
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
    return root;
  };
  const join = (selectors: readonly string[]) => {
    const roots = [...new Set(selectors.map(rootOf))].sort();
    for (const root of roots.slice(1)) parents.set(root, roots[0] as string);
  };
  // Entries of one table share their list of selectors.
  const seen = new Set<readonly string[]>();
  for (const { selector, together } of selects.values()) if (together.length > 0) join([selector, ...once(together)]);
  for (const { together } of ports.values()) join(once(together));
  return rootOf;

  function once(selectors: readonly string[]): readonly string[] {
    if (seen.has(selectors)) return selectors.slice(0, 1);
    seen.add(selectors);
    return selectors;
  }
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
  return { refusals, paths, endpoints, peers, ...fitSelects(target, observed, capacities, paths, endpoints, refusals) };
}

interface Group {
  readonly selectors: Set<string>;
  readonly selects: [string, TargetSelect][];
  readonly ports: [string, TargetPorts][];
  /** Of its entries, those that are in the maps. */
  readonly present: { selects: number; ports: number };
  blocked: string;
}

function groupsOf(target: Target, observed: Observed, groupOf: GroupOf): Map<string, Group> {
  const groups = new Map<string, Group>();
  const groupNamed = (selector: string): Group => {
    const name = groupOf(selector);
    const group = groups.get(name) ?? { selectors: new Set(), selects: [], ports: [], present: { selects: 0, ports: 0 }, blocked: '' };
    groups.set(name, group);
    group.selectors.add(selector);
    return group;
  };
  for (const entry of target.selects) {
    const group = groupNamed(entry[1].selector);
    group.selects.push(entry);
    if (observed.selects.has(entry[0])) group.present.selects++;
  }
  for (const entry of target.ports) {
    for (const selector of entry[1].together) groupNamed(selector);
    const group = groupNamed(entry[1].together[0] ?? '');
    group.ports.push(entry);
    if (observed.ports.has(entry[0])) group.present.ports++;
  }
  return groups;
}

function fitSelects(
  target: Target,
  observed: Observed,
  capacities: Capacities,
  paths: ReadonlySet<number>,
  endpoints: ReadonlySet<number>,
  refusals: Refusal[],
): Pick<Fitting, 'selects' | 'ports' | 'groupOf'> {
  const ids = new Set([...endpoints].map((ifindex) => target.endpoints.get(ifindex)?.id));
  const groupOf = selectorGroups(target);
  const groups = groupsOf(target, observed, groupOf);
  for (const group of groups.values()) {
    for (const [, { key, value }] of group.selects) {
      if (value.path !== 0 && !paths.has(value.path)) group.blocked = 'its path is not in sfcpath';
      else if (!ids.has(key.endpoint)) group.blocked = `endpoint ${key.endpoint} is not in the endpoint map`;
    }
  }

  const selects = new Map<string, TargetSelect>();
  const ports = new Map<string, TargetPorts>();
  const wanted = { selects: 0, ports: 0 };
  // Entries in the map that no kept selector owns still take room until they are deleted.
  const occupied = { selects: observed.selects.size, ports: observed.ports.size };
  const size = ({ selects: ours, ports: theirs }: Group) => ours.length + theirs.length;
  const there = ({ present }: Group) => present.selects + present.ports;
  const order = [...groups].sort(
    ([nameA, a], [nameB, b]) =>
      Number(there(b) === size(b)) - Number(there(a) === size(a)) ||
      Number(there(b) > 0) - Number(there(a) > 0) ||
      (nameA < nameB ? -1 : 1),
  );
  for (const [, group] of order) {
    const refuse = (message: string, transient = false) => {
      for (const name of [...group.selectors].sort()) refusals.push({ what: 'selector', name, message, transient });
    };
    if (group.blocked !== '') {
      refuse(group.blocked);
      continue;
    }
    const full = (['selects', 'ports'] as const).find((kind) => wanted[kind] + group[kind].length > capacities[MAP_OF[kind]]);
    if (full !== undefined) {
      const map = MAP_OF[full];
      refuse(`${map} is full: ${group[full].length} entries wanted beside ${wanted[full]}, capacity ${capacities[map]}`);
      continue;
    }
    wanted.selects += group.selects.length;
    wanted.ports += group.ports.length;
    const added = { selects: group.selects.length - group.present.selects, ports: group.ports.length - group.present.ports };
    const waiting = (['selects', 'ports'] as const).find(
      (kind) => added[kind] > 0 && occupied[kind] + added[kind] > capacities[MAP_OF[kind]],
    );
    if (waiting !== undefined) refuse(`${MAP_OF[waiting]} is full until stale entries are deleted`, true);
    else {
      occupied.selects += added.selects;
      occupied.ports += added.ports;
    }
    // Where it has to wait, what it already has stays: the rest follows within the same reconciliation.
    for (const [text, select] of group.selects) if (waiting === undefined || observed.selects.has(text)) selects.set(text, select);
    for (const [text, entry] of group.ports) if (waiting === undefined || observed.ports.has(text)) ports.set(text, entry);
  }
  return { selects, ports, groupOf };
}
