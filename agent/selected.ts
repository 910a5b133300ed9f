/** What the entries of a node's endpoints say of selection: whose packets are steered, wrapped, or about to be. Pure. */

import { ENDPOINT_FLAG, ENDPOINT_SELECTS } from '../maps/index.js';
import type { LocatedEndpoint, Target } from './reconciler/index.js';

const SELECTS = ENDPOINT_SELECTS.egress | ENDPOINT_SELECTS.ingress;

type Endpoints = ReadonlyMap<number, { readonly flags: number }>;

/** Interfaces of pods of which something is selected. */
export function selecting(endpoints: Endpoints): Set<number> {
  return new Set([...endpoints].flatMap(([ifindex, { flags }]) => ((flags & SELECTS) === 0 ? [] : [ifindex])));
}

/** Does a selector mean what the pod behind this interface sends? */
export function selectsEgress(endpoints: Endpoints, ifindex: number): boolean {
  return ((endpoints.get(ifindex)?.flags ?? 0) & ENDPOINT_SELECTS.egress) !== 0;
}

/** Is there a pod whose packets are wrapped here? */
export function wraps(endpoints: Endpoints): boolean {
  return [...endpoints.values()].some(({ flags }) => (flags & (SELECTS | ENDPOINT_FLAG.function)) !== 0);
}

/**
 * Pods that had no selector before and ran already; of those that start nothing is open.
 * @param isFirst the agent has just started: pods without an entry ran before it
 */
export function becomingSelected(
  located: readonly LocatedEndpoint[],
  { selects }: Pick<Target, 'selects'>,
  endpoints: Endpoints,
  isFirst: boolean,
): readonly LocatedEndpoint[] {
  const selected = new Set([...selects.values()].map(({ key }) => key.endpoint));
  return located.filter(({ id, ifindex }) => {
    const before = endpoints.get(ifindex);
    return selected.has(id) && (before === undefined ? isFirst : (before.flags & SELECTS) === 0);
  });
}
