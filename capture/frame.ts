/**
 * The few fields of a captured Ethernet frame that say who talks to whom. Headers inside a steering
 * packet are the business of `geneve/`; this looks at the outermost IPv4 packet only.
 */

import type { CapturedPacket } from './pcap-reader.js';
import { LINK_TYPE } from './pcap-writer.js';

export interface Frame {
  /** Lower-case, with colons. */
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly source: string;
  readonly destination: string;
  readonly protocol: 'tcp' | 'udp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What follows the TCP or UDP header, to the end of the IP packet or of what was captured. */
  readonly payload: Uint8Array;
}

const ETHERNET_LENGTH = 14;
const TCP = 6;
const UDP = 17;

/** The fields, or undefined for anything but an unfragmented TCP or UDP packet over IPv4 over Ethernet whose headers are all there. */
export function decodeFrame({ data, linkType }: Pick<CapturedPacket, 'data' | 'linkType'>): Frame | undefined {
  if (linkType !== LINK_TYPE.ethernet || data.length < ETHERNET_LENGTH + 20) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const version = view.getUint8(ETHERNET_LENGTH);
  if (view.getUint16(12) !== 0x0800 || version >> 4 !== 4) return undefined;
  const transport = ETHERNET_LENGTH + (version & 15) * 4;
  // Ethernet pads short frames: the IP length says where the packet ends.
  const end = Math.min(ETHERNET_LENGTH + view.getUint16(ETHERNET_LENGTH + 2), data.length);
  // More fragments (0x2000) or an offset: the ports may not be there.
  if ((view.getUint16(ETHERNET_LENGTH + 6) & 0x3fff) !== 0) return undefined;
  const number = view.getUint8(ETHERNET_LENGTH + 9);
  if ((number !== TCP && number !== UDP) || transport < ETHERNET_LENGTH + 20 || end < transport + (number === TCP ? 20 : 8))
    return undefined;
  const payload = transport + (number === TCP ? (view.getUint8(transport + 12) >> 4) * 4 : 8);
  if (payload > end) return undefined;
  return {
    destinationMac: mac(data, 0),
    sourceMac: mac(data, 6),
    source: ipv4(data, ETHERNET_LENGTH + 12),
    destination: ipv4(data, ETHERNET_LENGTH + 16),
    protocol: number === TCP ? 'tcp' : 'udp',
    sourcePort: view.getUint16(transport),
    destinationPort: view.getUint16(transport + 2),
    payload: data.subarray(payload, end),
  };
}

function mac(data: Uint8Array, offset: number): string {
  return Array.from(data.subarray(offset, offset + 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function ipv4(data: Uint8Array, offset: number): string {
  return data.subarray(offset, offset + 4).join('.');
}
