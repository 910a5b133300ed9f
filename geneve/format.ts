/** One line of text for a described packet. */

import type { IpDescription, PacketDescription, SteeringDescription, TransportDescription } from './description.js';
import { formatFailure } from './failure.js';
import { PROTOCOL } from './transport.js';

const NAMES: Readonly<Record<number, string>> = {
  [PROTOCOL.icmp]: 'ICMP',
  [PROTOCOL.tcp]: 'TCP',
  [PROTOCOL.udp]: 'UDP',
  [PROTOCOL.icmpv6]: 'ICMPv6',
  [PROTOCOL.sctp]: 'SCTP',
};

/**
 * `10.244.1.10 > 10.244.2.11 geneve (1, 1) ttl 63 forward | 192.168.77.10:40000 > 203.0.113.10:9000 TCP SYN len 60`
 *
 * `len` is the IP length of the packet. What is missing, and what a receiver would drop the packet
 * for, stands in brackets behind the layer that it concerns.
 */
export function formatPacket(description: PacketDescription): string {
  const { ip, transport, steering, inner } = description;
  if (ip === undefined) return `no IP packet${note(description)}`;
  if (steering === undefined) return `${formatFlow(ip, transport)}${note(description)}`;
  const outer = `${ip.source} > ${ip.destination} ${formatSteering(steering)}${note(description)}`;
  return inner === undefined ? outer : `${outer} | ${formatPacket(inner)}`;
}

function formatSteering({ nsh, reply }: SteeringDescription): string {
  const path = nsh === undefined ? 'without NSH' : `(${nsh.spi}, ${nsh.si}) ttl ${nsh.ttl}`;
  return `geneve ${path} ${reply ? 'reply' : 'forward'}`;
}

function formatFlow(ip: IpDescription, transport: TransportDescription | undefined): string {
  const ports = transport === undefined || transport.kind === 'icmp' ? undefined : transport;
  const words = [
    `${formatEnd(ip, ip.source, ports?.sourcePort)} > ${formatEnd(ip, ip.destination, ports?.destinationPort)}`,
    NAMES[ip.protocol] ?? `protocol ${ip.protocol}`,
    ...(transport?.kind === 'tcp' ? transport.flags : []),
    ...(transport?.kind === 'icmp' ? [`type ${transport.type} code ${transport.code}`] : []),
    ...(ip.fragment === undefined ? [] : [`fragment at ${ip.fragment.offset}`]),
    `len ${ip.length}`,
  ];
  return words.join(' ');
}

function formatEnd({ version }: IpDescription, address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return version === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

function note({ drop, failure }: PacketDescription): string {
  if (drop !== undefined) return ` [drop ${drop.reason}: ${formatFailure(drop)}]`;
  return failure === undefined ? '' : ` [${formatFailure(failure)}]`;
}
