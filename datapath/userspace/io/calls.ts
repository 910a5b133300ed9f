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

import type { MapName } from '../../../maps/index.js';

/** Entries of a map as they travel: key and value of each, one after the other. */
export type Packed = Uint8Array;

export type Call =
  | { readonly op: 'get' | 'delete'; readonly map: MapName; readonly key: Uint8Array }
  | { readonly op: 'size'; readonly map: MapName }
  | { readonly op: 'setMany'; readonly map: MapName; readonly entries: Packed }
  | { readonly op: 'deleteMany'; readonly map: MapName; readonly keys: Uint8Array }
  /** Begins to list a map; the answer is a number for `next` and `leave`. */
  | { readonly op: 'list'; readonly map: MapName }
  | { readonly op: 'next' | 'leave'; readonly cursor: number }
  | { readonly op: 'attach'; readonly ifindex: number; readonly ifname: string }
  | { readonly op: 'detach'; readonly ifindex: number }
  | { readonly op: 'policyChanged' | 'stop' };

export type Answer =
  | { readonly value: unknown }
  /** An `SfcError` by code, or any other error by its words. */
  | { readonly code: string | undefined; readonly message: string };

/** Words of the shared memory. */
export const WORD = { asked: 0, answered: 1, ended: 2 } as const;
export const WORDS = 3;

/** Entries that `next` answers with at most: packets wait meanwhile. */
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
