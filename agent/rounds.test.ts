import { describe, expect, it, vi } from 'vitest';
import { startRounds } from './rounds.js';

const crash = (error: unknown) => {
  throw error;
};

describe('rounds', () => {
  it('never overlap, and join the wishes that came meanwhile', async () => {
    const seen: string[][] = [];
    let active = 0;
    const rounds = startRounds(async (reasons) => {
      expect(++active).toBe(1);
      seen.push([...reasons]);
      if (seen.length === 1) for (const reason of ['b', 'c', 'b']) rounds.wish(reason);
      await new Promise((resolve) => setImmediate(resolve));
      active--;
      return undefined;
    }, crash);
    rounds.wish('a');
    await vi.waitFor(() => expect(seen).toEqual([['a'], ['b', 'c']]));
    await rounds.close();
  });

  it('come again when a round asks for it', async () => {
    const seen: string[][] = [];
    const rounds = startRounds(async (reasons) => {
      seen.push([...reasons]);
      return seen.length < 3 ? 1 : undefined;
    }, crash);
    rounds.wish('a');
    await vi.waitFor(() => expect(seen).toEqual([['a'], ['again'], ['again']]), { timeout: 10_000 });
    await rounds.close();
  });

  it('go on after one that crashed, and tell of it', async () => {
    const crashes: unknown[] = [];
    const seen: string[] = [];
    const rounds = startRounds(
      async (reasons) => {
        if (reasons.has('bad')) throw new Error('bad');
        seen.push(...reasons);
        return undefined;
      },
      (error) => crashes.push(error),
    );
    rounds.wish('bad');
    await vi.waitFor(() => expect(crashes).toHaveLength(1));
    rounds.wish('good');
    await vi.waitFor(() => expect(seen).toEqual(['good']));
    await rounds.close();
  });

  it('end: close waits for the running one and begins no other', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let begun = 0;
    const rounds = startRounds(async () => {
      begun++;
      await held;
      return 0;
    }, crash);
    rounds.wish('a');
    await vi.waitFor(() => expect(begun).toBe(1));
    rounds.wish('b');
    const closing = rounds.close();
    release();
    await closing;
    rounds.wish('c');
    expect(begun).toBe(1);
  });
});
