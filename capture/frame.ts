/**
 * The few fields of a captured Ethernet frame that say who talks to whom: of the outermost IP
 * packet. What a steering packet carries is for `decodePacket` of `geneve/` to say.
 */

import {
  decodeIpv4,
  decodeIpv6,
  decodeTcp,
  ETHERNET_HEADER,
  ETHERTYPE,
  formatAddress,
  formatMac,
  PROTOCOL,
  UDP_HEADER,
} from '../geneve/index.js';
import type { CapturedPacket } from './pcap-reader.js';
import { LINK_TYPE } from './pcap-writer.js';

export interface Frame {
  /** Lower-case, with colons. */
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly family: 4 | 6;
  readonly source: string;
  readonly destination: string;
  readonly protocol: 'tcp' | 'udp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What follows the TCP or UDP header, to the end of the IP packet or of what was captured. */
  readonly payload: Uint8Array;
}

/** The fields, or undefined for anything but an unfragmented TCP or UDP packet over IP over Ethernet whose headers are all there. */
export function decodeFrame({ data, linkType }: Pick<CapturedPacket, 'data' | 'linkType'>): Frame | undefined {
  const ethernet = ETHERNET_HEADER.decode(data);
  if (linkType !== LINK_TYPE.ethernet || 'failure' in ethernet) return undefined;
  const ip = wholeIp(data, ethernet.type);
  if (ip === undefined || (ip.protocol !== PROTOCOL.tcp && ip.protocol !== PROTOCOL.udp)) return undefined;
  const tcp = ip.protocol === PROTOCOL.tcp;
  // Ethernet pads short frames: the IP length says where the packet ends.
  const segment = data.subarray(ETHERNET_HEADER.size + ip.headerLength, ETHERNET_HEADER.size + ip.totalLength);
  const transport = tcp ? decodeTcp(segment) : UDP_HEADER.decode(segment);
  if ('failure' in transport) return undefined;
  const addressFamily = ip.family === 4 ? 1 : 2;
  return {
    destinationMac: formatMac(ethernet.destination),
    sourceMac: formatMac(ethernet.source),
    family: ip.family,
    source: formatAddress(ip.source, addressFamily),
    destination: formatAddress(ip.destination, addressFamily),
    protocol: tcp ? 'tcp' : 'udp',
    sourcePort: transport.sourcePort,
    destinationPort: transport.destinationPort,
    payload: segment.subarray('headerLength' in transport ? transport.headerLength : UDP_HEADER.size),
  };
}

/** The IP headers of a frame of this type; undefined where they are not all there, or of a fragment. */
function wholeIp(data: Uint8Array, type: number) {
  if (type === ETHERTYPE.ipv4) {
    const ip = decodeIpv4(data, ETHERNET_HEADER.size);
    return 'failure' in ip || isFragment(ip) ? undefined : { ...ip, family: 4 as const };
  }
  if (type === ETHERTYPE.ipv6) {
    const ip = decodeIpv6(data, ETHERNET_HEADER.size);
    return 'failure' in ip || (ip.fragment !== undefined && isFragment(ip.fragment)) ? undefined : { ...ip, family: 6 as const };
  }
  return undefined;
}

function isFragment({ moreFragments, fragmentOffset }: { moreFragments: number; fragmentOffset: number }): boolean {
  return moreFragments === 1 || fragmentOffset > 0;
}
