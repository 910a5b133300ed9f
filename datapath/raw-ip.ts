/**
 * Sending whole IP packets, headers included, from whatever source address (raw(7), ipv6(7)). They leave as what
 * the node itself sends: the kernel routes them by their destination.
 */

import { endianness } from 'node:os';
import { addressOf, closeFd, errnoName, KernelError, openSocket, sendAt, setSocketOption } from './libc.js';

const SOCK_RAW_NONBLOCK = 3 | 0x800;
/** The packets bring their headers along, and the socket receives none. */
const IPPROTO_RAW = 255;
const IPPROTO_IPV6 = 41;
const IPV6_HDRINCL = 36;

/** By family as the maps number it: AF_INET, AF_INET6, and the bytes of their socket addresses (ip(7), ipv6(7)). */
const FAMILIES = {
  1: { family: 2, size: 16, at: 4, width: 4 },
  2: { family: 10, size: 28, at: 8, width: 16 },
} as const;

export interface Destination {
  readonly family: 1 | 2;
  /** 16 bytes; IPv4 in the first four. */
  readonly bytes: Uint8Array;
}

export interface RawIp {
  /** The name of the errno with which the kernel refused it; empty when it has taken it. */
  send(packet: Uint8Array, destination: Destination): string;
  close(): void;
}

/** Sockets are opened when they are first needed: one that may not be opened is an errno of `send`. */
export function openRawIp(): RawIp {
  const sockets = new Map<1 | 2, number>();
  const socketOf = (number: 1 | 2): number => {
    const known = sockets.get(number);
    if (known !== undefined) return known;
    const fd = openSocket(FAMILIES[number].family, SOCK_RAW_NONBLOCK, IPPROTO_RAW, 'open a raw socket');
    sockets.set(number, fd);
    // IPv4 has it of itself with this protocol.
    if (number === 2) setSocketOption(fd, IPPROTO_IPV6, IPV6_HDRINCL, 1, 'send whole packets');
    return fd;
  };
  return {
    send(packet, destination) {
      const { family, size, at, width } = FAMILIES[destination.family];
      const to = new Uint8Array(size);
      new DataView(to.buffer).setUint16(0, family, endianness() === 'LE');
      to.set(destination.bytes.subarray(0, width), at);
      try {
        const sent = sendAt(socketOf(destination.family), addressOf(packet), packet.length, addressOf(to), size);
        return sent < 0 ? errnoName(sent) : '';
      } catch (error) {
        if (error instanceof KernelError) return error.errno;
        throw error;
      }
    },
    close() {
      for (const fd of sockets.values()) closeFd(fd);
      sockets.clear();
    },
  };
}
