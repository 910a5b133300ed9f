/** Reading an IPv4 packet into numbers: what the pipeline needs of it, and no more. Nothing is allocated. */

import { PROTOCOL } from '../../geneve/index.js';

/**
 * `untracked`: ICMP that belongs to no flow of its own (errors); addresses and protocol are filled in.
 * `short`: a header of another protocol than TCP and UDP is cut off.
 */
export const PARSED = { ok: 0, untracked: 1, malformed: 2, short: 3 } as const;
export const FRAGMENT = { none: 0, first: 1, later: 2 } as const;

const IPV4_LENGTH = 20;
const TCP_LENGTH = 20;
const UDP_LENGTH = 8;
const SCTP_LENGTH = 12;
const ICMP = { length: 8, idOffset: 4, echoReply: 0, echo: 8 } as const;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

/** A packet as read last. Addresses are 32-bit words in network order, signed. */
export class PacketReader {
  source = 0;
  destination = 0;
  sourcePort = 0;
  destinationPort = 0;
  id = 0;
  /** IP total length, bytes. */
  length = 0;
  headerLength = 0;
  protocol = 0;
  tos = 0;
  tcpFlags = 0;
  fragment: number = FRAGMENT.none;

  /** Reads the packet at `at`, of which `available` bytes are there. Ports of a later fragment are zero. */
  read(view: DataView, at: number, available: number): number {
    if (available < IPV4_LENGTH) return PARSED.malformed;
    const first = view.getUint8(at);
    this.headerLength = (first & 0x0f) * 4;
    this.length = view.getUint16(at + 2);
    if (first >> 4 !== 4 || this.headerLength < IPV4_LENGTH || this.length < this.headerLength || this.length > available)
      return PARSED.malformed;
    this.tos = view.getUint8(at + 1);
    this.id = view.getUint16(at + 4);
    const fragment = view.getUint16(at + 6);
    this.fragment = (fragment & OFFSET_MASK) !== 0 ? FRAGMENT.later : (fragment & MORE_FRAGMENTS) !== 0 ? FRAGMENT.first : FRAGMENT.none;
    this.protocol = view.getUint8(at + 9);
    this.source = view.getInt32(at + 12);
    this.destination = view.getInt32(at + 16);
    this.sourcePort = 0;
    this.destinationPort = 0;
    this.tcpFlags = 0;
    if (!this.isTcpOrUdp) return this.#readOther(view, at);
    if (this.fragment === FRAGMENT.later) return PARSED.ok;
    const wanted = this.protocol === PROTOCOL.tcp ? TCP_LENGTH : UDP_LENGTH;
    if (this.length < this.headerLength + wanted) return PARSED.malformed;
    const transport = at + this.headerLength;
    this.sourcePort = view.getUint16(transport);
    this.destinationPort = view.getUint16(transport + 2);
    if (this.protocol === PROTOCOL.tcp) this.tcpFlags = view.getUint8(transport + 13);
    return PARSED.ok;
  }

  get isTcpOrUdp(): boolean {
    return this.protocol === PROTOCOL.tcp || this.protocol === PROTOCOL.udp;
  }

  /**
   * The ports of what is neither TCP nor UDP. SCTP has them where UDP has; of an ICMP echo the
   * identifier stands for both, so that the reply finds the flow of its request; others have none.
   */
  #readOther(view: DataView, at: number): number {
    const sctp = this.protocol === PROTOCOL.sctp;
    if (this.fragment === FRAGMENT.later || (!sctp && this.protocol !== PROTOCOL.icmp)) return PARSED.ok;
    if (this.length < this.headerLength + (sctp ? SCTP_LENGTH : ICMP.length)) return PARSED.short;
    const transport = at + this.headerLength;
    if (sctp) {
      this.sourcePort = view.getUint16(transport);
      this.destinationPort = view.getUint16(transport + 2);
      return PARSED.ok;
    }
    const type = view.getUint8(transport);
    if (type !== ICMP.echo && type !== ICMP.echoReply) return PARSED.untracked;
    this.sourcePort = view.getUint16(transport + ICMP.idOffset);
    this.destinationPort = this.sourcePort;
    return PARSED.ok;
  }

  /** The flow hash (docs/wire-format.md), unsigned. */
  flowHash(): number {
    let hash = fold(0x5fc15fc1, this.source);
    hash = fold(hash, this.destination);
    hash = fold(hash, (this.sourcePort << 16) | this.destinationPort);
    return fold(hash, this.protocol) >>> 0;
  }

  /** The hash of session affinity: the client's address and nothing else. */
  clientHash(): number {
    return fold(0x5fc15fc1, this.source) >>> 0;
  }
}

function fold(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
