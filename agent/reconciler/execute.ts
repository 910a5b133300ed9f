/** Takes the steps of a plan on the maps; each remembers its last error and waits longer after each failure. */

import { mapCodecs, type SfcbackendValue, type TypedMaps } from '../../maps/index.js';
import { applyToMirror, type Change } from './changes.js';
import { type Observed, portsKeyText, type Slice, selectKeyText } from './model.js';

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 10_000;

/** What is still owed for one entry: retry, status and log read this one record. */
export interface Owed {
  readonly id: string;
  readonly action: Change['kind'];
  readonly attempts: number;
  readonly error: string;
  /** The selector that the entry belongs to, or empty. */
  readonly selector: string;
  /** Monotonic ms. */
  readonly retryAt: number;
}

export type OwedEntries = Map<string, Owed>;

export interface Execution {
  readonly done: number;
  /** Steps that failed or were left out because of one that failed. */
  readonly missed: number;
}

/** Thousands of slots, few instances: the same object is made bytes of once. */
function fill(maps: TypedMaps, { base }: Slice, slots: readonly SfcbackendValue[]): void {
  const { key, value } = mapCodecs('sfcbackend');
  const bytes = new Map<SfcbackendValue, Uint8Array>();
  const bytesOf = (slot: SfcbackendValue) => {
    const known = bytes.get(slot) ?? value.encode(slot);
    bytes.set(slot, known);
    return known;
  };
  maps.sfcbackend.raw.setMany(slots.map((slot, index) => [key.encode({ slot: base + index }), bytesOf(slot)]));
}

function take(maps: TypedMaps, change: Change): void {
  switch (change.kind) {
    case 'backends-fill':
      fill(maps, change.slice, change.table.slots);
      return;
    case 'backends-free': {
      const empty = { address: new Uint8Array(16), family: 0 };
      fill(maps, change.slice, new Array<SfcbackendValue>(change.slice.slots).fill(empty));
      return;
    }
    case 'path-set':
      maps.sfcpath.set({ path: change.path }, change.value);
      return;
    case 'path-delete':
      maps.sfcpath.delete({ path: change.path });
      return;
    case 'peer-set':
      maps.peer.set(change.key, change.value);
      return;
    case 'peer-delete':
      maps.peer.delete(change.key);
      return;
    case 'endpoint-set':
      maps.endpoint.set({ ifindex: change.ifindex }, change.value);
      return;
    case 'endpoint-delete':
      maps.endpoint.delete({ ifindex: change.ifindex });
      return;
    case 'select-set':
      maps.sfcselect.set(change.key, change.value);
      return;
    case 'select-delete':
      maps.sfcselect.delete(change.key);
      return;
    case 'ports-set':
      maps.sfcports.set(change.key, change.value);
      return;
    case 'ports-delete':
      maps.sfcports.delete(change.key);
      return;
  }
}

type GroupedChange = Extract<Change, { readonly group: string }>;

const isGrouped = (change: Change): change is GroupedChange => change.kind === 'select-set' || change.kind === 'ports-set';

/** The step that takes a new entry out again. */
function undoOf(set: GroupedChange): Change {
  const step = { id: `undo:${set.id}`, needs: [] };
  return set.kind === 'select-set' ? { ...step, kind: 'select-delete', key: set.key } : { ...step, kind: 'ports-delete', key: set.key };
}

/**
 * Takes the steps in order. A step whose need failed is left out; when one entry of a selector (or of
 * a group that belongs together) fails, those that this run added for it are taken back: it is applied
 * whole or not at all.
 * @param now monotonic ms
 */
export function executeChanges(changes: readonly Change[], maps: TypedMaps, observed: Observed, owed: OwedEntries, now: number): Execution {
  const failed = new Set<string>();
  const failedGroups = new Set<string>();
  const added = new Map<string, GroupedChange[]>();
  const wished = new Set(changes.map((change) => change.id));
  for (const id of [...owed.keys()]) if (!wished.has(id)) owed.delete(id);
  let done = 0;
  for (const change of changes) {
    const { selector, group } = isGrouped(change) ? change : { selector: '', group: '' };
    const waiting = (owed.get(change.id)?.retryAt ?? 0) > now;
    if (waiting && group !== '') failedGroups.add(group);
    if (waiting || failedGroups.has(group) || change.needs.some((id) => failed.has(id))) {
      failed.add(change.id);
      if (waiting && group !== '') takeBack(group);
      continue;
    }
    try {
      const fresh = isGrouped(change) && isNew(change);
      take(maps, change);
      applyToMirror(observed, change);
      owed.delete(change.id);
      done++;
      if (fresh) {
        const sets = added.get(group);
        if (sets === undefined) added.set(group, [change]);
        else sets.push(change);
      }
    } catch (error) {
      failed.add(change.id);
      owe(change, selector, error);
      if (group !== '') {
        failedGroups.add(group);
        takeBack(group);
      }
    }
  }
  return { done, missed: failed.size };

  function owe(change: Change, selector: string, error: unknown): void {
    const attempts = (owed.get(change.id)?.attempts ?? 0) + 1;
    const wait = Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), LONGEST_RETRY_MS);
    const message = error instanceof Error ? error.message : String(error);
    owed.set(change.id, { id: change.id, action: change.kind, attempts, error: message, selector, retryAt: now + wait });
  }

  function isNew(change: GroupedChange): boolean {
    return change.kind === 'select-set' ? !observed.selects.has(selectKeyText(change.key)) : !observed.ports.has(portsKeyText(change.key));
  }

  function takeBack(group: string): void {
    // Ranges before what they lead to.
    for (const set of (added.get(group) ?? []).toReversed()) {
      const undo = undoOf(set);
      failed.add(set.id);
      try {
        take(maps, undo);
        applyToMirror(observed, undo);
        done--;
      } catch (error) {
        // It stays in the mirror as present, so the next plan knows of it; the record says what went wrong.
        owe(set, set.selector, error);
      }
    }
    added.delete(group);
  }
}
