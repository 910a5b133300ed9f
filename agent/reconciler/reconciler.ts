/** Brings the maps to a target: plan, execute, sweep; keeps the mirror and what is owed between runs. */

import { type MapStore, type TypedMaps, typedMaps } from '../../maps/index.js';
import type { Refusal } from './capacity.js';
import type { Change } from './changes.js';
import { executeChanges, type Owed, type OwedEntries } from './execute.js';
import { addressText, type Capacities, type Observed, type Target } from './model.js';
import { observe } from './observe.js';
import { planChanges } from './plan.js';
import { type Swept, sweep } from './sweep.js';

/** A packet that read a path before it was flipped is long through with the old slice after this (ms). */
const SLICE_GRACE_MS = 1000;
/** A packet in flight may bring back a swept flow; after this (ms) the flows are swept once more. */
const SECOND_SWEEP_MS = 1000;
/** The maps are read again after this long (ms), in case somebody else wrote to them. */
const RESYNC_MS = 60_000;

export interface ReconcileResult {
  /** Steps taken. */
  readonly changes: number;
  readonly refusals: readonly Refusal[];
  readonly owed: readonly Owed[];
  readonly swept: Swept | undefined;
  /** When to come back though nothing changes: a retry, a second sweep, slices to free; ms from now. */
  readonly againInMs: number | undefined;
}

export class Reconciler {
  readonly #maps: TypedMaps;
  readonly #capacities: Capacities;
  readonly #now: () => number;
  readonly #resyncMs: number;
  readonly #owed: OwedEntries = new Map();
  #observed: Observed;
  #observedAt: number;
  /** Since when each unreferenced slice is unreferenced. */
  #left = new Map<string, number>();
  #sweepAt: number | undefined;
  #target: Target | undefined;

  /**
   * Reads the maps: what is pinned is adopted.
   * @param now monotonic ms
   * @param resyncMs between two readings of the maps
   * @throws SfcError MAP_IO
   */
  constructor(store: MapStore, now: () => number, resyncMs = RESYNC_MS) {
    this.#maps = typedMaps(store);
    this.#capacities = {
      sfcselect: store.raw('sfcselect').capacity,
      sfcports: store.raw('sfcports').capacity,
      sfcpath: store.raw('sfcpath').capacity,
      sfcbackend: store.raw('sfcbackend').capacity,
      endpoint: store.raw('endpoint').capacity,
      peer: store.raw('peer').capacity,
    };
    this.#now = now;
    this.#resyncMs = resyncMs;
    this.#observed = observe(this.#maps);
    this.#observedAt = now();
    // Whoever ran before may have died between a change and its sweep.
    this.#sweepAt = now();
  }

  /** What the maps hold. Not to be changed. */
  get observed(): Observed {
    return this.#observed;
  }

  /** @throws SfcError MAP_IO when the maps cannot be read; failures of single entries are in the result */
  reconcile(target: Target): ReconcileResult {
    const start = this.#now();
    if (this.#owed.size > 0 || start - this.#observedAt >= this.#resyncMs) this.#resync(start);
    let changes = 0;
    let refusals: readonly Refusal[] = [];
    let needsSweep = this.#target !== undefined && losesInstances(this.#target, target);
    this.#target = target;
    // Stale entries that stood in the way are gone after one pass; more than a few passes mean no progress.
    for (let pass = 0; pass < 4; pass++) {
      const plan = planChanges(target, this.#observed, this.#capacities, this.#reusable(start));
      refusals = plan.refusals;
      needsSweep ||= plan.changes.some((change) => this.#leavesFlows(change));
      const { done } = executeChanges(plan.changes, this.#maps, this.#observed, this.#owed, start);
      changes += done;
      this.#rememberLeft(start);
      if (done === 0 || !refusals.some((refusal) => refusal.transient)) break;
    }
    const swept = this.#sweep(start, needsSweep, target);
    return { changes, refusals, owed: [...this.#owed.values()], swept, againInMs: this.#again(start) };
  }

  #resync(now: number): void {
    const filled = this.#observed.filled;
    this.#observed = observe(this.#maps);
    for (const [text, entry] of filled) this.#observed.filled.set(text, entry);
    this.#observedAt = now;
  }

  /** Asked before the step is taken: whether flows may point at what it takes away. */
  #leavesFlows(change: Change): boolean {
    switch (change.kind) {
      case 'endpoint-delete':
        return true;
      case 'endpoint-set':
        return (this.#observed.endpoints.get(change.ifindex)?.id ?? change.value.id) !== change.value.id;
      case 'path-set': {
        const before = this.#observed.paths.get(change.path)?.table.slots;
        if (before === undefined) return false;
        const after = new Set(change.table.slots.map(addressText));
        return before.some((slot) => !after.has(addressText(slot)));
      }
      default:
        return false;
    }
  }

  #reusable(now: number): Set<string> {
    return new Set([...this.#left].filter(([, since]) => now - since >= SLICE_GRACE_MS).map(([text]) => text));
  }

  #rememberLeft(now: number): void {
    const left = new Map<string, number>();
    for (const text of this.#observed.filled.keys()) left.set(text, this.#left.get(text) ?? now);
    this.#left = left;
  }

  #sweep(now: number, needed: boolean, target: Target): Swept | undefined {
    if (!needed && (this.#sweepAt === undefined || now < this.#sweepAt)) return undefined;
    this.#sweepAt = needed ? now + SECOND_SWEEP_MS : undefined;
    return sweep(this.#maps, this.#observed, target);
  }

  #again(now: number): number | undefined {
    const times = [...this.#owed.values()].map((entry) => entry.retryAt);
    for (const since of this.#left.values()) times.push(since + SLICE_GRACE_MS);
    if (this.#sweepAt !== undefined) times.push(this.#sweepAt);
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - now);
  }
}

/** Whether an instance is gone, or keeps its clients no longer: also one of no slots, whose going changes no table. */
function losesInstances(before: Target, after: Target): boolean {
  return [...before.paths].some(([path, { keepFlows, keepClients }]) => {
    const now = after.paths.get(path);
    return (
      [...keepFlows].some((one) => now?.keepFlows.has(one) !== true) || [...keepClients].some((one) => now?.keepClients.has(one) !== true)
    );
  });
}
