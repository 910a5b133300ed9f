/** Which chain has which servicePathId, after chains have come and gone. Pure; the order of its arguments plays no part. */

import { EMPTY_RECORD, FIRST_ID, type IdRecord, LAST_ID, type Owner, type Rest, rangesOf } from './record.js';

export interface ChainIdentity extends Owner {
  /** metadata.creationTimestamp. */
  readonly createdAt: string;
  /** status.servicePathId, whoever wrote it. */
  readonly stated: number | undefined;
}

/** Why a chain did not get the id that its status named. */
export interface Refusal {
  readonly chain: Owner;
  readonly stated: number;
  readonly why: string;
}

export interface Settlement {
  readonly record: IdRecord;
  /** The record differs from the one that was given. */
  readonly changed: boolean;
  readonly refusals: readonly Refusal[];
  /** Chains for which no id is left, and when the next one has rested (wall clock, ms); undefined: nothing rests. */
  readonly without: readonly Owner[];
  readonly freeAt: number | undefined;
}

export interface SettleInput {
  /** Undefined: there is none, or it was lost; then the chains' status is what is known. */
  readonly record: IdRecord | undefined;
  readonly chains: readonly ChainIdentity[];
  /** UIDs of the record that no chain has any more. Not those that a cache lacks: those that the API server says are gone. */
  readonly gone: ReadonlySet<string>;
  /** Wall clock, ms. */
  readonly now: number;
  /** Milliseconds for which an id rests after its chain. */
  readonly restMs: number;
  /** Last id of the range; LAST_ID but in tests. */
  readonly last?: number;
}

const byAge = (a: ChainIdentity, b: ChainIdentity) =>
  a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.name < b.name ? -1 : 1;

class Draft {
  next: number;
  readonly assigned: Map<number, Owner>;
  readonly #resting: Rest[];
  readonly #last: number;
  changed = false;

  constructor(record: IdRecord, { now, restMs, last = LAST_ID }: SettleInput) {
    this.#last = last;
    this.next = record.next;
    this.assigned = new Map(record.assigned);
    // What has rested is free. Dropping it alone is no change that is worth a write.
    this.#resting = record.resting.filter(({ since }) => since + restMs > now);
  }

  isResting(id: number): boolean {
    return this.#resting.some(({ ranges }) => ranges.some(([first, last]) => first <= id && id <= last));
  }

  isFree(id: number): boolean {
    return !this.assigned.has(id) && !this.isResting(id);
  }

  rest(ids: readonly number[], now: number): void {
    if (ids.length === 0) return;
    // Whole seconds, as they are written, and never earlier.
    this.#resting.push({ since: Math.ceil(now / 1000) * 1000, ranges: rangesOf(ids) });
    this.changed = true;
  }

  assign(id: number, { uid, name }: Owner): void {
    this.assigned.set(id, { uid, name });
    this.changed = true;
  }

  /** In order while there are any; then the lowest that is free. */
  take(owner: Owner): boolean {
    for (; this.next <= this.#last; this.next++) {
      if (!this.isFree(this.next)) continue;
      this.assign(this.next++, owner);
      return true;
    }
    const free = this.#lowestFree();
    if (free !== undefined) this.assign(free, owner);
    return free !== undefined;
  }

  #lowestFree(): number | undefined {
    const held = [...[...this.assigned.keys()].map((id) => [id, id] as const), ...this.#resting.flatMap(({ ranges }) => ranges)].sort(
      ([a], [b]) => a - b,
    );
    let free = FIRST_ID;
    for (const [first, last] of held) {
      if (first > free) break;
      free = Math.max(free, last + 1);
    }
    return free <= this.#last ? free : undefined;
  }

  freeAt(restMs: number): number | undefined {
    const [first] = this.#resting;
    return first === undefined ? undefined : first.since + restMs;
  }

  finish(): IdRecord {
    return { next: this.next, assigned: this.assigned, resting: this.#resting };
  }
}

/** Why a chain without an id of its own may not keep the one that its status names; undefined: it may. */
function refuse(draft: Draft, stated: number): string | undefined {
  if (!Number.isInteger(stated) || stated < FIRST_ID || stated > LAST_ID) return `is not in ${FIRST_ID} to ${LAST_ID}`;
  const owner = draft.assigned.get(stated);
  if (owner !== undefined) return `is the id of ServiceFunctionChain ${owner.name}`;
  return draft.isResting(stated) ? 'rests after another chain' : undefined;
}

/**
 * Without a record, ids below the highest that a chain has were somebody's: they rest, from now on, and the order goes on
 * behind it. With one, a chain that it does not know keeps the id in its status if that is nobody's.
 */
export function settleIds(input: SettleInput): Settlement {
  const { record, chains, gone, now, restMs } = input;
  const draft = new Draft(record ?? EMPTY_RECORD, input);
  const left = [...draft.assigned].filter(([, { uid }]) => gone.has(uid)).map(([id]) => id);
  for (const id of left) draft.assigned.delete(id);
  draft.rest(left, now);

  const known = new Set([...draft.assigned.values()].map(({ uid }) => uid));
  const strangers = chains.filter(({ uid }) => !known.has(uid) && !gone.has(uid)).sort(byAge);
  const refusals: Refusal[] = [];
  const waiting: ChainIdentity[] = [];
  for (const chain of strangers) {
    const { stated } = chain;
    const why = stated === undefined ? undefined : refuse(draft, stated);
    if (stated !== undefined && why === undefined) draft.assign(stated, chain);
    else waiting.push(chain);
    if (stated !== undefined && why !== undefined) refusals.push({ chain: { uid: chain.uid, name: chain.name }, stated, why });
  }
  if (record === undefined) {
    const highest = [...draft.assigned.keys()].reduce((most, id) => Math.max(most, id), 0);
    const gaps: number[] = [];
    for (let id = FIRST_ID; id < highest; id++) if (!draft.assigned.has(id)) gaps.push(id);
    draft.rest(gaps, now);
    draft.next = highest + 1;
  }
  const without = waiting.filter((chain) => !draft.take(chain)).map(({ uid, name }) => ({ uid, name }));
  return {
    record: draft.finish(),
    changed: draft.changed || record === undefined,
    refusals,
    without,
    freeAt: without.length > 0 ? draft.freeAt(restMs) : undefined,
  };
}
