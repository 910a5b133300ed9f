/**
 * Dense parts of a trie, where fans are. The trie is held to its oracle while prefixes come and go by
 * the thousand around one bit; and every single write of an update is watched: a look-up after any of
 * them answers as before the update or as after it.
 */

import { describe, expect, it } from 'vitest';
import { bytesOf, canonical, generator, LinearScan, valueAt, type Words } from './cast.js';
import type { LpmPrefix } from './entry-pool.js';
import { LpmTrie } from './lpm.js';

const ALL_BITS = 128;
type Next = ReturnType<typeof generator>;

/** An address whose bits differ from others' within `reach` of `bit` only; now and then in one bit elsewhere. */
function addressAround(bit: number, reach: number, next: Next): Words {
  const words = [0x20010db8, 0x5a5a5a5a, 0x00ff00ff, 0x12345678] as [number, number, number, number];
  const flip = (index: number) => {
    words[index >>> 5] = (words[index >>> 5] as number) ^ (1 << (31 - (index & 31)));
  };
  for (let index = Math.max(0, bit - reach); index < Math.min(ALL_BITS, bit + reach); index += 1) if (next(2) === 1) flip(index);
  if (next(16) === 0) flip(next(ALL_BITS));
  return words;
}

function lengthAround(bit: number, reach: number, next: Next): number {
  if (next(32) === 0) return next(ALL_BITS + 1);
  return Math.min(ALL_BITS, Math.max(0, bit - reach - 1 + next(2 * reach + 3)));
}

const prefixAround = (bit: number, reach: number, next: Next): LpmPrefix =>
  canonical(1, 2, addressAround(bit, reach, next), lengthAround(bit, reach, next));

/** A trie and its oracle, changed together. */
class Pair {
  readonly trie: LpmTrie;
  readonly oracle = new LinearScan();
  #changes = 0;

  constructor(allocate?: (words: number) => Int32Array) {
    this.trie = new LpmTrie('sfcselect', 1 << 20, 8, allocate);
  }

  insert(prefix: LpmPrefix): void {
    this.#changes += 1;
    this.oracle.insert(prefix, this.#changes);
    this.trie.insert(prefix, bytesOf(this.#changes));
  }

  delete(prefix: LpmPrefix): void {
    const held = this.oracle.delete(prefix);
    expect(this.trie.delete(prefix)).toBe(held);
  }

  expected = (words: Words, limit: number) => this.oracle.lookup(1, 2, words, limit);
  actual = (words: Words, limit: number) => valueAt(this.trie, this.trie.lookup(1, 2, ...words, limit));
}

describe.each([0, 8, 24, 32, 60, 64, 70, 96, 121, 128])('prefixes by the thousand around bit %i', (bit) => {
  const REACH = 9;
  const MOST = 1000;

  it('are found as a scan finds them, while they come and go', () => {
    const next = generator(bit + 7081);
    const pair = new Pair();
    const { oracle, trie } = pair;
    const check = (words: Words) => {
      for (const limit of [ALL_BITS, lengthAround(bit, REACH, next)]) {
        const [actual, expected] = [pair.actual(words, limit), pair.expected(words, limit)];
        if (actual !== expected) expect({ words, limit, found: actual }).toEqual({ words, limit, found: expected });
      }
    };
    const some = (): LpmPrefix => [...oracle.held.values()][next(oracle.held.size)]?.prefix as LpmPrefix;
    const change = (inserts: number) => {
      const prefix = next(8) < inserts || oracle.held.size === 0 ? prefixAround(bit, REACH, next) : some();
      if (next(8) < inserts) pair.insert(prefix);
      else pair.delete(prefix);
      check([prefix.w0, prefix.w1, prefix.w2, prefix.w3]);
      check(addressAround(bit, REACH, next));
    };
    while (oracle.held.size < MOST) change(7);
    for (let turn = 0; turn < 500; turn += 1) change(4);
    // The longest first: what is behind a fan goes, then what is within it.
    const bySize = [...oracle.held.values()].map(({ prefix }) => prefix).sort((a, b) => b.length - a.length);
    for (const prefix of bySize.slice(0, -MOST / 10)) {
      pair.delete(prefix);
      check([prefix.w0, prefix.w1, prefix.w2, prefix.w3]);
    }
    while (oracle.held.size < MOST / 2) change(7);
    while (oracle.held.size > 0) change(1);
    expect(trie.size).toBe(0);
  });
});

/** Arrays that report each write of one word, and count the words that are read. */
function watched(onWrite: () => void, onRead: () => void): (words: number) => Int32Array {
  return (words) => {
    const array = new Int32Array(words);
    const write = (index: number, value: number) => {
      array[index] = value;
      onWrite();
    };
    const set = (values: ArrayLike<number>, offset = 0) => {
      for (let index = 0; index < values.length; index += 1) write(offset + index, values[index] as number);
    };
    return new Proxy(array, {
      get(_, name) {
        if (name === 'set') return set;
        if (name === 'subarray') return array.subarray.bind(array);
        if (name !== 'length') onRead();
        return Reflect.get(array, name, array);
      },
      set(_, name, value) {
        write(Number(name), value);
        return true;
      },
    });
  };
}

describe.each([
  ['IPv4', 14],
  ['IPv6, where a word ends', 62],
])('an update of %s prefixes', (_, bit) => {
  const REACH = 5;
  const LIMITS = [ALL_BITS, bit, bit - 3];

  it('is seen as a whole or not at all, whatever word of it was written last', () => {
    let onWrite = () => {};
    const pair = new Pair(
      watched(
        () => onWrite(),
        () => {},
      ),
    );
    const next = generator(3783);
    let writes = 0;
    let halves = 0;

    const update = (change: () => void, near: Words) => {
      const probes = [near, ...Array.from({ length: 5 }, () => addressAround(bit, REACH, next))].flatMap((words) =>
        LIMITS.map((limit) => ({ words, limit })),
      );
      const before = probes.map(({ words, limit }) => pair.expected(words, limit));
      const seen = probes.map(() => new Set<number | undefined>());
      onWrite = () => {
        writes += 1;
        probes.forEach(({ words, limit }, index) => {
          seen[index]?.add(pair.actual(words, limit));
        });
      };
      change();
      onWrite = () => {};
      probes.forEach(({ words, limit }, index) => {
        const after = pair.expected(words, limit);
        expect(pair.actual(words, limit)).toBe(after);
        for (const value of seen[index] ?? []) expect([before[index], after]).toContain(value);
        if ((seen[index]?.size ?? 0) > 1) halves += 1;
      });
    };
    const change = (prefix: LpmPrefix, remove: boolean) =>
      update(() => (remove ? pair.delete(prefix) : pair.insert(prefix)), [prefix.w0, prefix.w1, prefix.w2, prefix.w3]);

    for (let turn = 0; turn < 150; turn += 1) change(prefixAround(bit, REACH, next), false);
    for (let turn = 0; turn < 150; turn += 1) {
      const held = [...pair.oracle.held.values()];
      change(held[next(held.length)]?.prefix as LpmPrefix, turn % 3 !== 0);
    }
    for (const { prefix } of [...pair.oracle.held.values()]) change(prefix, true);
    // The probes did watch: there were many single writes, and answers that changed in the middle of an update.
    expect(writes).toBeGreaterThan(2000);
    expect(halves).toBeGreaterThan(200);
  });
});

it('a look-up takes a few steps through thousands of neighbours', () => {
  let reads = 0;
  const pair = new Pair(
    watched(
      () => {},
      () => {
        reads += 1;
      },
    ),
  );
  const network = (n: number): Words => [n << 20, 0, 0, 0];
  for (let n = 0; n < 4096; n += 1) pair.insert(canonical(1, 2, network(n), 12));
  reads = 0;
  for (let n = 0; n < 4096; n += 16) pair.actual(network(n), ALL_BITS);
  // Twelve nodes of at least four words, were they visited one by one.
  expect(reads / 256).toBeLessThan(30);
});

it('a trie that is filled and emptied again and again takes no more memory', () => {
  let allocated = 0;
  const trie = new LpmTrie('sfcselect', 4096, 8, (words) => {
    allocated += 1;
    return new Int32Array(words);
  });
  const fillAndEmpty = (seed: number) => {
    const next = generator(seed);
    const prefixes = Array.from({ length: 500 }, () => canonical(1, 2, addressAround(40, 8, next), 40 + next(9)));
    for (const prefix of prefixes) trie.insert(prefix, bytesOf(1));
    for (const prefix of prefixes) trie.delete(prefix);
  };
  for (let turn = 0; turn < 20; turn += 1) fillAndEmpty(turn);
  const before = allocated;
  for (let turn = 20; turn < 200; turn += 1) fillAndEmpty(turn);
  expect(allocated).toBe(before);
});
