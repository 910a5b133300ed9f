/** The two programs, by name, and which of them the kernel has under a descriptor. */

import { checked, libbpf } from './libbpf.js';

export const PROGRAM_NAMES = ['from_pod', 'to_pod'] as const;
export type ProgramName = (typeof PROGRAM_NAMES)[number];

/** Where ours stand among others' programs on the same side of an interface: those before may answer for those behind. */
export type AttachOrder = 'first' | 'last';

/** The kernel's number of a program: struct bpf_prog_info, type and id. */
export function programId(programFd: number): number {
  const info = Buffer.alloc(256);
  checked('read program info', libbpf().objInfo(programFd, info, [info.length]));
  return info.readUInt32LE(4);
}
