/** How far a long run is: a bar on a terminal, elsewhere a plain line now and then. */

export interface Terminal {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

const BAR = 24;
/** ms between two signs of life. */
const ON_TERMINAL = 100;
const ELSEWHERE = 10_000;

export class Progress {
  readonly #goal: number;
  readonly #out: Terminal;
  /** ms, monotonic. */
  readonly #now: () => number;
  readonly #start: number;
  #last: number;
  #width = 0;

  constructor(goal: number, out: Terminal, now: () => number) {
    this.#goal = goal;
    this.#out = out;
    this.#now = now;
    this.#start = now();
    this.#last = this.#start;
  }

  at(packets: number): void {
    const now = this.#now();
    if (now - this.#last < (this.#out.isTTY ? ON_TERMINAL : ELSEWHERE)) return;
    this.#last = now;
    const text = progressText(packets, this.#goal, now - this.#start);
    if (this.#out.isTTY) this.#overwrite(`${barText(packets / this.#goal)} ${text}`);
    else this.#out.write(`${text}\n`);
  }

  /** Takes the bar away, so that what comes next has the line to itself. */
  end(): void {
    if (this.#width > 0) this.#out.write(`\r${' '.repeat(this.#width)}\r`);
    this.#width = 0;
  }

  #overwrite(line: string): void {
    this.#out.write(`\r${line.padEnd(this.#width)}`);
    this.#width = line.length;
  }
}

function barText(share: number): string {
  return '█'.repeat(Math.round(Math.min(1, share) * BAR)).padEnd(BAR, '·');
}

/** `elapsed`: ms. */
export function progressText(packets: number, goal: number, elapsed: number): string {
  const pace = packets / Math.max(elapsed / 1000, 0.001);
  const left = pace > 0 ? `, ${durationText(Math.max(0, goal - packets) / pace)} left` : '';
  return `${packets} of ${goal} packets, ${Math.round(pace)}/s${left}`;
}

/** Seconds for people. */
export function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
