/** The node of one pod as the manifests describe it: the maps that its agent would hold, in memory. */

import { type AllocationState, allocate } from '../agent/allocation/index.js';
import { allocationLookup, allocationRequest } from '../agent/index.js';
import { buildTarget, maglevLayer, Reconciler } from '../agent/reconciler/index.js';
import { SfcError } from '../errors/index.js';
import { createMemoryStore, type MemoryStore, mapCodecs } from '../maps/index.js';
import { type Address, compileNode, isSteerable, podKey, type World } from '../policy/index.js';

/** The pod's interface on that node. */
export const IFINDEX = 1;
const ENDPOINT_ID = 1;
/** Bytes; a capture knows no links. */
const MTU = 1500;

/** What selects packets of the pod. */
export interface Selection {
  readonly selector: string;
  readonly chain: string;
  /** SPI << 8 | SI. */
  readonly path: number;
}

export interface Node {
  readonly name: string;
  /** `namespace/name`. */
  readonly pod: string;
  readonly addresses: readonly Address[];
  readonly store: MemoryStore;
  /** By index of the `sfcselect` entry. */
  readonly selections: ReadonlyMap<number, Selection>;
  /** Selectors and paths for which the maps had no room, in words. */
  readonly refusals: readonly string[];
}

export interface NodeOptions {
  readonly world: World;
  /** `namespace/name` of the pod. */
  readonly endpoint: string;
  /** What the agents have given out; where it is not known, ids are given out anew. */
  readonly allocations: AllocationState;
  /** Range of the Services' addresses. */
  readonly serviceCidr: string;
}

/** Most pods named in an error. */
const MOST_NAMED = 10;

function podNamed(world: World, endpoint: string): World['pods'][number] {
  const pod = world.pods.find((candidate) => podKey(candidate) === endpoint);
  if (pod === undefined) {
    const names = world.pods.map(podKey).sort();
    const more = names.length > MOST_NAMED ? `, and ${names.length - MOST_NAMED} more` : '';
    const there = names.length === 0 ? 'the manifests have no pods' : `there are ${names.slice(0, MOST_NAMED).join(', ')}${more}`;
    throw new SfcError('NOT_FOUND', `no pod ${endpoint} in the manifests; ${there}`);
  }
  if (!isSteerable(pod))
    throw new SfcError(
      'NOT_FOUND',
      `the pod ${endpoint} cannot be steered: it needs spec.nodeName and status.podIPs, must not use the host's network, and must not have ended`,
    );
  return pod;
}

/** Fills the maps as the agent of the pod's node would, for this one pod. Throws `NOT_FOUND`, `ALLOCATION_EXHAUSTED`. */
export function nodeOf({ world, endpoint, allocations, serviceCidr }: NodeOptions): Node {
  const pod = podNamed(world, endpoint);
  const { allocation } = allocate(allocations, allocationRequest(world), serviceCidr);
  const lookup = allocationLookup(world, allocation);
  const compiled = compileNode({
    world,
    node: pod.nodeName,
    endpoints: new Map([[endpoint, ENDPOINT_ID]]),
    allocations: lookup.allocations,
  });
  const located = [{ id: ENDPOINT_ID, ifindex: IFINDEX, mtu: MTU, addresses: pod.addresses }];
  const target = buildTarget(compiled, located, maglevLayer());
  const store = createMemoryStore();
  const { refusals } = new Reconciler(store, () => 0).reconcile(target);
  const chains = new Map(world.selectors.map(({ name, chain }) => [name, chain]));
  const selections = new Map<number, Selection>();
  const { key: keyCodec } = mapCodecs('sfcselect');
  for (const { key, value, selector } of target.selects.values()) {
    const entry = store.tables.sfcselect.indexOf(keyCodec.encode(key));
    // One that had no room is told in `refusals`.
    if (entry >= 0) selections.set(entry, { selector, chain: chains.get(selector) ?? '', path: value.path });
  }
  return {
    name: pod.nodeName,
    pod: endpoint,
    addresses: pod.addresses,
    store,
    selections,
    refusals: refusals.map(({ what, name, message }) => `${what} ${name}: ${message}`),
  };
}
