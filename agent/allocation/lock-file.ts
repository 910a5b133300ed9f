/**
 * A lock that a dead process cannot keep. The file is made with O_EXCL and says who holds it: the
 * pid and that process's start time, so that a reused pid is not taken for the holder.
 *
 * Removing a stale lock is itself guarded by a second O_EXCL file: without it, two processes that
 * both saw the stale lock could each remove it, the slower one removing the faster one's new lock.
 */

import { closeSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';

/** A guard is held for microseconds; one this old (ms) was left by a process that died in between. */
const GUARD_STALE_MS = 10_000;

interface Holder {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of /proc/PID/stat; distinguishes a reused pid. */
  readonly started: string;
}

export interface LockFile {
  /** Removes the file. Idempotent. */
  release(): void;
}

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

/** Who runs under `pid` (a number or `self`); undefined when nobody does. */
function processOf(pid: number | 'self'): Holder | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command in parentheses may itself hold spaces and parentheses: count from its end.
  const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid: Number.parseInt(stat, 10), started: rest[19] ?? '' };
}

function holderOf(text: string): Holder | undefined {
  const match = /^(\d+) (\d+)\n$/.exec(text);
  return match === null ? undefined : { pid: Number(match[1]), started: match[2] ?? '' };
}

function isStale(path: string, text: string): boolean {
  const holder = holderOf(text);
  if (holder !== undefined) return processOf(holder.pid)?.started !== holder.started;
  // Made but not yet written, or damaged: only age tells.
  try {
    return Date.now() - statSync(path).mtimeMs > GUARD_STALE_MS;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return true;
    throw error;
  }
}

function create(path: string, text: string): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'wx', 0o644);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
  try {
    writeSync(descriptor, text);
  } finally {
    closeSync(descriptor);
  }
  return true;
}

function removeStale(path: string): void {
  const guard = `${path}.guard`;
  if (!create(guard, '')) {
    try {
      if (Date.now() - statSync(guard).mtimeMs > GUARD_STALE_MS) rmSync(guard, { force: true });
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error;
    }
    return;
  }
  try {
    const text = readIfThere(path);
    if (text !== undefined && isStale(path, text)) rmSync(path, { force: true });
  } finally {
    rmSync(guard, { force: true });
  }
}

/**
 * Tries once.
 * @returns the lock, or the pid of the live process that holds it (0 while that is being written)
 */
export function tryLock(path: string): LockFile | number {
  const self = processOf('self');
  if (self === undefined) throw new Error('/proc is not mounted');
  const text = `${self.pid} ${self.started}\n`;
  for (let attempt = 0; attempt < 2; attempt++) {
    if (create(path, text)) {
      let held = true;
      return {
        release() {
          if (held) rmSync(path, { force: true });
          held = false;
        },
      };
    }
    const current = readIfThere(path);
    if (current !== undefined && !isStale(path, current)) return holderOf(current)?.pid ?? 0;
    removeStale(path);
  }
  return 0;
}
