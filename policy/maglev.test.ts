import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MAGLEV_SLOTS, type MaglevBackend, maglevTable } from './index.js';

function backends(count: number): MaglevBackend[] {
  return Array.from({ length: count }, (_, index) => ({ key: `firewall/firewall-${index}`, weight: 100 }));
}

function shares(table: Int32Array, count: number): number[] {
  const shares = new Array<number>(count).fill(0);
  for (const backend of table) shares[backend] = (shares[backend] as number) + 1;
  return shares;
}

describe('Maglev', () => {
  it('has no slots without backends', () => {
    expect(maglevTable([])).toHaveLength(0);
  });

  it.each([1, 2, 3, 10, 100, 1000])('shares the slots of %i backends to one slot each', (count) => {
    const found = shares(maglevTable(backends(count)), count);
    expect(found.reduce((sum, share) => sum + share)).toBe(MAGLEV_SLOTS);
    expect(Math.max(...found) - Math.min(...found)).toBeLessThanOrEqual(1);
  });

  it.each([
    ['a canary of a tenth', [100, 100, 10]],
    ['the lightest there is', [100, 1]],
    ['all different', [1, 2, 3, 50, 100]],
  ])('shares them by weight, to one slot each: %s', (_, weights) => {
    const total = weights.reduce((sum, weight) => sum + weight);
    const table = maglevTable(weights.map((weight, index) => ({ key: `canary-${index}`, weight })));
    shares(table, weights.length).forEach((share, index) => {
      expect(Math.abs(share - ((weights[index] as number) * MAGLEV_SLOTS) / total)).toBeLessThan(1);
    });
  });

  it('knows weights by their proportion alone', () => {
    const of = (weight: number) => maglevTable(backends(7).map(({ key }) => ({ key, weight })));
    expect(of(1)).toEqual(of(100));
  });

  it('lays the same table whatever the order of the backends', () => {
    const forward = backends(5).map(({ key }, index) => ({ key, weight: 1 + (index % 2) }));
    const backward = [...forward].reverse();
    const table = maglevTable(forward, 503);
    const other = maglevTable(backward, 503);
    expect([...other].map((index) => backward[index]?.key)).toEqual([...table].map((index) => forward[index]?.key));
  });

  // Nodes of two versions place a client's flows alike only as long as these do not change.
  it.each([
    [1, '82a11b16958fad6c'],
    [3, '6ad28d525a5c0dd3'],
    [20, 'f05546c31ccea4cd'],
    [100, 'e1e834e4ba61f1c4'],
  ])('lays the table of %i backends that every version lays', (count, digest) => {
    const table = Uint8Array.from(maglevTable(backends(count)));
    expect(createHash('sha256').update(table).digest('hex').slice(0, 16)).toBe(digest);
  });

  it.each([2, 3, 6, 11, 21, 51, 100])('moves at most 1/N + 1 %% of the slots when one of %i goes', (count) => {
    const all = backends(count);
    const before = maglevTable(all);
    const worst = all.slice(0, 10).map((gone) => {
      const rest = all.filter((backend) => backend !== gone);
      const after = maglevTable(rest);
      return [...before].filter((index, slot) => all[index]?.key !== rest[after[slot] as number]?.key).length / MAGLEV_SLOTS;
    });
    expect(Math.max(...worst)).toBeGreaterThan(0);
    expect(Math.max(...worst)).toBeLessThanOrEqual(1 / count + 0.01);
  });
});
