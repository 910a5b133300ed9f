/** What is wrong with a document, from Ajv's errors: each mistake once, in words, with what to do. */

import type { ErrorObject } from 'ajv';
import { type AnySchema, expectation, list, shorten, show, withArticle } from './expectation.js';
import { nearestName } from './nearest.js';
import { formatPath, type Path, pathOfPointer } from './path.js';

export interface Fault {
  readonly severity: 'error' | 'warning';
  readonly path: Path;
  readonly message: string;
  readonly hint: string;
}

const CORRECT = 'Correct the field; `sfc validate` checks without applying.';

function unknownField(schema: AnySchema, parent: Path, field: string): Fault {
  const path = [...parent, field];
  const reason = schema.refuses !== undefined && Object.hasOwn(schema.refuses, field) ? schema.refuses[field] : undefined;
  if (reason !== undefined) {
    return { severity: 'error', path, message: `${field} is not supported here: ${reason}`, hint: 'Take the field out.' };
  }
  const known = Object.keys(schema.properties ?? {});
  const shown = shorten(field);
  const name = /^[\w./…-]+$/.test(shown) ? shown : show(field);
  const near = nearestName(field, known);
  const expected = known.length === 0 ? 'none is expected here' : `expected ${list(known, 'or')}`;
  const message = near === undefined ? `unknown field ${name}; ${expected}` : `unknown field ${name}; did you mean ${near}?`;
  const hint = near === undefined ? (schema.strays ?? 'Take the field out, or write one of those expected.') : `Write ${near}.`;
  return { severity: 'error', path, message, hint };
}

function missing(schema: AnySchema, parent: Path, field: string): Fault {
  const wanted = schema.properties?.[field] ?? {};
  return {
    severity: 'error',
    path: [...parent, field],
    message: `${field} is missing; expected ${expectation(wanted)}`,
    hint: `Add ${field} under ${formatPath(parent) || "the document's root"}.`,
  };
}

function wrongKey(schema: AnySchema, parent: Path, key: string): Fault {
  const noun = withArticle(schema.title ?? 'key');
  return {
    severity: 'error',
    path: [...parent, key],
    message: `${show(key)} is not ${noun}; expected ${expectation(schema)}`,
    hint: CORRECT,
  };
}

function wrongSize(schema: AnySchema, path: Path, value: unknown): Fault | undefined {
  const isList = Array.isArray(value);
  if (schema.properties === undefined && schema.maxProperties !== undefined && Object.keys(value as object).length > schema.maxProperties) {
    const message = `has ${Object.keys(value as object).length} entries; expected ${schema.maxProperties} at most`;
    return { severity: 'error', path, message, hint: 'Take the fewest that tell the pods apart.' };
  }
  const names = isList ? [] : Object.keys(value as object);
  const size = isList ? value.length : names.length;
  const known = names.filter((name) => Object.hasOwn(schema.properties ?? {}, name));
  // The fields that are too many are unknown, and named as such already.
  if (!isList && size > 0 && known.length <= (schema.maxProperties ?? 0)) return undefined;
  const what = size === 0 ? 'is empty' : isList ? `has ${size} entries` : `has ${known.join(' and ')}`;
  const hint = size === 0 ? CORRECT : isList ? 'Divide it among several resources.' : 'Keep one of them.';
  return { severity: 'error', path, message: `${what}; expected ${expectation(schema)}`, hint };
}

function wrongValue(schema: AnySchema, path: Path, value: unknown): Fault {
  const expected = expectation(schema);
  if (value === null)
    return { severity: 'error', path, message: `is empty; expected ${expected}`, hint: 'Give it a value, or take it out.' };
  const given = schema.title === undefined ? `${show(value)} stands here` : `${show(value)} is not ${withArticle(schema.title)}`;
  const near = typeof value === 'string' && schema.enum !== undefined ? nearestName(value, schema.enum) : undefined;
  const guess = near === undefined ? '' : `; did you mean ${near}?`;
  return { severity: 'error', path, message: `${given}; expected ${expected}${guess}`, hint: advice(schema, value, near) };
}

function advice(schema: AnySchema, value: unknown, near: string | undefined): string {
  if (near !== undefined) return `Write ${near}.`;
  if (schema.type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) return `Write it in quotes: "${value}".`;
  if (schema.type === 'integer' && typeof value === 'string' && /^\d+$/.test(value)) return 'Write the number without quotes.';
  return CORRECT;
}

function faultOf(error: ErrorObject, root: unknown): Fault | undefined {
  // What is wrong inside a key is told by the error about the key.
  if (error.propertyName !== undefined) return undefined;
  const schema = error.parentSchema as AnySchema;
  const path = pathOfPointer(error.instancePath, root);
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownField(schema, path, error.params.additionalProperty as string);
    case 'required':
      return missing(schema, path, error.params.missingProperty as string);
    case 'propertyNames':
      return wrongKey(error.schema as AnySchema, path, error.params.propertyName as string);
    case 'minItems':
    case 'maxItems':
    case 'minProperties':
    case 'maxProperties':
      return wrongSize(schema, path, error.data);
    default:
      return wrongValue(schema, path, error.data);
  }
}

/** Fields that are missing only because they stand there misspelt: told once, as misspelt. */
function misspelt(errors: readonly ErrorObject[]): Set<string> {
  const places = new Set<string>();
  for (const { keyword, instancePath, params, parentSchema } of errors) {
    if (keyword !== 'additionalProperties') continue;
    const meant = nearestName(params.additionalProperty as string, Object.keys((parentSchema as AnySchema).properties ?? {}));
    if (meant !== undefined) places.add(`${instancePath}/${meant}`);
  }
  return places;
}

/** The errors of a validation with `allErrors` and `verbose`; one fault for each place. */
export function faultsOf(errors: readonly ErrorObject[], root: unknown): Fault[] {
  const faults = new Map<string, Fault>();
  const told = misspelt(errors);
  for (const error of errors) {
    if (error.keyword === 'required' && told.has(`${error.instancePath}/${error.params.missingProperty}`)) continue;
    const fault = faultOf(error, root);
    const place = JSON.stringify(fault?.path);
    if (fault !== undefined && !faults.has(place)) faults.set(place, fault);
  }
  return [...faults.values()];
}
