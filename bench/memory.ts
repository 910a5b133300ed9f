/** How much memory does an agent hold at rest? One agent of the walkthrough, a while after it became ready. */

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCluster } from '../demo/cluster.js';
import { buildTestbed, walkthroughCast } from '../demo/testbed/index.js';
import { median } from './statistics.js';

const SAMPLES = 5;

/** Resident bytes, and how many of them are the process's own (/proc/PID/smaps_rollup). */
async function residentBytes(pid: number): Promise<{ readonly resident: number; readonly own: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
  return { resident: field('Rss'), own: field('Private_Clean') + field('Private_Dirty') };
}

/** @param restMs how long it is left alone first, so that what only the start needed is collected */
export async function memoryReport(restMs: number): Promise<string> {
  const testbed = await buildTestbed(walkthroughCast({ prefix: 'sfc-bench' }));
  try {
    const cluster = await startCluster(testbed);
    await cluster.ready();
    await sleep(restMs);
    const { pid } = await cluster.status('node1');
    const samples: { readonly resident: number; readonly own: number }[] = [];
    for (let taken = 0; taken < SAMPLES; taken++) {
      samples.push(await residentBytes(pid));
      await sleep(200);
    }
    await cluster.stop();
    const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
    return [
      `memory of one sfcd at rest (the walkthrough's node1, ${restMs / 1000} s after it became ready)`,
      `  resident  ${mebibytes(median(samples.map(({ resident }) => resident)))} MiB, of which ${mebibytes(median(samples.map(({ own }) => own)))} MiB are its own`,
    ].join('\n');
  } finally {
    await testbed.teardown();
  }
}
