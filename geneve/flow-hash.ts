/**
 * The flow hash: the same number on every node and in both datapaths (`flow_hash` in the kernel
 * program's packet.h). It gives the outer source port its entropy (RFC 8926 3.3) and picks the slot
 * of the Maglev table.
 */

import type { Packet } from './packet.js';

const START = 0x5fc15fc1;

export type FlowTuple = Pick<Packet, 'source' | 'destination' | 'sourcePort' | 'destinationPort' | 'protocol'>;

/** Over the 5-tuple; addresses of 4 or of 16 bytes. An unsigned 32-bit number. */
export function flowHash({ source, destination, sourcePort, destinationPort, protocol }: FlowTuple): number {
  const addresses = hashAddress(hashAddress(START, source), destination);
  return hashWord(hashWord(addresses, (sourcePort << 16) | destinationPort), protocol) >>> 0;
}

/** Over the source address alone: what session affinity goes by. An unsigned 32-bit number. */
export function clientHash({ source }: Pick<Packet, 'source'>): number {
  return hashAddress(START, source) >>> 0;
}

/** Bit 15 set, bit 0 the direction, the hash between them. */
export const SOURCE_PORT = { base: 0x8000, entropy: 0x7ffe, reply: 0x0001 } as const;

/** UDP source port of the outer header for a packet of this flow hash. */
export function outerSourcePort(hash: number, reply: boolean): number {
  return SOURCE_PORT.base | (hash & SOURCE_PORT.entropy) | (reply ? SOURCE_PORT.reply : 0);
}

function hashAddress(hash: number, address: Uint8Array): number {
  let folded = hash;
  for (let i = 0; i + 3 < address.length; i += 4)
    folded = hashWord(
      folded,
      ((address[i] ?? 0) << 24) | ((address[i + 1] ?? 0) << 16) | ((address[i + 2] ?? 0) << 8) | (address[i + 3] ?? 0),
    );
  return folded;
}

/** One multiply-and-fold step over a word in network order. */
function hashWord(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1);
  return product ^ (product >>> 15);
}
