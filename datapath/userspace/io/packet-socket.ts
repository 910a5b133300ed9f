/**
 * Sending finished frames into one interface (packet(7)). The queueing layer is bypassed: what is
 * sent here does not pass the interface's egress filters again.
 */

import { endianness } from 'node:os';
import { SfcError } from '../../../errors/index.js';
import { addressOf, closeFd, openSocket, sendAt, setSocketOption } from '../../libc.js';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const PACKET_QDISC_BYPASS = 20;
/** struct sockaddr_ll: family u16, protocol u16 (big-endian), ifindex i32, then what sending does not read. */
const SOCKADDR_LL = 20;

export class PacketSocket {
  readonly #fd: number;
  readonly #to = new DataView(new ArrayBuffer(SOCKADDR_LL));
  readonly #toAddress: number;
  readonly #little = endianness() === 'LE';

  /** `virtioHeader`: frames stand behind ten bytes of virtio header. Throws `USERSPACE_UNAVAILABLE`. */
  constructor(virtioHeader: boolean) {
    try {
      // Protocol 0: it receives nothing.
      this.#fd = openSocket(AF_PACKET, SOCK_RAW, 0, 'open a packet socket');
      setSocketOption(this.#fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1, 'bypass the queueing layer');
      if (virtioHeader) setSocketOption(this.#fd, SOL_PACKET, PACKET_VNET_HDR, 1, 'send whole segments');
    } catch (cause) {
      throw new SfcError('USERSPACE_UNAVAILABLE', (cause as Error).message, { cause });
    }
    this.#to.setUint16(0, AF_PACKET, this.#little);
    this.#toAddress = addressOf(new Uint8Array(this.#to.buffer));
  }

  /** Sends what stands at `address`, a frame of this Ethernet type; -errno when the kernel refuses it. */
  send(ifindex: number, ethertype: number, address: number, length: number): number {
    // The kernel finishes checksums and segments by it, and asks the frame for none.
    this.#to.setUint16(2, ethertype);
    this.#to.setInt32(4, ifindex, this.#little);
    return sendAt(this.#fd, address, length, this.#toAddress, SOCKADDR_LL);
  }

  close(): void {
    closeFd(this.#fd);
  }
}
