/** One document of a kind that is read: spelt out, checked, converted. */

import { checkDocument, type Fault, isSteeringKind, type Kind } from '../schema/index.js';
import { asWritten, spellOutBareLabels } from './bare-labels.js';
import { convert, type ValueOf } from './convert.js';
import { rulesOf } from './rules.js';

/** A resource that is good, with the kind that tells what its value is. */
export type Resource = { readonly [K in Kind]: { readonly kind: K; readonly value: ValueOf<K> } }[Kind];

export interface ReadResource {
  /** undefined when there is an error among the faults. */
  readonly resource: Resource | undefined;
  readonly faults: readonly Fault[];
}

/** Values of one resource. A Node with all its images and managed fields has some thousands. */
const LARGEST = 20_000;

function isLarger(value: unknown, limit: number): boolean {
  const open = [value];
  for (let seen = 0; open.length > 0; seen++) {
    if (seen > limit) return true;
    const next = open.pop();
    if (typeof next === 'object' && next !== null) for (const inner of Object.values(next)) open.push(inner);
  }
  return false;
}

type Mapping = Record<string, unknown>;

/** Go's JSON takes null for absent; generated manifests are full of `creationTimestamp: null`. */
function withoutNulls(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth === 0) return value;
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, depth - 1));
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([key, inner]) => [key, withoutNulls(inner, depth - 1)]),
  );
}

/** In our own kinds a null in `spec` is a mistake: a selector that was left empty would select everything. */
function normalise(kind: Kind, document: Mapping): Mapping {
  if (!isSteeringKind(kind)) return withoutNulls(document, Number.POSITIVE_INFINITY) as Mapping;
  const { status, ...rest } = document;
  return { ...rest, metadata: withoutNulls(document.metadata, 1), ...(status === null || status === undefined ? {} : { status }) };
}

function bareWarning(kind: Kind, path: Fault['path']): Fault {
  const field = path.at(-1);
  const everything = field === 'namespaceSelector' ? 'every namespace would be selected' : 'every pod would be selected';
  const literally = kind === 'TrafficSelector' ? everything : 'nothing of the selector would be left';
  return {
    severity: 'warning',
    path,
    message: `labels stand directly under ${field}; read as matchLabels`,
    hint: `Write them under matchLabels: read literally, they are unknown fields and ${literally}.`,
  };
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

export function readResource<K extends Kind>(kind: K, written: Mapping): ReadResource {
  if (isLarger(written, LARGEST)) {
    const message = `more than ${LARGEST} values; no resource of this kind has so many`;
    return { resource: undefined, faults: [{ severity: 'error', path: [], message, hint: 'Divide it among several resources.' }] };
  }
  const { document, bare } = spellOutBareLabels(kind, normalise(kind, written));
  const checked = checkDocument(kind, document);
  const wrong = [...('faults' in checked ? checked.faults : []), ...rulesOf(kind, document)];
  const faults = [
    ...bare.map((path) => bareWarning(kind, path)),
    ...wrong.map((fault) => ({ ...fault, path: asWritten(fault.path, bare) })),
  ];
  if ('faults' in checked || faults.some(({ severity }) => severity === 'error')) return { resource: undefined, faults };
  return { resource: freeze({ kind, value: convert(kind, checked.document, written) }) as Resource, faults };
}
