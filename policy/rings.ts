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
  // Chains join at what a function sends.
  const senders = world.selectors.filter(({ rules }) => rules.some(({ direction }) => direction === 'egress'));
  const selected = senders.map((selector) => ({ chain: selector.chain, pods: new Set(selectedPods(world, selector).map(podKey)) }));
  for (const chain of world.chains) {
    const last = chain.serviceFunctions.at(-1);
    if (last === undefined) continue;
    const pods = functionPods(world, chain, last).map(podKey);
    const followers = selected.filter((subject) => subject.chain !== chain.name && pods.some((pod) => subject.pods.has(pod)));
    next.set(chain.name, new Set(followers.map((subject) => subject.chain)));
  }
  return next;
}

/** The shortest way from a chain back to itself; undefined when there is none. */
function shortestRing(start: string, next: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const open = [start];
  for (const chain of open) {
    for (const follower of next.get(chain) ?? []) {
      if (follower === start) {
        const ring = [chain];
        for (let at = chain; at !== start; ring.unshift(at)) at = cameFrom.get(at) as string;
        return ring;
      }
      if (cameFrom.has(follower)) continue;
      cameFrom.set(follower, chain);
      open.push(follower);
    }
  }
  return undefined;
}

/**
 * The shortest ring of every chain that is on one, each ring once, starting at its first chain by
 * name. Not all rings: chains that all follow each other have more of them than anybody could read.
 * A chain that selects its own function's pods is none: it is left, not re-entered.
 */
export function findRings(world: World): Ring[] {
  const next = joins(world);
  const rings = new Map<string, Ring>();
  for (const start of [...next.keys()].sort()) {
    const ring = shortestRing(start, next);
    if (ring === undefined) continue;
    const first = ring.indexOf([...ring].sort()[0] as string);
    const chains = [...ring.slice(first), ...ring.slice(0, first)];
    rings.set(chains.join(' '), { chains });
  }
  return [...rings.values()];
}
