/**
 * The kernel datapath on stage: packets go through the loaded program by BPF_PROG_TEST_RUN, as if they
 * had come through the host side of the pod. The interfaces lie in a network namespace of their own.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CAST, type Name, type Outcome, Stage } from '../cast.js';
import { enterFreshNetwork, unmount } from './libc.js';
import { type KernelDatapath, openKernelDatapath } from './open.js';
import { testRun } from './test-run.js';

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

const VERDICTS: Readonly<Record<number, string>> = { [-1]: 'pass', 2: 'drop', 7: 'redirect' };

export class KernelStage extends Stage {
  readonly datapath: KernelDatapath;
  readonly #directory: string;

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), 'sfc-kernel-'));
    const datapath = openKernelDatapath({ object: OBJECT, pinDirectory: directory, port: 7081, capacities: { sfcflow: 1024 } });
    super(datapath.store);
    this.datapath = datapath;
    this.#directory = directory;
  }

  close(): void {
    this.datapath.remove();
    this.datapath.close();
    unmount(this.#directory);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  protected interfaceOf(name: Name): number {
    return interfaceOf(name);
  }

  protected policyChanged(): void {
    this.datapath.policyChanged();
  }

  protected process(program: 'from_pod' | 'to_pod', bytes: Uint8Array, ifindex: number): Omit<Outcome, 'counted'> {
    const result = testRun(this.datapath.programs[program], bytes, ifindex);
    return { verdict: VERDICTS[result.verdict] ?? String(result.verdict), frame: Buffer.from(result.frame) };
  }
}
