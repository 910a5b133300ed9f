/** Free slots of sfcbackend. Pure: what is in use comes in, slices go out. */

import type { Slice } from './model.js';

/** Hands out runs of slots that no given slice touches, lowest first. */
export class SliceAllocator {
  readonly #capacity: number;
  /** Sorted by base, not overlapping. */
  #used: Slice[];

  constructor(capacity: number, used: readonly Slice[]) {
    this.#capacity = capacity;
    this.#used = used.filter((slice) => slice.slots > 0).sort((a, b) => a.base - b.base);
  }

  /** Undefined when no gap is long enough. */
  take(slots: number): Slice | undefined {
    let base = 0;
    let at = 0;
    for (const slice of this.#used) {
      if (slice.base - base >= slots) break;
      base = Math.max(base, slice.base + slice.slots);
      at++;
    }
    if (base + slots > this.#capacity) return undefined;
    const taken = { base, slots };
    this.#used = [...this.#used.slice(0, at), taken, ...this.#used.slice(at)];
    return taken;
  }
}
