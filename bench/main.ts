/** `make bench`: every benchmark, or the named ones (`node dist/bench/main.js packets`). */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { machineLine } from './machine.js';
import { memoryReport } from './memory.js';
import { packetReport } from './packet-report.js';
import { measurePackets } from './packets.js';
import { throughputReport } from './throughput.js';

const BENCHMARKS = ['packets', 'throughput', 'memory'] as const;
type Benchmark = (typeof BENCHMARKS)[number];

const say = (text = ''): boolean => process.stdout.write(`${text}\n`);

/** On a terminal one line that changes; nothing where nobody watches. */
function progress(title: string): (done: number, of: number) => void {
  if (process.stderr.isTTY !== true) return () => {};
  return (done, of) => process.stderr.write(`\r${title}: ${done} of ${of}${done === of ? '\n' : ''}`);
}

/** Runs this program again in a network and mount namespace of its own: nothing to clean up. */
function inOwnNamespace(benchmark: Benchmark): void {
  const again = [process.execPath, fileURLToPath(import.meta.url), '--inside', benchmark];
  const { status, signal } = spawnSync('unshare', ['--net', '--mount', ...again], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${benchmark}: ${signal ?? `exit ${status}`}`);
}

async function bench(benchmark: Benchmark): Promise<void> {
  if (benchmark === 'packets') inOwnNamespace(benchmark);
  else if (benchmark === 'throughput') say(await throughputReport(progress('throughput, turn')));
  else say(await memoryReport());
}

const args = process.argv.slice(2);
if (args[0] === '--inside') say(packetReport(measurePackets(500, 40, progress('packets, turn'))));
else {
  const unknown = args.filter((name) => !(BENCHMARKS as readonly string[]).includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`bench: no benchmark ${unknown.join(', ')}; there are ${BENCHMARKS.join(', ')}\n`);
    process.exit(64);
  }
  say(machineLine());
  for (const name of BENCHMARKS) {
    if (args.length > 0 && !args.includes(name)) continue;
    say();
    await bench(name);
  }
}
