/** Which instances of a function take new flows on a node: ready, of some weight, near where the chain prefers that. Pure. */

import type { Address } from './desired.js';
import { matchesLabels } from './label-selector.js';
import { serviceKey } from './names.js';
import type { Chain, Pod, Probe, ServiceFunction, World } from './world.js';

/** Of an instance that no entry of `weights` names. */
export const FULL_WEIGHT = 100;

/**
 * `yes`, or why an instance takes none: it is not ready, it passes nothing on, its weight is 0, or the chain
 * prefers others that are nearer.
 */
export type NewFlows = 'yes' | 'not ready' | 'fails probes' | 'weight 0' | 'others are nearer';

/** Does the instance of this address fail the probes of its function, seen from here? */
export type FailsProbes = (address: Address, probe: Probe) => boolean;

export interface Instance {
  readonly pod: Pod;
  readonly weight: number;
  readonly newFlows: NewFlows;
}

export interface Placement {
  /** Of all pods, in their order. */
  readonly instances: readonly Instance[];
  /** Where the chain prefers instances, `on node1` or `in zone a`; empty: nowhere. */
  readonly near: string;
  /** No instance is near that takes new flows: all others do. */
  readonly fellBack: boolean;
}

/** Does the pod take traffic? Its condition Ready says so; where nobody keeps conditions, its phase. */
export function isReady(pod: Pod): boolean {
  return !pod.terminating && (pod.ready ?? (pod.phase === '' || pod.phase === 'Running'));
}

/**
 * The address that packets for the pod are sent to: podIPs[0], the one that Kubernetes calls the pod's own. Its family is that of the
 * outer headers, whatever the inner packet is.
 */
export function outerAddress(pod: Pod): Address {
  return pod.addresses[0] as Address;
}

/** Share of new flows, 0..100, that the chain gives to a pod by its labels. */
export function weightOf({ weights }: ServiceFunction, { labels }: Pick<Pod, 'labels'>): number {
  return weights.find(({ podSelector }) => matchesLabels(podSelector, labels))?.weight ?? FULL_WEIGHT;
}

function weightHere(serviceFunction: ServiceFunction, pod: Pod, told: ReadonlyMap<string, number> | undefined): number {
  if (serviceFunction.weights.length === 0) return FULL_WEIGHT;
  if (told !== undefined) return told.get(pod.name) ?? 0;
  return weightOf(serviceFunction, pod);
}

function nearness(world: World, { locality }: Chain, node: string): { readonly near: string; readonly isNear: (pod: Pod) => boolean } {
  if (locality === 'None') return { near: '', isNear: () => true };
  if (locality === 'PreferNode') return { near: `on ${node}`, isNear: (pod) => pod.nodeName === node };
  const zones = new Map(world.nodes.map(({ name, zone }) => [name, zone]));
  const zone = zones.get(node);
  if (zone === undefined) return { near: `in the zone of ${node}, which has no zone label`, isNear: () => false };
  return { near: `in zone ${zone}`, isNear: (pod) => zones.get(pod.nodeName) === zone };
}

/** @param pods the function's pods, ready or not */
export function placeInstances(
  world: World,
  chain: Chain,
  serviceFunction: ServiceFunction,
  pods: readonly Pod[],
  node: string,
  failsProbes: FailsProbes = () => false,
): Placement {
  const { probe } = serviceFunction;
  const fails = (pod: Pod) => probe !== undefined && failsProbes(outerAddress(pod), probe);
  const { near, isNear } = nearness(world, chain, node);
  const told = world.instances?.get(serviceKey(chain, serviceFunction))?.weights;
  const weighed = pods.map((pod) => ({ pod, weight: weightHere(serviceFunction, pod, told), near: isNear(pod), fails: fails(pod) }));
  const isOpen = ({ pod, weight, fails }: (typeof weighed)[number]) => isReady(pod) && !fails && weight > 0;
  const fellBack = near !== '' && !weighed.some((instance) => instance.near && isOpen(instance));
  const newFlows = (instance: (typeof weighed)[number]): NewFlows => {
    if (!isReady(instance.pod)) return 'not ready';
    if (instance.fails) return 'fails probes';
    if (instance.weight === 0) return 'weight 0';
    return instance.near || fellBack ? 'yes' : 'others are nearer';
  };
  const instances = weighed.map((instance) => ({ pod: instance.pod, weight: instance.weight, newFlows: newFlows(instance) }));
  return { instances, near, fellBack };
}
