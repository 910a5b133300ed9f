/** The cgroups of a node's pods: made before its kubelet starts, taken away after its end. */

import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { until } from './progress.js';

const ROOT = '/sys/fs/cgroup';

/** One for each controller of cgroup v1, the root itself of v2. */
async function hierarchies(): Promise<string[]> {
  const entries = await readdir(ROOT, { withFileTypes: true });
  if (entries.some(({ name }) => name === 'cgroup.controllers')) return [ROOT];
  // Links are second names of controllers that share a hierarchy.
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(ROOT, name));
}

export async function makeCgroup(name: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const directory = join(hierarchy, name);
    await mkdir(directory, { recursive: true });
    // A new cpuset has no processors and no memory, and takes no process.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const value = await readFile(join(hierarchy, file), 'utf8').catch(() => undefined);
      if (value !== undefined && value.trim() !== '') await writeFile(join(directory, file), value);
    }
    await writeFile(join(hierarchy, 'cgroup.subtree_control'), '+cpuset +cpu +io +memory +pids').catch(() => {});
  }
}

/** Removes a cgroup and those below it, whose processes have ended or are about to. None there: nothing done. */
export async function removeCgroup(name: string): Promise<void> {
  for (const hierarchy of await hierarchies()) {
    const directory = join(hierarchy, name);
    await until(
      async () => ((await removeTree(directory)) ? true : undefined),
      () => new SfcError('COMMAND_FAILED', `processes remain in ${directory}`),
      { withinMs: 20_000 },
    );
  }
}

/** Names of cgroups directly below the root that begin so. */
export async function cgroupsNamed(prefix: string): Promise<string[]> {
  const names = new Set<string>();
  for (const hierarchy of await hierarchies()) for (const name of await readdir(hierarchy)) if (name.startsWith(prefix)) names.add(name);
  return [...names];
}

async function removeTree(directory: string): Promise<boolean> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return true;
  let all = true;
  for (const entry of entries) if (entry.isDirectory()) all = (await removeTree(join(directory, entry.name))) && all;
  if (!all) return false;
  return rmdir(directory).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}
