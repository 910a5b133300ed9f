/** The kinds that are read, each with the schema that its documents are checked against. */

import type { Static, TSchema } from '@sinclair/typebox';
import { namespaceSchema, nodeSchema, podSchema, serviceSchema } from './kubernetes.js';
import { serviceFunctionChainSchema } from './service-function-chain.js';
import { trafficSelectorSchema } from './traffic-selector.js';

export const STEERING_GROUP = 'networking.gke.io';
export const STEERING_VERSION = 'networking.gke.io/v1';

export const SCHEMAS = {
  ServiceFunctionChain: serviceFunctionChainSchema,
  TrafficSelector: trafficSelectorSchema,
  Pod: podSchema,
  Namespace: namespaceSchema,
  Node: nodeSchema,
  Service: serviceSchema,
} as const satisfies Record<string, TSchema>;

export type Kind = keyof typeof SCHEMAS;
/** A checked document of a kind. */
export type Document<K extends Kind> = Static<(typeof SCHEMAS)[K]>;

export const STEERING_KINDS: readonly Kind[] = ['ServiceFunctionChain', 'TrafficSelector'];
const NAMESPACED: readonly Kind[] = ['Pod', 'Service'];

export function isKind(name: string): name is Kind {
  return Object.hasOwn(SCHEMAS, name);
}

export function isSteeringKind(kind: Kind): boolean {
  return STEERING_KINDS.includes(kind);
}

export function isNamespaced(kind: Kind): boolean {
  return NAMESPACED.includes(kind);
}

export function apiVersionOf(kind: Kind): string {
  return isSteeringKind(kind) ? STEERING_VERSION : 'v1';
}
