/**
 * Explicit congestion notification through a tunnel (RFC 6040). Entry is the normal mode of 4.1: the
 * outer header gets the inner one's codepoint. Exit is the table of 4.2, below.
 */

import { updateChecksum } from './checksum.js';

/** The two least significant bits of the TOS octet. */
export const ECN = { notEct: 0, ect1: 1, ect0: 2, ce: 3 } as const;
export const ECN_MASK = 3;

/** By inner and outer codepoint: what the packet carries on. Undefined: congestion that it cannot carry; drop. */
const EXIT: Readonly<Record<number, Readonly<Record<number, number | undefined>>>> = {
  [ECN.notEct]: { [ECN.notEct]: ECN.notEct, [ECN.ect0]: ECN.notEct, [ECN.ect1]: ECN.notEct, [ECN.ce]: undefined },
  [ECN.ect0]: { [ECN.notEct]: ECN.ect0, [ECN.ect0]: ECN.ect0, [ECN.ect1]: ECN.ect1, [ECN.ce]: ECN.ce },
  [ECN.ect1]: { [ECN.notEct]: ECN.ect1, [ECN.ect0]: ECN.ect1, [ECN.ect1]: ECN.ect1, [ECN.ce]: ECN.ce },
  [ECN.ce]: { [ECN.notEct]: ECN.ce, [ECN.ect0]: ECN.ce, [ECN.ect1]: ECN.ce, [ECN.ce]: ECN.ce },
};

/** The TOS of a packet that leaves the tunnel; undefined when it must be dropped. Both arguments are whole TOS octets; DSCP is the inner one's. */
export function tosAtExit(innerTos: number, outerTos: number): number | undefined {
  const ecn = EXIT[innerTos & ECN_MASK]?.[outerTos & ECN_MASK];
  return ecn === undefined ? undefined : (innerTos & ~ECN_MASK) | ecn;
}

/** A copy of a packet that `parsePacket` takes, with another TOS or traffic class; the IPv4 checksum follows. */
export function withTos(packet: Uint8Array, tos: number): Uint8Array {
  const copy = Uint8Array.from(packet);
  const view = new DataView(copy.buffer);
  const before = view.getUint16(0);
  const ipv6 = before >> 12 === 6;
  const after = ipv6 ? (before & 0xf00f) | (tos << 4) : (before & 0xff00) | tos;
  view.setUint16(0, after);
  if (!ipv6) view.setUint16(IPV4_CHECKSUM_OFFSET, updateChecksum(view.getUint16(IPV4_CHECKSUM_OFFSET), before, after));
  return copy;
}

const IPV4_CHECKSUM_OFFSET = 10;
