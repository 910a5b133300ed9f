import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { CHAIN, POD, read, SELECTOR } from './cast.js';
import { parseManifests } from './parse.js';

const said = (text: string) => read(text).problems.map(({ document, line, message }) => `${document}:${line} ${message}`);
const labels = (text: string) => POD.replace('labels:\n    app: vpn', `labels:\n${text}`);

describe('text that is no YAML', () => {
  it.each([
    ['a quote without an end', 'a: "x\nb: 1\n', '1:2 not YAML: Missing closing "quote'],
    ['a bracket without an end', 'a: {b: 1\n', '1:1 not YAML: Flow map in block collection must be sufficiently indented and end with a }'],
    ['a tab for indentation', 'a:\n\tb: 1\n', '1:2 not YAML: Tabs are not allowed as indentation'],
    ['an escape outside Unicode', 'a: "\\UFFFFFFFF"\n', /^1:1 not YAML: /],
    ['a directive without a document', '%YAML 1.2\na: 1\n', '1:2 not YAML: Missing directives-end/doc-start indicator line'],
    ['an alias of nothing', 'a: *b\n', '1:1 there is no anchor &b before this alias'],
    ['an alias before its anchor', 'a: *b\nc: &b 1\n', '1:1 there is no anchor &b before this alias'],
    ['an anchor of another document', 'a: &b 1\n---\na: *b\n', '2:3 there is no anchor &b before this alias'],
    ['a list as a key', '[a]: 1\n', '1:1 a key must be a string'],
    ['nothing as a key', '~: 1\n', '1:1 a key must be a string'],
    ['a merge of text', 'a:\n  <<: x\n', '1:2 only mappings can be merged'],
    ['a key twice', 'a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n', '1:5 "c" stands here a second time; first in line 3'],
    ['a key twice in another spelling', 'a: 1\n"a": 2\n', '1:2 "a" stands here a second time; first in line 1'],
  ])('%s is told with its place', (_, text, message) => {
    expect(said(text)).toContainEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  });

  it('costs its neighbours nothing, whatever is left open', () => {
    for (const broken of ['a: "x\n', 'a: [1\n', "a: 'x\n", 'a: {b: [\n', 'a:\n\tb\n', '*', '- a\nb: 1\n', '}\n']) {
      const { world, documents } = read(`${CHAIN}---\n${broken}\n---\n${SELECTOR}`);
      expect([broken, world.chains.length, world.selectors.length, documents]).toEqual([broken, 1, 1, 3]);
    }
  });

  it('tells a tab what to do', () => {
    expect(read('a:\n\tb: 1\n').problems[0]?.hint).toBe('Indent with spaces.');
  });
});

describe('documents', () => {
  it.each([
    ['nothing', '', 0],
    ['blanks', ' \n\n', 0],
    ['comments', '# one\n# two\n', 0],
    ['empty documents', '---\n---\n# nothing\n---\nnull\n', 0],
    ['a document behind comments', `# one\r\n# two\r\n---\n${POD}`, 1],
    ['a document behind a byte order mark', `\ufeff${POD}`, 1],
    ['a document with carriage returns', POD.replaceAll('\n', '\r\n'), 1],
    ['a document without a last line end', POD.trimEnd(), 1],
    ['a directive', `%YAML 1.2\n---\n${POD}`, 1],
    ['documents that are ended', `${POD}...\n# a comment\n...\n---\n${POD.replace('name: vpn', 'name: two')}...\n`, 2],
    ['a bare document after an end', `${POD}...\n${POD.replace('name: vpn', 'name: two')}`, 2],
    ['a comment beside the dashes', `--- # first\n${POD}--- \n${POD.replace('name: vpn', 'name: two')}`, 2],
    ['dashes within a line', `${POD}# --- \n`, 1],
  ])('%s', (_, text, count) => {
    const { problems, documents, world } = read(text);
    expect([problems, documents, world.pods.length]).toEqual([[], count, count]);
  });

  it('are numbered with the empty ones, as YAML counts', () => {
    expect(said('---\n---\nx\n---\n---\ny\n').map((text) => text.split(' ')[0])).toEqual(['2:3', '4:6']);
  });
});

describe('anchors and merges', () => {
  it('are understood, and a mistake stands where it was written', () => {
    const text = `apiVersion: v1
kind: Pod
metadata:
  name: x
  annotations: &labels
    app: vpn
    tier: [1]
  labels:
    <<: *labels
    app: other
`;
    expect(said(text)).toEqual([
      '1:9 a list is not a label value; expected a string of up to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends',
    ]);
    expect(read(text.replace('[1]', 'a')).world.pods[0]?.labels).toEqual({ tier: 'a', app: 'other' });
  });

  it('numbers and truth values as keys are their text, as in Kubernetes', () => {
    expect(read(labels('    1: a\n    true: b')).world.pods[0]?.labels).toEqual({ 1: 'a', true: 'b' });
  });

  it('a text stays text in an older version', () => {
    const { world, problems } = read(`%YAML 1.1\n---\n${POD.replace('  labels:', '  deletionTimestamp: 2026-01-01\n  labels:')}`);
    expect([problems, world.pods[0]?.terminating]).toEqual([[], true]);
  });
});

/** A document of a few lines that would fill memory, or keep the agent busy for hours. */
describe('bombs', () => {
  const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, index) => line(index)).join('\n');
  const ten = (name: string) => `[${new Array(10).fill(`*${name}`).join(', ')}]`;

  it.each([
    [
      'aliases of aliases',
      `a0: &a0 x\n${lines(30, (i) => `a${i + 1}: &a${i + 1} ${ten(`a${i}`)}`)}`,
      /aliases expand to more than 10000 nodes/,
    ],
    [
      'merges of merges',
      `a0: &a0 {x: 1}\n${lines(30, (i) => `a${i + 1}: &a${i + 1}\n  <<: ${ten(`a${i}`)}`)}`,
      /aliases expand to more than 10000 nodes/,
    ],
    ['an alias of itself', 'a: &a [*a]\n', /nested more than 100 deep/],
    ['brackets', '['.repeat(1_000_000), /nested more than 100 deep/],
    ['closed brackets', '['.repeat(100_000) + ']'.repeat(100_000), /nested more than 100 deep/],
    ['braces', '{a: '.repeat(500_000), /nested more than 100 deep/],
    ['dashes', `${'- '.repeat(500_000)}x`, /nested more than 100 deep/],
    ['question marks', `${'? '.repeat(500_000)}x`, /nested more than 100 deep/],
    ['indentation', lines(2000, (i) => `${' '.repeat(i)}a:`), /nested more than 100 deep/],
    ['just too deep', `${'['.repeat(101)}1${']'.repeat(101)}`, /nested more than 100 deep/],
    ['commas', `[${','.repeat(2_000_000)}`, /too large/],
    ['items', `[${'1,'.repeat(2_000_000)}]`, /too large/],
    ['brackets that close nothing', ']'.repeat(2_000_000), /not YAML/],
    ['a scalar of ten megabytes', `a: ${'x'.repeat(10_000_000)}`, /apiVersion is missing/],
    ['a quoted scalar of ten megabytes', `"${'\\x41'.repeat(2_500_000)}"`, /^"A{60}…" stands here/],
    ['ten megabytes of comments', '# x\n'.repeat(2_500_000), undefined],
    ['ten megabytes of blanks in a line', ' '.repeat(10_000_000), undefined],
    ['ten megabytes of tabs in a line', `${'\t'.repeat(10_000_000)}x`, /not YAML|stands here/],
    ['ten megabytes of blanks', ' \n'.repeat(5_000_000), undefined],
  ])('%s', { timeout: 60_000 }, (_, text, message) => {
    const { world, problems } = read(text);
    expect(Object.values(world).flat()).toEqual([]);
    if (message === undefined) expect(problems).toEqual([]);
    else expect(problems[0]?.message).toMatch(message);
    expect(JSON.stringify(problems).length).toBeLessThan(10_000);
  });

  it('a nesting of a hundred is not too deep', () => {
    expect(said(`${'['.repeat(100)}1${']'.repeat(100)}`)).toEqual([expect.stringContaining('a list stands here')]);
  });

  it('a megabyte in every text that is checked', { timeout: 60_000 }, () => {
    for (const unit of ['a', 'a.', 'A-', '/', ':', '0', '10.']) {
      const long = unit.repeat(1_000_000 / unit.length);
      const text = SELECTOR.replace('app: vpn', `app: "${long}"`)
        .replace('key: tier', `key: "${long}"`)
        .replace('10.0.0.0/8', `"${long}"`)
        .replace('Chain: firewall', `Chain: "${long}"`)
        .replace('NotIn', `"${long}"`);
      const { problems } = read(text);
      expect(problems.map(({ path }) => path)).toEqual([
        'spec.serviceFunctionChain',
        'spec.subject.pods.podSelector.matchLabels.app',
        'spec.subject.pods.podSelector.matchExpressions[0].key',
        'spec.subject.pods.podSelector.matchExpressions[0].operator',
        'spec.egress.to.ipBlock.cidr',
      ]);
      expect(JSON.stringify(problems).length).toBeLessThan(4000);
    }
  });

  it('three megabytes for every name', { timeout: 60_000 }, () => {
    const long = 'n'.repeat(3_000_000);
    for (const text of [
      POD.replace('name: vpn', `name: ${long}`).replace('Running', '{}'),
      POD.replace('namespace: vpn', `namespace: ${long}`),
      POD.replace('kind: Pod', `kind: ${long}`),
      POD.replace('kind: Pod', `kind: K${long}`).replace('v1', 'apps/v1'),
      POD.replace('apiVersion: v1', `apiVersion: ${long}`),
      CHAIN.replace('spec:', `spec:\n  ? ${long}\n  : 1`),
      CHAIN.replace('app: firewall', `? ${long}\n          : firewall`),
      `${POD}x: *${long}\n`,
      `"${long}" "${long}"`,
      `a: |\n "${long}\n${long}`,
      `%${long}\na: 1\n`,
    ]) {
      const { problems } = read(text);
      expect(problems.length).toBeGreaterThan(0);
      expect(JSON.stringify(problems).length).toBeLessThan(3000);
    }
  });

  it('a hundred thousand keys, none of them twice', { timeout: 60_000 }, () => {
    expect(said(lines(100_000, (i) => `k${i}: 1`))).toHaveLength(2);
  });

  it('a hundred thousand wrong labels are told as one document that is too large', { timeout: 60_000 }, () => {
    expect(said(labels(lines(100_000, (i) => `    -k${i}: 1`)))).toEqual([
      '1:1 more than 20000 values; no resource of this kind has so many',
    ]);
  });

  it('a thousand wrong labels are not told one by one', () => {
    const { problems } = read(labels(lines(1000, (i) => `    -k${i}: a`)));
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)).toMatchObject({ message: '900 more problems like these' });
  });

  it('documents without end', { timeout: 60_000 }, () => {
    const { problems, documents } = read('---\nx\n'.repeat(20_000));
    expect(documents).toBe(10_000);
    expect(problems.at(-1)).toMatchObject({ document: 0, line: 0, message: 'more than 10000 documents; the rest is not read' });
  });
});

describe('keys that JavaScript means something by', () => {
  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype'])('%s is a key like any other', (key) => {
    for (const text of [
      CHAIN.replace('spec:', `spec:\n  ${key}: {timeoutSeconds: 1}`),
      SELECTOR.replace('app: vpn', `${key}: [x]`),
      SELECTOR.replace('metadata:', `${key}: {kind: Pod}\nmetadata:`),
      `${key}: {apiVersion: v1, kind: Pod, metadata: {name: x}}\n`,
    ]) {
      const { world, problems } = read(text);
      expect(problems.length).toBeGreaterThan(0);
      expect([...world.chains, ...world.selectors, ...world.pods]).toEqual([]);
    }
    expect(({} as Record<string, unknown>).timeoutSeconds).toBeUndefined();
    expect(({} as Record<string, unknown>).kind).toBeUndefined();
  });

  it('is a label like any other where its syntax allows it', () => {
    expect(read(SELECTOR.replace('app: vpn', 'constructor: x')).world.selectors[0]?.podSelector.requirements[0]).toEqual({
      key: 'constructor',
      operator: 'In',
      values: ['x'],
    });
    expect(said(labels('    __proto__: x'))).toEqual([expect.stringContaining('"__proto__" is not a label key')]);
  });
});

describe('whatever stands in a file', () => {
  const files = (text: string) => [{ file: 'a.yaml', text }];
  const sane = (text: string) => {
    const { problems, entries } = parseManifests(files(text));
    const lines = text.split('\n').length;
    for (const { line, message, hint } of problems) {
      expect(message).not.toBe('');
      expect(hint).not.toBe('');
      expect(line).toBeLessThanOrEqual(lines);
    }
    // What is not good says why.
    for (const { resource, problems: own } of entries)
      if (resource === undefined) expect(own.some(({ severity }) => severity === 'error')).toBe(true);
  };

  it('text never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), sane));
    fc.assert(fc.property(fc.stringMatching(/^[-:?,[\]{}#&*!|>'"%@` \n\ta]{0,60}$/), sane));
  });

  it('JSON never throws, anywhere in a resource', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), sane));
    const bases = [CHAIN, SELECTOR, POD].map((text) => ({ text, fields: [...text.matchAll(/^ *(?:- )?(\w+):.*$/gm)] }));
    const place = fc
      .constantFrom(...bases)
      .chain(({ text, fields }) => fc.record({ text: fc.constant(text), field: fc.constantFrom(...fields) }));
    fc.assert(
      fc.property(place, fc.jsonValue({ maxDepth: 4 }), ({ text, field }, value) => {
        const line = field[0];
        sane(text.replace(line, `${line.slice(0, line.indexOf(':'))}: ${JSON.stringify(value)}`));
      }),
      { numRuns: 500 },
    );
  });

  it('a good resource survives being written by another hand', () => {
    const value = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, status: { podIP: '10.0.0.1' } };
    for (const text of [stringify(value), JSON.stringify(value), JSON.stringify(value, null, '\t'), `---\n${stringify(value)}...\n`]) {
      expect(read(text).world.pods).toMatchObject([{ name: 'x', addresses: [{ text: '10.0.0.1' }] }]);
    }
  });
});
