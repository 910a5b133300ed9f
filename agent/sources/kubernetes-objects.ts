/** What the agent reads of the API server's objects. The rest is let go at once: a node holds thousands of them. Pure. */

import type { KubernetesObject, ObjectMeta } from '../../kubernetes/index.js';

export interface NodeObject extends KubernetesObject {
  readonly spec?: { readonly podCIDR?: string; readonly podCIDRs?: readonly string[] };
  readonly status?: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] };
}

export interface PodObject extends KubernetesObject {
  readonly spec?: { readonly nodeName?: string; readonly hostNetwork?: boolean };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface ServiceObject extends KubernetesObject {
  readonly spec?: { readonly clusterIP?: string };
}

/** discovery.k8s.io/v1. */
export interface EndpointSliceObject extends KubernetesObject {
  readonly addressType?: string;
  readonly endpoints?: readonly SliceEndpoint[] | null;
}

export interface SliceEndpoint {
  readonly addresses?: readonly string[];
  readonly nodeName?: string;
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string; readonly uid?: string };
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
}

function meta({ name, namespace, uid, resourceVersion, labels, deletionTimestamp }: ObjectMeta): ObjectMeta {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(labels === undefined ? {} : { labels }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
  };
}

/** Without `undefined`: what is not there is not there. */
function some<T extends object>(fields: { [Key in keyof T]?: T[Key] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

const head = ({ apiVersion, kind, metadata }: KubernetesObject): KubernetesObject => ({
  ...some<{ apiVersion: string; kind: string }>({ apiVersion, kind }),
  metadata: meta(metadata),
});

/** Not the images, conditions and heartbeats that a Node mostly consists of. */
export function keepNode(node: NodeObject): NodeObject {
  const { podCIDR, podCIDRs } = node.spec ?? {};
  return {
    ...head(node),
    spec: some<NonNullable<NodeObject['spec']>>({ podCIDR, podCIDRs }),
    status: { addresses: node.status?.addresses ?? [] },
  };
}

/** On the API's object for a static pod: the UID that the kubelet and its runtime know it by. */
const MIRROR = 'kubernetes.io/config.mirror';

export function keepPod(pod: PodObject): PodObject {
  const mirror = pod.metadata.annotations?.[MIRROR];
  const kept = head(pod);
  const { nodeName, hostNetwork } = pod.spec ?? {};
  const { phase, podIP, podIPs, conditions } = pod.status ?? {};
  const ready = conditions?.flatMap(({ type, status }) => (type === 'Ready' ? [{ type, status }] : []));
  return {
    ...kept,
    metadata: mirror === undefined ? kept.metadata : { ...kept.metadata, annotations: { [MIRROR]: mirror } },
    spec: some<NonNullable<PodObject['spec']>>({ nodeName, hostNetwork }),
    status: some<NonNullable<PodObject['status']>>({ phase, podIP, podIPs, conditions: ready }),
  };
}

export const keepNamespace = head;

/** With its annotations: the weights of its instances stand there. */
export function keepService(service: ServiceObject): ServiceObject {
  const { annotations } = service.metadata;
  const kept = head(service);
  return {
    ...kept,
    metadata: annotations === undefined ? kept.metadata : { ...kept.metadata, annotations },
    spec: some<NonNullable<ServiceObject['spec']>>({ clusterIP: service.spec?.clusterIP }),
  };
}

export function keepSlice(slice: EndpointSliceObject): EndpointSliceObject {
  const endpoints = (slice.endpoints ?? []).map(({ addresses, nodeName, targetRef, conditions }) =>
    some<SliceEndpoint>({ addresses, nodeName, targetRef, conditions }),
  );
  return { ...head(slice), ...some<{ addressType: string }>({ addressType: slice.addressType }), endpoints };
}
