/**
 * Hanging the programs on the host side of a pod's interface, and on the node's own links: as TCX links where the kernel has
 * them (6.6), as clsact filters where not. A pinned TCX link keeps the program attached when the agent is
 * gone, and is given a newer program in one atomic step.
 */

import { rmSync } from 'node:fs';
import { SfcError } from '../../errors/index.js';
import type { AttachedInterface } from '../datapath.js';
import { attachClsact, detachClsact, troubleOfClsact } from './clsact.js';
import type { PinDirectory } from './pins.js';
import { type AttachOrder, PROGRAM_NAMES, PROGRAMS_AT, type ProgramName, type ProgramPlace } from './program.js';
import { attachTcx, troubleOfTcx } from './tcx.js';

export type AttachMethod = Exclude<AttachedInterface['method'], 'tun'>;

/** An interface, and what it is to us. */
export interface Place {
  readonly ifindex: number;
  readonly ifname: string;
  readonly place: ProgramPlace;
}

/** How programs are hung. */
export interface Attachment {
  readonly programs: Readonly<Record<ProgramName, number>>;
  readonly method: AttachMethod;
  readonly order: AttachOrder;
}

/** Attaches the programs of that place; idempotent. Throws `BPF_ATTACH` naming the interface and the errno. */
export function attachPrograms(pins: PinDirectory, { programs, method, order }: Attachment, { ifindex, ifname, place }: Place): void {
  for (const program of PROGRAMS_AT[place]) {
    try {
      if (method === 'tcx') {
        attachTcx(pins, programs[program], ifindex, program, order);
        detachClsact(ifindex, program); // of an agent that ran with the other method: no packet passes two of us
      } else {
        attachClsact(programs[program], ifindex, program, order);
        rmSync(pins.linkPath(ifindex, program), { force: true });
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SfcError('BPF_ATTACH', `${program} on ${ifname} (${method}): ${why}`, { cause });
    }
  }
}

/** What others have done to them, in words; empty when nothing. Throws KernelError. */
export function troubleOf({ programs, method, order }: Attachment, { ifindex, place }: Place): string {
  const trouble = method === 'tcx' ? troubleOfTcx : troubleOfClsact;
  return PROGRAMS_AT[place]
    .map((program) => trouble(programs[program], ifindex, program, order))
    .filter((words) => words !== '')
    .join('; ');
}

/** Removes all programs; an interface or a filter that is gone is fine. */
export function detachPrograms(pins: PinDirectory, ifindex: number, method: AttachMethod): void {
  for (const program of PROGRAM_NAMES) {
    rmSync(pins.linkPath(ifindex, program), { force: true });
    if (method === 'clsact') detachClsact(ifindex, program);
  }
}
