import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHAIN, POD, SELECTOR, told } from './cast.js';
import { type InForce, mergeLastGood } from './last-good.js';
import { parseManifests, rememberingParser } from './parse.js';

/** Directories, read one after the other; a file whose text is an Error was not read. */
type Directory = Readonly<Record<string, string | Error>>;

function readAll(...directories: readonly Directory[]): InForce {
  let inForce: InForce | undefined;
  for (const directory of directories) {
    const files = Object.entries(directory).flatMap(([file, text]) => (typeof text === 'string' ? [{ file, text }] : []));
    const unread = Object.entries(directory).flatMap(([file, text]) => (text instanceof Error ? [{ file, message: text.message }] : []));
    inForce = mergeLastGood(inForce, parseManifests(files, unread));
  }
  return inForce as InForce;
}

const names = ({ world }: InForce) =>
  Object.values(world)
    .flatMap((values: readonly { readonly name: string }[]) => values.map(({ name }) => name))
    .sort();
const timeout = ({ world }: InForce) => world.chains.find(({ name }) => name === 'firewall')?.affinityTimeout;
const PROXY = CHAIN.replaceAll('firewall', 'proxy');
const BAD_CHAIN = CHAIN.replace('3600', '0');
const join = (...texts: readonly string[]) => texts.join('---\n');

describe('a document that turns bad', () => {
  it('leaves its last good version in force, and says so', () => {
    const now = readAll({ 'a.yaml': CHAIN }, { 'a.yaml': CHAIN.replace('3600', '60') }, { 'a.yaml': BAD_CHAIN });
    expect(timeout(now)).toBe(60);
    expect(told(now.problems)).toEqual([
      'error a.yaml#1:14 ServiceFunctionChain/firewall spec.sessionAffinity.clientIPNoDestination.timeoutSeconds: 0 is not a timeout; expected an integer from 1 to 86400 (the last good version stays in force)',
    ]);
  });

  it('says so in every one of its errors, but not in its warnings', () => {
    const bad = SELECTOR.replace('443', '0').replace('protocol: UDP', 'protocol: udp').replace('10.0.0.0/8', '10.0.0.1/8');
    const { problems } = readAll({ 'a.yaml': SELECTOR }, { 'a.yaml': bad });
    expect(problems.map(({ severity, message }) => [severity, message.endsWith('(the last good version stays in force)')])).toEqual([
      ['warning', false],
      ['error', true],
      ['error', true],
    ]);
  });

  it('does not say so when it never was good', () => {
    const now = readAll({ 'a.yaml': POD }, { 'a.yaml': join(POD, BAD_CHAIN) });
    expect([names(now), now.problems[0]?.message]).toEqual([['vpn'], '0 is not a timeout; expected an integer from 1 to 86400']);
  });

  it('does not hold up its neighbours', () => {
    const now = readAll({ 'a.yaml': join(CHAIN, SELECTOR) }, { 'a.yaml': join(BAD_CHAIN, SELECTOR.replace('443', '80')) });
    expect(names(now)).toEqual(['firewall', 'vpn-to-firewall']);
    expect(now.world.selectors[0]?.rules[0]?.ports).toContainEqual({ protocol: 6, port: 80, lastPort: 80 });
  });

  it('stays in force reading after reading, until it is good or gone', () => {
    const good = { 'a.yaml': CHAIN };
    const bad = { 'a.yaml': BAD_CHAIN };
    expect(timeout(readAll(good, bad, bad, bad))).toBe(3600);
    expect(timeout(readAll(good, bad, { 'a.yaml': CHAIN.replace('3600', '60') }))).toBe(60);
    expect(names(readAll(good, bad, { 'a.yaml': '' }))).toEqual([]);
    expect(names(readAll(good, bad, {}))).toEqual([]);
  });

  it('stays in force when it moves to another file', () => {
    const moved = readAll({ 'a.yaml': CHAIN, 'b.yaml': POD }, { 'a.yaml': '', 'b.yaml': join(POD, BAD_CHAIN) });
    expect(names(moved)).toEqual(['firewall', 'vpn']);
    const broken = readAll(
      { 'a.yaml': CHAIN, 'b.yaml': POD },
      { 'a.yaml': '', 'b.yaml': join(POD, BAD_CHAIN) },
      { 'a.yaml': '', 'b.yaml': '{' },
    );
    expect(names(broken)).toEqual(['firewall', 'vpn']);
  });

  it.each([
    ['of another version', CHAIN.replace('gke.io/v1', 'gke.io/v2')],
    ['of a misspelt kind', CHAIN.replace('kind: ServiceFunctionChain', 'kind: ServiceFunctionChian')],
    ['without an apiVersion', CHAIN.replace('apiVersion', 'apiversion')],
    ['without a kind', CHAIN.replace('kind: ServiceFunctionChain\n', '')],
    ['without a name', CHAIN.replace('  name: firewall\n', '')],
    ['with a key twice', CHAIN.replace('spec:', 'spec: {}\nspec:')],
    ['with a quote left open', CHAIN.replace('"any text: at all"', '"any')],
    ['that is a word', 'oops\n'],
    ['with an alias bomb', `${CHAIN}extra: &a [*a]\n`],
    ['with a bad label', CHAIN.replace('team: network', 'team: [a]')],
  ])('and one %s leaves it in force', (_, text) => {
    const now = readAll({ 'a.yaml': join(CHAIN, POD) }, { 'a.yaml': join(text, POD) });
    expect([timeout(now), names(now)]).toEqual([3600, ['firewall', 'vpn']]);
    expect(now.problems[0]?.message).toContain('stays in force');
  });

  it('with another name than before is taken for the same document', () => {
    const renamed = BAD_CHAIN.replace('name: firewall', 'name: wall');
    const once = readAll({ 'a.yaml': CHAIN }, { 'a.yaml': renamed });
    expect(once.problems[0]?.message).toContain('(the last good version of ServiceFunctionChain/firewall stays in force)');
    expect(names(readAll({ 'a.yaml': CHAIN }, { 'a.yaml': renamed }, { 'a.yaml': renamed }))).toEqual(['firewall']);
    const corrected = CHAIN.replace('name: firewall', 'name: wall');
    expect(names(readAll({ 'a.yaml': CHAIN }, { 'a.yaml': renamed }, { 'a.yaml': corrected }))).toEqual(['wall']);
  });
});

describe('a resource that is gone', () => {
  it('is out of force at once, while others are bad', () => {
    const both = { 'a.yaml': join(CHAIN, PROXY), 'b.yaml': POD };
    expect(names(readAll(both, { 'a.yaml': BAD_CHAIN, 'b.yaml': POD }))).toEqual(['firewall', 'vpn']);
    expect(
      names(readAll(both, { 'a.yaml': join(CHAIN, PROXY), 'b.yaml': 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {}\n' })),
    ).toEqual(['firewall', 'proxy']);
    expect(names(readAll(both, { 'a.yaml': join(CHAIN, PROXY) }))).toEqual(['firewall', 'proxy']);
  });

  it('is not kept on account of a bad document that was there before', () => {
    const seen = { 'a.yaml': join(CHAIN, PROXY.replace('3600', '0')) };
    expect(names(readAll({ 'a.yaml': CHAIN }, seen, { 'a.yaml': PROXY.replace('3600', '0') }))).toEqual([]);
  });

  it('is not kept on account of a bad document of another kind', () => {
    expect(names(readAll({ 'a.yaml': join(CHAIN, POD) }, { 'a.yaml': BAD_CHAIN }))).toEqual(['firewall']);
    expect(names(readAll({ 'a.yaml': join(CHAIN, POD) }, { 'a.yaml': BAD_CHAIN.replace('  name: firewall\n', '') }))).toEqual(['firewall']);
  });
});

/** Behind a broken line, nobody knows what stands in a document: all that its file defined may. */
describe('a file that cannot be understood', () => {
  it('keeps what it defined, and names it', () => {
    const now = readAll({ 'a.yaml': join(CHAIN, SELECTOR), 'b.yaml': POD }, { 'a.yaml': '{', 'b.yaml': POD });
    expect(names(now)).toEqual(['firewall', 'vpn', 'vpn-to-firewall']);
    expect(now.problems[0]?.message).toMatch(
      / \(the last good versions of ServiceFunctionChain\/firewall, TrafficSelector\/vpn-to-firewall stay in force\)$/,
    );
  });

  it('keeps what stood behind a --- that was lost', () => {
    const now = readAll({ 'a.yaml': join(CHAIN, PROXY) }, { 'a.yaml': CHAIN + PROXY });
    expect(names(now)).toEqual(['firewall', 'proxy']);
    expect(now.problems[0]?.message).toBe(
      '"apiVersion" stands here a second time; first in line 1 (the last good versions of ServiceFunctionChain/firewall, ServiceFunctionChain/proxy stay in force)',
    );
  });

  it('keeps nothing that stands elsewhere by now', () => {
    const now = readAll({ 'a.yaml': CHAIN }, { 'a.yaml': '{', 'b.yaml': CHAIN.replace('3600', '60') });
    expect([timeout(now), now.world.chains.length]).toEqual([60, 1]);
  });

  it('keeps what it defined while it is not read', () => {
    const skipped = new Error('not read: 5000000 bytes, more than 4194304');
    const now = readAll({ 'a.yaml': CHAIN }, { 'a.yaml': skipped }, { 'a.yaml': skipped });
    expect(timeout(now)).toBe(3600);
    expect(told(now.problems)).toEqual([
      'error a.yaml#0:0 : not read: 5000000 bytes, more than 4194304 (the last good version of ServiceFunctionChain/firewall stays in force)',
    ]);
    expect(names(readAll({ 'a.yaml': CHAIN }, { 'a.yaml': skipped }, { 'a.yaml': POD }))).toEqual(['vpn']);
  });

  it('names five of many', () => {
    const pods = join(...Array.from({ length: 8 }, (_, index) => POD.replace('name: vpn', `name: p${index}`)));
    const { problems } = readAll({ 'a.yaml': pods }, { 'a.yaml': '{' });
    expect(problems[0]?.message).toContain('Pod/vpn/p4 and 3 more stay in force');
  });
});

describe('files that have not changed', () => {
  it('are not read again, and count as before', () => {
    const parse = rememberingParser();
    const a = { file: 'a.yaml', text: CHAIN };
    const first = parse([a, { file: 'b.yaml', text: POD }]);
    const second = parse([a, { file: 'b.yaml', text: `${POD}---\n${CHAIN}` }]);
    expect(second.world.chains[0]).toBe(first.world.chains[0]);
    expect(second.world.pods[0]).not.toBe(first.world.pods[0]);
    expect(told(second.problems)).toEqual([expect.stringContaining('already defined in a.yaml line 1')]);
    const third = parse([{ file: 'b.yaml', text: `${POD}---\n${CHAIN}` }]);
    expect([third.problems, third.world.chains.length]).toEqual([[], 1]);
    expect(parse([{ file: 'a.yaml', text: '' }]).world.chains).toEqual([]);
  });
});

describe('a duplicate', () => {
  it('takes over when the first is gone, not when it turns bad', () => {
    const both = { 'a.yaml': CHAIN, 'b.yaml': CHAIN.replace('3600', '60') };
    expect(timeout(readAll(both))).toBe(3600);
    expect(timeout(readAll(both, { ...both, 'a.yaml': BAD_CHAIN }))).toBe(3600);
    expect(timeout(readAll(both, { ...both, 'a.yaml': '' }))).toBe(60);
  });
});

describe('whatever happens to the files', () => {
  const documents = [CHAIN, BAD_CHAIN, PROXY, SELECTOR, SELECTOR.replace('443', '0'), POD, POD.replace('Running', '{}'), '{', 'x\n'];
  const file = fc.oneof(
    fc.constant(new Error('not read')),
    fc.array(fc.constantFrom(...documents), { maxLength: 4 }).map((texts) => join(...texts)),
  );
  const directory: fc.Arbitrary<Directory> = fc.dictionary(fc.constantFrom('a.yaml', 'b.yaml'), file);

  it('what is good is in force, nothing is there twice, and nothing appears that nobody wrote', () => {
    fc.assert(
      fc.property(fc.array(directory, { minLength: 1, maxLength: 4 }), (directories) => {
        const now = readAll(...directories);
        const before = directories.length === 1 ? [] : names(readAll(...directories.slice(0, -1)));
        const fresh = names(readAll(directories.at(-1) as Directory));
        expect(new Set(names(now)).size).toBe(names(now).length);
        for (const name of fresh) expect(names(now)).toContain(name);
        for (const name of names(now)) expect([...fresh, ...before]).toContain(name);
        // What vanished without a good reason is somebody's bad document.
        if (now.problems.every(({ severity }) => severity === 'warning')) expect(names(now)).toEqual(fresh);
      }),
      { numRuns: 300 },
    );
  });
});
