/** The Services that a chain shall have: one for each of its functions, in the function's namespace. Pure. */

import { apiVersionOf, type KubernetesObject, RESOURCES } from '../../kubernetes/index.js';
import {
  type Chain,
  chainUid,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  matchesLabels,
  type Pod,
  SERVICE_PORT,
  SERVICE_PORT_NAME,
  type ServiceFunction,
  serviceKey,
  serviceName,
  weightOf,
} from '../../policy/index.js';

/** Names are no label values: a chain's may have 253 characters. */
export const CHAIN_ANNOTATION = 'networking.gke.io/service-function-chain';
export const FUNCTION_ANNOTATION = 'networking.gke.io/service-function';
/** JSON, pod name to weight, of all pods of a function that has weights. */
export const WEIGHTS_ANNOTATION = 'networking.gke.io/weights';

export interface ServicePort {
  readonly name?: string;
  readonly protocol?: string;
  readonly port: number;
  readonly targetPort?: number | string;
}

export interface ServiceSpec {
  readonly type?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly ServicePort[];
  readonly sessionAffinity?: string;
  readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } };
  readonly ipFamilyPolicy?: string;
  readonly clusterIP?: string;
  readonly clusterIPs?: readonly string[];
  readonly ipFamilies?: readonly string[];
}

export interface ServiceObject extends KubernetesObject {
  readonly spec?: ServiceSpec;
}

export interface ChainRef {
  readonly name: string;
  readonly uid: string;
}

export interface WantedService {
  readonly namespace: string;
  readonly name: string;
  readonly serviceFunction: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: ServiceSpec;
}

/** Of every pod that is or may become an instance, whether it has an address yet or not: it shall be known before it is ready. */
function weightsOf(serviceFunction: ServiceFunction, pods: Iterable<Pod>): string {
  const weights: [string, number][] = [];
  for (const pod of pods) {
    const isOver = pod.phase === 'Succeeded' || pod.phase === 'Failed';
    if (isOver || pod.namespace !== serviceFunction.namespace || !matchesLabels(serviceFunction.podSelector, pod.labels)) continue;
    weights.push([pod.name, weightOf(serviceFunction, pod)]);
  }
  return JSON.stringify(Object.fromEntries(weights.sort(([a], [b]) => (a < b ? -1 : 1))));
}

function specOf({ affinityTimeout }: Chain, { podSelector }: ServiceFunction): ServiceSpec {
  return {
    type: 'ClusterIP',
    // A function's podSelector is equalities only, as a Service's selector is.
    selector: Object.fromEntries(podSelector.requirements.map(({ key, values: [value = ''] }) => [key, value])),
    ports: [{ name: SERVICE_PORT_NAME, protocol: 'UDP', port: SERVICE_PORT, targetPort: SERVICE_PORT }],
    ...(affinityTimeout === undefined
      ? { sessionAffinity: 'None' }
      : { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: affinityTimeout } } }),
    // Both families where the cluster has both; else the one that it has.
    ipFamilyPolicy: 'PreferDualStack',
  };
}

/**
 * By `namespace/name`; a function that stands in the chain twice has one.
 * @param podsIn pods of a namespace; asked only for functions with weights
 */
export function wantedServices(chain: Chain, podsIn: (namespace: string) => Iterable<Pod>): Map<string, WantedService> {
  const wanted = new Map<string, WantedService>();
  for (const one of chain.serviceFunctions) {
    const key = serviceKey(chain, one);
    if (wanted.has(key)) continue;
    wanted.set(key, {
      namespace: one.namespace,
      name: serviceName(one.name, chainUid(chain)),
      serviceFunction: one.name,
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
      annotations: {
        [CHAIN_ANNOTATION]: chain.name,
        [FUNCTION_ANNOTATION]: one.name,
        ...(one.weights.length === 0 ? {} : { [WEIGHTS_ANNOTATION]: weightsOf(one, podsIn(one.namespace)) }),
      },
      spec: specOf(chain, one),
    });
  }
  return wanted;
}

/** Set and kept by us; what others add beside these stays. */
export const OUR_ANNOTATIONS = [CHAIN_ANNOTATION, FUNCTION_ANNOTATION, WEIGHTS_ANNOTATION] as const;

/** The API server deletes the Service when its chain is gone. */
export function ownerReference({ name, uid }: ChainRef) {
  return { apiVersion: apiVersionOf(RESOURCES.chains), kind: RESOURCES.chains.kind, name, uid, controller: true };
}
