import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_DIGEST } from './digest.js';
import { History } from './history.js';
import { progressOf, type Report, standing } from './programmed.js';

const report = (node: string, digest: string, more: Partial<Report> = {}): Report => ({
  node,
  digests: { ServiceFunctionChain: digest, TrafficSelector: EMPTY_DIGEST },
  failing: [],
  failingTotal: 0,
  ...more,
});

const progress = (history: History, reports: readonly Report[], uid: string, generation = 1, agents: readonly string[] = []) =>
  progressOf(standing('ServiceFunctionChain', history, { reports, agents: new Set(agents) }), uid, generation, `name-of-${uid}`);

describe('a digest', () => {
  it('is the XOR of the first 16 bytes of SHA-256 of uid:generation', () => {
    const history = new History();
    history.set('u', 3);
    expect(history.digest).toBe(createHash('sha256').update('u:3').digest('hex').slice(0, 32));
    history.set('u', undefined);
    expect(history.digest).toBe(EMPTY_DIGEST);
  });

  it('does not depend on the order of events', () => {
    const set = fc.uniqueArray(fc.record({ uid: fc.string({ minLength: 1 }), generation: fc.integer({ min: 1, max: 9 }) }), {
      selector: ({ uid }) => uid,
    });
    fc.assert(
      fc.property(set, (objects) => {
        const [one, other] = [new History(), new History()];
        for (const { uid, generation } of objects) one.set(uid, generation);
        for (const { uid, generation } of [...objects].reverse()) {
          other.set(uid, generation + 1);
          other.set(uid, generation);
        }
        expect(other.digest).toBe(one.digest);
      }),
    );
  });
});

describe('an object is programmed', () => {
  it('on nodes whose state is at or behind the one in which it came', () => {
    const history = new History();
    history.set('a', 1);
    const withA = history.digest;
    history.set('b', 1);
    const withB = history.digest;
    const reports = [report('n1', withA), report('n2', withB)];
    expect(progress(history, reports, 'a')).toMatchObject({ programmed: 2, total: 2 });
    expect(progress(history, reports, 'b')).toMatchObject({ programmed: 1, total: 2, behind: ['n1'] });
  });

  it('in its generation, not in an older or a younger one', () => {
    const history = new History();
    history.set('a', 1);
    const first = history.digest;
    history.set('a', 2);
    const reports = [report('n1', first), report('n2', history.digest)];
    expect(progress(history, reports, 'a', 2)).toMatchObject({ programmed: 1, behind: ['n1'] });
    expect(progress(history, reports, 'a', 1)).toMatchObject({ programmed: 0 });
    expect(progress(history, reports, 'a', 3)).toMatchObject({ programmed: 0 });
  });

  it('where a state came twice', () => {
    const history = new History();
    history.set('a', 1);
    const only = history.digest;
    history.set('b', 1);
    history.set('b', undefined);
    expect(history.digest).toBe(only);
    history.set('c', 1);
    expect(progress(history, [report('n1', only)], 'a')).toMatchObject({ programmed: 1 });
    expect(progress(history, [report('n1', only)], 'c')).toMatchObject({ programmed: 0, behind: ['n1'] });
  });

  it('perhaps, on a node whose state is not known', () => {
    const history = new History();
    history.set('a', 1);
    expect(progress(history, [report('n1', 'ff'.repeat(16))], 'a')).toMatchObject({ programmed: 0, unclear: ['n1'], behind: [] });
  });

  it('not on a node that is too far behind to be remembered, or has nothing, or no report', () => {
    const history = new History(3);
    history.set('a', 1);
    const early = history.digest;
    for (const uid of ['b', 'c', 'd']) history.set(uid, 1);
    const reports = [report('n1', early), report('n2', EMPTY_DIGEST), report('n3', history.digest)];
    expect(progress(history, reports, 'd', 1, ['n3', 'n4'])).toMatchObject({
      programmed: 1,
      total: 4,
      unclear: ['n1'],
      behind: ['n2', 'n4'],
    });
  });

  it('not where it fails, nor where it may be among failures that are not named', () => {
    const history = new History();
    history.set('a', 1);
    const { digest } = history;
    const failure = { kind: 'ServiceFunctionChain', name: 'name-of-a', message: 'the map is full' };
    const reports = [
      report('n1', digest, { failing: [failure], failingTotal: 1 }),
      report('n2', digest, { failing: [{ ...failure, name: 'other' }], failingTotal: 1 }),
      report('n3', digest, { failing: [{ ...failure, name: 'other' }], failingTotal: 40 }),
      report('n4', digest, { failing: [{ ...failure, kind: 'TrafficSelector' }], failingTotal: 1 }),
    ];
    expect(progress(history, reports, 'a')).toMatchObject({
      programmed: 2,
      failing: [
        { node: 'n1', message: 'the map is full' },
        { node: 'n3', message: '40 objects fail there, of which it names 1' },
      ],
    });
  });

  it('as a scan of all states says', () => {
    const events = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c'), gone: fc.boolean() }), { maxLength: 30 });
    fc.assert(
      fc.property(events, fc.nat(30), (list, at) => {
        const history = new History();
        const world = new Map<string, number>();
        const states = [{ digest: history.digest, world: new Map(world) }];
        const lives = new Map<string, number>();
        for (const { name, gone } of list) {
          // As with Kubernetes: a uid never comes back, a generation only grows.
          const uid = `${name}${lives.get(name) ?? 0}`;
          const generation = gone ? undefined : (world.get(uid) ?? 0) + 1;
          history.set(uid, generation);
          if (generation !== undefined) world.set(uid, generation);
          else if (world.delete(uid)) lives.set(name, (lives.get(name) ?? 0) + 1);
          states.push({ digest: history.digest, world: new Map(world) });
        }
        const state = states[at % states.length] as (typeof states)[number];
        for (const [uid, generation] of world) {
          const { programmed } = progress(history, [report('n1', state.digest)], uid, generation);
          expect(programmed).toBe(state.world.get(uid) === generation ? 1 : 0);
        }
      }),
    );
  });
});
