/** Takes a cluster away, also one whose harness was killed at any point: everything is found by its name and its directory. */

import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mountsBelow, run } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { cgroupsNamed, removeCgroup } from './cgroups.js';
import { MACHINE_SCRIPT, signalTo } from './machine.js';
import { until } from './progress.js';
import { RELAY_PROGRAM } from './relays.js';

export interface Swept {
  readonly processes: number;
  readonly mounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly cgroups: readonly string[];
}

/**
 * Ends the machines and relays whose files are below the directory (and with a machine all that runs on it), then removes
 * namespaces and cgroups named `<name>-…`, mounts below the directory and the directory. Nothing there: nothing done.
 */
export async function sweep(name: string, directory: string): Promise<Swept> {
  const processes = new Set<number>();
  await until(
    async () => {
      const left = await ownProcesses(directory);
      for (const pid of left) {
        processes.add(pid);
        signalTo(pid, 'SIGKILL');
      }
      return left.length === 0 ? true : undefined;
    },
    () => new SfcError('COMMAND_FAILED', `processes of ${directory} do not end`),
    { withinMs: 20_000, everyMs: 20 },
  );
  const namespaces = (await readdir('/run/netns').catch(() => [])).filter((one) => one.startsWith(`${name}-`));
  for (const namespace of namespaces) await run(['ip', 'netns', 'delete', namespace]);
  const cgroups = await cgroupsNamed(`${name}-`);
  for (const cgroup of cgroups) await removeCgroup(cgroup);
  const mounts = await mountsBelow(directory);
  for (const mount of mounts) await run(['umount', '--lazy', '--', mount]);
  await rm(directory, { recursive: true, force: true });
  return { processes: processes.size, mounts, namespaces, cgroups };
}

/** Name and directory of what one process of tests makes. Those of earlier ones, which were killed, are swept away first. */
export async function testPlace(): Promise<{ readonly name: string; readonly directory: string }> {
  const [named, within] = ['sfck', '/var/tmp'];
  for (const entry of await readdir(within)) {
    const [, pid] = new RegExp(`^${named}(\\d+)$`).exec(entry) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await sweep(entry, join(within, entry));
  }
  const name = `${named}${process.pid}`;
  return { name, directory: join(within, name) };
}

/** First processes of machines and relays, and what starts them, by their command lines. */
async function ownProcesses(directory: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const words = line.split('\0');
    const ours = words.includes(MACHINE_SCRIPT) || words.includes(RELAY_PROGRAM);
    if (ours && words.some((word) => word.startsWith(`${directory}/`))) found.push(Number(entry));
  }
  return found;
}
