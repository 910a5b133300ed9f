import { stat } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { after, deadline } from './deadline.js';

/** Nothing else runs in this process meanwhile. */
function holdUp(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('waiting', () => {
  it('is not over before what has come meanwhile was read, however long the process was held up', async () => {
    // From an immediate: in the turn of the loop that follows, timers come first and what was read second.
    const first = await new Promise<string>((resolve) => {
      setImmediate(() => {
        const stop = after(5, () => resolve('late'));
        stat(fileURLToPath(import.meta.url), () => {
          stop();
          resolve('read');
        });
        holdUp(200);
      });
    });
    expect(first).toBe('read');
  });

  it('ends by its time, or with what it is within', async () => {
    const [outer, inner] = [new AbortController(), new AbortController()];
    const byTime = deadline(1, () => 'late', outer.signal);
    await new Promise((resolve) => byTime.signal.addEventListener('abort', resolve));
    const byOuter = deadline(60_000, () => 'late', outer.signal);
    const done = deadline(60_000, () => 'late', inner.signal);
    done.done();
    outer.abort('closed');
    inner.abort('closed');
    expect([byTime.signal.reason, byOuter.signal.reason, done.signal.aborted]).toEqual(['late', 'closed', false]);
    byOuter.done();
    expect(deadline(60_000, () => 'late', outer.signal).signal.reason).toBe('closed');
  });
});
