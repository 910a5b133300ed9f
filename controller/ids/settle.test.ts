import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY_RECORD, formatRecord, type IdRecord, LAST_ID, parseRecord } from './record.js';
import { type ChainIdentity, settleIds } from './settle.js';

const HOUR = 3_600_000;
const START = Date.parse('2026-01-31T09:00:00Z');

const chain = (name: string, stated?: number, second = 0): ChainIdentity => ({
  uid: `uid-of-${name}`,
  name,
  createdAt: new Date(START + second * 1000).toISOString(),
  stated,
});

function settle(record: IdRecord | undefined, chains: readonly ChainIdentity[], gone: readonly string[] = [], now = START, last = LAST_ID) {
  return settleIds({ record, chains, gone: new Set(gone.map((name) => `uid-of-${name}`)), now, restMs: HOUR, last });
}

const ids = ({ record }: { readonly record: IdRecord }) => Object.fromEntries([...record.assigned].map(([id, { name }]) => [name, id]));
/** A record in which the range has been given out once. */
const usedUp = (record: IdRecord): IdRecord => ({ ...record, next: LAST_ID + 1 });

describe('servicePathIds', () => {
  it('start at 1 in the order of creation, then by name', () => {
    const chains = [chain('b', undefined, 1), chain('c'), chain('a', undefined, 1)];
    expect(ids(settle(EMPTY_RECORD, chains))).toEqual({ c: 1, a: 2, b: 3 });
    expect(ids(settle(EMPTY_RECORD, [...chains].reverse()))).toEqual({ c: 1, a: 2, b: 3 });
  });

  it('stay, and nothing changes where nothing has', () => {
    const first = settle(EMPTY_RECORD, [chain('a'), chain('b')]);
    const second = settle(first.record, [chain('a', 1), chain('b', 2)]);
    expect([ids(second), second.changed]).toEqual([{ a: 1, b: 2 }, false]);
  });

  it('of a chain that a cache does not show are kept until it is known to be gone', () => {
    const first = settle(EMPTY_RECORD, [chain('a'), chain('b')]);
    expect(ids(settle(first.record, [chain('b')]))).toEqual({ a: 1, b: 2 });
    expect(ids(settle(first.record, [chain('b')], ['a']))).toEqual({ b: 2 });
  });

  it('of a chain that is gone are not reused while others are left', () => {
    const first = settle(EMPTY_RECORD, [chain('a')]);
    const second = settle(first.record, [], ['a']);
    expect(ids(settle(second.record, [chain('b')], [], START + 100 * HOUR))).toEqual({ b: 2 });
  });

  it('rest for their time when the range is used up, then the lowest is reused', () => {
    const first = settle(EMPTY_RECORD, [chain('a'), chain('b'), chain('c')]);
    const second = settle(usedUp(first.record), [chain('c')], ['a', 'b'], START + 1);
    const early = settle(second.record, [chain('d')], [], START + HOUR, 3);
    expect(early.without).toEqual([{ uid: 'uid-of-d', name: 'd' }]);
    expect(early.freeAt).toBe(START + 1000 + HOUR);
    expect(early.changed).toBe(false);
    const late = settle(second.record, [chain('d')], [], START + 1000 + HOUR, 3);
    expect(late.record.assigned.get(1)?.name).toBe('d');
    expect(late.without).toEqual([]);
  });

  it('that rest are passed over in the second round', () => {
    const first = settle(EMPTY_RECORD, [chain('a'), chain('b')]);
    const second = settle(usedUp(first.record), [chain('b')], ['a']);
    expect(ids(settle(second.record, [chain('c')]))).toEqual({ b: 2, c: 3 });
    expect(ids(settle(second.record, [chain('c')], [], START + HOUR))).toEqual({ b: 2, c: 1 });
  });

  it('of a chain that is made anew under its name are others', () => {
    const first = settle(EMPTY_RECORD, [chain('a')]);
    const again = { ...chain('a'), uid: 'another' };
    expect(ids(settle(first.record, [again], ['a']))).toEqual({ a: 2 });
  });
});

describe('ids in a status', () => {
  it('that the record does not know are kept where they are nobody’s', () => {
    expect(ids(settle(EMPTY_RECORD, [chain('a', 700), chain('b')]))).toEqual({ a: 700, b: 1 });
  });

  it('are passed over when the order comes to them', () => {
    const first = settle(EMPTY_RECORD, [chain('a', 2)]);
    expect(ids(settle(first.record, [chain('b'), chain('c')]))).toEqual({ a: 2, b: 1, c: 3 });
  });

  it.each([
    [0, 'is not in 1 to 1048575'],
    [LAST_ID + 1, 'is not in 1 to 1048575'],
    [1.5, 'is not in 1 to 1048575'],
    [1, 'is the id of ServiceFunctionChain a'],
    [2, 'rests after another chain'],
  ])('are refused: %d', (stated, why) => {
    const first = settle(EMPTY_RECORD, [chain('a'), chain('b')]);
    const second = settle(first.record, [chain('a', 1)], ['b']);
    const third = settle(second.record, [chain('a', 1), chain('x', stated)]);
    expect(third.refusals).toEqual([{ chain: { uid: 'uid-of-x', name: 'x' }, stated, why }]);
    expect(ids(third)).toEqual({ a: 1, x: 3 });
  });

  it('do not move a chain that has one', () => {
    const first = settle(EMPTY_RECORD, [chain('a'), chain('b')]);
    expect(settle(first.record, [chain('a', 2), chain('b', 1)]).changed).toBe(false);
  });
});

describe('a record that is lost', () => {
  it('is made anew from the chains; the older one keeps an id that two have', () => {
    const lost = settle(undefined, [chain('young', 3, 9), chain('old', 3), chain('c', 5), chain('new', undefined, 20)]);
    expect(ids(lost)).toEqual({ old: 3, c: 5, young: 6, new: 7 });
    expect(lost.refusals).toEqual([
      { chain: { uid: 'uid-of-young', name: 'young' }, stated: 3, why: 'is the id of ServiceFunctionChain old' },
    ]);
  });

  it('lets the ids rest that were somebody’s', () => {
    const lost = settle(undefined, [chain('c', 5)]);
    expect(formatRecord(lost.record)).toMatchObject({ next: '6', resting: '2026-01-31T09:00:00Z 1-4\n' });
  });

  it('of a new cluster is written once, though it says nothing', () => {
    const fresh = settle(undefined, []);
    expect([fresh.changed, fresh.record]).toEqual([true, EMPTY_RECORD]);
    expect(settle(fresh.record, []).changed).toBe(false);
  });
});

describe('whatever comes and goes', () => {
  it('no id is two chains’, moves, or is reused before it has rested', () => {
    const steps = fc.array(fc.record({ create: fc.boolean(), which: fc.nat(5), minutes: fc.nat(40) }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.boolean(), (list, inOrder) => {
        let record: IdRecord = { ...EMPTY_RECORD, next: inOrder ? 1 : LAST_ID + 1 };
        let now = START;
        let count = 0;
        const live = new Map<string, ChainIdentity>();
        const freed = new Map<number, number>();
        const had = new Map<string, number>();
        for (const { create, which, minutes } of list) {
          now += minutes * 60_000;
          const gone = new Set<string>();
          const victim = [...live.keys()][which];
          if (create) {
            const one = chain(`c${count++}`, undefined, count);
            live.set(one.uid, one);
          } else if (victim !== undefined) {
            live.delete(victim);
            gone.add(victim);
          }
          const next = settleIds({ record, chains: [...live.values()], gone, now, restMs: HOUR, last: 5 });
          // Through its text: what a restart would read.
          record = parseRecord(formatRecord(next.record));
          const has = new Map([...record.assigned].map(([id, { uid }]) => [uid, id]));
          for (const [uid, id] of had) {
            if (gone.has(uid)) freed.set(id, now);
            else expect(has.get(uid)).toBe(id);
          }
          for (const [uid, id] of has) {
            if (had.has(uid)) continue;
            expect(now - (freed.get(id) ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(HOUR);
          }
          expect(new Set(has.values()).size).toBe(has.size);
          expect(has.size + next.without.length).toBe(live.size);
          had.clear();
          for (const [uid, id] of has) had.set(uid, id);
        }
      }),
    );
  });
});
