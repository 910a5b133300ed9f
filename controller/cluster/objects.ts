/** Objects of the cluster as the controller sees them, and what it keeps of those that are many. */

import { apiVersionOf, type KubernetesObject, RESOURCES } from '../../kubernetes/index.js';
import {
  type Chain,
  type ChainStatus,
  type Namespace,
  type Pod,
  type ReadResource,
  readResource,
  type Selector,
  type SelectorStatus,
  type SteeringNodeStatus,
} from '../../policy/index.js';
import type { Report } from '../nodes/index.js';

export interface ChainObject extends KubernetesObject {
  readonly status?: ChainStatus;
}

export interface SelectorObject extends KubernetesObject {
  readonly status?: SelectorStatus;
}

export interface SteeringNodeObject extends KubernetesObject {
  readonly status?: SteeringNodeStatus;
}

export interface PodObject extends KubernetesObject {
  readonly spec?: { readonly nodeName?: string; readonly hostNetwork?: boolean };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Some hundred bytes of the ten thousand that a pod has. */
export function keepPod({ metadata, spec, status }: PodObject): PodObject {
  const { name, namespace, uid, resourceVersion, labels, deletionTimestamp } = metadata;
  const kept = { name, namespace, uid, resourceVersion, labels, deletionTimestamp };
  return {
    metadata: Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as unknown as PodObject['metadata'],
    spec: { nodeName: spec?.nodeName ?? '', hostNetwork: spec?.hostNetwork ?? false },
    status: {
      phase: status?.phase ?? '',
      podIP: status?.podIP ?? '',
      podIPs: status?.podIPs ?? [],
      conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready').map(({ type, status }) => ({ type, status })),
    },
  };
}

/** The controller needs a name and labels. */
export function keepNamespace({ metadata: { name, uid, resourceVersion, labels, deletionTimestamp } }: KubernetesObject): KubernetesObject {
  const kept = { name, uid, resourceVersion, labels, deletionTimestamp };
  return {
    metadata: Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)) as unknown as PodObject['metadata'],
  };
}

export type ReadChain = Pick<ReadResource, 'faults'> & { readonly value: Chain | undefined };
export type ReadSelector = Pick<ReadResource, 'faults'> & { readonly value: Selector | undefined };

type ReadKind = 'chains' | 'selectors' | 'pods' | 'namespaces';

function read(kind: ReadKind, object: KubernetesObject): { readonly faults: ReadResource['faults']; readonly value: unknown } {
  const resource = RESOURCES[kind];
  // The API server leaves both out of the items of a list.
  const written = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
  const { resource: good, faults } = readResource(resource.kind as 'Pod', written as unknown as Record<string, unknown>);
  return { faults, value: good?.value };
}

/** Of the status only that it is one: what is in it is ours, and whatever was written there by hand makes no chain invalid. */
export function readChain({ status: _, ...object }: ChainObject): ReadChain {
  return read('chains', object) as ReadChain;
}

export function readSelector({ status: _, ...object }: SelectorObject): ReadSelector {
  return read('selectors', object) as ReadSelector;
}

/** Undefined where it is not as the API server would have it. */
export function readPod(object: PodObject): Pod | undefined {
  return read('pods', object).value as Pod | undefined;
}

export function readNamespace(object: KubernetesObject): Namespace | undefined {
  return read('namespaces', object).value as Namespace | undefined;
}

/** Undefined: the agent has not reported yet. */
export function readReport({ metadata: { name }, status }: SteeringNodeObject): Report | undefined {
  if (status === undefined) return undefined;
  const { chains, selectors, failing, failingTotal } = status;
  return { node: name, digests: { ServiceFunctionChain: chains.digest, TrafficSelector: selectors.digest }, failing, failingTotal };
}
