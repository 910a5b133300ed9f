/**
 * `make bench`: every benchmark, or the named ones (`make bench BENCH=packets`). `--quick` runs each
 * just long enough to see that it works; `--save FILE` also writes what was printed as a page.
 */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { machineLine } from './machine.js';
import { matcherReport } from './matcher-report.js';
import { memoryReport } from './memory.js';
import { packetReport } from './packet-report.js';
import { measurePackets } from './packets.js';
import { pipelineReport } from './pipeline-report.js';
import { startsReport } from './starts.js';
import { throughputReport } from './throughput.js';
import { watchReport } from './watch.js';

const BENCHMARKS = ['packets', 'pipeline', 'matcher', 'throughput', 'starts', 'memory', 'watch'] as const;
type Benchmark = (typeof BENCHMARKS)[number];
/** Only where it is named: it needs the programs of Kubernetes (`make test-kube` builds them), 12 GiB of memory and half an hour. */
const ONLY_BY_NAME: readonly Benchmark[] = ['watch'];
/** Those that run without root, too. */
const FOR_EVERYBODY: readonly string[] = ['pipeline', 'matcher'];

const USAGE = 64;
const flag = (name: string): string[] => (args.includes(name) ? args.splice(args.indexOf(name), 1) : []);
const option = (name: string): string | undefined => (args.includes(name) ? args.splice(args.indexOf(name), 2)[1] : undefined);

/** On a terminal one line that changes; nothing where nobody watches. */
function progress(title: string): (done: number, of: number) => void {
  if (process.stderr.isTTY !== true) return () => {};
  return (done, of) => process.stderr.write(`\r${title} ${done} of ${of}${done === of ? '\n' : ''}`);
}

/** Runs this program again in a network and mount namespace of its own: nothing to clean up. */
function inOwnNamespace(benchmark: Benchmark): string {
  const again = [process.execPath, fileURLToPath(import.meta.url), '--inside', benchmark, ...(quick ? ['--quick'] : [])];
  const { status, signal, stdout } = spawnSync('unshare', ['--net', '--mount', ...again], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${benchmark}: ${signal ?? `exit ${status}`}`);
  return stdout.trimEnd();
}

function bench(benchmark: Benchmark): string | Promise<string> {
  if (benchmark === 'packets') return inOwnNamespace(benchmark);
  if (benchmark === 'pipeline')
    return pipelineReport(quick ? { packets: 200, rounds: 1 } : { packets: 20_000, rounds: 31 }, progress('pipeline: round'));
  if (benchmark === 'matcher')
    return matcherReport(
      quick ? { sizes: [1, 100], rounds: 1 } : { sizes: [1, 100, 16_384, 100_000, 1_000_000], rounds: 9 },
      progress('matcher: table'),
    );
  if (benchmark === 'throughput')
    return throughputReport(quick ? { turns: 1, seconds: 1 } : { turns: 3, seconds: 3 }, progress('throughput: turn'));
  if (benchmark === 'starts')
    return startsReport(quick ? { count: 6, parallel: 2 } : { count: 1000, parallel: 4 }, progress('starts: pod'));
  if (benchmark === 'watch') {
    const full = { agents: 1000, nodes: 1000, selectors: 1000, chains: 10, processes: 4, changes: 5, restMs: 60_000 };
    const tell = (title: string, done: number, of: number) => progress(title)(done, of);
    return watchReport(quick ? { agents: 10, nodes: 10, selectors: 20, chains: 2, processes: 2, changes: 1, restMs: 1000 } : full, tell);
  }
  return memoryReport(quick ? 0 : 10_000);
}

function page(text: string): string {
  return `<!-- Written by \`make bench-save\`. Do not edit. -->

# Benchmarks

As \`make bench\` printed it on ${new Date().toISOString().slice(0, 10)}. What each figure means, and how it is measured, stands at the head of
its file in [bench/](../../bench). Only ratios within one run compare with other machines.

\`\`\`
${text}
\`\`\`
`;
}

const args = process.argv.slice(2);
const quick = flag('--quick').length > 0;
const inside = option('--inside');
const save = option('--save');
const unknown = args.filter((name) => !(BENCHMARKS as readonly string[]).includes(name));
const wanted = BENCHMARKS.filter((name) => (args.length === 0 ? !ONLY_BY_NAME.includes(name) : args.includes(name)));

if (inside !== undefined) {
  process.stdout.write(`${packetReport(quick ? measurePackets(20, 2, () => {}) : measurePackets(500, 40, progress('packets: turn')))}\n`);
} else if (unknown.length > 0) {
  process.stderr.write(`bench: no benchmark ${unknown.join(', ')}; there are ${BENCHMARKS.join(', ')}\n`);
  process.exitCode = USAGE;
} else if (process.getuid?.() !== 0 && wanted.some((name) => !FOR_EVERYBODY.includes(name))) {
  process.stderr.write(
    `bench: it needs root, to make network namespaces and load BPF programs (try \`sudo make bench\`); only ${FOR_EVERYBODY.join(' and ')} do not\n`,
  );
  process.exitCode = 69;
} else {
  const said: string[] = [];
  const say = (text: string) => {
    said.push(text);
    process.stdout.write(`${text}\n`);
  };
  say(machineLine());
  for (const name of wanted) {
    say('');
    say(await bench(name));
  }
  if (save !== undefined) writeFileSync(save, page(said.join('\n')));
}
