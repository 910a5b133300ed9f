/** Another owner's programs on a pod's interface, for tests. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bpf, closeFd, mountBpffs, unmount } from '../../libc.js';
import { checked, checkedPointer, libbpf, type Pointer } from '../libbpf.js';

const BPF_LINK_CREATE = 28;
/** BPF_TCX_INGRESS: what the pod sends. */
const BPF_TCX_INGRESS = 46;
const BEFORE = 1 << 3;
const PROGRAMS = ['answers', 'passes', 'redirects'] as const;
export type NeighbourProgram = (typeof PROGRAMS)[number];

export class Neighbour {
  readonly #object: Pointer;
  readonly #file: string;
  readonly #pins: string;
  #links: number[] = [];

  /** Compiles and loads them. @param directory for the object */
  constructor(directory: string) {
    this.#file = join(directory, 'neighbours.bpf.o');
    this.#pins = join(directory, 'pins');
    mkdirSync(this.#pins);
    mountBpffs(this.#pins);
    const { MAKEFLAGS: _, ...env } = process.env; // of the make that runs the tests
    const source = 'datapath/kernel/neighbours/neighbours.bpf.c';
    execFileSync('make', ['-s', `BPF_SOURCES=${source}`, `BPF_SOURCE=${source}`, `BPF_OBJECT=${this.#file}`, this.#file], { env });
    this.#object = checkedPointer('open the neighbours', libbpf().objectOpenFile(this.#file, null));
    checked('load the neighbours', libbpf().objectLoad(this.#object));
  }

  #program(name: NeighbourProgram): number {
    return checked(name, libbpf().programFd(checkedPointer(name, libbpf().findProgram(this.#object, name))));
  }

  /** Packets that the program has seen. */
  seen(name: NeighbourProgram): number {
    const value = Buffer.alloc(8);
    const map = checked('seen', libbpf().mapFd(checkedPointer('seen', libbpf().findMap(this.#object, 'seen'))));
    checked('seen', libbpf().mapLookup(map, Buffer.from(Uint32Array.of(PROGRAMS.indexOf(name)).buffer), value));
    return Number(value.readBigUInt64LE());
  }

  /** A link on what the pod sends: before all others, or behind them. */
  hangLink(name: NeighbourProgram, ifindex: number, where: 'before' | 'behind'): void {
    const attributes = Buffer.alloc(64);
    attributes.writeUInt32LE(this.#program(name), 0);
    attributes.writeUInt32LE(ifindex, 4);
    attributes.writeUInt32LE(BPF_TCX_INGRESS, 8);
    attributes.writeUInt32LE(where === 'before' ? BEFORE : 0, 12);
    this.#links.push(bpf(BPF_LINK_CREATE, attributes, 'hang a neighbour'));
  }

  /** Gives a pinned link of ours a program of its own. */
  takeLink(path: string, name: NeighbourProgram): void {
    const BPF_LINK_UPDATE = 29;
    const link = checked(path, libbpf().objGet(path));
    const attributes = Buffer.alloc(64);
    attributes.writeUInt32LE(link, 0);
    attributes.writeUInt32LE(this.#program(name), 4);
    bpf(BPF_LINK_UPDATE, attributes, 'take a link over');
    closeFd(link);
  }

  /** A filter on what the pod sends, as tc(8) adds it. @param priority 0: the kernel's choice, as Calico has it */
  hangFilter(name: NeighbourProgram, ifname: string, priority: number): void {
    const preference = priority === 0 ? [] : ['pref', String(priority)];
    const pin = join(this.#pins, name);
    checked('pin', libbpf().objPin(this.#program(name), pin));
    try {
      execFileSync('tc', ['filter', 'add', 'dev', ifname, 'ingress', ...preference, 'bpf', 'direct-action', 'pinned', pin]);
    } finally {
      rmSync(pin, { force: true });
    }
  }

  /** Their links go. Filters go with the interface. */
  leave(): void {
    for (const link of this.#links) closeFd(link);
    this.#links = [];
  }

  /** And what was loaded. */
  close(): void {
    this.leave();
    libbpf().objectClose(this.#object);
    unmount(this.#pins);
  }
}
