/**
 * What this process has written and its watch has not brought back yet. Without it, a look that follows a write at once would
 * see the old version, write the same again, and be refused.
 */

import type { KubernetesObject } from '../kubernetes/index.js';

/** A watch that is later than this (ms) is believed again: the object may have been deleted before it was ever seen. */
const LONGEST_MS = 30_000;

const versionOf = (object: KubernetesObject | undefined) =>
  object === undefined ? '' : `${object.metadata.uid} ${object.metadata.resourceVersion}`;

interface Own<T> {
  /** Versions that it is newer than: what the watch showed then, and what we wrote since. */
  readonly older: ReadonlySet<string>;
  /** Undefined: it was deleted. */
  readonly object: T | undefined;
  readonly until: number;
}

export class OwnWrites<T extends KubernetesObject> {
  readonly #written = new Map<string, Own<T>>();
  readonly #now: () => number;

  /** @param now monotonic, ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param cached as the watch has it */
  latest(key: string, cached: T | undefined): T | undefined {
    const own = this.#written.get(key);
    if (own === undefined) return cached;
    if (own.older.has(versionOf(cached)) && this.#now() < own.until) return own.object;
    this.#written.delete(key);
    return cached;
  }

  /** @param cached as the watch has it now; @param object what came of the write, undefined: it was deleted */
  wrote(key: string, cached: T | undefined, object: T | undefined): void {
    const before = this.#written.get(key);
    const older = before?.older.has(versionOf(cached)) === true ? [...before.older, versionOf(before.object)] : [versionOf(cached)];
    this.#written.set(key, { older: new Set(older), object, until: this.#now() + LONGEST_MS });
  }

  /** The watch has told something of it; undefined: that it is gone. */
  seen(key: string, object: T | undefined): void {
    const own = this.#written.get(key);
    if (own !== undefined && (object === undefined || !own.older.has(versionOf(object)))) this.#written.delete(key);
  }
}
