import { describe, expect, it } from 'vitest';
import { maglevSlots, maglevTable } from './index.js';

function backends(count: number): { key: string }[] {
  return Array.from({ length: count }, (_, index) => ({ key: `firewall/firewall-${index}` }));
}

function shares(table: Int32Array, count: number): number[] {
  const shares = new Array<number>(count).fill(0);
  for (const backend of table) shares[backend] = (shares[backend] as number) + 1;
  return shares;
}

describe('Maglev', () => {
  it('has no slots without backends', () => {
    expect(maglevSlots(0)).toBe(0);
    expect(maglevTable([], 0)).toHaveLength(0);
  });

  it.each([1, 2, 3, 10, 100])('shares the slots of %i backends to one slot each', (count) => {
    const slots = maglevSlots(count);
    const found = shares(maglevTable(backends(count), slots), count);
    expect(found.reduce((sum, share) => sum + share)).toBe(slots);
    expect(Math.max(...found) - Math.min(...found)).toBeLessThanOrEqual(1);
  });

  it('lays the same table whatever the order of the backends', () => {
    const forward = backends(5);
    const backward = [...forward].reverse();
    const table = maglevTable(forward, 503);
    const other = maglevTable(backward, 503);
    expect([...other].map((index) => backward[index]?.key)).toEqual([...table].map((index) => forward[index]?.key));
  });

  it.each([3, 10, 100])('moves at most 1/N + 1 %% of the slots when one of %i goes', (count) => {
    const slots = maglevSlots(count);
    const all = backends(count);
    const before = maglevTable(all, slots);
    const worst = all.slice(0, 10).map((gone) => {
      const rest = all.filter((backend) => backend !== gone);
      const after = maglevTable(rest, slots);
      return [...before].filter((index, slot) => all[index]?.key !== rest[after[slot] as number]?.key).length / slots;
    });
    expect(Math.max(...worst)).toBeGreaterThan(0);
    expect(Math.max(...worst)).toBeLessThanOrEqual(1 / count + 0.01);
  });
});
