/**
 * Keeps `sfc-cni` where the runtime looks. Owners of a network write their configuration anew: when they start, when they are
 * upgraded, some whenever they find it changed. Events only say "look now"; a look now and then finds what they missed.
 */

import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 10_000;
/** A file that is replaced is several events. */
const DEBOUNCE_MS = 50;
/** Put back so often within so long, somebody takes it away on purpose: every further time waits longer. */
const QUARREL = { times: 5, withinMs: 60_000, longestMs: 60_000 } as const;

export interface KeeperOptions {
  readonly directory: string;
  /** Looks, and puts it there where it is not; says what was done, in words, or nothing. Throws what cannot be done. */
  readonly put: () => string;
  readonly onPut: (what: string) => void;
  /** Told once until it changes; empty when well again. */
  readonly onTrouble: (message: string) => void;
}

export interface Keeper {
  close(): Promise<void>;
}

/** How long to wait before it is put back again, ms; `at`: when it was, of late, oldest first. Pure. */
export function pauseAfter(at: readonly number[], now: number): number {
  const late = at.filter((one) => now - one < QUARREL.withinMs).length;
  return late < QUARREL.times ? DEBOUNCE_MS : Math.min(QUARREL.longestMs, 1000 * 2 ** (late - QUARREL.times));
}

export function keepInstalled({ directory, put, onPut, onTrouble }: KeeperOptions): Keeper {
  const ended = new AbortController();
  let watcher: FSWatcher | undefined;
  let trouble = '';
  let wake: () => void = () => undefined;
  const done: number[] = [];

  const tell = (message: string) => {
    if (message !== trouble) onTrouble(message);
    trouble = message;
  };
  const follow = () => {
    if (watcher !== undefined) return;
    try {
      watcher = watch(directory, { persistent: false }, () => wake());
      const forget = () => {
        watcher?.close();
        watcher = undefined;
      };
      watcher.on('error', forget);
    } catch {
      // It is not there yet: the next look tries again.
    }
  };
  const look = () => {
    follow();
    try {
      const what = put();
      if (what !== '') {
        done.push(performance.now());
        done.splice(0, done.length - 32);
        onPut(what);
      }
      tell('');
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error));
    }
  };

  const running = (async () => {
    while (!ended.signal.aborted) {
      look();
      const event = new AbortController();
      wake = () => event.abort();
      const either = AbortSignal.any([ended.signal, event.signal]);
      await sleep(LOOK_MS, undefined, { signal: either, ref: false }).catch(() => undefined);
      if (event.signal.aborted) {
        await sleep(pauseAfter(done, performance.now()), undefined, { signal: ended.signal, ref: false }).catch(() => undefined);
      }
    }
  })();

  return {
    async close() {
      ended.abort();
      watcher?.close();
      await running;
    },
  };
}
