/**
 * How many flows each pod has, and may have: `sfcquota`, which the datapath asks before it opens one. It counts up there what it
 * opens; only here it is counted down, by walks over the flow table.
 *
 *     walk ──► count at its end + opened while it went on ──► sfcquota
 *
 * What was opened meanwhile may have been met by the walk or not, and counts in any case: a pod never has more than its limit, and
 * may be refused a few flows until the next walk.
 */

import { FLOW_ROLE, HOST_ORDER, MAPS, offsetsOf, type SfcquotaKey, type SfcquotaValue, type TypedMap } from '../../maps/index.js';
import type { WalkVisitor } from './walk.js';

const KEY = offsetsOf(MAPS.sfcflow.key, 'ifindex');
/** From the most significant one. */
const IFINDEX_BYTES = (HOST_ORDER === 'LE' ? [3, 2, 1, 0] : [0, 1, 2, 3]).map((byte) => KEY.ifindex + byte);
const VALUE = offsetsOf(MAPS.sfcflow.value, 'role');
const MOST = 2 ** 32 - 1;
/** A pod that was at its limit counts as being there until it has so much less: else the log would tell of each flow that comes and goes. */
const AGAIN_BELOW = 0.9;

/** Flows that count where they begin, and not at the pods that they pass or end at: nobody can fill another's quota. */
export const isCounted = (role: number): boolean => role !== FLOW_ROLE.function && role !== FLOW_ROLE.destination;

export interface QuotaOptions {
  readonly map: TypedMap<SfcquotaKey, SfcquotaValue>;
  /** Flows of one pod; 0: no limit. */
  readonly limit: number;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly now: () => number;
}

export class Quotas {
  readonly #options: QuotaOptions;
  /** Interfaces that have an entry. */
  readonly #held: Set<number>;
  #counts: ReadonlyMap<number, number> = new Map();
  #full: ReadonlySet<number> = new Set();

  /** Adopts what the map holds; without a limit there is nothing in it. @throws SfcError MAP_IO */
  constructor(options: QuotaOptions) {
    this.#options = options;
    this.#held = new Set([...options.map.entries()].map(([{ ifindex }]) => ifindex));
    if (options.limit === 0) this.follow([]);
  }

  get limit(): number {
    return this.#options.limit;
  }

  /** Flows of the pod behind an interface, as the last walk found them. */
  flowsOf(ifindex: number): number {
    return this.#counts.get(ifindex) ?? 0;
  }

  /** Interfaces of pods that are at their limit. */
  get full(): ReadonlySet<number> {
    return this.#full;
  }

  /**
   * Pods' interfaces as they are now: what is new gets its entry, what is gone loses it.
   * @throws SfcError MAP_IO
   */
  follow(ifindexes: Iterable<number>): void {
    const { map, limit, now } = this.#options;
    const present = new Set(ifindexes);
    const gone = [...this.#held].filter((ifindex) => !present.has(ifindex));
    map.deleteMany(gone.map((ifindex) => ({ ifindex })));
    for (const ifindex of gone) this.#held.delete(ifindex);
    if (limit === 0) return;
    for (const ifindex of present) {
      if (this.#held.has(ifindex)) continue;
      map.set({ ifindex }, { limit, flows: 0, counted_at: now() });
      this.#held.add(ifindex);
    }
  }

  /** A walk begins. @throws SfcError MAP_IO, as does its end */
  begin(): WalkVisitor {
    const before = this.#admitted();
    const counts = new Map<number, number>();
    return {
      see: (key, value) => {
        if (!isCounted(value[VALUE.role] as number)) return;
        const ifindex = ifindexOf(key);
        counts.set(ifindex, (counts.get(ifindex) ?? 0) + 1);
      },
      end: () => this.#write(counts, before),
    };
  }

  /** By interface, flows as the datapath has counted them up. */
  #admitted(): ReadonlyMap<number, number> {
    return new Map(this.#held.size === 0 ? [] : [...this.#options.map.entries()].map(([{ ifindex }, { flows }]) => [ifindex, flows]));
  }

  #write(counts: ReadonlyMap<number, number>, before: ReadonlyMap<number, number>): void {
    const { map, limit, now } = this.#options;
    this.#counts = counts;
    const full = new Set<number>();
    const counted_at = now();
    const written: [SfcquotaKey, SfcquotaValue][] = [];
    const admitted = this.#admitted();
    for (const ifindex of this.#held) {
      const opened = Math.max(0, (admitted.get(ifindex) ?? 0) - (before.get(ifindex) ?? 0));
      const counted = counts.get(ifindex) ?? 0;
      const reached = counted >= limit || (admitted.get(ifindex) ?? 0) >= limit;
      if (reached || (this.#full.has(ifindex) && counted >= limit * AGAIN_BELOW)) full.add(ifindex);
      written.push([{ ifindex }, { limit, flows: Math.min(counted + opened, MOST), counted_at }]);
    }
    map.setMany(written);
    this.#full = full;
  }
}

/** Of a key of `sfcflow`, without a view for each: there are hundreds of thousands. */
function ifindexOf(key: Uint8Array): number {
  let ifindex = 0;
  for (const at of IFINDEX_BYTES) ifindex = ifindex * 256 + (key[at] as number);
  return ifindex;
}
