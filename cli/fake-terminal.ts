/** Types a line at `sfc` and keeps what it prints. For tests. */

import { run } from './run.js';

export interface Outcome {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

export interface Terminal {
  readonly environment?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
}

/** @param line words after `sfc`, one space apart */
export async function typed(line: string, { environment = {}, isTTY = false }: Terminal = {}): Promise<Outcome> {
  const outcome = { out: '', err: '' };
  const exit = await run(line.split(' ').filter(Boolean), {
    out: { isTTY, write: (text) => (outcome.out += text) },
    err: { isTTY, write: (text) => (outcome.err += text) },
    environment,
    version: '0.1.0',
    // 3 h 4 min after the agent of api/fake-view.ts started, 12 s after it saw its flow.
    clock: { wall: () => Date.parse('2026-01-02T06:08:05.000Z'), monotonic: () => 17_000_000_000 },
  });
  return { exit, ...outcome };
}
