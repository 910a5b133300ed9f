/** The few system calls that Node does not offer, through koffi: bpf(2), mount(2), close(2). */

import { arch } from 'node:os';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { SfcError } from '../../errors/index.js';

const libc = koffi.load('libc.so.6');

const syscall = libc.func('long syscall(long number, int command, void *attributes, unsigned int size)');
const mountCall = libc.func('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)');
const umountCall = libc.func('int umount2(const char *target, int flags)');
const unshareCall = libc.func('int unshare(int flags)');
const closeCall = libc.func('int close(int fd)');

/** Number of bpf(2): from the kernel's syscall tables. */
const SYS_BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };

export function errnoName(errno: number): string {
  return errno === 0 ? 'no errno' : getSystemErrorName(-Math.abs(errno));
}

/** A failed call into libbpf or the kernel: the operation and the errno, as the cause of an SfcError. */
export class KernelError extends Error {
  readonly operation: string;
  readonly errno: string;

  constructor(operation: string, errno: number) {
    const name = errnoName(errno);
    super(`${operation}: ${name}`);
    this.name = 'KernelError';
    this.operation = operation;
    this.errno = name;
  }
}

/** Raw bpf(2). `attributes` is a union bpf_attr, zero beyond what is used. Throws KernelError. */
export function bpf(command: number, attributes: Buffer, operation: string): number {
  const number = SYS_BPF[arch()];
  if (number === undefined) throw new SfcError('BPF_UNAVAILABLE', `no bpf(2) number known for the architecture ${arch()}`);
  const result = Number(syscall(number, command, attributes, attributes.length));
  if (result < 0) throw new KernelError(operation, koffi.errno());
  return result;
}

export function closeFd(fd: number): void {
  closeCall(fd);
}

export function mountBpffs(directory: string): void {
  if (mountCall('bpf', directory, 'bpf', 0, null) !== 0) {
    const cause = new KernelError(`mount -t bpf bpf ${directory}`, koffi.errno());
    throw new SfcError('BPF_UNAVAILABLE', `cannot mount a bpffs at ${directory}: ${cause.errno}`, { cause });
  }
}

export function unmount(directory: string): void {
  const MNT_DETACH = 2;
  umountCall(directory, MNT_DETACH);
}

/** Moves this thread, and what it starts from now on, into a fresh network namespace. Throws KernelError. */
export function enterFreshNetwork(): void {
  const CLONE_NEWNET = 0x40000000;
  if (unshareCall(CLONE_NEWNET) !== 0) throw new KernelError('unshare the network namespace', koffi.errno());
}
