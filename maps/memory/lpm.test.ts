/**
 * The trie against its oracle: a list that is scanned from end to end. Sequences of changes are
 * random but seeded; fast-check prints seed and path of a failure, and replays it.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, canonical, generator, LinearScan, valueAt, type Words } from './cast.js';
import { LpmTrie } from './lpm.js';

/** Few bits that differ, at either end of each word, so that prefixes nest, fork and collide. */
const word = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0, 1, -1, 0x0a000000, 0x0a000001, 0x0a800000, -0x80000000, 0x7fffffff) },
  { weight: 1, arbitrary: fc.integer() },
);
const ipv4 = { words: fc.tuple(word, fc.constant(0), fc.constant(0), fc.constant(0)), bits: 32 };
const ipv6 = { words: fc.tuple(word, word, word, word), bits: 128 };
const staticPart = fc.constantFrom([1, 0], [2, 0], [1, 7], [-1, -1]) as fc.Arbitrary<readonly [number, number]>;

describe.each([
  ['IPv4', ipv4],
  ['IPv6', ipv6],
])('the %s trie and a linear scan', (_, { words, bits }) => {
  const length = fc.oneof(fc.constantFrom(0, 1, 8, 24, 31, 32, bits - 1, bits), fc.integer({ min: 0, max: bits }));
  const step = fc.record({ action: fc.constantFrom('insert', 'insert', 'delete', 'lookup'), static: staticPart, words, length });

  it('agree after every insert, replace and delete', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }), (steps) => {
        const trie = new LpmTrie('sfcselect', 1000, 8);
        const oracle = new LinearScan();
        steps.forEach(({ action, static: [s0, s1], words, length }, index) => {
          const prefix = canonical(s0, s1, words, length);
          if (action === 'insert') {
            trie.insert(prefix, bytesOf(index));
            oracle.insert(prefix, index);
          } else if (action === 'delete') {
            expect(trie.delete(prefix)).toBe(oracle.delete(prefix));
          }
          for (const limit of [length, bits]) {
            expect(valueAt(trie, trie.lookup(s0, s1, ...words, limit))).toBe(oracle.lookup(s0, s1, words, limit));
          }
          expect(trie.size).toBe(oracle.held.size);
        });
        const held = Array.from(trie.entries.live(), (entry) => [trie.entries.prefix(entry), valueAt(trie, entry)]);
        expect(new Set(held.map((one) => JSON.stringify(one)))).toEqual(
          new Set([...oracle.held.values()].map(({ prefix, value }) => JSON.stringify([prefix, value]))),
        );
        expect(held.length).toBe(oracle.held.size);
      }),
      { seed: 7081, numRuns: 500 },
    );
  });
});

describe('a trie at the reference capacity', () => {
  const CAPACITY = 16384;
  function filled(): { readonly trie: LpmTrie; readonly oracle: LinearScan } {
    const next = generator(3783);
    const trie = new LpmTrie('sfcselect', CAPACITY, 8);
    const oracle = new LinearScan();
    for (let index = 0; oracle.held.size < CAPACITY; index += 1) {
      const prefix = canonical(next(1024), 0, [next(2 ** 32) | 0, 0, 0, 0], next(33));
      trie.insert(prefix, bytesOf(index));
      oracle.insert(prefix, index);
    }
    return { trie, oracle };
  }

  const { trie, oracle } = filled();

  it('holds 16,384 selectors and finds what the scan finds', () => {
    expect(trie.size).toBe(CAPACITY);
    const next = generator(1);
    let hits = 0;
    for (let probe = 0; probe < 500; probe += 1) {
      const s0 = next(1024);
      const words: Words = [next(2 ** 32) | 0, 0, 0, 0];
      const found = valueAt(trie, trie.lookup(s0, 0, ...words, 128));
      expect(found).toBe(oracle.lookup(s0, 0, words, 128));
      if (found !== undefined) hits += 1;
    }
    expect(hits).toBeGreaterThan(50);
  });

  it('refuses one more and is unchanged, yet still replaces and makes room by deleting', () => {
    const [one] = oracle.held.values();
    if (one === undefined) throw new Error('the oracle is empty');
    const another = canonical(5000, 0, [1, 2, 3, 4], 128);
    const before = Array.from(trie.entries.live()).length;
    expect(() => trie.insert(another, bytesOf(1))).toThrow(expect.objectContaining({ code: 'MAP_FULL' }));
    expect([trie.size, Array.from(trie.entries.live()).length, trie.find(another)]).toEqual([CAPACITY, before, -1]);

    trie.insert(one.prefix, bytesOf(99));
    expect(valueAt(trie, trie.find(one.prefix))).toBe(99);
    expect(trie.delete(one.prefix)).toBe(true);
    trie.insert(another, bytesOf(1));
    expect(trie.size).toBe(CAPACITY);
  });

  it('is empty when everything is deleted, and its slots serve again', () => {
    const other = filled();
    for (const { prefix } of other.oracle.held.values()) expect(other.trie.delete(prefix)).toBe(true);
    expect([other.trie.size, [...other.trie.entries.live()].length]).toEqual([0, 0]);
    for (const { prefix, value } of other.oracle.held.values()) other.trie.insert(prefix, bytesOf(value));
    expect(other.trie.size).toBe(CAPACITY);
  });

  it('serves endpoints that come and go without end', () => {
    const churn = new LpmTrie('sfcselect', 4, 8);
    for (let endpoint = 1; endpoint <= 5000; endpoint += 1) {
      const prefix = canonical(endpoint, 0, [0, 0, 0, 0], 0);
      churn.insert(prefix, bytesOf(endpoint));
      expect(valueAt(churn, churn.lookup(endpoint, 0, 1, 2, 3, 4, 128))).toBe(endpoint);
      if (endpoint > 3) expect(churn.delete(canonical(endpoint - 3, 0, [0, 0, 0, 0], 0))).toBe(true);
    }
    expect(churn.size).toBe(3);
  });
});
