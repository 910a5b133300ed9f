/** Capturing with the real tcpdump, inside a network namespace. */

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SfcError } from '../errors/index.js';

export interface LiveCaptureOptions {
  /** Name of the network namespace, as `ip netns list` shows it; undefined: this process' own. */
  readonly namespace?: string;
  readonly interface: string;
  /** A pcap-filter expression, for instance `udp port 7081`; empty or absent: everything. */
  readonly filter?: string;
  /**
   * Bytes kept of each packet; by default all (0, tcpdump's own default of 262,144). The buffer holds
   * as many packets as such snapshots fit into it, so a small one loses less under load.
   */
  readonly snapLength?: number;
  /** The pcap file to write. */
  readonly file: string;
}

export interface CaptureStatistics {
  /** Packets written. */
  readonly captured: number;
  /** Packets that matched the filter. */
  readonly received: number;
  /** Packets that matched and were lost for want of buffer. */
  readonly dropped: number;
}

export interface LiveCapture {
  readonly options: LiveCaptureOptions;
  readonly argv: readonly string[];
  readonly pid: number;
  /**
   * Waits until every packet that matched so far is in the file, ends tcpdump and returns its
   * counts. Idempotent. Throws `COMMAND_FAILED` when tcpdump had ended on its own.
   */
  stop(): Promise<CaptureStatistics>;
}

const COUNTS = /(\d+) packets? captured[\s,]+(\d+) packets? received by filter[\s,]+(\d+) packets? dropped by kernel/g;

/** Starts tcpdump and waits until it listens. Throws `COMMAND_FAILED` with tcpdump's words. */
export async function liveCapture(options: LiveCaptureOptions): Promise<LiveCapture> {
  const argv = [
    ...(options.namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${options.namespace}`, '--']),
    // -Z root: a tcpdump that gives up root could not write into the run directory.
    // --immediate-mode: a packet is in the file when it is over, not when a buffer is full.
    ...[
      'tcpdump',
      '-i',
      options.interface,
      '-n',
      '-U',
      '--immediate-mode',
      '-B',
      '8192',
      '-s',
      String(options.snapLength ?? 0),
      '-Z',
      'root',
      '-w',
      options.file,
    ],
    ...(options.filter === undefined || options.filter === '' ? [] : [options.filter]),
  ];
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let heard = '';
  let over = false;
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      over = true;
      resolve();
    });
  });
  const failed = (cause?: unknown) => new SfcError('COMMAND_FAILED', `${argv.join(' ')}: ${heard.trim()}`, { cause });
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      heard += chunk;
      if (heard.includes('listening on ')) resolve();
    });
    child.once('error', (cause) => reject(failed(cause)));
    void ended.then(() => reject(failed()));
  });

  const counts = (): CaptureStatistics[] =>
    [...heard.matchAll(COUNTS)].map(([, captured, received, dropped]) => ({
      captured: Number(captured),
      received: Number(received),
      dropped: Number(dropped),
    }));
  // SIGUSR1 makes tcpdump say its counts and go on: an answer for each question.
  const ask = async (): Promise<CaptureStatistics> => {
    const before = counts().length;
    child.kill('SIGUSR1');
    while (counts().length === before) {
      if (over) throw failed();
      await sleep(5);
    }
    return counts().at(-1) as CaptureStatistics;
  };
  let stopping: Promise<CaptureStatistics> | undefined;
  const stop = async (): Promise<CaptureStatistics> => {
    if (over) throw failed();
    let now = await ask();
    for (let round = 0; now.captured + now.dropped < now.received && round < 200; round++) {
      await sleep(5);
      now = await ask();
    }
    child.kill('SIGTERM');
    await ended;
    return counts().at(-1) ?? now;
  };
  return {
    options,
    argv,
    pid: child.pid ?? -1,
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
