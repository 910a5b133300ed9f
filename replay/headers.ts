/** Are the headers by which a packet is judged all in the capture, which may have cut it? */

import { GENEVE_HEADER, IPV6_EXTENSION, IPV6_HEADER, PROTOCOL } from '../geneve/index.js';

const IPV4 = 20;
/** Bytes that are read of a transport header. */
const TRANSPORT: Readonly<Record<number, number>> = {
  [PROTOCOL.tcp]: 20,
  [PROTOCOL.udp]: 8,
  [PROTOCOL.icmp]: 8,
  [PROTOCOL.icmpv6]: 8,
  [PROTOCOL.sctp]: 12,
};
const OFFSET_MASK = 0x1fff;
const WORD = 4;
const EXTENSIONS = new Set<number>(Object.values(IPV6_EXTENSION));
/** Bytes of an extension header that say how long it is and what follows. */
const EXTENSION = 2;
const FRAGMENT = 8;

/** Bytes of the IP header of a version without options and extension headers. */
export const LEAST_HEADER = { 4: IPV4, 6: IPV6_HEADER.size } as const;

/** Where the transport header begins, and its protocol; undefined: there is none, as in a later fragment. */
interface Transport {
  readonly at: number;
  readonly protocol: number | undefined;
}

/**
 * Of an IP packet of which `captured` bytes stand at the start of `bytes`. What contradicts itself
 * counts as there: the pipeline says what is wrong with it. `port`: UDP port of steering.
 */
export function headersCaptured(bytes: Uint8Array, captured: number, port: number, inner = false): boolean {
  if (captured === 0) return false;
  const found = (bytes[0] as number) >> 4 === 6 ? ipv6Transport(bytes, captured) : ipv4Transport(bytes, captured);
  if (found === undefined) return false;
  const { at, protocol } = found;
  const length = protocol === undefined ? undefined : TRANSPORT[protocol];
  if (length === undefined) return captured >= at;
  if (captured < at + length) return false;
  const isSteering = !inner && protocol === PROTOCOL.udp && wordAt(bytes, at + 2) === port;
  if (!isSteering) return true;
  const geneve = at + length;
  if (captured < geneve + GENEVE_HEADER.size) return false;
  const options = ((bytes[geneve] as number) & 0x3f) * WORD;
  const begin = geneve + GENEVE_HEADER.size + options;
  return captured > begin && headersCaptured(bytes.subarray(begin), captured - begin, port, true);
}

function ipv4Transport(bytes: Uint8Array, captured: number): Transport | undefined {
  if (captured < IPV4) return undefined;
  const isLaterFragment = (wordAt(bytes, 6) & OFFSET_MASK) !== 0;
  return { at: ((bytes[0] as number) & 0x0f) * WORD, protocol: isLaterFragment ? undefined : bytes[9] };
}

function ipv6Transport(bytes: Uint8Array, captured: number): Transport | undefined {
  if (captured < IPV6_HEADER.size) return undefined;
  let protocol = bytes[6] as number;
  let at: number = IPV6_HEADER.size;
  while (EXTENSIONS.has(protocol)) {
    if (captured < at + (protocol === IPV6_EXTENSION.fragment ? FRAGMENT : EXTENSION)) return undefined;
    if (protocol === IPV6_EXTENSION.fragment && wordAt(bytes, at + 2) >> 3 !== 0) return { at: at + FRAGMENT, protocol: undefined };
    const words = bytes[at + 1] as number;
    const length =
      protocol === IPV6_EXTENSION.fragment ? FRAGMENT : protocol === IPV6_EXTENSION.authentication ? 4 * words + 8 : 8 * words + 8;
    protocol = bytes[at] as number;
    at += length;
  }
  return { at, protocol };
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
