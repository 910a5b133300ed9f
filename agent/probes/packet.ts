/** The packet that asks an instance: to it, through it, and back to a pod of the node that asks. */

import {
  encapsulate,
  encodeIpv4,
  encodeIpv6,
  NSH_TTL_CLASSIFIER,
  PROTOCOL,
  toSi,
  toSpi,
  UDP_HEADER,
  udpChecksum,
} from '../../geneve/index.js';
import { FAMILY, PROBE } from '../../maps/index.js';
import type { Address } from '../../policy/index.js';

/** Bytes: magic word and sequence number. */
const PAYLOAD = 8;
/** TTL or hop limit of the inner packet: each router inside the function takes one. */
const INNER_TTL = 64;

export interface ProbePacket {
  readonly instance: Address;
  /** The pod of this node from which it seems to come and to which it comes back; of the instance's family. */
  readonly pod: Address;
  /**
   * Who asks, inside: an address of the node. Not the pod's own, because firewalls drop what has one address at both
   * ends (the LAND attack), and connection tracking takes it for its own answer.
   */
  readonly node: Address;
  /** UDP port inside, both of them. */
  readonly port: number;
  readonly sequence: number;
  /** UDP port of steering. */
  readonly steeringPort: number;
}

/** The whole packet, outer IP header included. */
export function probePacket({ instance, pod, node, port, sequence, steeringPort }: ProbePacket): Uint8Array {
  const wrapped = encapsulate(innerPacket(node, pod, port, sequence), {
    source: pod,
    destination: instance,
    spi: toSpi(PROBE.spi),
    si: toSi(1),
    ttl: NSH_TTL_CLASSIFIER,
    reply: false,
    port: steeringPort,
  });
  if ('failure' in wrapped) throw new Error(`a probe that cannot be wrapped: ${wrapped.failure.reason}`);
  return wrapped;
}

function innerPacket(node: Address, pod: Address, port: number, sequence: number): Uint8Array {
  const width = node.family === FAMILY.ipv4 ? 4 : 16;
  const ends = { source: node.bytes.subarray(0, width), destination: pod.bytes.subarray(0, width) };
  const segment = new Uint8Array(UDP_HEADER.size + PAYLOAD);
  const payload = new DataView(segment.buffer, UDP_HEADER.size);
  payload.setUint32(0, PROBE.magic);
  payload.setUint32(4, sequence);
  const header = { sourcePort: port, destinationPort: port, length: segment.length, checksum: 0 };
  UDP_HEADER.write(segment, 0, header);
  UDP_HEADER.write(segment, 0, { ...header, checksum: udpChecksum(ends, segment) });
  return Buffer.concat([ipHeader(ends, segment.length), segment]);
}

function ipHeader(ends: { readonly source: Uint8Array; readonly destination: Uint8Array }, length: number): Uint8Array {
  if (ends.source.length === 16)
    return encodeIpv6({ trafficClass: 0, flowLabel: 0, payloadLength: length, nextHeader: PROTOCOL.udp, hopLimit: INNER_TTL, ...ends });
  return encodeIpv4({
    tos: 0,
    totalLength: 20 + length,
    identification: 0,
    dontFragment: 1,
    moreFragments: 0,
    fragmentOffset: 0,
    ttl: INNER_TTL,
    protocol: PROTOCOL.udp,
    ...ends,
  });
}
