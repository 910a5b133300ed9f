/**
 * Calls from the agent's thread to the packet thread. A call is answered before the next is made, so
 * one counter each way is all the order there is:
 *
 *     agent's thread                     packet thread
 *     post the call, asked + 1, wake ──► between two packets: take it, answer it
 *     wait until answered = asked    ◄── post the answer, answered + 1, notify
 *
 * What changes the maps is therefore done between two packets: none sees half of it.
 */

import { MAP_NAMES, type MapName } from '../../../maps/index.js';

/** Entries of a map as they travel: key and value of each, one after the other. */
export type Packed = Uint8Array;

export type Call =
  | { readonly op: 'get' | 'delete'; readonly map: MapName; readonly key: Uint8Array }
  | { readonly op: 'setMany'; readonly map: MapName; readonly entries: Packed }
  | { readonly op: 'deleteMany'; readonly map: MapName; readonly keys: Uint8Array }
  /** A map's entries, the first of them and then the `next`; the answer is a `Listed`. */
  | { readonly op: 'list'; readonly map: MapName }
  | { readonly op: 'next' | 'leave'; readonly cursor: number }
  | { readonly op: 'attach'; readonly ifindex: number; readonly ifname: string }
  | { readonly op: 'detach'; readonly ifindex: number }
  | { readonly op: 'policyChanged' | 'stop' };

export type Answer =
  | { readonly value: unknown }
  /** An `SfcError` by code, or any other error by its words. */
  | { readonly code: string | undefined; readonly message: string };

/** What `list` and `next` answer. */
export interface Listed {
  readonly entries: Packed;
  /** For `next` and `leave`; undefined when these were the last. */
  readonly cursor: number | undefined;
}

/**
 * Words of the shared memory; behind them the number of entries of each map, in the order of `MAP_NAMES`, as they were
 * after the last answer or the last packets: who asks how full the maps are waits for nobody.
 */
export const WORD = { asked: 0, answered: 1, ended: 2, sizes: 3 } as const;
export const WORDS = WORD.sizes + MAP_NAMES.length;

/** Entries that an answer has at most: packets wait meanwhile. */
export const CHUNK = 256;

/** What the packet thread is started with. */
export interface PacketThreadData {
  readonly shared: SharedArrayBuffer;
  /** Descriptor of an eventfd: wakes the thread when it waits for packets. */
  readonly wake: number;
  readonly port: number;
  readonly gso: boolean;
  readonly capacities: Partial<Record<MapName, number>>;
}

/** What the packet thread says unasked. */
export type Told = { readonly warning: string };

/** What it answers first, before any call. */
export interface Opened {
  readonly gso: boolean;
}
