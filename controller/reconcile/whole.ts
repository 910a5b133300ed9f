/** What only a look at everything tells: selectors that claim the same packets, chains that join in a ring. */

import { findRings, findRivals, type World } from '../../policy/index.js';
import { same } from '../canonical.js';
import type { Cluster, Key } from '../cluster/index.js';
import type { KnownRival, Whole } from './context.js';

export const NOTHING_FOUND: Whole = { rivals: new Map(), rings: new Map() };

function worldOf(cluster: Cluster): World {
  const chains = [...cluster.chainNames()].flatMap((name) => {
    const object = cluster.chain(name);
    return object === undefined ? [] : (cluster.readChain(object).value ?? []);
  });
  const selectors = [...cluster.selectorNames()].flatMap((name) => {
    const object = cluster.selector(name);
    return object === undefined ? [] : (cluster.readSelector(object).value ?? []);
  });
  return { chains, selectors, pods: cluster.allPods(), namespaces: cluster.namespaces(), nodes: [], services: [] };
}

/** A selector whose chain is not there steers nothing, and claims nothing. */
function rivalsOf(world: World, idOf: (chain: string) => number | undefined): Whole['rivals'] {
  const chains = new Set(world.chains.map(({ name }) => name));
  const rivals = new Map<string, KnownRival[]>();
  const add = (name: string, rival: { readonly name: string; readonly chain: string }, what: string) => {
    const list = rivals.get(name) ?? [];
    list.push({ selector: rival.name, chain: rival.chain, what, servicePathId: idOf(rival.chain) });
    rivals.set(name, list);
  };
  const steering = { ...world, selectors: world.selectors.filter(({ chain }) => chains.has(chain)) };
  for (const { first, second, what } of findRivals(steering)) {
    add(first.name, second, what);
    add(second.name, first, what);
  }
  return rivals;
}

/** @param idOf servicePathId by UID of the chain */
export function lookAtWhole(cluster: Cluster, idOf: (uid: string) => number | undefined): Whole {
  const world = worldOf(cluster);
  const rings = new Map<string, string>();
  for (const { chains } of findRings(world)) {
    const text = [...chains, chains[0]].join(' -> ');
    for (const chain of chains) if (!rings.has(chain)) rings.set(chain, text);
  }
  const spiOf = (chain: string) => idOf(cluster.chain(chain)?.metadata.uid ?? '');
  return { rivals: rivalsOf(world, spiOf), rings };
}

function differing<V>(before: ReadonlyMap<string, V>, after: ReadonlyMap<string, V>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => !same(before.get(name), after.get(name)));
}

/** Whose status that changes. */
export function concerned(before: Whole, after: Whole): Key[] {
  return [
    ...differing(before.rings, after.rings).map((name): Key => `chain/${name}`),
    ...differing(before.rivals, after.rivals).map((name): Key => `selector/${name}`),
  ];
}
