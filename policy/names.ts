/** Names that the reference system gives to what it makes for a chain. */

import { createHash } from 'node:crypto';

export const MANAGED_BY_LABEL = 'networking.gke.io/managed-by';
export const MANAGED_BY = 'service-steering-controller.gke.io';
export const SERVICE_PORT_NAME = 'service-steering';
export const SERVICE_PORT = 7081;

/** Length of a DNS label, RFC 1035 2.3.4. */
const LABEL_LENGTH = 63;

/**
 * UID of a chain that no API server gave one: a name-based UUID (RFC 9562 5.5) over the chain's
 * name, so that every node comes to the same.
 */
export function chainUid(chain: { readonly name: string; readonly uid: string | undefined }): string {
  if (chain.uid !== undefined) return chain.uid;
  const digest = createHash('sha1').update(`networking.gke.io/ServiceFunctionChain/${chain.name}`).digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  const hex = digest.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** `namespace/name` of the Service that stands for a function of a chain. */
export function serviceKey(
  chain: { readonly name: string; readonly uid: string | undefined },
  serviceFunction: { readonly name: string; readonly namespace: string },
): string {
  return `${serviceFunction.namespace}/${serviceName(serviceFunction.name, chainUid(chain))}`;
}

/** `sf-<function, cut to fit>-<last 8 of the chain's UID>`: the Service of a function. */
export function serviceName(serviceFunction: string, uid: string): string {
  const tail = `-${uid.slice(-8)}`;
  return `sf-${serviceFunction.slice(0, LABEL_LENGTH - 3 - tail.length)}${tail}`;
}
