/** Whom a node asks, and from which of its pods. Pure. */

import type { Address, DesiredPath, Probe } from '../../policy/index.js';

/** An instance that is asked in one way, by however many functions of chains. */
export interface Aim {
  readonly key: string;
  readonly address: Address;
  readonly probe: Probe;
  /** `namespace/name`. */
  readonly pod: string;
  /** Pods of this node that it is asked from, in turn. Never empty. */
  readonly from: readonly Address[];
}

/** Two: should one of them go without a word, every other probe still comes back, and nothing fails in a row. */
const MOST_PODS = 2;

/** One instance, asked in one way. */
export function aimKey({ text }: Address, { periodMs, failureThreshold, successThreshold, port }: Probe): string {
  return `${text} ${port} ${periodMs} ${failureThreshold} ${successThreshold}`;
}

/**
 * Every ready instance of the functions that have a probe. An instance is not asked from itself: one that is
 * alone on its node is asked by others only.
 * @param pods addresses of this node's pods whose interfaces are attached
 */
export function aimsOf(paths: readonly DesiredPath[], pods: readonly Address[]): Aim[] {
  const aims = new Map<string, Aim>();
  for (const { probe, ready } of paths) {
    if (probe === undefined) continue;
    for (const { address, pod } of ready) {
      const key = aimKey(address, probe);
      if (aims.has(key)) continue;
      const from = pods.filter(({ family, text }) => family === address.family && text !== address.text).slice(0, MOST_PODS);
      if (from.length > 0) aims.set(key, { key, address, probe, pod, from });
    }
  }
  return [...aims.values()];
}
