/**
 * Running system commands: argument vectors only, never a shell line, so that no name in a blueprint
 * can be read as syntax. `nsenter --net` is used and not `ip netns exec`: the latter mounts a fresh
 * /sys, which would hide the agent's pinned maps.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { SfcError } from '../../errors/index.js';

export interface RunOptions {
  /** Written to the command's standard input, which is then closed. */
  readonly stdin?: string;
  /** Milliseconds until the command is killed; default 60,000. */
  readonly timeout?: number;
  /** Exit statuses that are no failure; default `[0]`. */
  readonly accept?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
}

/** The command as a reader would type it. For people; never handed to a shell. */
export function commandLine(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

/** Runs a command to its end. Throws `COMMAND_FAILED` with its own words when it fails. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new SfcError('COMMAND_FAILED', 'an empty command');
  const { promise, resolve, reject } = deferred<RunResult>();
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeout ?? 60_000,
    killSignal: 'SIGKILL',
    env: { ...process.env, ...options.env },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that ends without reading all its input is judged by its exit status, not by EPIPE.
  child.stdin.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') reject(error);
  });
  child.stdin.end(options.stdin ?? '');
  child.on('error', (cause) => reject(new SfcError('COMMAND_FAILED', `${commandLine(argv)}: ${cause.message}`, { cause })));
  child.on('close', (code, signal) => {
    const result = { stdout: text(stdout), stderr: text(stderr), status: code ?? -1 };
    if ((options.accept ?? [0]).includes(result.status)) resolve(result);
    else {
      const how = signal === null ? `exit ${code}` : `signal ${signal}`;
      const words = (result.stderr.trim() || result.stdout.trim()).slice(0, 4000);
      reject(new SfcError('COMMAND_FAILED', `${commandLine(argv)}: ${how}${words === '' ? '' : `: ${words}`}`));
    }
  });
  return promise;
}

/** The argument vector that runs `argv` inside a named network namespace. */
export function namespaced(namespace: string, argv: readonly string[]): readonly string[] {
  return ['nsenter', `--net=/run/netns/${namespace}`, '--', ...argv];
}

/** Runs a command inside a named network namespace, to its end. Throws `COMMAND_FAILED`. */
export function inNamespace(namespace: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run(namespaced(namespace, argv), options);
}

/** A program that keeps running inside a namespace. */
export interface Background {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves when the program has ended, however it did. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Everything it has written to standard error so far (the last 64 KiB). */
  stderr(): string;
  /** This process may end without it. */
  release(): void;
  /** SIGTERM, then SIGKILL after `graceMs` (default 3000). Idempotent. */
  stop(graceMs?: number): Promise<void>;
}

/** Starts a program inside a named network namespace. It is this process' child and is stopped with `stop()`. */
export function startInNamespace(
  namespace: string,
  argv: readonly string[],
  options: {
    readonly stdout?: 'pipe' | number;
    readonly stderr?: number;
    readonly detached?: boolean;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Background {
  const [program = '', ...args] = namespaced(namespace, argv);
  const child = spawn(program, args, {
    // Detached: in a process group of its own, where a terminal's ^C does not reach it.
    detached: options.detached ?? false,
    stdio: ['ignore', options.stdout ?? 'ignore', options.stderr ?? 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let heard = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    heard = (heard + chunk).slice(-65_536);
  });
  const { promise: ended, resolve } = deferred<{ code: number | null; signal: NodeJS.Signals | null }>();
  child.on('error', (error) => {
    heard += error.message;
    resolve({ code: -1, signal: null });
  });
  child.on('close', (code, signal) => resolve({ code, signal }));
  return {
    pid: child.pid ?? -1,
    child,
    ended,
    stderr: () => heard,
    release: () => child.unref(),
    async stop(graceMs = 3000) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** `Promise.withResolvers` of later Node versions. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}
