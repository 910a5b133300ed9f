/** From a packet in words to its frame. By hand where our codecs would refuse to write it. */

import { CAST, checksum, frame } from '../../datapath/cast.js';
import {
  ETHERTYPE,
  GENEVE_HEADER,
  GENEVE_OPTION_HEADER,
  IPV6_HEADER,
  NSH_BASE_HEADER,
  NSH_MD_TYPE_2,
  NSH_NEXT_PROTOCOL,
  NSH_OPTION,
  NSH_SERVICE_PATH_HEADER,
  NSH_WORDS,
  PROTOCOL,
  parseAddress,
  SOURCE_PORT,
  STEERING_PORT,
  UDP_HEADER,
} from '../../geneve/index.js';
import { PROBE } from '../../maps/index.js';
import type { Draft, Option, Spoil, Wrap } from './steps.js';

/** Bytes of an Ethernet header. */
export const ETHERNET = 14;
const IPV4 = 20;
const NO_OPERATION = 1;
const NEXT_HEADER = { icmp: PROTOCOL.icmpv6, tcp: PROTOCOL.tcp, udp: PROTOCOL.udp, gre: 47, sctp: 132 } as const;
const DONT_FRAGMENT = 0x4000;

export const isIpv6 = (bytes: Uint8Array): boolean => (bytes[ETHERNET] ?? 0) >> 4 === 6;

/** The frame of a packet in words. */
export function framed({ wrap, padding = 0, spoil = [], ...draft }: Draft): Uint8Array {
  const payload = draft.probe === undefined ? 'x'.repeat(draft.payload ?? 5) : probePayload(draft.probe);
  const base = frame({ ...draft, from: CAST[draft.from], to: CAST[draft.to], payload });
  const inner = draft.ipv6 ? ipv6Packet(draft, base) : ipv4Packet(draft, base);
  const packet = wrap === undefined ? inner : wrapped(inner, draft, wrap);
  return spoiled(Buffer.concat([base.subarray(0, ETHERNET), packet, Buffer.alloc(padding, 0xee)]), spoil);
}

/** As text of the ASCII characters that a sequence number is drawn of. */
function probePayload(sequence: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(PROBE.magic, 0);
  bytes.writeUInt32BE(sequence, 4);
  return bytes.toString('latin1');
}

function ipv4Packet({ ipOptions = 0, keep, says }: Omit<Draft, 'wrap'>, base: Uint8Array): Buffer {
  const header = Buffer.concat([base.subarray(ETHERNET, ETHERNET + IPV4), Buffer.alloc(ipOptions * 4, NO_OPERATION)]);
  const rest = base.subarray(ETHERNET + IPV4);
  const kept = rest.subarray(0, keep ?? rest.length);
  header.writeUInt8(0x40 | (header.length / 4), 0);
  header.writeUInt16BE(says ?? header.length + kept.length, 2);
  header.writeUInt16BE(0, 10);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, kept]);
}

function ipv6Packet({ from, to, protocol = 'udp', tos = 0, keep, says }: Omit<Draft, 'wrap'>, base: Uint8Array): Buffer {
  const rest = base.subarray(ETHERNET + IPV4);
  const kept = rest.subarray(0, keep ?? rest.length);
  const address = (name: Draft['from']) => parseAddress(`fd00::${CAST[name]}`)?.bytes ?? new Uint8Array(16);
  const header = IPV6_HEADER.encode({
    version: 6,
    trafficClass: tos,
    flowLabel: 0,
    payloadLength: says ?? kept.length,
    nextHeader: NEXT_HEADER[protocol],
    hopLimit: 64,
    source: address(from),
    destination: address(to),
  });
  return Buffer.concat([header, kept]);
}

/** Class and type of an option. */
const KIND: Readonly<Record<Option['kind'], { readonly class: number; readonly type: number }>> = {
  nsh: NSH_OPTION,
  unknown: { class: 0x0102, type: 0x03 },
  critical: { class: 0x0102, type: 0x83 },
  sibling: { class: NSH_OPTION.class, type: 0x02 },
  'critical-sibling': { class: NSH_OPTION.class, type: 0x83 },
};

function wrapped(inner: Buffer, draft: Omit<Draft, 'wrap'>, wrap: Wrap): Buffer {
  const { options = [{ kind: 'nsh' }], behind = 0, udpLength = 0, geneve = {}, reply = false } = wrap;
  const body = Buffer.concat(options.map((option) => geneveOption(option, draft, wrap)));
  const base = GENEVE_HEADER.encode({
    version: 0,
    optionWords: Math.min(body.length / 4, 63),
    control: 0,
    critical: 1,
    protocolType: draft.ipv6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4,
    vni: 0,
    ...geneve,
  });
  const length = UDP_HEADER.size + base.length + body.length + inner.length + behind;
  const udp = UDP_HEADER.encode({
    sourcePort: SOURCE_PORT.base | ((draft.sourcePort ?? 0) & SOURCE_PORT.entropy) | (reply ? SOURCE_PORT.reply : 0),
    destinationPort: STEERING_PORT,
    length: Math.max(0, length + udpLength),
    checksum: 0,
  });
  const ends = { from: CAST[wrap.from], to: CAST[wrap.to], tos: wrap.tos ?? draft.tos ?? 0, fragment: wrap.fragment ?? DONT_FRAGMENT };
  const outer = frame({ ...ends, payload: 'x'.repeat(length - UDP_HEADER.size) });
  const ip = ipv4Packet({ from: wrap.from, to: wrap.to, keep: 0, ...(wrap.ipOptions && { ipOptions: wrap.ipOptions }) }, outer);
  ip.writeUInt16BE(ip.length + length, 2);
  ip.writeUInt16BE(0, 10);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([ip, udp, base, body, inner, Buffer.alloc(behind, 0xdd)]);
}

function geneveOption({ kind, words, says }: Option, { ipv6 }: Omit<Draft, 'wrap'>, { spi, si, ttl, nsh }: Wrap): Buffer {
  const content =
    kind !== 'nsh'
      ? Buffer.alloc(0)
      : Buffer.concat([
          NSH_BASE_HEADER.encode({
            version: 0,
            oam: 0,
            ttl,
            words: NSH_WORDS,
            mdType: NSH_MD_TYPE_2,
            nextProtocol: ipv6 ? NSH_NEXT_PROTOCOL.ipv6 : NSH_NEXT_PROTOCOL.ipv4,
            ...nsh,
          }),
          NSH_SERVICE_PATH_HEADER.encode({ spi, si }),
        ]);
  const body = Buffer.alloc((words ?? (kind === 'nsh' ? NSH_WORDS : 1)) * 4, 0xcc);
  content.copy(body);
  return Buffer.concat([GENEVE_OPTION_HEADER.encode({ ...KIND[kind], words: says ?? body.length / 4 }), body]);
}

/** The frame with its changes; the ethertype says what the first nibble says, as a device that carries IP packets has it. */
export function spoiled(bytes: Uint8Array, changes: readonly Spoil[] = []): Uint8Array {
  let out = Uint8Array.from(bytes);
  for (const change of changes) {
    const length = out.length - ETHERNET;
    if (length <= 0) break;
    if (change.kind === 'cut') out = out.slice(0, Math.max(ETHERNET, out.length - change.bytes));
    else out[ETHERNET + (change.at % length)] = change.value;
  }
  const ethertype = isIpv6(out) ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4;
  if (out.length > ETHERNET) out.set([ethertype >> 8, ethertype & 0xff], ETHERNET - 2);
  return out;
}

/** What a packet to the steering port has behind the 48 bytes that we write; every other packet as it is. */
export function unwrapped(bytes: Uint8Array): Uint8Array {
  const isSteering =
    bytes.length > ETHERNET + 48 && bytes[ETHERNET + 9] === 17 && ((bytes[ETHERNET + 22] ?? 0) << 8) + (bytes[ETHERNET + 23] ?? 0) === 7081;
  return isSteering ? Buffer.concat([bytes.subarray(0, ETHERNET), bytes.subarray(ETHERNET + 48)]) : bytes;
}

/** The IPv4 packet as a router sends it on, with so much less TTL, checksum and all; every other as it is. */
export function routed(bytes: Uint8Array, hops = 0): Uint8Array {
  if (hops === 0 || bytes.length < ETHERNET + IPV4 || isIpv6(bytes)) return bytes;
  const out = Buffer.from(bytes);
  out.writeUInt8((out.readUInt8(ETHERNET + 8) - hops) & 0xff, ETHERNET + 8);
  out.writeUInt16BE(0, ETHERNET + 10);
  out.writeUInt16BE(checksum(out.subarray(ETHERNET, ETHERNET + IPV4)), ETHERNET + 10);
  return out;
}

const ICMP = 1;
const ICMP_ECHO = 8;

/** The packet with its ends exchanged, a ping with its answer; no more than an answer has to be here. */
export function turned(bytes: Uint8Array): Uint8Array {
  const out = Uint8Array.from(bytes);
  if (bytes.length < ETHERNET + IPV4) return bytes;
  const ip = ETHERNET;
  const transport = ip + ((bytes[ip] ?? 0) & 0x0f) * 4;
  out.set(bytes.subarray(ip + 12, ip + 16), ip + 16);
  out.set(bytes.subarray(ip + 16, ip + 20), ip + 12);
  if (bytes[ip + 9] === ICMP) {
    // The identifier stays.
    if (bytes[transport] === ICMP_ECHO) out[transport] = 0;
  } else if (transport + 4 <= bytes.length) {
    out.set(bytes.subarray(transport, transport + 2), transport + 2);
    out.set(bytes.subarray(transport + 2, transport + 4), transport);
  }
  return out;
}
