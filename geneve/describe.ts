/**
 * A packet described for people and captures: every layer as plain data, as far as the bytes go. A
 * packet that a capture cut, or that a receiver would drop, is described all the same.
 */

import { formatAddress } from './address.js';
import { checksum, transportChecksum } from './checksum.js';
import { type DecapsulateOptions, decapsulate } from './decapsulate.js';
import type {
  ChecksumState,
  IpDescription,
  OptionDescription,
  PacketDescription,
  SteeringDescription,
  TransportDescription,
} from './description.js';
import { type Failure, short } from './failure.js';
import { SOURCE_PORT } from './flow-hash.js';
import { decodeGeneveOption, GENEVE_HEADER, STEERING_PORT } from './geneve-header.js';
import { decodeIpv4 } from './ipv4.js';
import { decodeIpv6 } from './ipv6.js';
import { NSH_BASE_HEADER, NSH_OPTION, NSH_SERVICE_PATH_HEADER } from './nsh.js';
import { decodeVersion } from './packet.js';
import { decodeTcp, ICMP_HEADER, PROTOCOL, TCP_FLAGS, UDP_HEADER } from './transport.js';

/** The IP packet at the start of `bytes`; what lies behind it is left out. Steering is what goes to `options.port`. */
export function decodePacket(bytes: Uint8Array, options: DecapsulateOptions = {}): PacketDescription {
  const layers = describeLayers(bytes);
  const { ip, transport } = layers;
  if (ip === undefined || transport?.kind !== 'udp' || transport.destinationPort !== (options.port ?? STEERING_PORT)) return layers;
  const wire = bytes.subarray(ip.headerLength + UDP_HEADER.size, ip.length);
  const verdict = decapsulate(bytes, options);
  const drop = 'failure' in verdict ? { drop: verdict.failure } : {};
  return { ...layers, ...describeSteering(wire, (transport.sourcePort & SOURCE_PORT.reply) !== 0), ...drop };
}

function describeLayers(bytes: Uint8Array): PacketDescription {
  const known = decodeVersion(bytes);
  if ('failure' in known) return { payload: bytes.length, ...known };
  const described = known.version === 4 ? describeIpv4(bytes) : describeIpv6(bytes);
  if ('failure' in described) return { payload: bytes.length, ...described };
  const { ip, ends } = described;
  const whole = ip.length <= bytes.length;
  const cut = whole ? {} : short(`IPv${ip.version} packet`, ip.length, bytes.length);
  const behind = bytes.subarray(ip.headerLength, ip.length);
  if ((ip.fragment?.offset ?? 0) > 0) return { ip, payload: behind.length, ...cut };
  const transport = describeTransport(behind, ip.protocol, (segment, own) => {
    if (own === 0 && ip.protocol === PROTOCOL.udp) return 'absent';
    if (!whole || ip.fragment !== undefined) return 'unknown';
    const sum = ip.protocol === PROTOCOL.icmp ? checksum(segment) : transportChecksum({ ...ends, protocol: ip.protocol }, segment);
    return sum === 0 ? 'good' : 'bad';
  });
  if (transport === undefined) return { ip, payload: behind.length, ...cut };
  if ('failure' in transport) return { ip, payload: behind.length, ...transport };
  return { ip, transport: transport.description, payload: behind.length - transport.length, ...cut };
}

type Ends = { readonly source: Uint8Array; readonly destination: Uint8Array };
type DescribedIp = { readonly ip: IpDescription; readonly ends: Ends } | { readonly failure: Failure };

function describeIpv4(bytes: Uint8Array): DescribedIp {
  const header = decodeIpv4(bytes);
  if ('failure' in header) return header;
  const fragmented = header.moreFragments === 1 || header.fragmentOffset > 0;
  return {
    ends: header,
    ip: {
      version: 4,
      source: formatAddress(header.source, 1),
      destination: formatAddress(header.destination, 1),
      ttl: header.ttl,
      tos: header.tos,
      protocol: header.protocol,
      headerLength: header.headerLength,
      length: header.totalLength,
      checksum: checksum(bytes.subarray(0, header.headerLength)) === 0 ? 'good' : 'bad',
      identification: header.identification,
      ...(fragmented && { fragment: { offset: header.fragmentOffset * 8, more: header.moreFragments === 1 } }),
    },
  };
}

function describeIpv6(bytes: Uint8Array): DescribedIp {
  const header = decodeIpv6(bytes);
  if ('failure' in header) return header;
  const { fragment } = header;
  return {
    ends: header,
    ip: {
      version: 6,
      source: formatAddress(header.source, 2),
      destination: formatAddress(header.destination, 2),
      ttl: header.hopLimit,
      tos: header.trafficClass,
      protocol: header.protocol,
      headerLength: header.headerLength,
      length: header.totalLength,
      checksum: 'absent',
      ...(fragment && {
        identification: fragment.identification,
        fragment: { offset: fragment.fragmentOffset * 8, more: fragment.moreFragments === 1 },
      }),
    },
  };
}

/** The transport header with its length in bytes; undefined for a protocol that is not read. */
function describeTransport(
  bytes: Uint8Array,
  protocol: number,
  stateOf: (segment: Uint8Array, checksum: number) => ChecksumState,
): { readonly description: TransportDescription; readonly length: number } | { readonly failure: Failure } | undefined {
  if (protocol === PROTOCOL.udp) {
    const udp = UDP_HEADER.decode(bytes);
    if ('failure' in udp) return udp;
    const { sourcePort, destinationPort } = udp;
    const state = stateOf(bytes.subarray(0, udp.length), udp.checksum);
    return { description: { kind: 'udp', sourcePort, destinationPort, checksum: state }, length: UDP_HEADER.size };
  }
  if (protocol === PROTOCOL.tcp) {
    const tcp = decodeTcp(bytes);
    if ('failure' in tcp) return tcp;
    const { sourcePort, destinationPort, sequence, acknowledgement, window } = tcp;
    const flags = TCP_FLAGS.filter((_, bit) => (tcp.flags & (1 << bit)) !== 0);
    const state = stateOf(bytes, tcp.checksum);
    return {
      description: { kind: 'tcp', sourcePort, destinationPort, flags, sequence, acknowledgement, window, checksum: state },
      length: tcp.headerLength,
    };
  }
  if (protocol !== PROTOCOL.icmp && protocol !== PROTOCOL.icmpv6) return undefined;
  const icmp = ICMP_HEADER.decode(bytes);
  if ('failure' in icmp) return icmp;
  const state = stateOf(bytes, icmp.checksum);
  return { description: { kind: 'icmp', type: icmp.type, code: icmp.code, checksum: state }, length: ICMP_HEADER.size };
}

/** What follows the outer UDP header. */
function describeSteering(bytes: Uint8Array, reply: boolean): Partial<PacketDescription> {
  const geneve = GENEVE_HEADER.decode(bytes);
  if ('failure' in geneve) return geneve;
  const options: OptionDescription[] = [];
  let nsh: SteeringDescription['nsh'];
  const end = GENEVE_HEADER.size + geneve.optionWords * 4;
  for (let at: number = GENEVE_HEADER.size; at < end; ) {
    const option = decodeGeneveOption(bytes, at, end);
    if ('failure' in option) return { steering: { reply, geneve, options, ...(nsh && { nsh }) }, payload: bytes.length - at, ...option };
    options.push({ class: option.class, type: option.type, critical: option.critical, length: option.length });
    if (option.class === NSH_OPTION.class && option.type === NSH_OPTION.type) nsh ??= describeNsh(option.body);
    at += option.length;
  }
  return { steering: { reply, geneve, options, ...(nsh && { nsh }) }, inner: describeLayers(bytes.subarray(end)), payload: 0 };
}

function describeNsh(body: Uint8Array): SteeringDescription['nsh'] {
  const base = NSH_BASE_HEADER.decode(body);
  const path = NSH_SERVICE_PATH_HEADER.decode(body, NSH_BASE_HEADER.size);
  return 'failure' in base || 'failure' in path ? undefined : { ...base, ...path };
}
