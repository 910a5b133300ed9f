/**
 * The pods of this node and the interfaces that lead to them. What was found once is kept while its
 * interface lives: a bridge that forgot a port, or a pod that is slow to answer, loses nothing.
 */

import { isPodKind } from '../datapath/index.js';
import { parseCidr } from '../geneve/index.js';
import { ENDPOINT_FLAG, FAMILY, formatMapAddress } from '../maps/index.js';
import type { Cidr } from '../policy/index.js';
import {
  assignEndpointIds,
  type Discovery,
  type KnownEndpoint,
  type Link,
  type Location,
  type Route,
  type Survey,
} from './discovery/index.js';
import type { Observed, Target } from './reconciler/index.js';

/** A pod of this node that has an address. */
export interface LocalPod {
  /** `namespace/name`. */
  readonly pod: string;
  /** Canonical text; the first one is asked for where nobody knows it. */
  readonly addresses: readonly string[];
  /** It is being deleted. */
  readonly terminating?: boolean;
}

export interface TrackedEndpoint extends LocalPod {
  /** 0 while the interface is not found. */
  readonly id: number;
  readonly ifindex: number;
  readonly ifname: string;
  /** Of the host side, bytes. */
  readonly mtu: number;
  /** Why the interface is not found, or empty. */
  readonly problem: string;
}

/** The `endpoint` map's entries with their addresses in text. */
export function knownEndpoints(observed: Observed): KnownEndpoint[] {
  return [...observed.endpoints].map(([ifindex, { id, flags, ipv4, ipv6 }]) => ({
    id,
    ifindex,
    addresses: [
      ...((flags & ENDPOINT_FLAG.ipv4) === 0 ? [] : [formatMapAddress(ipv4, FAMILY.ipv4)]),
      ...((flags & ENDPOINT_FLAG.ipv6) === 0 ? [] : [formatMapAddress(ipv6, FAMILY.ipv6)]),
    ],
  }));
}

interface Place {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
}

/**
 * The one interface that a pod's addresses lead to, and which of them does; or why there is none. An address that leads
 * nowhere yet does not keep the others waiting; two that lead to two interfaces are a mistake of somebody's routes.
 * @param before the link of the pod's entry, where it has one
 * @param told what a CNI plugin says was made for the pod; of a bridge's port, the bridge too
 */
function placeOf(
  addresses: readonly string[],
  locations: ReadonlyMap<string, Location>,
  before: Link | undefined,
  told: readonly Link[],
): { readonly place: Place; readonly address: string } | string {
  const [certain, ...more] = told.filter(({ kind }) => isPodKind(kind));
  if (certain !== undefined && more.length === 0) return { place: certain, address: addresses[0] ?? '' };
  const all = addresses.map((address) => ({ address, location: locations.get(address) }));
  const found = all.flatMap(({ address, location }) => (location?.kind === 'found' ? [{ address, place: location }] : []));
  const [first] = found;
  const [primary] = all;
  if (first === undefined) {
    if (primary?.location?.kind === 'unresolved' && before !== undefined && isPodKind(before.kind))
      return { place: before, address: primary.address };
    return primary?.location === undefined || primary.location.kind === 'found'
      ? `nothing is known of ${primary?.address ?? 'it'}`
      : primary.location.problem;
  }
  const other = found.find(({ place }) => place.ifindex !== first.place.ifindex);
  if (other === undefined) return first;
  return `${first.address} leads to ${first.place.ifname}, but ${other.address} to ${other.place.ifname}: a pod is behind one interface`;
}

/**
 * A pod that is ending gets no other interface than it has: what its address leads to now is the next pod's, whose own
 * manifest may not be there yet.
 *
 * @param known what the `endpoint` map holds
 * @param told by pod: interfaces of the host that a CNI plugin has named
 * @throws SfcError COMMAND_FAILED when the host's tables cannot be read
 */
export async function trackEndpoints(
  pods: readonly LocalPod[],
  known: readonly KnownEndpoint[],
  discovery: Discovery,
  told: ReadonlyMap<string, readonly number[]> = new Map(),
): Promise<{ readonly tracked: readonly TrackedEndpoint[]; readonly survey: Survey }> {
  // Nobody has to be asked for a pod whose interface is named.
  const survey = await discovery.locateAll(
    pods.flatMap(({ pod, addresses }) => (told.has(pod) ? [] : addresses.slice(0, 1))),
    pods.flatMap(({ pod, addresses }) => (told.has(pod) ? addresses : addresses.slice(1))),
  );
  const { locations, links } = survey;
  const places = new Map<string, Place>();
  const problems = new Map<string, string>();
  const owners = new Map<number, string>();
  // What is certain comes first: an address that is another pod's now must not take its interface.
  const ordered = [...pods].sort((one, other) => Number(told.has(other.pod)) - Number(told.has(one.pod)));
  for (const { pod, addresses, terminating } of ordered) {
    const named = (told.get(pod) ?? []).flatMap((ifindex) => links.get(ifindex) ?? []);
    const before = known.find((entry) => addresses.some((address) => entry.addresses.includes(address)));
    const found = placeOf(addresses, locations, before === undefined ? undefined : links.get(before.ifindex), named);
    if (typeof found === 'string') {
      problems.set(pod, found);
      continue;
    }
    const { place, address } = found;
    if (terminating === true && !known.some((entry) => entry.ifindex === place.ifindex && entry.addresses.includes(address))) {
      problems.set(pod, `it is ending, and ${place.ifname}, which leads to ${address}, is not its own`);
      continue;
    }
    const owner = owners.get(place.ifindex);
    if (owner !== undefined) {
      // One endpoint entry an interface: a second pod there would take the first one's place.
      problems.set(pod, `${place.ifname}, which leads to ${address}, already leads to ${owner}`);
      continue;
    }
    owners.set(place.ifindex, pod);
    places.set(pod, place);
  }
  const requests = pods.flatMap(({ pod, addresses }) => {
    const place = places.get(pod);
    return place === undefined ? [] : [{ pod, ifindex: place.ifindex, addresses }];
  });
  const ids = assignEndpointIds(requests, known);
  const tracked = pods.map(({ pod, addresses }) => {
    const place = places.get(pod);
    const id = ids.get(pod);
    if (place === undefined || id === undefined) {
      return { pod, addresses, id: 0, ifindex: 0, ifname: '', mtu: 0, problem: problems.get(pod) ?? 'no endpoint id is left on this node' };
    }
    return { pod, addresses, id, ifindex: place.ifindex, ifname: place.ifname, mtu: place.mtu, problem: '' };
  });
  return { tracked, survey };
}

/**
 * Interfaces that have no entry yet, or another pod's, and interfaces whose entry goes.
 * @param before endpoint ids by interface, as the maps have them
 */
export function comingAndGoing(before: ReadonlyMap<number, number>, target: Target): [coming: number[], going: number[]] {
  const coming = [...target.endpoints].flatMap(([ifindex, { id }]) => (before.get(ifindex) === id ? [] : [ifindex]));
  return [coming, [...before.keys()].filter((ifindex) => !target.endpoints.has(ifindex))];
}

/** RFC 4291 2.5.6, RFC 3927: the kernel has a route to them over every interface that has such an address. */
const LINK_LOCAL = /^(fe[89ab][0-9a-f]:|169\.254\.)/;

/**
 * Ranges that the node routes to its pods, by interface: by way of a pod's address, or over its interface. Not the pods' own addresses, what
 * stays on the link, and no default route.
 */
export function rangesBehind(
  routes: readonly Route[],
  pods: readonly Pick<TrackedEndpoint, 'ifindex' | 'ifname' | 'addresses'>[],
): Map<number, Cidr[]> {
  const byAddress = new Map(pods.flatMap(({ addresses, ifindex }) => addresses.map((address) => [address, ifindex] as const)));
  const byName = new Map(pods.map(({ ifname, ifindex }) => [ifname, ifindex]));
  const found = new Map<number, Cidr[]>();
  for (const { type, network, prefixLength, gateway, dev } of routes) {
    const ifindex = byAddress.get(gateway) ?? byName.get(dev);
    const cidr = parseCidr(`${network}/${prefixLength}`);
    if (
      type !== 'unicast' ||
      ifindex === undefined ||
      cidr === undefined ||
      prefixLength === 0 ||
      byAddress.has(network) ||
      LINK_LOCAL.test(network)
    )
      continue;
    found.set(ifindex, [...(found.get(ifindex) ?? []), cidr]);
  }
  return found;
}
