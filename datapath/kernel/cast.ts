/**
 * The kernel datapath on stage: packets go through the loaded program by BPF_PROG_TEST_RUN, as if they
 * had come through the host side of the pod. The interfaces lie in a network namespace of their own.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CAST, type Name, type Outcome, Stage } from '../cast.js';
import { addressOf, enterFreshNetwork, openSocket, readAt, unmount } from '../libc.js';
import { type KernelDatapath, openKernelDatapath } from './open.js';
import { type PreparedRun, prepareRun } from './test-run.js';

export const OBJECT = resolve('dist/datapath/kernel/sfc.bpf.o');

/**
 * The program with `file` of its sources changed, compiled below `directory` as the Makefile compiles
 * the real one. Returns the object's path.
 */
export function compileChanged(directory: string, file: string, change: (text: string) => string): string {
  const sources = join(directory, 'bpf');
  const object = join(sources, 'sfc.bpf.o');
  cpSync('datapath/kernel/bpf', sources, { recursive: true });
  writeFileSync(join(sources, file), change(readFileSync(join(sources, file), 'utf8')));
  const { MAKEFLAGS: _, ...env } = process.env; // of the make that runs the tests
  execFileSync('make', ['-s', `BPF_DIRECTORY=${sources}`, `BPF_OBJECT=${object}`, object], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  return object;
}

let interfaces: ReadonlyMap<Name, number> | undefined;

/** Builds the cast's interfaces, once a process, in a network namespace that ends with it. */
function interfaceOf(name: Name): number {
  if (interfaces === undefined) {
    enterFreshNetwork();
    const names = Object.keys(CAST) as Name[];
    // Without addresses of its own the kernel is silent on them: what is seen there is the program's.
    for (const which of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, '1');
    for (const pod of names) {
      execFileSync('ip', ['link', 'add', `v-${pod}`, 'type', 'veth', 'peer', 'name', `p-${pod}`]);
      for (const end of ['v', 'p']) execFileSync('ip', ['link', 'set', `${end}-${pod}`, 'up']);
    }
    const links = JSON.parse(execFileSync('ip', ['-json', 'link', 'show'], { encoding: 'utf8' })) as { ifname: string; ifindex: number }[];
    listener = new Listener();
    interfaces = new Map(names.map((pod) => [pod, links.find(({ ifname }) => ifname === `v-${pod}`)?.ifindex ?? 0]));
  }
  return interfaces.get(name) ?? 0;
}

/** Frames on the cast's interfaces, whichever way they go. */
class Listener {
  readonly #fd: number;
  readonly #room = new Uint8Array(2048);
  readonly #address = addressOf(this.#room);

  /** In the network namespace of this moment. Throws KernelError. */
  constructor() {
    const AF_PACKET = 17;
    const SOCK_RAW_NONBLOCK = 3 | 0x800;
    /** Big-endian, whatever the machine is. */
    const ETH_P_ALL = endianness() === 'LE' ? 0x0300 : 0x0003;
    this.#fd = openSocket(AF_PACKET, SOCK_RAW_NONBLOCK, ETH_P_ALL, 'open a packet socket');
  }

  /** The first frame since the last call; a frame through a veth is seen at both of its ends. */
  first(): Buffer | undefined {
    const length = readAt(this.#fd, this.#address, this.#room.length);
    if (length < 0) return undefined;
    const frame = Buffer.from(this.#room.subarray(0, length));
    while (readAt(this.#fd, this.#address, this.#room.length) >= 0);
    return frame;
  }
}

let listener: Listener | undefined;

/** Opens a datapath of its own; leaves nothing behind when that fails. */
function openIn(directory: string, object: string): KernelDatapath {
  try {
    return openKernelDatapath({ object, pinDirectory: directory, port: 7081, capacities: { sfcflow: 1024, sfcaffinity: 1024 } });
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
const LARGEST = 3584;
const VERDICTS: Readonly<Record<number, string>> = { [-1]: 'pass', 2: 'drop', 7: 'redirect' };

export class KernelStage extends Stage {
  readonly datapath: KernelDatapath;
  readonly #directory: string;
  /** By program and interface. */
  readonly #runs = new Map<string, PreparedRun>();

  constructor(object = OBJECT) {
    const directory = mkdtempSync(join(tmpdir(), 'sfc-kernel-'));
    const datapath = openIn(directory, object);
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

  /** Number of the host side of a pod's interface. */
  ifindexOf(name: Name): number {
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
    return {
      verdict: VERDICTS[run.verdict()] ?? String(run.verdict()),
      frame: Buffer.from(run.output()),
      answer: listener?.first(),
    };
  }
}
