/**
 * Devices of the TUN driver (Documentation/networking/tuntap.rst), made through ioctl(2) and gone
 * when their descriptor is closed, however the process ends. Numbers from linux/if_tun.h.
 */

import { constants } from 'node:fs';
import { endianness } from 'node:os';
import { SfcError } from '../../../errors/index.js';
import { closeFd, ioctl, KernelError, openFd } from '../../libc.js';
import { VIRTIO_HEADER } from './virtio-header.js';

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;

const IFF_TUN = 0x0001;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

/** TUN_F_CSUM, _TSO4, _TSO6, _TSO_ECN: unfinished checksums and whole TCP segments are taken. */
const SEGMENTS = 0x0f;
/** TUN_F_UDP_TUNNEL_GSO (Linux 6.17): also whole segments inside a UDP tunnel. */
const TUNNELLED_SEGMENTS = 0x80;

/** sizeof(struct ifreq); its flags follow the name. */
const IFREQ = 40;
const IFNAMSIZ = 16;

/**
 * What a device hands over: `packets` are finished and no longer than the link's MTU; `segments` and
 * `tunnelled` stand behind a virtio header and may be whole TCP segments, the latter also inside a tunnel.
 */
export type Offload = 'packets' | 'segments' | 'tunnelled';

export interface TunOptions {
  readonly name: string;
  /** `frames`: with their Ethernet header (TAP); `packets`: without (TUN). */
  readonly layer: 'frames' | 'packets';
  readonly offload: Offload;
}

/** Makes a device and returns its descriptor, which never blocks. Throws `USERSPACE_UNAVAILABLE`, `ALREADY_RUNNING`. */
export function openTun({ name, layer, offload }: TunOptions): number {
  let fd = -1;
  try {
    fd = openFd('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
    const request = Buffer.alloc(IFREQ);
    request.write(name, 0, IFNAMSIZ - 1, 'latin1');
    const flags = (layer === 'frames' ? IFF_TAP : IFF_TUN) | IFF_NO_PI | (offload === 'packets' ? 0 : IFF_VNET_HDR);
    writeUInt16(request, flags, IFNAMSIZ);
    ioctl(fd, TUNSETIFF, request, `make the device ${name}`);
    if (offload !== 'packets') {
      ioctl(fd, TUNSETVNETHDRSZ, Buffer.from(Int32Array.of(VIRTIO_HEADER).buffer), `size the virtio header of ${name}`);
      ioctl(fd, TUNSETOFFLOAD, SEGMENTS | (offload === 'tunnelled' ? TUNNELLED_SEGMENTS : 0), `offload segments to ${name}`);
    }
    return fd;
  } catch (cause) {
    if (fd >= 0) closeFd(fd);
    if (cause instanceof KernelError && cause.errno === 'EBUSY')
      throw new SfcError('ALREADY_RUNNING', `the device ${name} is another's: an sfcd runs in this network namespace`, { cause });
    throw new SfcError('USERSPACE_UNAVAILABLE', (cause as Error).message, { cause });
  }
}

/** Does this kernel hand over whole segments inside UDP tunnels (Linux 6.17)? Makes a device to ask, and closes it. */
export function hasTunnelledSegments(name: string): boolean {
  try {
    closeFd(openTun({ name, layer: 'frames', offload: 'tunnelled' }));
    return true;
  } catch (error) {
    if (error instanceof SfcError && error.cause instanceof KernelError && error.cause.errno === 'EINVAL') return false;
    throw error;
  }
}

/** In the machine's byte order, as all of struct ifreq. */
function writeUInt16(bytes: Buffer, value: number, offset: number): void {
  if (endianness() === 'LE') bytes.writeUInt16LE(value, offset);
  else bytes.writeUInt16BE(value, offset);
}
