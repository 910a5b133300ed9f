/**
 * What policy wants of one node's maps: plain data, the same on every machine. The reconciler turns
 * it into ordered map changes; nothing here touches a map.
 */

import type { Family } from '../maps/index.js';
import type { Direction, FailurePolicy, InstanceLoss, Probe } from './world.js';

/** Service path identifier, 24 bits (RFC 8300 2.3), 1..16777214: the highest is the path of probes. */
export type Spi = number & { readonly __unit: 'SPI' };
/** Service index, 8 bits (RFC 8300 2.3). */
export type Si = number & { readonly __unit: 'SI' };

/** An address as the maps hold it: 16 bytes, IPv4 in the first four. */
export interface Address {
  readonly family: Family;
  readonly bytes: Uint8Array;
  /** Canonical text. */
  readonly text: string;
}

export interface Cidr {
  readonly family: Family;
  /** 16 bytes, host bits zero. */
  readonly bytes: Uint8Array;
  readonly prefixLength: number;
  readonly text: string;
}

/** A pod of this node that has an address. */
export interface EndpointRef {
  /** `namespace/name` of the pod. */
  readonly pod: string;
  readonly id: number;
}

export interface DesiredSelect {
  readonly endpoint: EndpointRef;
  readonly direction: Direction;
  /** IP protocol number; 0 = any. */
  readonly protocol: number;
  /** First port; 0 = all ports. */
  readonly port: number;
  readonly lastPort: number;
  readonly cidr: Cidr;
  /** Prefix length of the claim that wins here: shorter than that of `cidr` in an exception. */
  readonly winningPrefix: number;
  /** 0 in an exception where nothing else is claimed. */
  readonly spi: Spi | 0;
  readonly si: Si | 0;
  /** Name of the TrafficSelector that the entry comes from. */
  readonly selector: string;
  /** Other selectors that this entry is right with only. */
  readonly together: readonly string[];
}

/** Ports that share their first `bits` bits, and the port under which `DesiredSelect` has their range; 0 = each under itself. */
export interface DesiredPorts {
  readonly endpoint: EndpointRef;
  readonly direction: Direction;
  readonly protocol: number;
  readonly port: number;
  readonly bits: number;
  readonly firstPort: number;
  /** Selectors that made it. */
  readonly together: readonly string[];
}

export interface DesiredBackend {
  /** `namespace/name` of the pod. */
  readonly pod: string;
  readonly address: Address;
  readonly node: string;
  /** 1..100; 0 only among those that take no new flows. */
  readonly weight: number;
}

export interface DesiredPath {
  readonly spi: Spi;
  readonly si: Si;
  /** Name of the ServiceFunctionChain. */
  readonly chain: string;
  readonly serviceFunction: string;
  readonly serviceAddress: Address;
  /** Seconds; undefined: no session affinity. */
  readonly affinityTimeout: number | undefined;
  readonly onInstanceLoss: InstanceLoss;
  readonly failurePolicy: FailurePolicy;
  /** A pod of the function, ready or not, has another position of the chain too. */
  readonly revisits: boolean;
  /** Instances that take new flows from this node, sorted by pod name. */
  readonly backends: readonly DesiredBackend[];
  /** Ready instances that take none: of weight 0, or because others are nearer. Live flows stay with them. */
  readonly others: readonly DesiredBackend[];
  /** Undefined: they are not asked. */
  readonly probe: Probe | undefined;
  /** Every ready instance, to be asked where there is a probe: also those that fail. */
  readonly ready: readonly DesiredBackend[];
}

export interface DesiredPeer {
  readonly node: string;
  readonly cidr: Cidr;
}

/** Two selectors that claim the same packets of one endpoint with the same precedence. */
export interface Conflict {
  readonly pod: string;
  /** As `sfc bpf sfcselect list` prints it: `egress, 0/TCP, 10.0.2.12/32`. */
  readonly what: string;
  readonly winner: { readonly selector: string; readonly chain: string; readonly spi: Spi };
  readonly losers: readonly { readonly selector: string; readonly chain: string; readonly spi: Spi }[];
  /** Why the winner won, in words. */
  readonly rule: string;
}

export interface DesiredState {
  readonly selects: readonly DesiredSelect[];
  readonly ports: readonly DesiredPorts[];
  readonly paths: readonly DesiredPath[];
  readonly peers: readonly DesiredPeer[];
  readonly conflicts: readonly Conflict[];
}
