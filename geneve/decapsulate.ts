/** Unwrapping a packet from the previous hop, as docs/wire-format.md asks of a receiver. */

import { transportChecksum } from './checksum.js';
import { tosAtExit, withTos } from './ecn.js';
import { STEERING_LENGTH } from './encapsulate.js';
import { ETHERTYPE } from './ethernet.js';
import { type DropFailure, drop, type Failed, type Failure, short, wrong } from './failure.js';
import { SOURCE_PORT } from './flow-hash.js';
import { decodeGeneveOption, GENEVE_HEADER, GENEVE_VERSION, STEERING_PORT } from './geneve-header.js';
import { IPV4_HEADER } from './ipv4.js';
import { IPV6_HEADER } from './ipv6.js';
import {
  NSH_BASE_HEADER,
  NSH_MD_TYPE_2,
  NSH_NEXT_PROTOCOL,
  NSH_OPTION,
  NSH_SERVICE_PATH_HEADER,
  NSH_VERSION,
  NSH_WORDS,
  type Si,
  type Spi,
} from './nsh.js';
import { type Packet, parsePacket } from './packet.js';
import { PROTOCOL, UDP_HEADER, type UdpHeader } from './transport.js';

export interface DecapsulateOptions {
  /** UDP port of steering traffic; the default is `STEERING_PORT`. */
  readonly port?: number;
  /** Over IPv6: accept a UDP checksum of 0 (RFC 6935, RFC 6936). */
  readonly zeroChecksum?: boolean;
}

/** A service path as a packet names it, with what is left of its NSH TTL (1..63). */
export interface ServicePath {
  readonly spi: Spi;
  readonly si: Si;
  readonly ttl: number;
}

export interface Decapsulated {
  /** The outer packet; its source is the previous hop. */
  readonly outer: Packet;
  readonly nsh: ServicePath;
  readonly reply: boolean;
  /** Of the outer headers, bytes. */
  readonly overhead: number;
  /** The inner packet and nothing behind it: a view, or a copy where congestion had to be written into it (RFC 6040). */
  readonly inner: Uint8Array;
  /** The inner packet, read. */
  readonly packet: Packet;
}

/**
 * One of three: unwrapped; a steering packet that must be dropped, and why; or no steering packet at
 * all, which passes untouched, and what shows that.
 */
export type Decapsulation = Decapsulated | { readonly failure: DropFailure } | { readonly pass: Failure };

type Dropped = { readonly failure: DropFailure };

/**
 * The IP packet at the start of `bytes`. Whether its source is a peer, and whether the packet is for
 * us, is not for bytes to say. Over IPv4 the UDP checksum is not looked at, as in the kernel program:
 * between interfaces of one machine it is not written yet. Over IPv6 it is.
 */
export function decapsulate(bytes: Uint8Array, options: DecapsulateOptions = {}): Decapsulation {
  const { port = STEERING_PORT, zeroChecksum = false } = options;
  const outer = parsePacket(bytes);
  if ('failure' in outer) return { pass: outer.failure };
  const other = steeringTo(outer, port);
  if (other !== undefined) return { pass: other.failure };
  const udp = checkOuter(bytes, outer, zeroChecksum);
  if ('failure' in udp) return udp;
  const envelope = openEnvelope(bytes, outer);
  if ('failure' in envelope) return envelope;
  const { nsh, overhead } = envelope;
  const wrapped = bytes.subarray(overhead, outer.length);
  const packet = readInner(wrapped, envelope.protocolType);
  if ('failure' in packet) return packet;
  const tos = tosAtExit(packet.tos, outer.tos);
  if (tos === undefined) return drop('ecn', wrong('inner ECN', 'a packet that can carry congestion', packet.tos & 3));
  const view = wrapped.subarray(0, packet.length);
  const inner = tos === packet.tos ? view : withTos(view, tos);
  return { outer, nsh, reply: (udp.sourcePort & SOURCE_PORT.reply) !== 0, overhead, inner, packet: { ...packet, tos } };
}

/** Undefined for a packet to the steering port; else what shows that it is none. */
function steeringTo(outer: Packet, port: number): Failed | undefined {
  if (outer.protocol !== PROTOCOL.udp) return wrong('protocol', PROTOCOL.udp, outer.protocol);
  // Of a later fragment nobody can say.
  if (outer.fragment === 'later') return short('UDP header', UDP_HEADER.size, 0);
  return outer.destinationPort === port ? undefined : wrong('UDP destination port', port, outer.destinationPort);
}

function checkOuter(bytes: Uint8Array, outer: Packet, zeroChecksum: boolean): UdpHeader | Dropped {
  const plain = outer.family === 1 ? IPV4_HEADER.size : IPV6_HEADER.size;
  if (outer.headerLength !== plain) return drop('outer-malformed', wrong('outer IP header length', plain, outer.headerLength));
  if (outer.fragment !== 'none') return drop('outer-malformed', wrong('outer fragment', 'none', 1));
  const segment = bytes.subarray(plain, outer.length);
  const udp = UDP_HEADER.decode(segment);
  if ('failure' in udp) return drop('outer-malformed', udp);
  if (segment.length < UDP_HEADER.size + GENEVE_HEADER.size)
    return drop('geneve-malformed', short(GENEVE_HEADER.name, GENEVE_HEADER.size, segment.length - UDP_HEADER.size));
  if (udp.length !== segment.length) return drop('outer-malformed', wrong('UDP length', segment.length, udp.length));
  if (outer.family === 1 || (udp.checksum === 0 && zeroChecksum)) return udp;
  if (udp.checksum !== 0 && transportChecksum({ ...outer, protocol: PROTOCOL.udp }, segment) === 0) return udp;
  return drop('outer-checksum', wrong('UDP checksum', 'the right one', udp.checksum));
}

interface Envelope {
  readonly nsh: ServicePath;
  /** Ethertype of the inner packet. */
  readonly protocolType: number;
  readonly overhead: number;
}

function openEnvelope(bytes: Uint8Array, outer: Packet): Envelope | Dropped {
  const at = outer.headerLength + UDP_HEADER.size;
  const geneve = GENEVE_HEADER.decode(bytes, at);
  if ('failure' in geneve) return drop('geneve-malformed', geneve);
  if (geneve.version !== GENEVE_VERSION) return drop('geneve-version', wrong('Geneve version', GENEVE_VERSION, geneve.version));
  if (geneve.control !== 0) return drop('control', wrong('Geneve O bit', 0, geneve.control));
  const optionsAt = at + GENEVE_HEADER.size;
  const overhead = optionsAt + geneve.optionWords * 4;
  if (overhead > outer.length) return drop('geneve-malformed', short('Geneve options', overhead - optionsAt, outer.length - optionsAt));
  // The kernel program reads header, one option and NSH in one piece: options in less than that hold no packet.
  if (geneve.optionWords > 0 && bytes.length < at + STEERING_LENGTH)
    return drop('geneve-malformed', short('Geneve options and packet', STEERING_LENGTH, bytes.length - at));
  const option = findNsh(bytes, optionsAt, overhead);
  if ('failure' in option) return option;
  const nsh = readNsh(option.body, geneve.protocolType);
  return 'failure' in nsh ? nsh : { nsh, protocolType: geneve.protocolType, overhead };
}

/** The body of the first NSH option. Options that are not critical are passed over; the first that is wrong decides. */
function findNsh(bytes: Uint8Array, start: number, end: number): { readonly body: Uint8Array } | Dropped {
  let body: Uint8Array | undefined;
  for (let at = start; at < end; ) {
    const option = decodeGeneveOption(bytes, at, end);
    if ('failure' in option) return drop('geneve-malformed', option);
    if (option.class === NSH_OPTION.class && option.type === NSH_OPTION.type) {
      if (option.words !== NSH_WORDS) return drop('nsh-malformed', wrong('NSH option length in words', NSH_WORDS, option.words));
      body ??= option.body;
    } else if (option.critical) {
      return drop('geneve-critical-option', wrong('critical Geneve option class', NSH_OPTION.class, option.class));
    }
    at += option.length;
  }
  return body === undefined ? drop('geneve-no-nsh', short('NSH option', STEERING_LENGTH - GENEVE_HEADER.size, 0)) : { body };
}

function readNsh(bytes: Uint8Array, protocolType: number): ServicePath | Dropped {
  const base = NSH_BASE_HEADER.decode(bytes);
  if ('failure' in base) return drop('nsh-malformed', base);
  const path = NSH_SERVICE_PATH_HEADER.decode(bytes, NSH_BASE_HEADER.size);
  if ('failure' in path) return drop('nsh-malformed', path);
  if (base.version !== NSH_VERSION) return drop('nsh-version', wrong('NSH version', NSH_VERSION, base.version));
  if (base.oam !== 0) return drop('control', wrong('NSH O bit', 0, base.oam));
  if (base.words !== NSH_WORDS) return drop('nsh-malformed', wrong('NSH length in words', NSH_WORDS, base.words));
  if (base.mdType !== NSH_MD_TYPE_2) return drop('nsh-malformed', wrong('NSH MD type', NSH_MD_TYPE_2, base.mdType));
  if (base.ttl === 0) return drop('nsh-ttl', wrong('NSH TTL', 'at least 1', 0));
  if (protocolType !== ETHERTYPE.ipv4 && protocolType !== ETHERTYPE.ipv6)
    return drop('next-protocol', wrong('Geneve protocol type', 'an IP ethertype', protocolType));
  const next = protocolType === ETHERTYPE.ipv4 ? NSH_NEXT_PROTOCOL.ipv4 : NSH_NEXT_PROTOCOL.ipv6;
  if (base.nextProtocol !== next) return drop('next-protocol', wrong('NSH next protocol', next, base.nextProtocol));
  return { spi: path.spi as Spi, si: path.si as Si, ttl: base.ttl };
}

/** Reads the inner packet while it is still wrapped. */
function readInner(wrapped: Uint8Array, protocolType: number): Packet | Dropped {
  const [first] = wrapped;
  if (first === undefined) return drop('inner-malformed', short('inner packet', IPV4_HEADER.size, 0));
  const version = protocolType === ETHERTYPE.ipv4 ? 4 : 6;
  if (first >> 4 !== version) return drop('next-protocol', wrong('inner IP version', version, first >> 4));
  const packet = parsePacket(wrapped);
  return 'failure' in packet ? drop('inner-malformed', packet) : packet;
}
