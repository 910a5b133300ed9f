/**
 * A machine of the cluster: a network namespace, and inside it the first process of a PID, a mount and a UTS namespace
 * (machine.sh). Programs are started into all four. When the first process ends, the kernel ends every other one and takes all
 * mounts away: a machine without power, and what remains of it are its files and its cgroups.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT } from '../../demo/project.js';
import { type RunOptions, type RunResult, run } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { until } from './progress.js';

/** A sweep finds it in command lines, with the machine's directory after it. */
const MACHINE_SCRIPT = join(PROJECT, 'test/kube/machine.sh');

/** Programs look for others that only root runs. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

export interface MachineOptions {
  readonly name: string;
  /** Name of its network namespace, which is there already. */
  readonly namespace: string;
  /** Absolute. Of its own, made if need be. */
  readonly directory: string;
  /** A node has its own /etc, /run, /sys and /var/lib; anything else sees the host's files. */
  readonly kind: 'node' | 'plain';
}

export interface Machine {
  readonly name: string;
  readonly namespace: string;
  readonly directory: string;
  /** Of its first process, as the host counts. */
  readonly pid: number;
  /** Where the host finds a file that the machine sees at this absolute path. */
  pathOf(path: string): string;
  /** The argument vector that runs `argv` there. */
  inside(argv: readonly string[]): readonly string[];
  /** Runs a command there, to its end. Throws `COMMAND_FAILED`. */
  run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a program there, its output into `<directory>/<name>.log`. It outlives this process. */
  start(name: string, argv: readonly string[], env?: Readonly<Record<string, string>>): Program;
  /** Takes the power away. Idempotent; returns when every process of it has ended. */
  stop(): Promise<void>;
}

/** A program that runs on a machine. */
export interface Program {
  readonly log: string;
  readonly ended: Promise<void>;
  running(): boolean;
  /** Sends a signal to the program and waits for its end. A program that has ended needs none. */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** The end of its log, for a message. */
  lastWords(lines?: number): Promise<string>;
}

export async function startMachine({ name, namespace, directory, kind }: MachineOptions): Promise<Machine> {
  await mkdir(directory, { recursive: true });
  const pidFile = join(directory, 'pid');
  await rm(pidFile, { force: true });
  const log = openSync(join(directory, 'machine.log'), 'a');
  const unshare = ['unshare', '--pid', '--mount', '--uts', '--fork', '--', 'bash', MACHINE_SCRIPT, directory, name, kind];
  const holder = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...unshare], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  holder.unref();
  const ended = endOf(holder);
  const pid = await until(
    async () => {
      if (holder.exitCode !== null) throw new SfcError('COMMAND_FAILED', `${name}: ${await tail(join(directory, 'machine.log'), 5)}`);
      return readFile(pidFile, 'utf8').then(Number, () => undefined);
    },
    () => new SfcError('COMMAND_FAILED', `${name} does not start; see ${directory}/machine.log`),
    { withinMs: 20_000, everyMs: 10 },
  );
  // --wd: a directory of the host may not be there.
  const inside = (argv: readonly string[]) => ['nsenter', `--target=${pid}`, '--net', '--pid', '--mount', '--uts', '--wd=/', '--', ...argv];
  return {
    name,
    namespace,
    directory,
    pid,
    pathOf: (path) => join(`/proc/${pid}/root`, path),
    inside,
    run: (argv, options) => run(inside(argv), options),
    start: (program, argv, env) => startProgram(inside(argv), join(directory, `${program}.log`), env),
    async stop() {
      if (holder.exitCode === null && holder.signalCode === null) process.kill(pid, 'SIGKILL');
      await ended;
    },
  };
}

function startProgram(argv: readonly string[], log: string, env: Readonly<Record<string, string>> = {}): Program {
  const [command = '', ...args] = argv;
  const output = openSync(log, 'a');
  const child = spawn(command, args, { detached: true, stdio: ['ignore', output, output], env: { ...process.env, PATH, ...env } });
  closeSync(output);
  child.unref();
  const ended = endOf(child);
  const running = () => child.exitCode === null && child.signalCode === null;
  return {
    log,
    ended,
    running,
    async end(signal = 'SIGTERM') {
      // nsenter enters the PID namespace by a child of its own and hands no signal on.
      while (running()) {
        const [program] = await childrenOf(child.pid);
        if (program !== undefined) {
          signalTo(program, signal);
          break;
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await ended;
    },
    lastWords: (lines = 10) => tail(log, lines),
  };
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.on('exit', () => resolve());
    child.on('error', () => resolve());
  });
}

async function childrenOf(pid: number | undefined): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Sends a signal; a process that is gone needs none. */
export function signalTo(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function tail(file: string, lines: number): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}
