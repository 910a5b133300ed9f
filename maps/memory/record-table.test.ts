import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generator } from './cast.js';
import { RecordTable } from './record-table.js';

const words = (...values: number[]) => Int32Array.from(values);

/** What a table must be: a Map in the order of use, with a bound. */
class Oracle {
  readonly #values = new Map<string, number>();
  constructor(readonly capacity: number) {}
  find = (key: number[]) => this.#values.get(key.join());
  use(key: number[]) {
    const value = this.#values.get(key.join());
    if (value === undefined) return;
    this.#values.delete(key.join());
    this.#values.set(key.join(), value);
  }
  add(key: number[], value: number): boolean {
    if (this.#values.size >= this.capacity) return false;
    this.#values.set(key.join(), value);
    return true;
  }
  remove = (key: number[]) => this.#values.delete(key.join());
  keys = () => [...this.#values.keys()];
}

describe('a table of records', () => {
  it('does what a map in the order of use does, through growth and removals', () => {
    const key = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.constantFrom(0, -1));
    const step = fc.record({ what: fc.constantFrom('add', 'add', 'add', 'find', 'use', 'remove', 'oldest'), key, value: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), fc.constantFrom(1, 7, 70), (steps, capacity) => {
        const table = new RecordTable(capacity, 8, 4);
        const oracle = new Oracle(capacity);
        for (const { what, key, value } of steps) {
          const slot = table.find(words(...key));
          expect(slot === -1 ? undefined : table.view.getUint32(slot * 4)).toBe(oracle.find(key));
          if (what === 'add' && slot === -1) {
            const added = table.add(words(...key));
            expect(added !== -1).toBe(oracle.add(key, value));
            if (added !== -1) table.view.setUint32(added * 4, value);
          }
          if (what === 'use' && slot !== -1) {
            table.use(slot);
            oracle.use(key);
          }
          if (what === 'remove' && slot !== -1) {
            table.remove(slot);
            oracle.remove(key);
          }
          if (what === 'oldest' && table.size > 0) {
            const oldest = (oracle.keys()[0] ?? '').split(',').map(Number);
            table.removeOldest();
            oracle.remove(oldest);
            expect(table.find(words(...oldest))).toBe(-1);
          }
          expect(table.find(words(...key)) !== -1).toBe(oracle.find(key) !== undefined);
          const listed = Array.from(table.slots(), (used) => new Int32Array(table.key(used).buffer).join());
          expect(listed).toEqual(oracle.keys());
          expect(table.size).toBe(listed.length);
          expect(listed.filter((one) => table.find(words(...one.split(',').map(Number))) === -1)).toEqual([]);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('keeps keys apart by more than their hash: of 300,000 a few have the same', () => {
    const table = new RecordTable(300_000, 8, 4);
    const next = generator(1);
    let confused = 0;
    for (let n = 0; n < 300_000; n += 1) {
      const key = words(next(2 ** 32), next(2 ** 32));
      if (table.find(key) !== -1) confused += 1;
      else table.add(key);
    }
    expect(confused).toBe(0);
  });

  it('gives a new entry a value of zeros, also in a slot that was used before', () => {
    const table = new RecordTable(1, 4, 8);
    const first = table.add(words(1));
    table.setValue(first, new Uint8Array(8).fill(255));
    table.remove(first);
    expect(table.value(table.add(words(2)))).toEqual(new Uint8Array(8));
  });
});
