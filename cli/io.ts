/** What a command gets of the world; `cli/main.ts` gives the process's own. */

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface Io {
  readonly out: Output;
  readonly err: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of this program. */
  readonly version: string;
  readonly clock: {
    /** Milliseconds since 1970. */
    readonly wall: () => number;
    /** Nanoseconds of CLOCK_MONOTONIC, which the kernel programs stamp flows with. */
    readonly monotonic: () => number;
  };
}

/** Lines a write: a long listing is neither one giant string nor a system call a line. */
const LINES = 1000;

export function writeLines(output: Output, lines: Iterable<string>): void {
  let piece: string[] = [];
  for (const line of lines) {
    piece.push(line, '\n');
    if (piece.length < 2 * LINES) continue;
    output.write(piece.join(''));
    piece = [];
  }
  if (piece.length > 0) output.write(piece.join(''));
}
