/** Which resource a document is: one that is read, one of another kind, or a mistake. */

import {
  apiVersionOf,
  type Fault,
  isKind,
  isNamespaced,
  type Kind,
  nearestName,
  SCHEMAS,
  STEERING_GROUP,
  STEERING_KINDS,
  STEERING_VERSION,
  show,
} from '../schema/index.js';

/** Who a resource is among all others; `namespace` is empty for the cluster's own kinds. */
export interface Identity {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

export type Identified =
  | { readonly what: 'resource'; readonly identity: Identity }
  | { readonly what: 'list'; readonly items: readonly unknown[] }
  /** A kind that steering does not read. */
  | { readonly what: 'other'; readonly faults: readonly Fault[] }
  /** A mistake; of what can be told of it all the same, as much as can. */
  | {
      readonly what: 'unknown';
      readonly kind: Kind | undefined;
      readonly identity: Identity | undefined;
      readonly faults: readonly Fault[];
    };

/** Longest name that Kubernetes allows; what is longer is cut and marked, and so never equals a good one. */
const LONGEST_NAME = 253;
const cut = (name: string) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name);

/** `Pod/vpn/vpn`, `TrafficSelector/vpn-to-firewall`. */
export function identityText({ kind, namespace, name }: Identity): string {
  return namespace === '' ? `${kind}/${cut(name)}` : `${kind}/${cut(namespace)}/${cut(name)}`;
}

/** The other kinds of Kubernetes' core group: whole and closed, so that what is not here is mistyped. */
const CORE_KINDS = [
  'Binding',
  'ComponentStatus',
  'ConfigMap',
  'Endpoints',
  'Event',
  'LimitRange',
  'List',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'PodTemplate',
  'ReplicationController',
  'ResourceQuota',
  'Secret',
  'ServiceAccount',
];
/** Kinds that others serve in our API group. */
const NEIGHBOURS = [
  'FQDNNetworkPolicy',
  'FrontendConfig',
  'GCPFirewall',
  'GKENetworkParamSet',
  'ManagedCertificate',
  'Network',
  'NetworkInterface',
  'NetworkLogging',
  'NodeTopology',
  'ServiceNetworkEndpointGroup',
];
const API_VERSION = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** A DNS subdomain, `/`, and a DNS label. */
const LONGEST_API_VERSION = 253 + 1 + 63;
const KINDS = Object.keys(SCHEMAS) as Kind[];
const READ = `${STEERING_KINDS.join(' and ')} (${STEERING_VERSION}), ${KINDS.filter((kind) => !STEERING_KINDS.includes(kind)).join(', ')} (v1)`;

function error(path: readonly (string | number)[], message: string, hint: string): Fault {
  return { severity: 'error', path, message, hint };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field of the root that must be text. */
function text(document: Record<string, unknown>, field: 'apiVersion' | 'kind'): string | Fault {
  const value = Object.hasOwn(document, field) ? document[field] : undefined;
  if (typeof value === 'string' && value !== '') return value;
  if (value !== undefined && value !== null) {
    return error([field], `${show(value)} is not ${field === 'kind' ? 'a kind' : 'an apiVersion'}; expected a string`, `Read are ${READ}.`);
  }
  const meant = Object.keys(document).find((key) => nearestName(key, [field]) !== undefined);
  const guess = meant === undefined ? '' : `; did you mean it by ${show(meant)}?`;
  return error([field], `${field} is missing${guess}`, `Every resource names its apiVersion and its kind; read are ${READ}.`);
}

/** What is wrong with the pair, or the kind that it names, or undefined when that is somebody else's. */
function kindOf(apiVersion: string, kind: string): Kind | Fault | undefined {
  if (isKind(kind) && apiVersion === apiVersionOf(kind)) return kind;
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/', 2) as [string, string]) : ['', apiVersion];
  const near = nearestName(kind, group === STEERING_GROUP ? STEERING_KINDS : KINDS);
  const wrongVersion = (meant: string) =>
    error(['apiVersion'], `there is no ${kind} in ${show(apiVersion)}; expected ${meant}`, `Write apiVersion: ${meant}.`);
  const wrongKind = (meant: string | undefined) => {
    const guess = meant === undefined ? '' : `; did you mean ${meant}?`;
    const hint = meant === undefined ? `Read are ${READ}.` : `Write kind: ${meant}.`;
    return error(['kind'], `unknown kind ${show(kind)} in ${apiVersion}${guess}`, hint);
  };

  if (apiVersion.length > LONGEST_API_VERSION || !API_VERSION.test(apiVersion)) {
    const meant = isKind(kind) ? apiVersionOf(kind) : 'VERSION or GROUP/VERSION';
    return error(['apiVersion'], `${show(apiVersion)} is not an apiVersion; expected ${meant}`, `Read are ${READ}.`);
  }
  if (group === STEERING_GROUP) {
    if (STEERING_KINDS.includes(kind as Kind)) return wrongVersion(STEERING_VERSION);
    if (NEIGHBOURS.includes(kind)) return undefined;
    // Pod, with our group: the kind is right.
    return isKind(kind) ? wrongVersion(apiVersionOf(kind)) : wrongKind(near);
  }
  if (group === '') {
    if (isKind(kind)) return wrongVersion(apiVersionOf(kind));
    if (CORE_KINDS.includes(kind)) return version === 'v1' ? undefined : wrongVersion('v1');
    return wrongKind(near ?? nearestName(kind, CORE_KINDS));
  }
  // Another group: somebody else's, unless both its name and the kind's are nearly ours.
  const steering = nearestName(kind, STEERING_KINDS);
  if (steering !== undefined && (group.startsWith('networking.') || nearestName(group, [STEERING_GROUP]) !== undefined)) {
    return steering === kind ? wrongVersion(STEERING_VERSION) : wrongKind(steering);
  }
  if (/^[A-Z][A-Za-z0-9]{0,62}$/.test(kind)) return undefined;
  return error(
    ['kind'],
    `${show(kind)} is not a kind; expected a word such as Deployment, beginning with a capital letter`,
    `Read are ${READ}.`,
  );
}

function nameFault(document: Record<string, unknown>, metadata: unknown): Fault {
  const hint =
    Object.hasOwn(document, 'name') || Object.hasOwn(document, 'namespace')
      ? 'Indent name, namespace and labels under metadata.'
      : 'Every resource has a name: add metadata.name.';
  if (metadata === undefined || metadata === null) return error(['metadata'], 'metadata is missing; expected a mapping with name', hint);
  if (!isMapping(metadata)) return error(['metadata'], `${show(metadata)} stands here; expected a mapping with name`, hint);
  const name = Object.hasOwn(metadata, 'name') ? metadata.name : undefined;
  if (name === undefined || name === null) return error(['metadata', 'name'], 'name is missing; expected the name of the resource', hint);
  const advice = typeof name === 'number' || typeof name === 'boolean' ? `Write it in quotes: "${name}".` : hint;
  return error(['metadata', 'name'], `${show(name)} is not a name; expected a string that is not empty`, advice);
}

function identityOf(kind: Kind, metadata: unknown): Identity | undefined {
  if (!isMapping(metadata)) return undefined;
  const { name, namespace } = metadata;
  if (typeof name !== 'string' || name === '') return undefined;
  if (!isNamespaced(kind)) return { kind, namespace: '', name };
  return { kind, namespace: typeof namespace === 'string' ? namespace : 'default', name };
}

function identifyOther(document: Record<string, unknown>): Identified {
  const { metadata } = document;
  const named = isMapping(metadata) && typeof metadata.name === 'string' && metadata.name !== '';
  // `kubectl create` lets the server name what it makes; nothing that is read here is made so.
  const generated = isMapping(metadata) && typeof metadata.generateName === 'string';
  return { what: 'other', faults: named || generated ? [] : [nameFault(document, metadata)] };
}

export function identify(document: unknown): Identified {
  const unknown = (faults: readonly Fault[], kind?: Kind, identity?: Identity): Identified => ({ what: 'unknown', kind, identity, faults });
  if (!isMapping(document)) {
    const message = `${show(document)} stands here; expected a resource: a mapping with apiVersion, kind and metadata`;
    return unknown([error([], message, 'Separate resources by lines of ---.')]);
  }
  const apiVersion = text(document, 'apiVersion');
  const named = text(document, 'kind');
  if (apiVersion === 'v1' && named === 'List') {
    if (Array.isArray(document.items)) return { what: 'list', items: document.items };
    return unknown([error(['items'], 'a List without items; expected a list of resources', 'Add items, or take the List out.')]);
  }
  const probable = typeof named === 'string' && isKind(named) ? named : undefined;
  const identity = probable === undefined ? undefined : identityOf(probable, document.metadata);
  if (typeof apiVersion !== 'string' || typeof named !== 'string') {
    return unknown(
      [apiVersion, named].filter((part): part is Fault => typeof part !== 'string'),
      probable,
      identity,
    );
  }
  const kind = kindOf(apiVersion, named);
  if (kind === undefined) return identifyOther(document);
  if (typeof kind === 'object') return unknown([kind], probable, identity);
  if (identity === undefined) return unknown([nameFault(document, document.metadata)], kind);
  return { what: 'resource', identity };
}
