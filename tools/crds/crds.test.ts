import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { crdFiles } from './index.js';
import { type Schema, type Structural, structural } from './structural.js';

const convert = (schema: Schema) => structural(schema, '', {}, new Set());

function* nodes(schema: Structural, path: string): Generator<readonly [string, Structural]> {
  yield [path, schema];
  for (const [name, inner] of Object.entries((schema.properties ?? {}) as Record<string, Structural>))
    yield* nodes(inner, `${path}.${name}`);
  for (const word of ['items', 'additionalProperties']) if (schema[word]) yield* nodes(schema[word] as Structural, `${path}.${word}`);
}

const DOCUMENTS = crdFiles().map(({ path, text }) => ({ path, document: parse(text) }));
const schemaOf = (document: { spec: { versions: { schema: { openAPIV3Schema: Structural } }[] } }) =>
  document.spec.versions[0]?.schema.openAPIV3Schema as Structural;

describe.each(DOCUMENTS)('$path', ({ document }) => {
  const all = [...nodes(schemaOf(document), '')];

  it('bounds every list and map, so that the cost of its rules is known', () => {
    const open = all.filter(([, { type, maxItems, maxProperties, additionalProperties }]) =>
      type === 'array' ? maxItems === undefined : additionalProperties !== undefined && maxProperties === undefined,
    );
    expect(open.map(([path]) => path)).toEqual([]);
  });

  it('has only patterns that Go reads', () => {
    for (const [, { pattern }] of all) if (pattern !== undefined) expect(pattern).not.toMatch(/\(\?|\\[dbB]/);
  });

  it('keeps what it does not know in selectors of labels, and nowhere else', () => {
    const open = all.filter(([, schema]) => schema['x-kubernetes-preserve-unknown-fields'] === true).map(([path]) => path);
    expect(open.filter((path) => !path.endsWith('Selector'))).toEqual([]);
    expect(open.length).toBe(all.filter(([path, { type }]) => path.endsWith('Selector') && type === 'object').length);
  });
});

describe('a structural schema', () => {
  it('is refused a word that would be lost', () => {
    expect(() => convert({ type: 'string', contentEncoding: 'base64' } as Schema)).toThrow('contentEncoding has no counterpart');
  });

  it('takes a look ahead for a length that stands there too', () => {
    expect(convert({ type: 'string', pattern: '^(?=.{1,253}$)[a-z]+$', maxLength: 253 })).toMatchObject({
      pattern: '^[a-z]+$',
      maxLength: 253,
    });
    expect(() => convert({ type: 'string', pattern: '^(?=.{1,253}$)[a-z]+$' })).toThrow('bounds the length');
    expect(() => convert({ type: 'string', pattern: '^a(?!b)$' })).toThrow('Go cannot read');
  });

  it('is told where a rule stands for a field that is not there', () => {
    const used = new Set<string>();
    structural({ type: 'object', properties: { a: { type: 'string' } } }, 'spec', { 'spec.b': (made) => made }, used);
    expect(used.size).toBe(0);
  });
});
