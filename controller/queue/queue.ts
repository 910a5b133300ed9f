/**
 * What is to be looked at again, by key. A key says only "look": what is done is decided by what is seen then, so ten events
 * are one look, and one that comes during a look is another look after it.
 *
 *     add ──► waiting ──► running (a key never twice at once, `parallel` keys at most) ──► done
 *                ▲            │ added meanwhile: again       failed: again, later each time
 *                └────────────┘
 */

/** As controller-runtime has it, but for the first: an API server's conflict is over at once. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 60_000;

export interface QueueOptions {
  /** One look. @returns ms after which to look again though nothing was added; undefined: not */
  readonly work: (key: string) => Promise<number | undefined>;
  /** It failed, and is tried again in so many ms. */
  readonly onFailure: (key: string, error: unknown, retryMs: number) => void;
  readonly parallel: number;
  /** 0 to below 1. */
  readonly random: () => number;
}

/** Half of it is chance, so that what failed together does not come back together. */
export function retryAfter(failures: number, random: () => number): number {
  const whole = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
  return whole / 2 + (random() * whole) / 2;
}

export class WorkQueue {
  readonly #options: QueueOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, { readonly at: number; readonly timer: NodeJS.Timeout }>();
  readonly #idle: (() => void)[] = [];
  #closed = false;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Keys that wait for their turn or run; those that are due later not among them. */
  get depth(): number {
    return this.#waiting.size + this.#running.size;
  }

  /** Keys whose last look failed. */
  get failing(): number {
    return this.#failures.size;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#unschedule(key);
    this.#pump();
  }

  /** Later; an earlier time that is set already stays. */
  addAfter(key: string, ms: number): void {
    const at = performance.now() + ms;
    const set = this.#timers.get(key);
    if (this.#closed || this.#waiting.has(key) || (set !== undefined && set.at <= at)) return;
    this.#unschedule(key);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, ms);
    this.#timers.set(key, { at, timer });
  }

  /** Nothing is begun any more; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    this.#again.clear();
    for (const key of [...this.#timers.keys()]) this.#unschedule(key);
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #unschedule(key: string): void {
    clearTimeout(this.#timers.get(key)?.timer);
    this.#timers.delete(key);
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.parallel) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      const later = await this.#options.work(key);
      this.#failures.delete(key);
      if (later !== undefined) this.#after(key, later);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const wait = retryAfter(failures, this.#options.random);
      if (!this.#closed) this.#options.onFailure(key, error, wait);
      this.#after(key, wait);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    if (this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    this.#pump();
  }

  #after(key: string, ms: number): void {
    if (!this.#again.has(key)) this.addAfter(key, ms);
  }
}
