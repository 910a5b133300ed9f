/**
 * Chains join where a function's own pods are selected for another chain. Chains that join in a
 * circle carry a packet round until its NSH TTL ends: named here before anybody builds it.
 */

import { functionPods, podKey, selectedPods } from './compile.js';
import type { World } from './world.js';

export interface Ring {
  /** Names of the chains, in the order in which they join; the last joins the first. */
  readonly chains: readonly string[];
}

/** Which chain follows which: the last function's pods of one are selected into the other. */
function joins(world: World): Map<string, Set<string>> {
  const next = new Map<string, Set<string>>();
  const selected = world.selectors.map((selector) => ({ chain: selector.chain, pods: new Set(selectedPods(world, selector).map(podKey)) }));
  for (const chain of world.chains) {
    const last = chain.serviceFunctions.at(-1);
    if (last === undefined) continue;
    const pods = functionPods(world, last).map(podKey);
    const followers = selected.filter((subject) => subject.chain !== chain.name && pods.some((pod) => subject.pods.has(pod)));
    next.set(chain.name, new Set(followers.map((subject) => subject.chain)));
  }
  return next;
}

/** Every ring once, starting at its first chain by name. A chain that selects its own function's pods is none: it is left, not re-entered. */
export function findRings(world: World): Ring[] {
  const next = joins(world);
  const rings = new Map<string, Ring>();
  const walk = (trail: readonly string[]): void => {
    const last = trail.at(-1) as string;
    for (const follower of next.get(last) ?? []) {
      const start = trail.indexOf(follower);
      if (start === -1) walk([...trail, follower]);
      else {
        const ring = trail.slice(start);
        const first = ring.indexOf([...ring].sort()[0] as string);
        const chains = [...ring.slice(first), ...ring.slice(0, first)];
        rings.set(chains.join(' '), { chains });
      }
    }
  };
  for (const chain of next.keys()) walk([chain]);
  return [...rings.values()];
}
