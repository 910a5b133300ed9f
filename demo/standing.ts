/**
 * Where the demo stands: as root of the machine, or as root of a user namespace, where everything
 * that it makes is out of everybody's way and only the userspace datapath can be had. A user who is neither gets a
 * namespace (unshare(1)); in one, /run becomes a directory of its own, for the named network namespaces.
 */

import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Machine } from './requirements.js';
import { run } from './testbed/index.js';

/** Set in the environment once the namespaces are there: the demo's prefix. */
const INSIDE = 'SFC_DEMO_INSIDE';

/**
 * The unshare(1) flags that are still needed; none: stay here. User 1000 with every capability and not root, whatever
 * the user's own number: tcpdump started as root gives up root with setgroups(2), which a user namespace refuses.
 */
export function namespacesToMake(machine: Pick<Machine, 'uid' | 'initialUserNamespace'>, inside: boolean): readonly string[] {
  if (inside || (machine.uid === 0 && machine.initialUserNamespace)) return [];
  return ['--user', '--map-user=1000', '--map-group=1000', '--keep-caps', '--net', '--mount'];
}

export function isInside(): boolean {
  return process.env[INSIDE] !== undefined;
}

/** Why this user may not make these namespaces, with what to do about it; undefined: they can be made. */
export function whyNoNamespaces(flags: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', [...flags, '--', 'true'], { encoding: 'utf8' });
  if (status === 0) return undefined;
  const words = (error?.message ?? stderr).trim().split('\n')[0];
  return `${words} (user namespaces are switched off for this user: see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns, or run \`sudo make demo\`)`;
}

/** Runs this program again inside new namespaces and resolves with its exit status. Signals are passed on. */
export function runInside(flags: readonly string[], prefix: string): Promise<number> {
  const program = fileURLToPath(new URL('./main.js', import.meta.url));
  const argv = [...flags, '--', process.execPath, program, ...process.argv.slice(2)];
  const child = spawn('unshare', argv, { stdio: 'inherit', env: { ...process.env, [INSIDE]: prefix } });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      for (const signal of signals) process.removeAllListeners(signal);
      resolve(code ?? 1);
    });
  });
}

/**
 * Keeps a demo until it has been looked at: a shell in its namespaces until that ends, or without a terminal until
 * `signal`. (nsenter(1) from outside would arrive without capabilities: execve(2) leaves them to root, and there is none.)
 */
export function lookAround(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (process.stdin.isTTY !== true) return;
    const shell = spawn(process.env.SHELL ?? '/bin/sh', { stdio: 'inherit' });
    shell.once('error', reject).once('exit', () => resolve());
  });
}

/** A /run of our own, gone with the namespace. Throws `COMMAND_FAILED`. */
export async function makeOwnRun(): Promise<void> {
  await run(['mount', '-t', 'tmpfs', 'tmpfs', '/run']);
}

/** Ends what a killed demo with this prefix left in its namespaces, which go with it. Returns how many processes. */
export function endInside(prefix: string): number {
  const mine = readdirSync('/proc').filter((name) => {
    if (!/^[0-9]+$/.test(name) || name === String(process.pid)) return false;
    try {
      return readFileSync(`/proc/${name}/environ`, 'utf8').split('\0').includes(`${INSIDE}=${prefix}`);
    } catch {
      return false; // Somebody else's, or gone.
    }
  });
  for (const pid of mine) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // Gone since.
    }
  }
  return mine.length;
}
