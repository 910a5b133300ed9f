/** Taking a testbed away, also one whose builder was killed: everything is found by its prefix. */

import { readdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './command.js';

export interface Cleaned {
  readonly namespaces: readonly string[];
  readonly processes: readonly number[];
  readonly mounts: readonly string[];
}

/**
 * Removes every namespace named `<prefix>-…`, the processes inside them, and `/run/<prefix>` with
 * what is mounted below it (the agents' bpffs: with it go pinned maps and links). Nothing there: nothing
 * done. Processes in other namespaces are never touched. A prefix that begins with another one and a
 * dash is taken for it: `a` sweeps `a-b` away too.
 */
export async function cleanLeftovers(prefix: string): Promise<Cleaned> {
  const namespaces = (await entries('/run/netns')).filter((name) => name.startsWith(`${prefix}-`));
  const processes: number[] = [];
  for (const name of namespaces) processes.push(...(await endProcesses(name)));
  const directory = `/run/${prefix}`;
  const mounts = await mountsBelow(directory);
  for (const mount of mounts) await run(['umount', '--', mount]);
  await rm(directory, { recursive: true, force: true });
  for (const name of namespaces) await run(['ip', 'netns', 'delete', name]);
  return { namespaces, processes, mounts };
}

async function processesIn(namespace: string): Promise<number[]> {
  // A namespace file that was never mounted (its maker was killed in between) has no processes.
  const { stdout } = await run(['ip', 'netns', 'pids', namespace], { accept: [0, 1, 255] });
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** SIGTERM, a moment to write the last buffers, SIGKILL to what is left; waits until none is left. */
async function endProcesses(namespace: string): Promise<number[]> {
  const found = await processesIn(namespace);
  for (const pid of found) signal(pid, 'SIGTERM');
  for (let left = found, round = 0; left.length > 0 && round < 100; round++) {
    if (round >= 40) for (const pid of left) signal(pid, 'SIGKILL');
    await sleep(25);
    left = await processesIn(namespace);
  }
  return found;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Mount points below a directory, the deepest first. */
export async function mountsBelow(directory: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))))
    .filter((mount) => mount.startsWith(`${directory}/`))
    .sort((one, other) => other.length - one.length);
}

async function entries(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
