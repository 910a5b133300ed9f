/** From a Service as it is to what is to be done so that it is as wanted. Pure. */

import type { OwnerReference } from '../../kubernetes/index.js';
import { apiVersionOf, RESOURCES } from '../../kubernetes/index.js';
import { MANAGED_BY, MANAGED_BY_LABEL } from '../../policy/index.js';
import { same } from '../canonical.js';
import {
  CHAIN_ANNOTATION,
  type ChainRef,
  OUR_ANNOTATIONS,
  ownerReference,
  type ServiceObject,
  type ServiceSpec,
  type WantedService,
} from './wanted.js';

export type ServiceStep =
  | { readonly what: 'nothing' }
  | { readonly what: 'create'; readonly object: ServiceObject }
  /** `fields`: what differed, for the log and the event. */
  | { readonly what: 'update'; readonly object: ServiceObject; readonly fields: readonly string[] }
  /** It cannot become what is wanted: an address is never given to a Service that was made without. */
  | { readonly what: 'recreate'; readonly old: ServiceObject; readonly object: ServiceObject }
  | { readonly what: 'leave'; readonly owner: string };

const owners = ({ metadata }: ServiceObject): readonly OwnerReference[] => metadata.ownerReferences ?? [];

/**
 * Is it the chain's? Its owner reference says so; one that lost it (an orphaning deletion, an edit) is told by label and
 * annotation, as long as no other controller has it.
 */
export function isOfChain(service: ServiceObject, { name, uid }: ChainRef): boolean {
  if (owners(service).some((owner) => owner.uid === uid)) return true;
  if (owners(service).some(({ controller }) => controller === true)) return false;
  const { labels, annotations } = service.metadata;
  return labels?.[MANAGED_BY_LABEL] === MANAGED_BY && annotations?.[CHAIN_ANNOTATION] === name;
}

function ownerText(service: ServiceObject): string {
  const owner = owners(service).find(({ controller }) => controller === true) ?? owners(service)[0];
  return owner === undefined ? 'it was made by somebody else' : `it belongs to ${owner.kind} ${owner.name}`;
}

function created({ namespace, name, labels, annotations, spec }: WantedService, chain: ChainRef): ServiceObject {
  return {
    apiVersion: apiVersionOf(RESOURCES.services),
    kind: RESOURCES.services.kind,
    metadata: { name, namespace, labels, annotations, ownerReferences: [ownerReference(chain)] },
    spec,
  };
}

/**
 * The fields that steering lives on, as they are when nobody has touched them. Others, and fields of newer API servers, are not
 * compared: what we do not know we must not fight over.
 */
function compared(spec: ServiceSpec & Readonly<Record<string, unknown>>) {
  const { ports = [], externalIPs, internalTrafficPolicy, publishNotReadyAddresses } = spec;
  return {
    type: spec.type ?? 'ClusterIP',
    selector: spec.selector ?? {},
    ports: ports.map(({ name, protocol, port, targetPort }) => ({ name, protocol, port, targetPort: targetPort ?? port })),
    sessionAffinity: spec.sessionAffinity ?? 'None',
    affinityTimeout: spec.sessionAffinity === 'ClientIP' ? spec.sessionAffinityConfig?.clientIP?.timeoutSeconds : undefined,
    ipFamilyPolicy: spec.ipFamilyPolicy,
    externalIPs: externalIPs ?? [],
    internalTrafficPolicy: internalTrafficPolicy ?? 'Cluster',
    publishNotReadyAddresses: publishNotReadyAddresses ?? false,
  };
}

function updated(found: ServiceObject, wanted: WantedService, chain: ChainRef): ServiceObject {
  const annotations = { ...found.metadata.annotations };
  for (const name of OUR_ANNOTATIONS) delete annotations[name];
  const others = owners(found)
    .filter(({ uid }) => uid !== chain.uid)
    // Only one may be the controller.
    .map((owner) => ({ ...owner, controller: false }));
  const { clusterIP, clusterIPs, ipFamilies } = found.spec ?? {};
  // A Service that was an ExternalName has no address to keep.
  const address = clusterIP === undefined || clusterIP === '' ? {} : { clusterIP, clusterIPs, ipFamilies };
  return {
    ...found,
    metadata: {
      ...found.metadata,
      labels: { ...found.metadata.labels, ...wanted.labels },
      annotations: { ...annotations, ...wanted.annotations },
      ownerReferences: [ownerReference(chain), ...others],
    },
    spec: { ...wanted.spec, ...(address as ServiceSpec) },
  };
}

function differences(found: ServiceObject, after: ServiceObject): string[] {
  const { metadata: was, spec = {} } = found;
  const { metadata: shall } = after;
  const fields: [string, unknown, unknown][] = [
    ['labels', was.labels ?? {}, shall.labels ?? {}],
    ['annotations', was.annotations ?? {}, shall.annotations ?? {}],
    ['owner', owners(found).find(({ uid }) => uid === shall.ownerReferences?.[0]?.uid)?.controller, true],
  ];
  const [is, wanted] = [compared(spec as never), compared((after.spec ?? {}) as never)];
  for (const field of Object.keys(wanted) as (keyof typeof wanted)[]) fields.push([field, is[field], wanted[field]]);
  return fields.filter(([, one, other]) => !same(one, other)).map(([name]) => name);
}

/** @param found as the API server has it; undefined: there is none */
export function planService(wanted: WantedService, chain: ChainRef, found: ServiceObject | undefined): ServiceStep {
  if (found === undefined) return { what: 'create', object: created(wanted, chain) };
  if (!isOfChain(found, chain)) return { what: 'leave', owner: ownerText(found) };
  if (found.spec?.clusterIP === 'None') return { what: 'recreate', old: found, object: created(wanted, chain) };
  const object = updated(found, wanted, chain);
  const fields = differences(found, object);
  return fields.length === 0 ? { what: 'nothing' } : { what: 'update', object, fields };
}
