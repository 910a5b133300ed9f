/**
 * TCX links (Linux 6.6): a list of programs on each side of an interface, run in its order. A program that answers TCX_NEXT
 * lets the next one have the packet; any other answer is the last word, and those behind it never see the packet. Ours says
 * TCX_NEXT to all that it lets through, so others lose nothing behind it; before it they may answer for it.
 */

import { existsSync, rmSync } from 'node:fs';
import { addressOf, bpf, closeFd, KernelError } from '../libc.js';
import { checked, libbpf } from './libbpf.js';
import type { PinDirectory } from './pins.js';
import { type AttachOrder, type ProgramName, programId } from './program.js';

/** enum bpf_cmd. */
const BPF_PROG_QUERY = 16;
const BPF_LINK_CREATE = 28;
const BPF_LINK_UPDATE = 29;
const BPF_LINK_DETACH = 34;
/** enum bpf_attach_type: BPF_TCX_INGRESS, BPF_TCX_EGRESS. */
const TCX: Readonly<Record<ProgramName, number>> = { from_pod: 46, to_pod: 47, from_uplink: 46 };
/** BPF_F_BEFORE and BPF_F_AFTER without a relative: the head of the list, and its tail. */
const WHERE: Readonly<Record<AttachOrder, number>> = { first: 1 << 3, last: 1 << 4 };
/** Programs of one side, BPF_MPROG_MAX. */
const MOST_PROGRAMS = 64;

function linkCreate(programFd: number, ifindex: number, attachType: number, flags: number): number {
  const attributes = Buffer.alloc(64);
  attributes.writeInt32LE(programFd, 0);
  attributes.writeUInt32LE(ifindex, 4);
  attributes.writeUInt32LE(attachType, 8);
  attributes.writeUInt32LE(flags, 12);
  return bpf(BPF_LINK_CREATE, attributes, `create a TCX link on interface ${ifindex}`);
}

function linkUpdate(linkFd: number, programFd: number): void {
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(linkFd, 0);
  attributes.writeUInt32LE(programFd, 4);
  bpf(BPF_LINK_UPDATE, attributes, 'replace the program of a TCX link');
}

function linkDetach(linkFd: number): void {
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(linkFd, 0);
  bpf(BPF_LINK_DETACH, attributes, 'detach a TCX link');
}

interface LinkInfo {
  /** Of the program. */
  readonly program: number;
  /** 0 when the interface is gone, or somebody has detached the link. */
  readonly ifindex: number;
}

/** struct bpf_link_info: type, id, prog_id, padded, tcx.ifindex. */
function linkInfo(linkFd: number): LinkInfo {
  const info = Buffer.alloc(64);
  checked('read link info', libbpf().objInfo(linkFd, info, [info.length]));
  return { program: info.readUInt32LE(8), ifindex: info.readUInt32LE(16) };
}

/** Numbers of the programs on that side of an interface, in the order in which they run. Throws KernelError. */
function programsOn(ifindex: number, program: ProgramName): number[] {
  const ids = new Uint32Array(MOST_PROGRAMS);
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(ifindex, 0);
  attributes.writeUInt32LE(TCX[program], 4);
  const bytes = new Uint8Array(ids.buffer);
  attributes.writeBigUInt64LE(BigInt(addressOf(bytes)), 16);
  attributes.writeUInt32LE(ids.length, 24);
  try {
    bpf(BPF_PROG_QUERY, attributes, `list the programs of interface ${ifindex}`);
  } catch (error) {
    // Nobody has ever hung one there.
    if (error instanceof KernelError && error.errno === 'ENOENT') return [];
    throw error;
  }
  return [...ids.subarray(0, attributes.readUInt32LE(24))];
}

const isInPlace = (ids: readonly number[], id: number, order: AttachOrder) => (order === 'first' ? ids[0] : ids.at(-1)) === id;

/**
 * Hangs the program there, pinned: the pin keeps it when the agent is gone. A link of an agent before is given this program in
 * one step, where it stands as it should. Where it does not, the new one hangs before the old one goes; the kernel has no
 * program twice in a list, so that the same program has to leave first, and the interface is without it for some microseconds.
 */
export function attachTcx(pins: PinDirectory, programFd: number, ifindex: number, program: ProgramName, order: AttachOrder): void {
  const path = pins.linkPath(ifindex, program);
  if (existsSync(path)) {
    const own = programId(programFd);
    const old = checked(`open ${path}`, libbpf().objGet(path));
    try {
      const info = linkInfo(old);
      if (info.ifindex === ifindex && isInPlace(programsOn(ifindex, program), info.program, order)) {
        if (info.program !== own) linkUpdate(old, programFd);
        return;
      }
      if (info.ifindex === ifindex && info.program !== own) {
        hang(pins, programFd, ifindex, program, order);
        return;
      }
      // Without it the kernel takes the link away a moment later, and has the program twice until then (EEXIST).
      if (info.ifindex !== 0) linkDetach(old);
    } finally {
      closeFd(old);
    }
  }
  hang(pins, programFd, ifindex, program, order);
}

function hang(pins: PinDirectory, programFd: number, ifindex: number, program: ProgramName, order: AttachOrder): void {
  const path = pins.linkPath(ifindex, program);
  const fd = linkCreate(programFd, ifindex, TCX[program], WHERE[order]);
  try {
    rmSync(path, { force: true });
    checked(`pin the link of ${program}`, libbpf().objPin(fd, path));
  } finally {
    closeFd(fd); // the pin holds the link from here on
  }
}

/** What is wrong with our program there, in words; empty when nothing is, or the interface is gone. */
export function troubleOfTcx(programFd: number, ifindex: number, program: ProgramName, order: AttachOrder): string {
  let ids: readonly number[];
  try {
    ids = programsOn(ifindex, program);
  } catch (error) {
    if (error instanceof KernelError && error.errno === 'ENODEV') return '';
    throw error;
  }
  const own = programId(programFd);
  if (!ids.includes(own)) return `somebody has taken ${program} away`;
  return isInPlace(ids, own, order) ? '' : `somebody's program stands ${order === 'first' ? 'before' : 'behind'} ${program}`;
}

/** Forgets pinned links that hang on nothing any more; returns the interfaces that still have all of `programs`. */
export function linkedInterfaces(pins: PinDirectory, programs: readonly ProgramName[]): number[] {
  return pins.linkedInterfaces().filter((ifindex) =>
    programs.every((program) => {
      const path = pins.linkPath(ifindex, program);
      if (!existsSync(path)) return false;
      const fd = checked(`open ${path}`, libbpf().objGet(path));
      const current = linkInfo(fd).ifindex;
      closeFd(fd);
      if (current !== ifindex) rmSync(path);
      return current === ifindex;
    }),
  );
}

/**
 * Does this kernel have TCX links? Asks for one on the loopback interface with a descriptor that is
 * no program: a kernel that knows the attach type says EBADF, one that does not says EINVAL.
 */
export function hasTcx(): boolean {
  try {
    linkCreate(-1, 1, TCX.from_pod, 0);
  } catch (error) {
    return !(error instanceof KernelError && error.errno === 'EINVAL');
  }
  return true;
}
