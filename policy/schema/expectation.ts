/** What a schema asks for, and what was given instead, in words. */

export interface AnySchema {
  readonly type?: string;
  readonly title?: string;
  readonly expected?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly properties?: Readonly<Record<string, AnySchema>>;
  readonly additionalProperties?: unknown;
  /** Fields that exist elsewhere or in other systems, with the reason why they do not stand here. */
  readonly refuses?: Readonly<Record<string, string>>;
  /** What to do about unknown fields. */
  readonly strays?: string;
  /** Fields that tell the entries of a list apart. */
  readonly keys?: readonly string[];
}

/** Annotations that JSON Schema does not know. */
export const ANNOTATIONS = ['expected', 'refuses', 'strays', 'keys'];

/** `a, b or c`. */
export function list(words: readonly string[], link: string): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${link} ${words.at(-1)}`;
}

function entries({ minItems, maxItems }: AnySchema): string {
  if (minItems !== undefined && maxItems !== undefined) return ` of ${minItems} to ${maxItems} entries`;
  return '';
}

/** "an integer from 1 to 65535". */
export function expectation(schema: AnySchema): string {
  if (schema.expected !== undefined) return schema.expected;
  if (schema.enum !== undefined) return schema.enum.length === 1 ? `${schema.enum[0]}, the only value there is` : list(schema.enum, 'or');
  switch (schema.type) {
    case 'integer':
      return schema.minimum === undefined ? 'an integer' : `an integer from ${schema.minimum} to ${schema.maximum}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${entries(schema)}`;
    case 'object':
      if (schema.properties === undefined) return schema.minProperties === undefined ? 'a mapping' : 'a mapping with at least one entry';
      if (schema.minProperties === 1 && schema.maxProperties === 1) return `exactly one of ${list(Object.keys(schema.properties), 'and')}`;
      return `a mapping with ${list(Object.keys(schema.properties), 'and')}`;
    default:
      return `a ${schema.type ?? 'value'}`;
  }
}

const LONGEST_SHOWN = 60;

export function shorten(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** A value as an error text shows it, never longer than a line. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shorten(value));
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  return String(value);
}

export function withArticle(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;
}
