/**
 * One round at a time: wishes that come while a round runs become one more round, and a round may
 * ask to be repeated later.
 */

export interface Rounds {
  /** Wishes a round, soon. `reason` is given to it once, however often it was wished. */
  wish(reason: string): void;
  /** No further round begins; resolves when the running one is done. */
  close(): Promise<void>;
}

/**
 * @param round gives the milliseconds after which it wants to be repeated (reason `again`), or
 *   undefined. It deals with its own errors: one that it throws goes to `onCrash`.
 */
export function startRounds(
  round: (reasons: ReadonlySet<string>) => Promise<number | undefined>,
  onCrash: (error: unknown) => void,
): Rounds {
  let wishes = new Set<string>();
  let running: Promise<void> | undefined;
  let later: NodeJS.Timeout | undefined;
  let closed = false;

  const run = async () => {
    // Wishes of the same turn of the event loop belong to one round.
    await Promise.resolve();
    while (wishes.size > 0 && !closed) {
      const reasons = wishes;
      wishes = new Set();
      clearTimeout(later);
      try {
        const again = await round(reasons);
        if (again !== undefined && !closed) later = setTimeout(() => wish('again'), again);
      } catch (error) {
        onCrash(error);
      }
    }
    running = undefined;
  };

  function wish(reason: string): void {
    if (closed) return;
    wishes.add(reason);
    running ??= run();
  }

  return {
    wish,
    async close() {
      closed = true;
      clearTimeout(later);
      await running;
    },
  };
}
