import { describe, expect, it, vi } from 'vitest';
import { type QueueOptions, retryAfter, WorkQueue } from './queue.js';

/** Looks that end when the test says so. */
function cast(options: Partial<QueueOptions> = {}) {
  const looks: { readonly key: string; readonly end: (later?: number) => void; readonly fail: () => void }[] = [];
  const failures: string[] = [];
  const queue = new WorkQueue({
    work: (key) =>
      new Promise((resolve, reject) => looks.push({ key, end: resolve as (later?: number) => void, fail: () => reject(new Error('no')) })),
    onFailure: (key, _error, ms) => failures.push(`${key} ${ms}`),
    parallel: 2,
    random: () => 0,
    ...options,
  });
  const keys = () => looks.map(({ key }) => key);
  const look = async (at: number) => {
    await vi.waitFor(() => expect(looks.length).toBeGreaterThan(at), { interval: 1 });
    return looks[at] as (typeof looks)[number];
  };
  return { queue, keys, look, failures };
}

describe('a work queue', () => {
  it('looks once at what was added many times', async () => {
    const { queue, keys, look } = cast({ parallel: 1 });
    for (const key of ['a', 'b', 'b', 'b']) queue.add(key);
    (await look(0)).end();
    (await look(1)).end();
    await queue.close();
    expect(keys()).toEqual(['a', 'b']);
  });

  it('looks again at what was added during its look, and never twice at once', async () => {
    const { queue, keys, look } = cast();
    queue.add('a');
    const first = await look(0);
    queue.add('a');
    queue.add('a');
    expect(keys()).toEqual(['a']);
    first.end();
    (await look(1)).end();
    await queue.close();
    expect(keys()).toEqual(['a', 'a']);
  });

  it('runs so many at once and no more', async () => {
    const { queue, keys, look } = cast();
    for (const key of ['a', 'b', 'c']) queue.add(key);
    expect([keys(), queue.depth]).toEqual([['a', 'b'], 3]);
    (await look(1)).end();
    expect((await look(2)).key).toBe('c');
  });

  it('tries again what failed, later each time, until it succeeds', async () => {
    const { queue, look, failures } = cast();
    queue.add('a');
    (await look(0)).fail();
    (await look(1)).fail();
    const third = await look(2);
    expect(queue.failing).toBe(1);
    third.end();
    await vi.waitFor(() => expect(queue.failing).toBe(0), { interval: 1 });
    expect(failures).toEqual(['a 50', 'a 100']);
  });

  it('waits a minute at most, half of it by chance', () => {
    expect([1, 2, 3, 50].map((failures) => retryAfter(failures, () => 0))).toEqual([50, 100, 200, 30_000]);
    expect(retryAfter(50, () => 0.999)).toBeCloseTo(59_970);
  });

  it('looks later where a look asks for it, or at once where it is added before', async () => {
    const { queue, look } = cast();
    queue.add('a');
    (await look(0)).end(1);
    (await look(1)).end(3_600_000);
    await vi.waitFor(() => expect(queue.depth).toBe(0), { interval: 1 });
    queue.add('a');
    (await look(2)).end();
  });

  it('keeps the earlier of two times', async () => {
    const { queue, look } = cast();
    queue.addAfter('a', 1);
    queue.addAfter('a', 3_600_000);
    await look(0);
    queue.addAfter('b', 3_600_000);
    queue.addAfter('b', 1);
    expect((await look(1)).key).toBe('b');
  });

  it('ends after what runs, and begins nothing more', async () => {
    const { queue, keys, look } = cast({ parallel: 1 });
    for (const key of ['a', 'b']) queue.add(key);
    const closing = queue.close();
    queue.add('c');
    (await look(0)).fail();
    await closing;
    expect([keys(), queue.depth]).toEqual([['a'], 0]);
  });
});
