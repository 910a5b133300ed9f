import { describe, expect, it } from 'vitest';
import { backoff } from './backoff.js';

describe('waiting before the next try', () => {
  it('doubles up to its longest, half of it by chance', () => {
    const least = backoff(() => 0, 800, 30_000);
    expect(Array.from({ length: 8 }, () => least.next())).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000]);
    least.reset();
    expect(least.next()).toBe(400);
    const most = backoff(() => 1, 800, 30_000);
    for (let tries = 0; tries < 100_000; tries++) most.next();
    expect(most.next()).toBe(30_000);
  });
});
