/** How far a long command is: a line on a terminal that changes, nothing where nobody watches. */

import { formatDuration } from './duration.js';
import type { Io } from './io.js';

/** Between two looks of the line, ms. */
const EVERY_MS = 100;
const BAR = 30;

export interface Progress {
  /** `share` of the work is done, 0..1; undefined where the whole is not known. */
  tell(share: number | undefined, words: string): void;
  /** Takes the line away. */
  clear(): void;
}

export function progressOn({ err, clock }: Pick<Io, 'err' | 'clock'>): Progress {
  if (err.isTTY !== true) return { tell: () => {}, clear: () => {} };
  const began = clock.wall();
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    tell(share, words) {
      const now = clock.wall();
      if (now - toldAt < EVERY_MS) return;
      toldAt = now;
      if (share === undefined) err.write(`\r\u001b[K${words}`);
      else {
        const done = Math.min(1, Math.max(0, share));
        const left = done > 0 ? `, ${formatDuration(((now - began) / 1000) * (1 / done - 1))} left` : '';
        err.write(`\r\u001b[K${'█'.repeat(Math.round(done * BAR)).padEnd(BAR, '·')} ${Math.floor(done * 100)}%  ${words}${left}`);
      }
    },
    clear() {
      if (toldAt > Number.NEGATIVE_INFINITY) err.write('\r\u001b[K');
    },
  };
}
