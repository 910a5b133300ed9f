import { describe, expect, it } from 'vitest';
import { SCHEMAS } from './kinds.js';

interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly additionalProperties?: boolean | Node;
}

function fields(node: Node, path: string): { readonly path: string; readonly node: Node }[] {
  const own = Object.entries(node.properties ?? {}).flatMap(([name, inner]) => [
    { path: `${path}.${name}`, node: inner },
    ...fields(inner, `${path}.${name}`),
  ]);
  return node.items === undefined ? own : [...own, ...fields(node.items, `${path}[]`)];
}

/** CRDs, the API's description and the reference are made of these. */
describe.each(['ServiceFunctionChain', 'TrafficSelector'] as const)('the schema of %s', (kind) => {
  const all = fields(SCHEMAS[kind] as Node, kind);

  it('describes every field that steers', () => {
    const steering = all.filter(({ path, node }) => !path.startsWith(`${kind}.metadata`) && node.type !== undefined);
    expect(steering.filter(({ node }) => node.description === undefined).map(({ path }) => path)).toEqual([]);
    expect(steering.length).toBeGreaterThan(10);
  });

  it('refuses what it does not know, status excepted', () => {
    const open = all.filter(({ node }) => node.type === 'object' && node.properties !== undefined && node.additionalProperties !== false);
    expect(open.map(({ path }) => path)).toEqual([`${kind}.status`]);
  });

  it('is plain JSON, with no construct that a CRD cannot have', () => {
    const text = JSON.stringify(SCHEMAS[kind]);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(SCHEMAS[kind], null, 1)));
    for (const word of ['"anyOf"', '"oneOf"', '"allOf"', '"const"', '"$ref"', '"patternProperties"']) expect(text).not.toContain(word);
  });
});
