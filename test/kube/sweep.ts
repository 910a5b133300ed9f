/** Takes a cluster away, also one whose harness was killed at any point: everything is found by its name and its directory. */

import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mountsBelow, run } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { cgroupsNamed, removeCgroup } from './cgroups.js';
import { signalTo } from './machine.js';
import { until } from './progress.js';

export interface Swept {
  readonly processes: number;
  readonly mounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly cgroups: readonly string[];
}

/** From whichever checkout they were started. */
const OWN_PROGRAMS = ['/test/kube/machine.sh', '/test/kube/relay.js'];
const OWNER = 'owner';

/** Says that this process is at work in a directory, which is made: until it ends, no other sweeps there. */
export async function claim(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, OWNER), `${process.pid} ${(await processFacts(process.pid))?.start}\n`);
}

/** Parent and time of the start, which tells a process from a later one with the same number. */
async function processFacts(pid: number): Promise<{ readonly parent: number; readonly start: string } | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The second field, a name in brackets, may hold blanks; the parent is the fourth, the start the 22nd.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields && { parent: Number(fields[1]), start: fields[19] ?? '' };
}

/** Throws where a claim is held by another than this process or one that it has started. */
async function refuseAnothers(directory: string): Promise<void> {
  const [owner = '', start] = (await readFile(join(directory, OWNER), 'utf8').catch(() => '')).trim().split(' ');
  const facts = await processFacts(Number(owner));
  if (owner === '' || facts === undefined || facts.start !== start) return;
  for (let pid = Number(owner); pid > 0; pid = (await processFacts(pid))?.parent ?? 0) if (pid === process.pid) return;
  const message = `process ${owner} is at work with the cluster in ${directory}; end it first, or take another name and directory`;
  throw new SfcError('CLUSTER_UNAVAILABLE', message);
}

/**
 * Ends the machines and relays whose files are below the directory (and with a machine all that runs on it), then removes
 * namespaces and cgroups named `<name>-…`, mounts below the directory and the directory. Nothing there: nothing done.
 * Throws `CLUSTER_UNAVAILABLE` where another process that still runs, and is no child of this one, has claimed the directory.
 */
export async function sweep(name: string, directory: string): Promise<Swept> {
  await refuseAnothers(directory);
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
  for (const namespace of namespaces) {
    // What is in none of the machines: clients outside.
    for (const pid of (await run(['ip', 'netns', 'pids', namespace])).stdout.trim().split('\n'))
      if (pid !== '') {
        processes.add(Number(pid));
        signalTo(Number(pid), 'SIGKILL');
      }
    await run(['ip', 'netns', 'delete', namespace]);
  }
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
    const ours = words.some((word) => OWN_PROGRAMS.some((program) => word.endsWith(program)));
    if (ours && words.some((word) => word.startsWith(`${directory}/`))) found.push(Number(entry));
  }
  return found;
}
