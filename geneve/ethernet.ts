/** Ethernet (IEEE 802.3), as captures show it. Steering packets carry no inner Ethernet header. */

import { type RecordOf, wireHeader } from './field-table.js';

export const ETHERNET_HEADER = wireHeader('Ethernet header', 'IEEE 802.3 3.2.6', [
  ['destination', 'bytes6', 'destination address'],
  ['source', 'bytes6', 'source address'],
  ['type', 'u16', 'ethertype of what follows'],
]);
export type EthernetHeader = RecordOf<typeof ETHERNET_HEADER>;

export const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd } as const;

/** Lower-case, with colons. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
