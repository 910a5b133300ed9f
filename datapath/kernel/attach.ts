/**
 * Hanging the two programs on the host side of a pod's interface: as TCX links where the kernel has
 * them (6.6), as clsact filters where not (libbpf's bpf_tc_*). A pinned TCX link keeps the program
 * attached when the agent is gone, and is given a newer program in one atomic step.
 */

import { existsSync, rmSync } from 'node:fs';
import { SfcError } from '../../errors/index.js';
import type { AttachedInterface } from '../datapath.js';
import { bpf, closeFd, KernelError } from '../libc.js';
import { checked, libbpf } from './libbpf.js';
import type { PinDirectory } from './pins.js';

/** enum bpf_cmd. */
const BPF_LINK_CREATE = 28;
const BPF_LINK_UPDATE = 29;
/** enum bpf_attach_type: BPF_TCX_INGRESS, BPF_TCX_EGRESS. */
const TCX = { from_pod: 46, to_pod: 47 } as const;
/** enum bpf_tc_attach_point. */
const CLSACT = { from_pod: 1, to_pod: 2 } as const;
const BPF_TC_F_REPLACE = 1;
/** Ours among the filters of an interface: fixed, so that a later agent finds and replaces it. */
const TC_HANDLE = 0x5fc;
const TC_PRIORITY = 0x5fc;

export type ProgramName = keyof typeof TCX;
export const PROGRAM_NAMES = ['from_pod', 'to_pod'] as const satisfies readonly ProgramName[];
export type AttachMethod = Exclude<AttachedInterface['method'], 'tun'>;

function linkCreate(programFd: number, ifindex: number, attachType: number): number {
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(programFd, 0);
  attributes.writeUInt32LE(ifindex, 4);
  attributes.writeUInt32LE(attachType, 8);
  return bpf(BPF_LINK_CREATE, attributes, `create a TCX link on interface ${ifindex}`);
}

function linkUpdate(linkFd: number, programFd: number): void {
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(linkFd, 0);
  attributes.writeUInt32LE(programFd, 4);
  bpf(BPF_LINK_UPDATE, attributes, 'replace the program of a TCX link');
}

/** Interface that a link hangs on; 0 when the interface is gone (struct bpf_link_info, tcx.ifindex). */
function linkInterface(linkFd: number): number {
  const info = Buffer.alloc(64);
  checked('read link info', libbpf().objInfo(linkFd, info, [info.length]));
  return info.readUInt32LE(16);
}

/** struct bpf_tc_hook: size_t sz, int ifindex, enum attach_point, u32 parent, padded. */
function tcHook(ifindex: number, point: number): Buffer {
  const hook = Buffer.alloc(24);
  hook.writeBigUInt64LE(24n, 0);
  hook.writeInt32LE(ifindex, 8);
  hook.writeUInt32LE(point, 12);
  return hook;
}

/** struct bpf_tc_opts: size_t sz, int prog_fd, u32 flags, prog_id, handle, priority, padded. */
function tcOptions(programFd: number, flags: number): Buffer {
  const options = Buffer.alloc(32);
  options.writeBigUInt64LE(32n, 0);
  options.writeInt32LE(programFd, 8);
  options.writeUInt32LE(flags, 12);
  options.writeUInt32LE(TC_HANDLE, 20);
  options.writeUInt32LE(TC_PRIORITY, 24);
  return options;
}

function attachClsact(programFd: number, ifindex: number, program: ProgramName): void {
  const EEXIST = 17;
  const created = Number(libbpf().tcHookCreate(tcHook(ifindex, CLSACT.from_pod | CLSACT.to_pod)));
  if (created < 0 && created !== -EEXIST) throw new KernelError(`add clsact to interface ${ifindex}`, created);
  const hook = tcHook(ifindex, CLSACT[program]);
  checked(`attach ${program} to interface ${ifindex}`, libbpf().tcAttach(hook, tcOptions(programFd, BPF_TC_F_REPLACE)));
}

/** Removes our filter; an interface, a qdisc or a filter that is not there is fine. */
function detachClsact(ifindex: number, program: ProgramName): void {
  libbpf().tcDetach(tcHook(ifindex, CLSACT[program]), tcOptions(0, 0));
}

/** Takes over the pinned link, giving it this agent's program; false when there is none that still hangs on the interface. */
function adoptLink(pins: PinDirectory, programFd: number, ifindex: number, program: ProgramName): boolean {
  const path = pins.linkPath(ifindex, program);
  if (!existsSync(path)) return false;
  const fd = checked(`open ${path}`, libbpf().objGet(path));
  try {
    if (linkInterface(fd) === ifindex) {
      linkUpdate(fd, programFd);
      return true;
    }
  } finally {
    closeFd(fd);
  }
  rmSync(path); // the interface it hung on is gone
  return false;
}

function attachTcx(pins: PinDirectory, programFd: number, ifindex: number, program: ProgramName): void {
  if (adoptLink(pins, programFd, ifindex, program)) return;
  const fd = linkCreate(programFd, ifindex, TCX[program]);
  try {
    checked(`pin the link of ${program}`, libbpf().objPin(fd, pins.linkPath(ifindex, program)));
  } finally {
    closeFd(fd); // the pin holds the link from here on
  }
}

/** Attaches both programs; idempotent. Throws `BPF_ATTACH` naming the interface and the errno. */
export function attachPrograms(
  pins: PinDirectory,
  programs: Readonly<Record<ProgramName, number>>,
  ifindex: number,
  ifname: string,
  method: AttachMethod,
): void {
  for (const program of PROGRAM_NAMES) {
    try {
      if (method === 'tcx') {
        attachTcx(pins, programs[program], ifindex, program);
        detachClsact(ifindex, program); // of an agent that ran with the other method: no packet passes two of us
      } else {
        attachClsact(programs[program], ifindex, program);
        rmSync(pins.linkPath(ifindex, program), { force: true });
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SfcError('BPF_ATTACH', `${program} on ${ifname} (${method}): ${why}`, { cause });
    }
  }
}

/** Removes both programs; an interface or a filter that is gone is fine. */
export function detachPrograms(pins: PinDirectory, ifindex: number, method: AttachMethod): void {
  for (const program of PROGRAM_NAMES) {
    rmSync(pins.linkPath(ifindex, program), { force: true });
    if (method === 'clsact') detachClsact(ifindex, program);
  }
}

/** Forgets pinned links whose interface is gone; returns the interfaces that still have both. */
export function linkedInterfaces(pins: PinDirectory): number[] {
  return pins.linkedInterfaces().filter((ifindex) => {
    for (const program of PROGRAM_NAMES) {
      const path = pins.linkPath(ifindex, program);
      if (!existsSync(path)) return false;
      const fd = checked(`open ${path}`, libbpf().objGet(path));
      const current = linkInterface(fd);
      closeFd(fd);
      if (current !== ifindex) {
        rmSync(path);
        return false;
      }
    }
    return true;
  });
}

const EINVAL = 'EINVAL';

/**
 * Does this kernel have TCX links? Asks for one on the loopback interface with a descriptor that is
 * no program: a kernel that knows the attach type says EBADF, one that does not says EINVAL.
 */
export function hasTcx(): boolean {
  try {
    linkCreate(-1, 1, TCX.from_pod);
  } catch (error) {
    return !(error instanceof KernelError && error.errno === EINVAL);
  }
  return true;
}
