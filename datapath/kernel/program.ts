/** The programs, by name, where they hang, and which of them the kernel has under a descriptor. */

import { checked, libbpf } from './libbpf.js';

/** On the host side of a pod's interface; on a link of the node's own. */
export const PROGRAMS_AT = { pod: ['from_pod', 'to_pod'], uplink: ['from_uplink'] } as const;
export type ProgramPlace = keyof typeof PROGRAMS_AT;
export const PROGRAM_NAMES = [...PROGRAMS_AT.pod, ...PROGRAMS_AT.uplink] as const;
export type ProgramName = (typeof PROGRAM_NAMES)[number];

/** Where ours stand among others' programs on the same side of an interface: those before may answer for those behind. */
export type AttachOrder = 'first' | 'last';

/** The kernel's number of a program: struct bpf_prog_info, type and id. */
export function programId(programFd: number): number {
  const info = Buffer.alloc(256);
  checked('read program info', libbpf().objInfo(programFd, info, [info.length]));
  return info.readUInt32LE(4);
}
