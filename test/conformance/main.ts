/** `make conformance N=1000000 [SEED=…]`: a long run, with a bar. Exit status 1 where the datapaths differ. */

import { KernelStage } from '../../datapath/kernel/cast.js';
import { UserspaceStage } from '../../datapath/userspace/cast.js';
import { conform } from './conform.js';

const STORIES = 200;
const BAR = 40;

const [wanted = '1000000', given] = process.argv.slice(2);
const goal = Number(wanted);
const first = given === undefined || given === '' ? Date.now() % 2 ** 31 : Number(given);
if (!Number.isInteger(goal) || goal < 1 || !Number.isInteger(first)) {
  process.stderr.write('conformance: N is a number of packets, SEED a number (make conformance N=1000000 SEED=7)\n');
  process.exit(64);
}
if (process.getuid?.() !== 0) {
  process.stderr.write('conformance: it needs root, to load the kernel program (try `sudo make conformance`)\n');
  process.exit(69);
}

const rivals = { kernel: new KernelStage(), userspace: new UserspaceStage() };
const reasons = new Set<string>();
let packets = 0;
let failure = '';

const bar = (): void => {
  if (process.stderr.isTTY !== true) return;
  const share = Math.min(1, packets / goal);
  const filled = '█'.repeat(Math.round(share * BAR)).padEnd(BAR, '·');
  process.stderr.write(`\r${filled} ${packets} of ${goal} packets`);
};

process.stdout.write(`seed ${first}\n`);
for (let seed = first; packets < goal && failure === ''; seed += 1) {
  const found = conform(rivals, { stories: STORIES, seed });
  packets += found.packets;
  for (const reason of found.reasons) reasons.add(reason);
  failure = found.failure;
  bar();
}
if (process.stderr.isTTY === true) process.stderr.write('\n');
rivals.kernel.close();
rivals.userspace.close();

const summary = `${packets} packets on both datapaths; reasons reached: ${[...reasons].sort().join(', ')}`;
process.stdout.write(failure === '' ? `no difference: ${summary}\n` : `${failure}\n`);
process.exitCode = failure === '' ? 0 : 1;
