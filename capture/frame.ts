/**
 * The few fields of a captured Ethernet frame that say who talks to whom: of the outermost IPv4
 * packet. What a steering packet carries is for `decodePacket` of `geneve/` to say.
 */

import { decodeIpv4, decodeTcp, ETHERNET_HEADER, ETHERTYPE, formatAddress, formatMac, PROTOCOL, UDP_HEADER } from '../geneve/index.js';
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

/** The fields, or undefined for anything but an unfragmented TCP or UDP packet over IPv4 over Ethernet whose headers are all there. */
export function decodeFrame({ data, linkType }: Pick<CapturedPacket, 'data' | 'linkType'>): Frame | undefined {
  const ethernet = ETHERNET_HEADER.decode(data);
  if (linkType !== LINK_TYPE.ethernet || 'failure' in ethernet || ethernet.type !== ETHERTYPE.ipv4) return undefined;
  const ip = decodeIpv4(data, ETHERNET_HEADER.size);
  if ('failure' in ip || ip.moreFragments === 1 || ip.fragmentOffset > 0) return undefined;
  if (ip.protocol !== PROTOCOL.tcp && ip.protocol !== PROTOCOL.udp) return undefined;
  const tcp = ip.protocol === PROTOCOL.tcp;
  // Ethernet pads short frames: the IP length says where the packet ends.
  const segment = data.subarray(ETHERNET_HEADER.size + ip.headerLength, ETHERNET_HEADER.size + ip.totalLength);
  const transport = tcp ? decodeTcp(segment) : UDP_HEADER.decode(segment);
  if ('failure' in transport) return undefined;
  return {
    destinationMac: formatMac(ethernet.destination),
    sourceMac: formatMac(ethernet.source),
    source: formatAddress(ip.source, 1),
    destination: formatAddress(ip.destination, 1),
    protocol: tcp ? 'tcp' : 'udp',
    sourcePort: transport.sourcePort,
    destinationPort: transport.destinationPort,
    payload: segment.subarray('headerLength' in transport ? transport.headerLength : UDP_HEADER.size),
  };
}
