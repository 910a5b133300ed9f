/** The floor's programs, loaded: see floor.bpf.c. */

import { join } from 'node:path';
import { checked, checkedPointer, libbpf } from '../datapath/kernel/libbpf.js';
import { PROJECT } from './machine.js';

export type FloorProgram = 'nop' | 'add_ipv4' | 'add_ipv6' | 'take_ipv4' | 'take_ipv6';

/** Program descriptors; they live as long as the process. Throws KernelError. */
export function loadFloor(): Readonly<Record<FloorProgram, number>> {
  const api = libbpf();
  const object = checkedPointer('open floor.bpf.o', api.objectOpenFile(join(PROJECT, 'dist/bench/floor.bpf.o'), null));
  checked('load floor.bpf.o', api.objectLoad(object));
  const descriptor = (name: FloorProgram) => checked(name, api.programFd(checkedPointer(name, api.findProgram(object, name))));
  const names: readonly FloorProgram[] = ['nop', 'add_ipv4', 'add_ipv6', 'take_ipv4', 'take_ipv6'];
  return Object.fromEntries(names.map((name) => [name, descriptor(name)])) as Record<FloorProgram, number>;
}
