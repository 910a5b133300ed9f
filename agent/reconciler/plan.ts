/**
 * From what the maps hold to what they should hold, as an ordered list of steps. Pure.
 *
 *     backends ─► paths ─► peers ─► endpoints (flags on) ─► selectors ─► exceptions off ─► ranges of ports ─► ranges off
 *     ─► exceptions ─► selectors off ─► endpoints (flags off, new generation) ─► endpoints off ─► paths off ─► peers off ─► slices free
 *
 * After any prefix of the list no selector names a missing path and no path an unfilled slice. And a packet
 * that is selected before and after is selected all the time, if by way of another chain's entry: before old
 * entries go, or exceptions hide them, new ones are there, with nothing old before them that hides them. An
 * endpoint whose selection changes is written twice, and its generation is odd in between: should
 * the agent die there, the next plan sees the odd number and finishes, so no flow keeps a decision
 * that was made from a half-changed selection.
 */

import {
  ENDPOINT_FLAG,
  ENDPOINT_INGRESS_SHIFT,
  ENDPOINT_SELECTS,
  type EndpointValue,
  SELECT_FLAG,
  type SfcselectKey,
  type SfcselectValue,
} from '../../maps/index.js';
import { type Fitting, fitCapacities, type GroupOf, type Refusal } from './capacity.js';
import type { Change } from './changes.js';
import {
  type Capacities,
  type EndpointSettings,
  hex,
  type Observed,
  type PathSettings,
  type Slice,
  sameSelection,
  type Target,
} from './model.js';
import { SliceAllocator } from './slices.js';

const TCP = 6;
const UDP = 17;

export interface Plan {
  readonly changes: readonly Change[];
  readonly refusals: readonly Refusal[];
}

const SELECTS = ENDPOINT_SELECTS.egress | ENDPOINT_SELECTS.ingress;

function inDirection(flags: number, keyFlags: number): number {
  return (keyFlags & SELECT_FLAG.egress) !== 0 ? flags : flags << ENDPOINT_INGRESS_SHIFT;
}

/** What a packet's look-ups need to know to find an entry. */
function selectingFlags({ flags, port, protocol }: SfcselectKey): number {
  const { selectsAllPorts, selectsPorts, selectsAnyProtocol } = ENDPOINT_FLAG;
  if (protocol === 0) return inDirection(selectsAnyProtocol, flags);
  const other = protocol === TCP || protocol === UDP ? 0 : selectsAnyProtocol;
  return inDirection((port === 0 ? selectsAllPorts : selectsPorts) | other, flags);
}

/** An entry that takes something out of a wider one: its look-up finds nothing. */
const isException = ({ path }: SfcselectValue) => path === 0;

function samePathSettings(a: PathSettings, b: PathSettings): boolean {
  return (
    a.family === b.family &&
    a.flags === b.flags &&
    a.failure_policy === b.failure_policy &&
    a.affinity_timeout === b.affinity_timeout &&
    hex(a.service_address) === hex(b.service_address)
  );
}

function sameEndpoint(a: EndpointSettings, b: EndpointSettings): boolean {
  return a.id === b.id && a.flags === b.flags && a.mtu === b.mtu && hex(a.ipv4) === hex(b.ipv4) && hex(a.ipv6) === hex(b.ipv6);
}

/** Steps by station, joined in order at the end. */
interface Stations {
  readonly backends: Change[];
  readonly paths: Change[];
  readonly peers: Change[];
  readonly endpointsBefore: Change[];
  readonly selects: Change[];
  readonly exceptionDeletes: Change[];
  readonly ports: Change[];
  readonly portDeletes: Change[];
  readonly exceptions: Change[];
  readonly selectDeletes: Change[];
  readonly endpointsAfter: Change[];
  readonly endpointDeletes: Change[];
  readonly pathDeletes: Change[];
  readonly peerDeletes: Change[];
  readonly frees: Change[];
}

/**
 * @param reusable slices in `observed.filled` that no packet can be reading any more
 */
export function planChanges(target: Target, observed: Observed, capacities: Capacities, reusable: ReadonlySet<string> = new Set()): Plan {
  const fitting = fitCapacities(target, observed, capacities);
  const out: Stations = {
    backends: [],
    paths: [],
    peers: [],
    endpointsBefore: [],
    selects: [],
    exceptionDeletes: [],
    ports: [],
    portDeletes: [],
    exceptions: [],
    selectDeletes: [],
    endpointsAfter: [],
    endpointDeletes: [],
    pathDeletes: [],
    peerDeletes: [],
    frees: [],
  };
  const refusedPaths = planPaths(target, observed, capacities, fitting, out);
  // A new path without room for its table takes its selectors with it.
  const { groupOf } = fitting;
  const blocked = new Set<string>();
  for (const { value, selector } of fitting.selects.values()) if (refusedPaths.has(value.path)) blocked.add(groupOf(selector));
  const isBlocked = (selector: string) => blocked.has(groupOf(selector));
  for (const name of new Set([...fitting.selects.values()].map(({ selector }) => selector).filter(isBlocked)))
    fitting.refusals.push({ what: 'selector', name, message: 'its path has no room in sfcbackend', transient: false });
  const selects = new Map([...fitting.selects].filter(([, { selector }]) => !isBlocked(selector)));
  const ports = new Map([...fitting.ports].filter(([, { together }]) => !isBlocked(together[0] ?? '')));

  const touched = planSelects({ ...target, selects, ports }, observed, groupOf, out);
  planEndpoints(target, observed, { ...fitting, selects, ports }, touched, out);
  planDeletes(target, observed, fitting, out);
  for (const [text, { slice }] of observed.filled) {
    if (reusable.has(text)) out.frees.push({ kind: 'backends-free', id: `free:${text}`, needs: [], slice });
  }
  return { changes: Object.values(out).flat(), refusals: fitting.refusals };
}

/**
 * Slices of tables that are there, by signature: paths with the same instances share one. Only of paths
 * that keep their table: what one leaves in this plan, a step that fails might yet free.
 */
function presentTables(target: Target, observed: Observed): Map<string, { readonly slice: Slice; readonly needs: readonly string[] }> {
  const tables = new Map<string, { readonly slice: Slice; readonly needs: readonly string[] }>();
  for (const [path, { value, table }] of observed.paths) {
    if (value.backend_slots === 0 || target.paths.get(path)?.table.signature !== table.signature) continue;
    tables.set(table.signature, { slice: { base: value.backend_base, slots: value.backend_slots }, needs: [] });
  }
  return tables;
}

/** @returns new paths that have no room for their table */
function planPaths(target: Target, observed: Observed, capacities: Capacities, fitting: Fitting, out: Stations): Set<number> {
  const inUse: Slice[] = [...observed.paths.values()].map(({ value }) => ({ base: value.backend_base, slots: value.backend_slots }));
  const allocator = new SliceAllocator(capacities.sfcbackend, [...inUse, ...[...observed.filled.values()].map((filled) => filled.slice)]);
  const tables = presentTables(target, observed);
  const refused = new Set<number>();
  for (const path of [...fitting.paths].sort((a, b) => a - b)) {
    const wanted = target.paths.get(path);
    if (wanted === undefined) continue;
    const present = observed.paths.get(path);
    const sameTable = present?.table.signature === wanted.table.signature;
    if (present !== undefined && sameTable && samePathSettings(present.value, wanted.settings)) continue;
    let slice = present === undefined ? undefined : { base: present.value.backend_base, slots: present.value.backend_slots };
    const needs: string[] = [];
    if (!sameTable || slice === undefined) {
      const slots = wanted.table.slots.length;
      const known = tables.get(wanted.table.signature);
      slice = slots === 0 ? { base: 0, slots: 0 } : (known?.slice ?? allocator.take(slots));
      if (slice === undefined) {
        const message = `sfcbackend is full: no ${slots} free slots in a row, capacity ${capacities.sfcbackend}`;
        // Slices that are only waiting for their last readers make room soon.
        fitting.refusals.push({ what: 'path', name: String(path), message, transient: false });
        if (present === undefined) refused.add(path);
        continue;
      }
      if (known !== undefined) needs.push(...known.needs);
      else if (slots > 0) {
        const id = `backends:${path}`;
        out.backends.push({ kind: 'backends-fill', id, needs: [], slice, table: wanted.table });
        needs.push(id);
        tables.set(wanted.table.signature, { slice, needs: [id] });
      }
    }
    const value = { ...wanted.settings, backend_base: slice.base, backend_slots: slice.slots };
    out.paths.push({ kind: 'path-set', id: `path:${path}`, needs, path, value, table: wanted.table });
  }
  return refused;
}

/** Entries by prefix length: ascending for 1, descending for -1. */
function byLength<V extends { readonly key: { readonly prefix_len: number } }>(
  entries: ReadonlyMap<string, V>,
  order: 1 | -1,
): [string, V][] {
  return [...entries].sort(([, a], [, b]) => order * (a.key.prefix_len - b.key.prefix_len));
}

/** @returns ids of the steps that change each endpoint's selection, by endpoint id */
function planSelects(target: Target, observed: Observed, groupOf: GroupOf, out: Stations): Map<number, string[]> {
  const touched = new Map<number, string[]>();
  const touch = (endpoint: number, id: string) => {
    const ids = touched.get(endpoint);
    if (ids === undefined) touched.set(endpoint, [id]);
    else ids.push(id);
  };
  const changedPaths = new Set(out.paths.map((change) => change.id));
  const ifindexes = new Map([...target.endpoints].map(([ifindex, { id }]) => [id, ifindex]));
  for (const [text, { key, value, selector }] of target.selects) {
    const pathId = `path:${value.path}`;
    if (changedPaths.has(pathId)) touch(key.endpoint, pathId);
    const present = observed.selects.get(text)?.value;
    if (present !== undefined && sameSelection(present, value)) continue;
    const id = `select:${text}`;
    const needs = [`endpoint:${ifindexes.get(key.endpoint)}`];
    if (changedPaths.has(pathId)) needs.push(pathId);
    const station = isException(value) ? out.exceptions : out.selects;
    station.push({ kind: 'select-set', id, needs, key, value, selector, group: groupOf(selector) });
    touch(key.endpoint, id);
  }
  // The parts of a larger range are there before it is, and leave after it.
  for (const [text, { key, value, together }] of byLength(target.ports, -1)) {
    if (observed.ports.get(text)?.value.first_port === value.first_port) continue;
    const id = `ports:${text}`;
    const selector = together[0] ?? '';
    const needs = [`endpoint:${ifindexes.get(key.endpoint)}`];
    out.ports.push({ kind: 'ports-set', id, needs, key, value, selector, group: groupOf(selector) });
    touch(key.endpoint, id);
  }
  for (const [text, { key }] of byLength(observed.ports, 1)) {
    if (target.ports.has(text)) continue;
    const id = `ports-delete:${text}`;
    out.portDeletes.push({ kind: 'ports-delete', id, needs: [], key });
    touch(key.endpoint, id);
  }
  for (const [text, { key, value }] of observed.selects) {
    if (target.selects.has(text)) continue;
    const id = `select-delete:${text}`;
    const station = isException(value) ? out.exceptionDeletes : out.selectDeletes;
    station.push({ kind: 'select-delete', id, needs: [], key });
    touch(key.endpoint, id);
  }
  return touched;
}

function planEndpoints(
  target: Target,
  observed: Observed,
  fitting: Fitting,
  touched: ReadonlyMap<number, readonly string[]>,
  out: Stations,
): void {
  // Flags follow the selectors that are applied, not those that were refused.
  const selecting = new Map<number, number>();
  for (const { key } of fitting.selects.values()) {
    selecting.set(key.endpoint, (selecting.get(key.endpoint) ?? 0) | selectingFlags(key));
  }
  for (const { key } of fitting.ports.values()) {
    const flag = inDirection(ENDPOINT_FLAG.selectsRanges, key.flags);
    selecting.set(key.endpoint, (selecting.get(key.endpoint) ?? 0) | flag);
  }
  for (const ifindex of [...fitting.endpoints].sort((a, b) => a - b)) {
    const settings = target.endpoints.get(ifindex);
    if (settings === undefined) continue;
    const wanted = { ...settings, flags: (settings.flags & ~SELECTS) | (selecting.get(settings.id) ?? 0) };
    const present = observed.endpoints.get(ifindex);
    const reasons = touched.get(wanted.id) ?? [];
    const set = (id: string, needs: readonly string[], value: EndpointValue): Change => ({
      kind: 'endpoint-set',
      id,
      needs,
      ifindex,
      value,
    });
    const before = `endpoint:${ifindex}`;
    const unfinished = present !== undefined && present.generation % 2 === 1;
    if (reasons.length === 0 && !unfinished) {
      // Nothing that is selected changes: one write if anything, and flows keep their decisions.
      const generation = present?.generation ?? 2;
      if (present === undefined || !sameEndpoint(present, wanted)) out.endpointsBefore.push(set(before, [], { ...wanted, generation }));
      continue;
    }
    const odd = present === undefined ? 1 : unfinished ? present.generation : present.generation + 1;
    const flags = wanted.flags | (present?.id === wanted.id ? present.flags & SELECTS : 0);
    const during = { ...wanted, flags, generation: odd };
    if (present?.generation !== odd || !sameEndpoint(present, during)) out.endpointsBefore.push(set(before, [], during));
    // 2^32 generations wrap to 0, which is even and as good as any other.
    out.endpointsAfter.push(set(`endpoint-after:${ifindex}`, [before, ...reasons], { ...wanted, generation: (odd + 1) >>> 0 }));
  }
}

function planDeletes(target: Target, observed: Observed, fitting: Fitting, out: Stations): void {
  // Whatever takes a path from a selector has to have happened before the path may go.
  const released = new Map<number, string[]>();
  const byEndpoint = new Map<number, string[]>();
  const append = (map: Map<number, string[]>, key: number, id: string) => {
    const ids = map.get(key);
    if (ids === undefined) map.set(key, [id]);
    else ids.push(id);
  };
  const { selects, exceptionDeletes, exceptions, selectDeletes } = out;
  const steps = new Set([selects, exceptionDeletes, exceptions, selectDeletes].flatMap((changes) => changes.map((change) => change.id)));
  for (const [text, { key, value }] of observed.selects) {
    for (const id of [`select:${text}`, `select-delete:${text}`]) {
      if (!steps.has(id)) continue;
      append(released, value.path, id);
      append(byEndpoint, key.endpoint, id);
    }
  }
  for (const [ifindex, { id }] of observed.endpoints) {
    if (target.endpoints.has(ifindex)) continue;
    out.endpointDeletes.push({
      kind: 'endpoint-delete',
      id: `endpoint-delete:${ifindex}`,
      needs: byEndpoint.get(id) ?? [],
      ifindex,
      endpoint: id,
    });
  }
  for (const path of observed.paths.keys()) {
    if (target.paths.has(path)) continue;
    out.pathDeletes.push({ kind: 'path-delete', id: `path-delete:${path}`, needs: released.get(path) ?? [], path });
  }
  for (const [text, { key }] of observed.peers) {
    if (!target.peers.has(text)) out.peerDeletes.push({ kind: 'peer-delete', id: `peer-delete:${text}`, needs: [], key });
  }
  for (const text of fitting.peers) {
    const wanted = target.peers.get(text);
    const seen = observed.peers.get(text)?.value;
    if (wanted === undefined || (seen?.flags === wanted.value.flags && seen.ifindex === wanted.value.ifindex)) continue;
    out.peers.push({ kind: 'peer-set', id: `peer:${text}`, needs: [], ...wanted });
  }
}
