/** What `decodePacket` says of a packet: plain data, every layer that was there. */

import type { DropFailure, Failure } from './failure.js';
import type { RecordOf } from './field-table.js';
import type { GeneveHeader } from './geneve-header.js';
import type { NSH_SERVICE_PATH_HEADER, NshBaseHeader } from './nsh.js';
import type { TCP_FLAGS } from './transport.js';

/** `absent`: the sender left it out (UDP). `unknown`: not all that it covers is there. */
export type ChecksumState = 'good' | 'bad' | 'absent' | 'unknown';

export interface IpDescription {
  readonly version: 4 | 6;
  readonly source: string;
  readonly destination: string;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** TOS or traffic class: DSCP 6 bits, ECN 2 bits. */
  readonly tos: number;
  /** Behind IPv6 extension headers. */
  readonly protocol: number;
  /** Of the header with options or extension headers, bytes. */
  readonly headerLength: number;
  /** Of the whole packet, as its header says, bytes. */
  readonly length: number;
  /** Of the header; IPv6 has none. */
  readonly checksum: ChecksumState;
  /** Of IPv4; of a fragment, also of IPv6. */
  readonly identification?: number;
  /** Only of a fragment. `offset` in bytes. */
  readonly fragment?: { readonly offset: number; readonly more: boolean };
}

export interface UdpDescription {
  readonly kind: 'udp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly checksum: ChecksumState;
}

export interface TcpDescription {
  readonly kind: 'tcp';
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Least significant first: `SYN`, `ACK`. */
  readonly flags: readonly (typeof TCP_FLAGS)[number][];
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly window: number;
  readonly checksum: ChecksumState;
}

/** ICMP and ICMPv6. */
export interface IcmpDescription {
  readonly kind: 'icmp';
  readonly type: number;
  readonly code: number;
  readonly checksum: ChecksumState;
}

export type TransportDescription = UdpDescription | TcpDescription | IcmpDescription;

export interface OptionDescription {
  readonly class: number;
  readonly type: number;
  readonly critical: boolean;
  /** Of header and body, bytes. */
  readonly length: number;
}

export interface SteeringDescription {
  readonly reply: boolean;
  readonly geneve: GeneveHeader;
  readonly options: readonly OptionDescription[];
  readonly nsh?: NshBaseHeader & RecordOf<typeof NSH_SERVICE_PATH_HEADER>;
}

export interface PacketDescription {
  readonly ip?: IpDescription;
  readonly transport?: TransportDescription;
  /** Of a packet to the steering port. */
  readonly steering?: SteeringDescription;
  /** What the steering packet carries. */
  readonly inner?: PacketDescription;
  /** Bytes behind the last header that was read, as far as they are there. */
  readonly payload: number;
  /** Where reading stopped, or what the packet is short of. */
  readonly failure?: Failure;
  /** What a receiver drops the steering packet for. */
  readonly drop?: DropFailure;
}
