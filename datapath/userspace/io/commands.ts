/** Running ip(8) and tc(8) with many commands at once. */

import { spawnSync } from 'node:child_process';
import { SfcError } from '../../../errors/index.js';

function run(
  program: 'ip' | 'tc',
  args: readonly string[],
  input = '',
): { readonly status: number; readonly out: string; readonly words: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8', timeout: 30_000 });
  if (error !== undefined) throw new SfcError('COMMAND_FAILED', `${program} ${args.join(' ')}: ${error.message}`, { cause: error });
  return { status: status ?? -1, out: stdout, words: stderr.trim() };
}

/** One command a line, each word without white space. Throws `COMMAND_FAILED` with the program's own words; what came before stays done. */
export function batch(program: 'ip' | 'tc', lines: readonly string[]): void {
  if (lines.length === 0) return;
  const { status, words } = run(program, ['-batch', '-'], `${lines.join('\n')}\n`);
  if (status !== 0) throw new SfcError('COMMAND_FAILED', `${program}: ${words}`);
}

/** The same for what may be gone already: every line is tried, refusals are none of ours. */
export function batchLeniently(program: 'ip' | 'tc', lines: readonly string[]): void {
  if (lines.length > 0) run(program, ['-force', '-batch', '-'], `${lines.join('\n')}\n`);
}

/** What a listing with `-j` shows, nothing when the device is gone. Throws `COMMAND_FAILED`. */
export function list(program: 'ip' | 'tc', args: readonly string[]): readonly Readonly<Record<string, unknown>>[] {
  const { status, out, words } = run(program, ['-j', ...args]);
  if (status !== 0 && /Cannot find device|does not exist/.test(words)) return [];
  if (status !== 0) throw new SfcError('COMMAND_FAILED', `${program} ${args.join(' ')}: ${words}`);
  return out.trim() === '' ? [] : (JSON.parse(out) as Record<string, unknown>[]);
}
