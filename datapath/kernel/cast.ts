/**
 * The kernel datapath on stage: packets go through the loaded program by BPF_PROG_TEST_RUN, as if they
 * had come through the host side of the pod. The interfaces lie in a network namespace of their own.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CAST, type Name, type Outcome, Stage } from '../cast.js';
import { enterFreshNetwork, unmount } from '../libc.js';
import { type KernelDatapath, openKernelDatapath } from './open.js';
import { type PreparedRun, prepareRun } from './test-run.js';

export const OBJECT = resolve('dist/datapath/kernel/sfc.bpf.o');

let interfaces: ReadonlyMap<Name, number> | undefined;

/** Builds the cast's interfaces, once a process, in a network namespace that ends with it. */
function interfaceOf(name: Name): number {
  if (interfaces === undefined) {
    enterFreshNetwork();
    const names = Object.keys(CAST) as Name[];
    for (const pod of names) execFileSync('ip', ['link', 'add', `v-${pod}`, 'type', 'veth', 'peer', 'name', `p-${pod}`]);
    const links = JSON.parse(execFileSync('ip', ['-json', 'link', 'show'], { encoding: 'utf8' })) as { ifname: string; ifindex: number }[];
    interfaces = new Map(names.map((pod) => [pod, links.find(({ ifname }) => ifname === `v-${pod}`)?.ifindex ?? 0]));
  }
  return interfaces.get(name) ?? 0;
}

/** Opens a datapath of its own; leaves nothing behind when that fails. */
function openIn(directory: string): KernelDatapath {
  try {
    return openKernelDatapath({ object: OBJECT, pinDirectory: directory, port: 7081, capacities: { sfcflow: 1024, sfcaffinity: 1024 } });
  } catch (error) {
    takeAway(directory);
    throw error;
  }
}

function takeAway(directory: string): void {
  unmount(directory);
  rmSync(directory, { recursive: true, force: true });
}

/** Bytes of a frame: less than a page, which is all that BPF_PROG_TEST_RUN has room for. */
const LARGEST = 3072;
const VERDICTS: Readonly<Record<number, string>> = { [-1]: 'pass', 2: 'drop', 7: 'redirect' };

export class KernelStage extends Stage {
  readonly datapath: KernelDatapath;
  readonly #directory: string;
  /** By program and interface. */
  readonly #runs = new Map<string, PreparedRun>();

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), 'sfc-kernel-'));
    const datapath = openIn(directory);
    super(datapath.store);
    this.datapath = datapath;
    this.#directory = directory;
  }

  close(): void {
    this.datapath.remove();
    this.datapath.close();
    takeAway(this.#directory);
  }

  protected interfaceOf(name: Name): number {
    return interfaceOf(name);
  }

  protected policyChanged(): void {
    this.datapath.policyChanged();
  }

  protected process(program: 'from_pod' | 'to_pod', bytes: Uint8Array, ifindex: number): Omit<Outcome, 'counted'> {
    const key = `${program} ${ifindex}`;
    const run = this.#runs.get(key) ?? prepareRun(this.datapath.programs[program], new Uint8Array(LARGEST), ifindex);
    this.#runs.set(key, run);
    run.frame.set(bytes);
    run.run(1, bytes.length);
    return { verdict: VERDICTS[run.verdict()] ?? String(run.verdict()), frame: Buffer.from(run.output()) };
  }
}
