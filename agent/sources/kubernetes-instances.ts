/**
 * The instances of functions, from the EndpointSlices of their Services. Pure.
 *
 * A pod with addresses of both families stands in a slice of each; where slices are rearranged it may for a moment stand in
 * two of one family. It is one instance with all its addresses, that of the outer headers first: podIPs[0] of a pod of this
 * node, which we see; of another node's pod the family of that node's first pod range, which is what podIPs[0] is of.
 */

import { type AddressFamily, type IpAddress, parseAddress } from '../../geneve/index.js';
import type { FunctionInstances, Pod } from '../../policy/index.js';
import type { EndpointSliceObject, ServiceObject } from './kubernetes-objects.js';

/** Names the Service of a slice. */
const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
/** JSON {"pod name": weight}, written by the controller where a function has weights. */
export const WEIGHTS_ANNOTATION = 'networking.gke.io/weights';

export interface Surroundings {
  /** Pods of this node, by `namespace/name`. */
  readonly localPods: ReadonlyMap<string, Pod>;
  /** Family of the first pod range of a node; undefined where it has none. */
  readonly primaryFamily: (node: string) => AddressFamily | undefined;
  /** Is it a node's own address? A pod of the host's network has that and cannot be steered to. */
  readonly isNodeAddress: (address: string) => boolean;
}

interface Merged {
  readonly namespace: string;
  readonly name: string;
  nodeName: string;
  readonly addresses: Map<string, IpAddress>;
  ready: boolean;
  terminating: boolean;
}

/** `namespace/name` of the Service that a slice is of; undefined: of none. */
export function serviceOfSlice({ metadata: { namespace, labels } }: EndpointSliceObject): string | undefined {
  const name = labels?.[SERVICE_NAME_LABEL];
  return namespace === undefined || name === undefined ? undefined : `${namespace}/${name}`;
}

function merge(slices: readonly EndpointSliceObject[]): Merged[] {
  const merged = new Map<string, Merged>();
  for (const { metadata, addressType, endpoints } of slices) {
    if (addressType !== 'IPv4' && addressType !== 'IPv6') continue;
    for (const { addresses = [], nodeName = '', targetRef, conditions = {} } of endpoints ?? []) {
      // Endpoints that somebody wrote by hand name no pod.
      if (targetRef?.kind !== 'Pod' || targetRef.name === undefined) continue;
      const namespace = targetRef.namespace ?? metadata.namespace ?? '';
      const key = `${namespace}/${targetRef.name}`;
      const known = merged.get(key) ?? {
        namespace,
        name: targetRef.name,
        nodeName,
        addresses: new Map(),
        ready: false,
        terminating: false,
      };
      merged.set(key, known);
      // All addresses of an endpoint mean the same pod; by convention only the first is used (discovery.k8s.io/v1).
      const address = parseAddress(addresses[0] ?? '');
      if (address !== undefined) known.addresses.set(address.text, address);
      if (known.nodeName === '') known.nodeName = nodeName;
      // `ready` is always true where a Service publishes addresses that are not; absent means true for both.
      known.ready ||= conditions.serving ?? conditions.ready ?? true;
      known.terminating ||= conditions.terminating === true;
    }
  }
  return [...merged.values()];
}

function toPod(one: Merged, { localPods, primaryFamily, isNodeAddress }: Surroundings): Pod[] {
  const { namespace, name, nodeName, ready, terminating } = one;
  const local = localPods.get(`${namespace}/${name}`);
  if (local !== undefined && (local.hostNetwork || local.phase === 'Succeeded' || local.phase === 'Failed')) return [];
  const all = [...one.addresses.values()].filter(({ text }) => !isNodeAddress(text));
  if (all.length === 0) return [];
  const primary = primaryFamily(nodeName);
  const order = local === undefined ? [] : local.addresses.map(({ text }) => text);
  const rank = ({ text, family }: IpAddress) => {
    const told = order.indexOf(text);
    return told !== -1 ? told : order.length + (family === primary ? 0 : 1);
  };
  const addresses = all.sort((a, b) => rank(a) - rank(b));
  return [{ namespace, name, labels: {}, nodeName, addresses, hostNetwork: false, phase: 'Running', ready, terminating }];
}

/** @returns the weights; undefined: there are none, or they are no such JSON */
export function readWeights(text: string | undefined): ReadonlyMap<string, number> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const isWeight = (entry: [string, unknown]): entry is [string, number] =>
      typeof entry[1] === 'number' && Number.isInteger(entry[1]) && entry[1] >= 0 && entry[1] <= 100;
    return new Map(Object.entries(value).filter(isWeight));
  } catch {
    return undefined;
  }
}

/** @param slices of all Services, in any order */
export function instancesOf(
  services: Iterable<ServiceObject>,
  slices: Iterable<EndpointSliceObject>,
  surroundings: Surroundings,
): Map<string, FunctionInstances> {
  const bySlice = new Map<string, EndpointSliceObject[]>();
  for (const slice of slices) {
    const key = serviceOfSlice(slice);
    if (key === undefined) continue;
    const same = bySlice.get(key);
    if (same === undefined) bySlice.set(key, [slice]);
    else same.push(slice);
  }
  const instances = new Map<string, FunctionInstances>();
  for (const { metadata } of services) {
    const key = `${metadata.namespace}/${metadata.name}`;
    const pods = merge(bySlice.get(key) ?? []).flatMap((one) => toPod(one, surroundings));
    pods.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    instances.set(key, { pods, weights: readWeights(metadata.annotations?.[WEIGHTS_ANNOTATION]) });
  }
  return instances;
}
