/** Reading an IP packet into numbers: what the pipeline needs of it, and no more. Nothing is allocated. */

import { PROTOCOL } from '../../geneve/index.js';
import { FAMILY } from '../../maps/index.js';
import { ExtensionWalker, isExtension } from './extensions.js';

/**
 * `untracked`: ICMP that belongs to no flow (neighbour discovery, redirects, an error that cannot be read);
 * addresses and protocol are filled in. `short`: a header of another protocol than TCP and UDP is cut off.
 */
export const PARSED = { ok: 0, untracked: 1, malformed: 2, short: 3 } as const;
export const FRAGMENT = { none: 0, first: 1, later: 2 } as const;

export const IPV4_LENGTH = 20;
export const IPV6_LENGTH = 40;
export const UDP_LENGTH = 8;
const TCP_LENGTH = 20;
const SCTP_LENGTH = 12;
export const ICMP_LENGTH = 8;
const ICMP = { idOffset: 4, echoReply: 0, unreachable: 3, echo: 8, timeExceeded: 11, parameterProblem: 12 } as const;
const ICMPV6 = { firstError: 1, lastError: 4, echo: 128, echoReply: 129 } as const;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;
/** Bytes of the transport header that every ICMP error repeats (RFC 792). */
const REPEATED = 8;

/**
 * A packet as read last. Addresses are 32-bit words in network order, signed; of IPv4 the first one, the
 * others are zero. An ICMP error is read as a packet of the flow that it tells about, on its way: what it
 * repeats of the packet in question, with its ends exchanged, stands in addresses, protocol and ports.
 */
export class PacketReader {
  family: number = FAMILY.ipv4;
  source = 0;
  source1 = 0;
  source2 = 0;
  source3 = 0;
  destination = 0;
  destination1 = 0;
  destination2 = 0;
  destination3 = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** Identification: of IPv4 16 bits, of a fragment of IPv6 32, signed. */
  id = 0;
  /** Of the whole IP packet, bytes. */
  length = 0;
  /** Of the IP header and its extensions, bytes. */
  headerLength = 0;
  protocol = 0;
  /** Or traffic class. */
  tos = 0;
  tcpFlags = 0;
  fragment: number = FRAGMENT.none;
  isError = false;

  readonly #walker = new ExtensionWalker();

  /** Reads the packet at `at`, of which `available` bytes are there. Ports of a later fragment are zero. */
  read(view: DataView, at: number, available: number): number {
    if (available === 0) return PARSED.malformed;
    this.sourcePort = 0;
    this.destinationPort = 0;
    this.tcpFlags = 0;
    this.isError = false;
    if (view.getUint8(at) >> 4 === 6) return this.#readIpv6(view, at, available);
    if (available < IPV4_LENGTH) return PARSED.malformed;
    const first = view.getUint8(at);
    this.headerLength = (first & 0x0f) * 4;
    this.length = view.getUint16(at + 2);
    if (first >> 4 !== 4 || this.headerLength < IPV4_LENGTH || this.length < this.headerLength || this.length > available)
      return PARSED.malformed;
    if (this.family !== FAMILY.ipv4) this.#becomeIpv4();
    this.tos = view.getUint8(at + 1);
    this.id = view.getUint16(at + 4);
    const fragment = view.getUint16(at + 6);
    this.fragment = (fragment & OFFSET_MASK) !== 0 ? FRAGMENT.later : (fragment & MORE_FRAGMENTS) !== 0 ? FRAGMENT.first : FRAGMENT.none;
    this.protocol = view.getUint8(at + 9);
    this.source = view.getInt32(at + 12);
    this.destination = view.getInt32(at + 16);
    return this.fragment === FRAGMENT.later ? PARSED.ok : this.#readTransport(view, at);
  }

  #becomeIpv4(): void {
    this.family = FAMILY.ipv4;
    this.source1 = 0;
    this.source2 = 0;
    this.source3 = 0;
    this.destination1 = 0;
    this.destination2 = 0;
    this.destination3 = 0;
  }

  #readIpv6(view: DataView, at: number, available: number): number {
    if (available < IPV6_LENGTH) return PARSED.malformed;
    this.length = view.getUint16(at + 4) + IPV6_LENGTH;
    if (this.length > available) return PARSED.malformed;
    this.family = FAMILY.ipv6;
    this.headerLength = IPV6_LENGTH;
    this.tos = (view.getUint16(at) >> 4) & 0xff;
    this.id = 0;
    this.fragment = FRAGMENT.none;
    this.protocol = view.getUint8(at + 6);
    this.#readAddresses(view, at + 8);
    if (!this.isTcpOrUdp) {
      const walker = this.#walker;
      if (!walker.walk(view, at + IPV6_LENGTH, this.length - IPV6_LENGTH, this.protocol)) return PARSED.malformed;
      this.headerLength += walker.length;
      this.protocol = walker.protocol;
      this.fragment = walker.fragment;
      if (this.fragment !== FRAGMENT.none) this.id = view.getInt32(at + IPV6_LENGTH + walker.fragmentAt + 4);
      if (this.fragment === FRAGMENT.later) return PARSED.ok;
    }
    return this.#readTransport(view, at);
  }

  #readAddresses(view: DataView, at: number): void {
    this.source = view.getInt32(at);
    this.source1 = view.getInt32(at + 4);
    this.source2 = view.getInt32(at + 8);
    this.source3 = view.getInt32(at + 12);
    this.destination = view.getInt32(at + 16);
    this.destination1 = view.getInt32(at + 20);
    this.destination2 = view.getInt32(at + 24);
    this.destination3 = view.getInt32(at + 28);
  }

  #readTransport(view: DataView, at: number): number {
    if (!this.isTcpOrUdp) return this.#readOther(view, at);
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

  /** Protocol number that stands in the packet itself: of an error, ICMP. */
  get ownProtocol(): number {
    return this.isError ? this.#icmp : this.protocol;
  }

  /** ICMP of the packet's own family: of the other one it is a protocol like any. */
  get #icmp(): number {
    return this.family === FAMILY.ipv6 ? PROTOCOL.icmpv6 : PROTOCOL.icmp;
  }

  /**
   * The ports of what is neither TCP nor UDP. SCTP has them where UDP has; of an ICMP echo the
   * identifier stands for both, so that the reply finds the flow of its request; others have none.
   */
  #readOther(view: DataView, at: number): number {
    const sctp = this.protocol === PROTOCOL.sctp;
    if (!sctp && this.protocol !== this.#icmp) return PARSED.ok;
    if (this.length < this.headerLength + (sctp ? SCTP_LENGTH : ICMP_LENGTH)) return PARSED.short;
    const transport = at + this.headerLength;
    if (sctp) {
      this.sourcePort = view.getUint16(transport);
      this.destinationPort = view.getUint16(transport + 2);
      return PARSED.ok;
    }
    const type = view.getUint8(transport);
    if (this.#isEcho(type)) {
      this.sourcePort = view.getUint16(transport + ICMP.idOffset);
      this.destinationPort = this.sourcePort;
      return PARSED.ok;
    }
    if (!this.#isError(type) || this.fragment !== FRAGMENT.none) return PARSED.untracked;
    return this.readRepeated(view, transport + ICMP_LENGTH, at + this.length);
  }

  #isEcho(type: number): boolean {
    return this.family === FAMILY.ipv6 ? type === ICMPV6.echo || type === ICMPV6.echoReply : type === ICMP.echo || type === ICMP.echoReply;
  }

  #isError(type: number): boolean {
    if (this.family === FAMILY.ipv6) return type >= ICMPV6.firstError && type <= ICMPV6.lastError;
    return type === ICMP.unreachable || type === ICMP.timeExceeded || type === ICMP.parameterProblem;
  }

  /**
   * Reads what an ICMP error repeats, at `at` of a message that ends at `end`: the packet becomes one of that flow. One that
   * repeats too little, or whose own addressee did not send what it repeats, is untracked.
   */
  readRepeated(view: DataView, at: number, end: number): number {
    let transport = at;
    let protocol = 0;
    if (this.family === FAMILY.ipv6) {
      transport += IPV6_LENGTH;
      if (transport > end || view.getUint8(at) >> 4 !== 6) return PARSED.untracked;
      const walker = this.#walker;
      if (!walker.walk(view, transport, end - transport, view.getUint8(at + 6)) || walker.fragment === FRAGMENT.later)
        return PARSED.untracked;
      if (!this.isTo(view, at + 8)) return PARSED.untracked;
      protocol = walker.protocol;
      transport += walker.length;
    } else {
      if (at + IPV4_LENGTH > end || view.getUint8(at) >> 4 !== 4 || (view.getUint8(at) & 0x0f) < 5) return PARSED.untracked;
      if ((view.getUint16(at + 6) & OFFSET_MASK) !== 0 || view.getInt32(at + 12) !== this.destination) return PARSED.untracked;
      protocol = view.getUint8(at + 9);
      transport += (view.getUint8(at) & 0x0f) * 4;
    }
    if (transport + REPEATED > end) return PARSED.untracked;
    const isIcmp = protocol === this.#icmp;
    if (isIcmp && !this.#isEcho(view.getUint8(transport))) return PARSED.untracked; // nobody makes an error about an error (RFC 1122 3.2.2)
    if (isIcmp) {
      this.sourcePort = view.getUint16(transport + ICMP.idOffset);
      this.destinationPort = this.sourcePort;
    } else if (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp || protocol === PROTOCOL.sctp) {
      this.sourcePort = view.getUint16(transport + 2);
      this.destinationPort = view.getUint16(transport);
    }
    this.protocol = protocol;
    this.isError = true;
    if (this.family === FAMILY.ipv6) {
      this.source = view.getInt32(at + 24);
      this.source1 = view.getInt32(at + 28);
      this.source2 = view.getInt32(at + 32);
      this.source3 = view.getInt32(at + 36);
    } else {
      this.source = view.getInt32(at + 16);
    }
    return PARSED.ok;
  }

  /** Becomes a packet without transport that goes to the source of the IP packet at `at`: what `readRepeated` asks for. */
  becomeAnswerTo(view: DataView, at: number): void {
    this.sourcePort = 0;
    this.destinationPort = 0;
    this.fragment = FRAGMENT.none;
    this.tcpFlags = 0;
    if (view.getUint8(at) >> 4 === 6) {
      this.family = FAMILY.ipv6;
      this.destination = view.getInt32(at + 8);
      this.destination1 = view.getInt32(at + 12);
      this.destination2 = view.getInt32(at + 16);
      this.destination3 = view.getInt32(at + 20);
    } else {
      if (this.family !== FAMILY.ipv4) this.#becomeIpv4();
      this.destination = view.getInt32(at + 12);
    }
  }

  /** Is the packet from the address at `at` of a view? */
  isFrom(view: DataView, at: number): boolean {
    return (
      view.getInt32(at) === this.source &&
      view.getInt32(at + 4) === this.source1 &&
      view.getInt32(at + 8) === this.source2 &&
      view.getInt32(at + 12) === this.source3
    );
  }

  /** Is it to that address? */
  isTo(view: DataView, at: number): boolean {
    return (
      view.getInt32(at) === this.destination &&
      view.getInt32(at + 4) === this.destination1 &&
      view.getInt32(at + 8) === this.destination2 &&
      view.getInt32(at + 12) === this.destination3
    );
  }

  /** Writes the source's 16 bytes. */
  writeSource(view: DataView, at: number): void {
    view.setInt32(at, this.source);
    view.setInt32(at + 4, this.source1);
    view.setInt32(at + 8, this.source2);
    view.setInt32(at + 12, this.source3);
  }

  writeDestination(view: DataView, at: number): void {
    view.setInt32(at, this.destination);
    view.setInt32(at + 4, this.destination1);
    view.setInt32(at + 8, this.destination2);
    view.setInt32(at + 12, this.destination3);
  }

  /** A later fragment of IPv6 in which an extension header stands where its protocol would: nobody can say which that is. */
  get isVague(): boolean {
    return this.family === FAMILY.ipv6 && isExtension(this.protocol);
  }

  /**
   * Multicast, broadcast, or link-local of IPv6 at either end: such packets stay on their link, which no function is on
   * (RFC 5771, RFC 4291 2.5.6 and 2.7).
   */
  get staysOnLink(): boolean {
    return staysOnLink(this.destination, this.family) || staysOnLink(this.source, this.family);
  }

  /** A source that stays on its link, is unspecified, or loopback: nobody in particular. */
  get isFromNobody(): boolean {
    if (staysOnLink(this.source, this.family)) return true;
    if (this.source1 !== 0 || this.source2 !== 0) return false;
    if (this.source3 === 0) return this.source === 0 || this.source >>> 24 === 127;
    return this.source === 0 && this.source3 === 1;
  }

  /** Can the source be told anything? Not by an answer to an error or a later fragment (RFC 1122 3.2.2, RFC 4443 2.4). */
  get canBeAnswered(): boolean {
    return !this.isError && this.fragment !== FRAGMENT.later && !this.isFromNobody;
  }

  /** The flow hash (docs/wire-format.md), signed: an unsigned one past 2^31 would be an object where it is handed on. */
  flowHash(): number {
    let hash = fold(HASH_START, this.source);
    if (this.family === FAMILY.ipv6) hash = fold(fold(fold(hash, this.source1), this.source2), this.source3);
    hash = fold(hash, this.destination);
    if (this.family === FAMILY.ipv6) hash = fold(fold(fold(hash, this.destination1), this.destination2), this.destination3);
    hash = fold(hash, (this.sourcePort << 16) | this.destinationPort);
    return fold(hash, this.protocol);
  }

  /** The hash of session affinity: the client's address and nothing else. Signed, too. */
  clientHash(): number {
    const hash = fold(HASH_START, this.source);
    if (this.family !== FAMILY.ipv6) return hash;
    return fold(fold(fold(hash, this.source1), this.source2), this.source3);
  }

  /** What tells a fragmented datagram from others between the same addresses: of IPv4 the protocol too (RFC 791 3.2). Signed. */
  get identification(): number {
    return this.family === FAMILY.ipv6 ? this.id : (this.protocol << 16) | this.id;
  }

  /** The hash of addresses and identification, unsigned. */
  datagramHash(): number {
    let hash = fold(HASH_START, this.source);
    if (this.family === FAMILY.ipv6) hash = fold(fold(fold(hash, this.source1), this.source2), this.source3);
    hash = fold(hash, this.destination);
    if (this.family === FAMILY.ipv6) hash = fold(fold(fold(hash, this.destination1), this.destination2), this.destination3);
    return fold(hash, this.identification) >>> 0;
  }
}

const HASH_START = 0x5fc15fc1;

function fold(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/** `first` is the first word of an address. */
function staysOnLink(first: number, family: number): boolean {
  if (family === FAMILY.ipv6) return first >>> 24 === 0xff || first >>> 22 === 0xfe80 >> 6;
  return first >>> 28 === 0xe || first === -1;
}
