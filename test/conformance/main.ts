/**
 * `make conformance N=1000000 [SEED=…]`: a long run, with a bar. Exit status 1 where the datapaths
 * differ, 130 where it was interrupted.
 */

import { KernelStage } from '../../datapath/kernel/cast.js';
import { UserspaceStage } from '../../datapath/userspace/cast.js';
import { conform, type Finding, findingText } from './conform.js';
import { durationText, Progress } from './progress.js';
import { keepFinding } from './story-files.js';

/** Of one seed; the next seed follows. */
const STORIES = 200;
const USAGE = 64;
const UNAVAILABLE = 69;
const INTERRUPTED = 130;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);
const complain = (text: string): boolean => process.stderr.write(`conformance: ${text}\n`);

process.exitCode = await main(process.argv.slice(2));

async function main([wanted = '1000000', given = '']: readonly string[]): Promise<number> {
  const goal = Number(wanted);
  const first = given === '' ? Date.now() % 2 ** 31 : Number(given);
  if (!Number.isInteger(goal) || goal < 1 || !Number.isInteger(first)) {
    complain('N is a number of packets, SEED a number (make conformance N=1000000 SEED=7)');
    return USAGE;
  }
  if (process.getuid?.() !== 0) {
    complain('it needs root, to load the kernel program (try `sudo make conformance`)');
    return UNAVAILABLE;
  }
  say(`seed ${first}`);
  return run(goal, first);
}

async function run(goal: number, first: number): Promise<number> {
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  const rivals = { kernel: new KernelStage(), userspace: new UserspaceStage() };
  const start = performance.now();
  const progress = new Progress(goal, process.stderr, () => performance.now());
  const reasons = new Set<string>();
  let packets = 0;
  let seed = first;
  let finding: Finding | undefined;
  while (packets < goal && finding === undefined && !interrupt.signal.aborted) {
    const before = packets;
    const onPackets = (sum: number): void => progress.at(before + sum);
    const found = await conform(rivals, { stories: STORIES, seed, onPackets, signal: interrupt.signal });
    packets += found.packets;
    for (const reason of found.reasons) reasons.add(reason);
    finding = found.finding;
    seed += 1;
  }
  progress.end();
  rivals.kernel.close();
  rivals.userspace.close();
  if (finding !== undefined) return tell(finding);
  const done = `${packets} packets on both datapaths in ${durationText((performance.now() - start) / 1000)}, seeds ${first} to ${seed - 1}`;
  say(`${interrupt.signal.aborted ? 'interrupted; ' : ''}no difference: ${done}; reasons reached: ${[...reasons].sort().join(', ')}`);
  return interrupt.signal.aborted ? INTERRUPTED : 0;
}

/** Says what differs, keeps it, and says what to do next. */
function tell(finding: Finding): number {
  say(findingText(finding));
  say(`kept as ${keepFinding(finding)}; \`make conformance N=1 SEED=${finding.seed}\` finds it again.`);
  say('Next: decide by docs/dataplane.md which datapath is right, mend the other, and give the story a name that says what it is about.');
  return 1;
}
