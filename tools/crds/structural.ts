/**
 * From a schema of policy/schema to the structural schema of a CRD (apiextensions.k8s.io/v1): the words
 * that both know, the syntaxes of texts as Go's regular expressions take them, and nothing that would be lost silently.
 */

/** What the schemas of our kinds are made of. */
export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
  /** Fields that tell the entries of a list apart. */
  readonly keys?: readonly string[];
}

/** A schema as a CRD writes it. */
export type Structural = { [word: string]: unknown };

/** Fields and `[]` (the entries of a list): `spec.egress.ports[]`. */
export type SchemaPath = string;

/** What is changed at a path, once the rest is there. */
export type Amendments = Readonly<Record<SchemaPath, (schema: Structural) => Structural>>;

/** Go's RE2 looks not ahead: what is asked that way here bounds lengths, and `maxLength` says it too. */
const LOOKAHEAD = /^\^\(\?=(?:[^()]|\([^()]*\))*\)/;

const COPIED = [
  'default',
  'enum',
  'format',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
] as const satisfies readonly (keyof Schema)[];

/** Words that a CRD has no use for: texts of errors, syntax of keys (a CRD has none), titles. */
const LEFT_OUT = ['title', 'expected', 'refuses', 'strays', 'propertyNames'];
const TRANSLATED = ['type', 'description', 'pattern', 'required', 'properties', 'additionalProperties', 'items', 'keys'];
const KNOWN: readonly string[] = [...COPIED, ...LEFT_OUT, ...TRANSLATED];

/**
 * @param path of this schema, for messages and amendments
 * @param used takes the paths at which an amendment was found
 * @throws Error where the schema has a word that has no translation
 */
export function structural(schema: Schema, path: SchemaPath, amendments: Amendments, used: Set<SchemaPath>): Structural {
  const unknown = Object.keys(schema).filter((word) => !KNOWN.includes(word));
  if (unknown.length > 0) throw new Error(`${path}: ${unknown.join(', ')} has no counterpart in a CRD`);
  if (schema.type === undefined) throw new Error(`${path}: a structural schema has a type everywhere`);
  const at = (step: string) => (path === '' ? step : `${path}.${step}`);
  const made: Structural = { type: schema.type };
  if (schema.description !== undefined) made.description = schema.description;
  for (const word of COPIED) if (schema[word] !== undefined) made[word] = schema[word];
  if (schema.pattern !== undefined) {
    made.pattern = schema.pattern.replace(LOOKAHEAD, '^');
    if ((made.pattern as string).includes('(?')) throw new Error(`${path}: Go cannot read ${schema.pattern}`);
    if (made.pattern !== schema.pattern && schema.maxLength === undefined) throw new Error(`${path}: the pattern alone bounds the length`);
  }
  if (schema.type === 'integer') made.format = 'int64';
  if (schema.items !== undefined) {
    made.items = structural(schema.items, `${path}[]`, amendments, used);
    made['x-kubernetes-list-type'] = schema.keys === undefined ? 'atomic' : 'map';
    if (schema.keys !== undefined) made['x-kubernetes-list-map-keys'] = schema.keys;
  }
  if (schema.required !== undefined) made.required = schema.required;
  if (schema.properties !== undefined) {
    made.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, inner]) => [name, structural(inner, at(name), amendments, used)]),
    );
  } else if (typeof schema.additionalProperties === 'object') {
    made.additionalProperties = structural(schema.additionalProperties, at('*'), amendments, used);
  }
  const amend = amendments[path];
  if (amend === undefined) return made;
  used.add(path);
  return amend(made);
}
