/** From a packet in words to its frame. By hand where our codecs would refuse to write it. */

import { addressFor, checksum, frame, type Version } from '../../datapath/cast.js';
import {
  ETHERTYPE,
  formatAddress,
  GENEVE_HEADER,
  GENEVE_OPTION_HEADER,
  NSH_BASE_HEADER,
  NSH_MD_TYPE_2,
  NSH_NEXT_PROTOCOL,
  NSH_OPTION,
  NSH_SERVICE_PATH_HEADER,
  NSH_WORDS,
  PROTOCOL,
  parseAddress,
  SOURCE_PORT,
  STEERING_LENGTH,
  STEERING_PORT,
  UDP_HEADER,
} from '../../geneve/index.js';
import { PROBE } from '../../maps/index.js';
import type { Draft, Families, Option, Spoil, StepOf, Wrap } from './steps.js';

/** Bytes of an Ethernet header. */
export const ETHERNET = 14;
const IPV4 = 20;
const IPV6 = 40;
const NO_OPERATION = 1;
const DONT_FRAGMENT = 0x4000;

export const isIpv6 = (bytes: Uint8Array): boolean => (bytes[ETHERNET] ?? 0) >> 4 === 6;

/** The frame of a packet in words. */
export function framed({ wrap, padding = 0, spoil = [], ...draft }: Draft, families: Families): Uint8Array {
  const version = draft.other ? other(families.inner) : families.inner;
  const ends = { from: addressFor(draft.from, version), to: addressFor(draft.to, version) };
  const payload = draft.probe === undefined ? 'x'.repeat(draft.payload ?? 5) : probePayload(draft.probe);
  const base = frame({ ...draft, ...ends, payload });
  const inner = version === 6 ? ipv6Packet(draft, base) : ipv4Packet(draft, base);
  const packet = wrap === undefined ? inner : wrapped(inner, draft, wrap, families);
  return spoiled(Buffer.concat([base.subarray(0, ETHERNET), packet, Buffer.alloc(padding, 0xee)]), spoil);
}

const other = (version: Version): Version => (version === 4 ? 6 : 4);

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

function ipv6Packet({ keep, says }: Omit<Draft, 'wrap'>, base: Uint8Array): Buffer {
  const header = Buffer.from(base.subarray(ETHERNET, ETHERNET + IPV6));
  const rest = base.subarray(ETHERNET + IPV6);
  const kept = rest.subarray(0, keep ?? rest.length);
  header.writeUInt16BE(says ?? kept.length, 4);
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

function wrapped(inner: Buffer, draft: Omit<Draft, 'wrap'>, wrap: Wrap, families: Families): Buffer {
  const isIpv6 = (inner[0] ?? 0) >> 4 === 6;
  const version = wrap.other ? other(families.outer) : families.outer;
  const { options = [{ kind: 'nsh' }], behind = 0, udpLength = 0, geneve = {}, reply = false } = wrap;
  const body = Buffer.concat(options.map((option) => geneveOption(option, isIpv6, wrap)));
  const base = GENEVE_HEADER.encode({
    version: 0,
    optionWords: Math.min(body.length / 4, 63),
    control: 0,
    critical: 1,
    protocolType: isIpv6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4,
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
  const ends = { from: addressFor(wrap.from, version), to: addressFor(wrap.to, version) };
  const fields = { tos: wrap.tos ?? draft.tos ?? 0, fragment: wrap.fragment ?? DONT_FRAGMENT };
  const outer = frame({ ...ends, ...fields, payload: '' });
  const behindIp = Buffer.concat([udp, base, body, inner, Buffer.alloc(behind, 0xdd)]);
  if (wrap.checksum === 'right') behindIp.writeUInt16BE(udpChecksum(ends, behindIp), 6);
  else if (wrap.checksum !== undefined) behindIp.writeUInt16BE(wrap.checksum, 6);
  if (version === 6) {
    // A fragment header stays in front.
    const headers = outer.subarray(ETHERNET, outer.length - UDP_HEADER.size);
    const ip = Buffer.from(headers);
    ip.writeUInt16BE(headers.length - IPV6 + length, 4);
    return Buffer.concat([ip, behindIp]);
  }
  const ip = ipv4Packet({ from: wrap.from, to: wrap.to, keep: 0, ...(wrap.ipOptions && { ipOptions: wrap.ipOptions }) }, outer);
  ip.writeUInt16BE(ip.length + length, 2);
  ip.writeUInt16BE(0, 10);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([ip, behindIp]);
}

/** Over everything, as somebody who knows nothing of the inner packet makes it (RFC 768, RFC 8200 8.1). */
function udpChecksum({ from, to }: { from: string; to: string }, datagram: Buffer): number {
  const v6 = from.includes(':');
  const address = (text: string) => Buffer.from(parseAddress(text)?.bytes.subarray(0, v6 ? 16 : 4) ?? []);
  const pseudo = Buffer.concat([address(from), address(to), Buffer.from([0, PROTOCOL.udp, datagram.length >> 8, datagram.length & 0xff])]);
  const padded = Buffer.concat([pseudo, datagram, Buffer.alloc(datagram.length & 1)]);
  return checksum(padded) || 0xffff;
}

function geneveOption({ kind, words, says }: Option, ipv6: boolean, { spi, si, ttl, nsh }: Wrap): Buffer {
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

/** What a packet to the steering port has behind the headers that we write; every other packet as it is. */
export function unwrapped(bytes: Uint8Array): Uint8Array {
  const header = isIpv6(bytes) ? IPV6 : IPV4;
  const overhead = header + UDP_HEADER.size + STEERING_LENGTH;
  const port = ((bytes[ETHERNET + header + 2] ?? 0) << 8) + (bytes[ETHERNET + header + 3] ?? 0);
  const protocol = bytes[ETHERNET + (isIpv6(bytes) ? 6 : 9)];
  if (bytes.length <= ETHERNET + overhead || protocol !== PROTOCOL.udp || port !== STEERING_PORT) return bytes;
  return spoiled(Buffer.concat([bytes.subarray(0, ETHERNET), bytes.subarray(ETHERNET + overhead)]));
}

/** The IP packet as a router sends it on, with so much less TTL, checksum and all. */
export function routed(bytes: Uint8Array, hops = 0): Uint8Array {
  const out = Buffer.from(bytes);
  if (hops === 0 || bytes.length < ETHERNET + (isIpv6(bytes) ? IPV6 : IPV4)) return bytes;
  const at = ETHERNET + (isIpv6(bytes) ? 7 : 8);
  out.writeUInt8((out.readUInt8(at) - hops) & 0xff, at);
  if (isIpv6(bytes)) return out;
  out.writeUInt16BE(0, ETHERNET + 10);
  out.writeUInt16BE(checksum(out.subarray(ETHERNET, ETHERNET + IPV4)), ETHERNET + 10);
  return out;
}

const ICMP_ECHO = 8;
const ICMPV6_ECHO = 128;

/** The packet with its ends exchanged, a ping with its answer; no more than an answer has to be here. Extension headers are not looked behind. */
export function turned(bytes: Uint8Array): Uint8Array {
  const out = Uint8Array.from(bytes);
  const v6 = isIpv6(bytes);
  if (bytes.length < ETHERNET + (v6 ? IPV6 : IPV4)) return bytes;
  const ip = ETHERNET;
  const transport = ip + (v6 ? IPV6 : ((bytes[ip] ?? 0) & 0x0f) * 4);
  const [source, destination, size] = v6 ? [ip + 8, ip + 24, 16] : [ip + 12, ip + 16, 4];
  out.set(bytes.subarray(source, source + size), destination);
  out.set(bytes.subarray(destination, destination + size), source);
  if (bytes[ip + (v6 ? 6 : 9)] === (v6 ? PROTOCOL.icmpv6 : PROTOCOL.icmp)) {
    // The identifier stays.
    if (bytes[transport] === ICMP_ECHO && !v6) out[transport] = 0;
    if (bytes[transport] === ICMPV6_ECHO && v6) out[transport] = ICMPV6_ECHO + 1;
  } else if (transport + 4 <= bytes.length) {
    out.set(bytes.subarray(transport, transport + 2), transport + 2);
    out.set(bytes.subarray(transport + 2, transport + 4), transport);
  }
  return out;
}

/** An ICMP error about the packet, from a router, to whoever its header says has sent it. */
export function complaint(bytes: Uint8Array, { repeat, icmpType, mtu }: StepOf<'complain'>): Uint8Array {
  const v6 = isIpv6(bytes);
  if (bytes.length < ETHERNET + (v6 ? IPV6 : IPV4)) return bytes;
  const address = v6 ? bytes.subarray(ETHERNET + 8, ETHERNET + 24) : bytes.subarray(ETHERNET + 12, ETHERNET + 16);
  const to = formatAddress(address, v6 ? 2 : 1);
  const about = bytes.subarray(ETHERNET, ETHERNET + repeat);
  return frame({
    from: v6 ? 'fd00::192.0.2.1' : '192.0.2.1',
    to,
    protocol: 'icmp',
    icmpType,
    about,
    ...(mtu !== undefined && { says: mtu }),
  });
}
