/**
 * The few system calls that Node does not offer, through koffi. A buffer is given to the kernel by
 * reference; where a call stands in a packet loop it takes an address, so that nothing is allocated.
 */

import { arch } from 'node:os';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { SfcError } from '../errors/index.js';

const libc = koffi.load('libc.so.6');

const syscall = libc.func('long syscall(long number, int command, void *attributes, unsigned int size)');
const mountCall = libc.func('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)');
const umountCall = libc.func('int umount2(const char *target, int flags)');
const unshareCall = libc.func('int unshare(int flags)');
const closeCall = libc.func('int close(int fd)');
const openCall = libc.func('int open(const char *path, int flags)');
const ioctlCall = libc.func('int ioctl(int fd, unsigned long request, void *argument)');
const ioctlNumberCall = libc.func('int ioctl(int fd, unsigned long request, unsigned long argument)');
const socketCall = libc.func('int socket(int family, int type, int protocol)');
const setsockoptCall = libc.func('int setsockopt(int fd, int level, int option, const void *value, unsigned int length)');
const eventfdCall = libc.func('int eventfd(unsigned int initial, int flags)');
const epollCreateCall = libc.func('int epoll_create1(int flags)');
const epollCtlCall = libc.func('int epoll_ctl(int epoll, int operation, int fd, void *event)');
const epollWaitCall = libc.func('int epoll_wait(int epoll, void *events, int most, int timeout)');
const readCall = libc.func('long read(int fd, size_t address, size_t length)');
const writeCall = libc.func('long write(int fd, size_t address, size_t length)');
const ifNameToIndexCall = libc.func('unsigned int if_nametoindex(const char *name)');
const sendtoCall = libc.func('long sendto(int fd, size_t address, size_t length, int flags, size_t to, unsigned int toLength)');

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

/** The descriptor that `call` made. Throws KernelError. */
function descriptor(operation: string, result: unknown): number {
  const fd = Number(result);
  if (fd < 0) throw new KernelError(operation, koffi.errno());
  return fd;
}

/**
 * Every descriptor is closed on exec: a child that inherited one (`ip monitor` lives as long as the agent)
 * would keep its device alive beyond it. One number, O_CLOEXEC's, serves open, socket, eventfd and epoll.
 */
const CLOSE_ON_EXEC = 0x80000;

/** The O_ flags are those of `fs.constants`. Throws KernelError. */
export function openFd(path: string, flags: number): number {
  return descriptor(`open ${path}`, openCall(path, flags | CLOSE_ON_EXEC));
}

/** ioctl(2) with a structure, or with a number as its argument. Throws KernelError. */
export function ioctl(fd: number, request: number, argument: Buffer | number, operation: string): void {
  const result = typeof argument === 'number' ? ioctlNumberCall(fd, request, argument) : ioctlCall(fd, request, argument);
  if (Number(result) < 0) throw new KernelError(operation, koffi.errno());
}

/** Throws KernelError. */
export function openSocket(family: number, type: number, protocol: number, operation: string): number {
  return descriptor(operation, socketCall(family, type | CLOSE_ON_EXEC, protocol));
}

/** setsockopt(2) with an int. Throws KernelError. */
export function setSocketOption(fd: number, level: number, option: number, value: number, operation: string): void {
  const bytes = Buffer.from(Int32Array.of(value).buffer);
  if (Number(setsockoptCall(fd, level, option, bytes, bytes.length)) < 0) throw new KernelError(operation, koffi.errno());
}

/** A counter to wait for with epoll; never blocks a reader. Throws KernelError. */
export function openEvent(): number {
  const EFD_NONBLOCK = 0x800;
  return descriptor('eventfd', eventfdCall(0, EFD_NONBLOCK | CLOSE_ON_EXEC));
}

/** Where a buffer stands in memory. It must not be moved or freed meanwhile: typed arrays' own memory is not. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

/** read(2) to an address; -errno when it fails. */
export function readAt(fd: number, address: number, length: number): number {
  const result = readCall(fd, address, length) as number;
  return result < 0 ? -koffi.errno() : result;
}

/** write(2) from an address; -errno when it fails. */
export function writeAt(fd: number, address: number, length: number): number {
  const result = writeCall(fd, address, length) as number;
  return result < 0 ? -koffi.errno() : result;
}

/** sendto(2) from an address to a socket address that stands at `to`; -errno when it fails. */
export function sendAt(fd: number, address: number, length: number, to: number, toLength: number): number {
  const result = sendtoCall(fd, address, length, 0, to, toLength) as number;
  return result < 0 ? -koffi.errno() : result;
}

/** Number of the interface of that name in this network namespace; 0 when there is none. */
export function interfaceNumber(name: string): number {
  return Number(ifNameToIndexCall(name));
}

/** EAGAIN, asm-generic/errno-base.h: the same on every architecture that Node runs on. */
export const EAGAIN = 11;
/** EBADFD, asm-generic/errno.h: what reading a TUN device answers when the device was removed. (81 on MIPS, which Node does not support.) */
export const EBADFD = 77;

/** Bytes of a struct epoll_event: packed on x86-64 only. */
const EPOLL_EVENT = arch() === 'x64' ? { size: 12, data: 4 } : { size: 16, data: 8 };

/** Waits for descriptors to become readable (level-triggered). */
export class Epoll {
  readonly #fd: number;
  readonly #events: Buffer;
  readonly #view: DataView;
  readonly #most: number;

  /** `most`: descriptors told of at a time. Throws KernelError. */
  constructor(most: number) {
    this.#fd = descriptor('epoll_create1', epollCreateCall(CLOSE_ON_EXEC));
    this.#most = most;
    this.#events = Buffer.alloc(most * EPOLL_EVENT.size);
    this.#view = new DataView(this.#events.buffer, this.#events.byteOffset, this.#events.length);
  }

  /** Throws KernelError. */
  add(fd: number): void {
    const EPOLL_CTL_ADD = 1;
    const EPOLLIN = 1;
    const event = Buffer.alloc(EPOLL_EVENT.size);
    event.writeUInt32LE(EPOLLIN, 0);
    event.writeInt32LE(fd, EPOLL_EVENT.data);
    if (Number(epollCtlCall(this.#fd, EPOLL_CTL_ADD, fd, event)) < 0) throw new KernelError('epoll_ctl', koffi.errno());
  }

  /** Number of readable descriptors, 0 after `timeout` ms (-1: never) or a signal. */
  wait(timeout: number): number {
    return Math.max(0, epollWaitCall(this.#fd, this.#events, this.#most, timeout) as number);
  }

  /** The `index`th readable descriptor of the last wait. */
  readable(index: number): number {
    return this.#view.getInt32(index * EPOLL_EVENT.size + EPOLL_EVENT.data, true);
  }

  close(): void {
    closeFd(this.#fd);
  }
}
