/** What somebody sees who waits for a long run. */

import { describe, expect, it } from 'vitest';
import { durationText, Progress, progressText } from './progress.js';

/** A run of 1000 packets a second, told every 50 ms. */
function watched(isTTY: boolean, seconds: number): readonly string[] {
  const written: string[] = [];
  let now = 5000;
  const progress = new Progress(100_000, { isTTY, write: (text) => written.push(text) }, () => now);
  for (let ms = 0; ms <= seconds * 1000; ms += 50) {
    now = 5000 + ms;
    progress.at(ms);
  }
  progress.end();
  return written;
}

describe('progress', () => {
  it('says how many packets, how fast and how long it will take', () => {
    expect(progressText(30_000, 100_000, 10_000)).toBe('30000 of 100000 packets, 3000/s, 24 s left');
    expect(progressText(0, 100, 0)).toBe('0 of 100 packets, 0/s');
    expect(progressText(120, 100, 1000)).toBe('120 of 100 packets, 120/s, 0 s left');
    expect([0.2, 59.5, 61, 600].map(durationText)).toEqual(['1 s', '1 min 0 s', '1 min 1 s', '10 min 0 s']);
  });

  it('is a bar on a terminal, ten times a second, no wider than 80 columns, and gone at the end', () => {
    const written = watched(true, 50);
    expect(written.length).toBe(501);
    expect(written.at(-2)).toBe('\r████████████············ 50000 of 100000 packets, 1000/s, 50 s left');
    expect(Math.max(...written.map((text) => text.length))).toBeLessThanOrEqual(80);
    expect(written.at(-1)).toMatch(/^\r +\r$/);
  });

  it('is a plain line elsewhere, not more than one each ten seconds', () => {
    expect(watched(false, 35)).toEqual([
      '10000 of 100000 packets, 1000/s, 1 min 30 s left\n',
      '20000 of 100000 packets, 1000/s, 1 min 20 s left\n',
      '30000 of 100000 packets, 1000/s, 1 min 10 s left\n',
    ]);
  });
});
