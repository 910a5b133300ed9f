/**
 * Forgets flows that were idle for too long. The datapath only stamps them: expiry costs no packet
 * anything. The whole table is walked again and again, a slice between two turns of the event loop, for
 * whoever else wants to know of every flow, too.
 */

import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { HOST_ORDER, type RawMap } from '../../maps/index.js';
import { ExpiryReader, type FlowTimeouts } from './expiry.js';
import type { WalkVisitor } from './walk.js';

/** Entries between two turns of the event loop: a few milliseconds. */
const SLICE = 2048;
/** Between two walks (ms), where nobody says otherwise: how late a flow of the shortest time-out is forgotten. */
export const FLOW_PAUSE_MS = 2000;

export interface Collected {
  /** Entries of the last walk. */
  readonly walked: number;
  /** Flows forgotten since the start. */
  readonly expired: number;
}

export interface CollectorOptions {
  /** `sfcflow`. */
  readonly flows: RawMap;
  readonly timeouts: FlowTimeouts;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly now: () => number;
  /** A walk that failed, and empty when one has not. */
  readonly onTrouble: (message: string) => void;
  /** Called as each walk begins; told of every flow that stays. What it throws is trouble of that walk. */
  readonly visitors?: () => readonly WalkVisitor[];
  /** Between two walks. */
  readonly pauseMs?: () => number;
}

export class FlowCollector {
  readonly #options: CollectorOptions;
  readonly #reader: ExpiryReader;
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;
  #collected: Collected = { walked: 0, expired: 0 };

  /** Walks at once, and then after every pause. */
  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#reader = new ExpiryReader(options.timeouts, HOST_ORDER === 'LE');
    this.#running = this.#run();
  }

  get collected(): Collected {
    return this.#collected;
  }

  /** Resolves when no walk is under way and none will begin. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { onTrouble, pauseMs } = this.#options;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await this.#walk(signal);
        onTrouble('');
      } catch (error) {
        onTrouble(error instanceof Error ? error.message : String(error));
      }
      await sleep(pauseMs?.() ?? FLOW_PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Throws `MAP_IO`. */
  async #walk(signal: AbortSignal): Promise<void> {
    const { flows, now, visitors } = this.#options;
    const visiting = visitors?.() ?? [];
    let walked = 0;
    let expired: Uint8Array[] = [];
    const forget = () => {
      flows.deleteMany(expired);
      this.#collected = { walked: this.#collected.walked, expired: this.#collected.expired + expired.length };
      expired = [];
    };
    for (const [key, value] of flows.entries()) {
      if (this.#reader.isExpired(key, value, now())) expired.push(key);
      else for (const visitor of visiting) visitor.see(key, value);
      walked += 1;
      if (walked % SLICE !== 0) continue;
      forget();
      await turn();
      if (signal.aborted) return;
    }
    forget();
    for (const visitor of visiting) visitor.end();
    this.#collected = { walked, expired: this.#collected.expired };
  }
}
