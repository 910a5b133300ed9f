/** How long to wait before the next try. */

/** client-go's reflector: 800 ms, doubled up to 30 s. */
const FIRST_MS = 800;
const LONGEST_MS = 30_000;

export interface Backoff {
  /** Milliseconds; the longer, the more often it was asked. Half of it is chance, so that a thousand nodes do not come at once. */
  next(): number;
  reset(): void;
}

/** @param random 0 to below 1 */
export function backoff(random: () => number, first = FIRST_MS, longest = LONGEST_MS): Backoff {
  let tries = 0;
  return {
    next() {
      const whole = Math.min(longest, first * 2 ** tries);
      if (whole < longest) tries++;
      return whole / 2 + (random() * whole) / 2;
    },
    reset() {
      tries = 0;
    },
  };
}
