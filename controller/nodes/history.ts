/**
 * The states that the objects of a kind went through, by digest, as far back as nodes may still be. All who watch see the
 * same events in the same order, so what a node reports is one of these states, and a number tells how far it is:
 *
 *     place       0          1            2             3
 *     event       (list)     + firewall   + proxy       firewall edited
 *     digest      00…        a1…          7f…           3c…
 *
 * A node that reports 7f… has proxy and the old firewall. Two equal digests are one state: the later place counts, since
 * whatever is still as it was at the earlier one is so at the later one.
 */

import { Digest, EMPTY_DIGEST } from './digest.js';

/** States that are remembered. A node that is further behind counts as one that has nothing new. */
const MOST_STATES = 16_384;

export class History {
  readonly #digest = new Digest();
  /** By uid: the generation, and the place at which it came. */
  readonly #objects = new Map<string, { readonly generation: number; readonly place: number }>();
  /** Oldest first. */
  readonly #places = new Map<string, number>([[EMPTY_DIGEST, 0]]);
  readonly #most: number;
  #last = 0;

  constructor(most = MOST_STATES) {
    this.#most = most;
  }

  get digest(): string {
    return this.#digest.toString();
  }

  /** An object is there with this generation, or is gone (undefined). Nothing happens where that is known. */
  set(uid: string, generation: number | undefined): void {
    const before = this.#objects.get(uid);
    if (before?.generation === generation) return;
    if (before !== undefined) this.#digest.toggle({ uid, generation: before.generation });
    if (generation !== undefined) this.#digest.toggle({ uid, generation });
    const place = ++this.#last;
    if (generation === undefined) this.#objects.delete(uid);
    else this.#objects.set(uid, { generation, place });
    const digest = this.digest;
    this.#places.delete(digest);
    this.#places.set(digest, place);
    if (this.#places.size > this.#most) this.#places.delete(this.#places.keys().next().value as string);
  }

  /** Where a state stands; undefined: it is not known (not seen yet, never seen, or too long ago). */
  placeOf(digest: string): number | undefined {
    return this.#places.get(digest);
  }

  /** From which place on states hold this very generation; undefined: none does. */
  since(uid: string, generation: number): number | undefined {
    const object = this.#objects.get(uid);
    return object?.generation === generation ? object.place : undefined;
  }
}
