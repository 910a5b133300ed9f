/** Checking a document against its kind's schema. */

import { Ajv, type ValidateFunction } from 'ajv';
import { ANNOTATIONS } from './expectation.js';
import { type Fault, faultsOf } from './faults.js';
import { type Document, type Kind, SCHEMAS } from './kinds.js';
import { FORMATS } from './strings.js';

const ajv = new Ajv({ allErrors: true, strict: true, verbose: true, formats: FORMATS });
ajv.addVocabulary(ANNOTATIONS);

/** Compiled when first needed: a command that reads no manifests pays nothing. */
const compiled = new Map<Kind, ValidateFunction>();

function validatorOf(kind: Kind): ValidateFunction {
  const known = compiled.get(kind);
  if (known !== undefined) return known;
  const validator = ajv.compile(SCHEMAS[kind]);
  compiled.set(kind, validator);
  return validator;
}

export type Checked<K extends Kind> = { readonly document: Document<K> } | { readonly faults: readonly Fault[] };

/** Every mistake at once, or the document with its type. */
export function checkDocument<K extends Kind>(kind: K, value: unknown): Checked<K> {
  const validator = validatorOf(kind);
  if (validator(value)) return { document: value as Document<K> };
  return { faults: faultsOf(validator.errors ?? [], value) };
}
