/**
 * The two sides of a difference. `Target` is what the maps should hold, `Observed` mirrors what they
 * do hold; the mirror changes only after the map did (`execute.ts`).
 */

import { createHash } from 'node:crypto';
import type {
  EndpointValue,
  PeerKey,
  PeerValue,
  SfcbackendValue,
  SfcpathValue,
  SfcportsKey,
  SfcportsValue,
  SfcselectKey,
  SfcselectValue,
} from '../../maps/index.js';
import type { InstanceLoss } from '../../policy/index.js';

/** Hexadecimal of bytes, as map keys of the mirror and to compare addresses. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** Identity of an sfcselect entry. Two spellings of a prefix are one key because host bits are zero. */
export function selectKeyText(key: SfcselectKey): string {
  return `${key.endpoint}/${key.flags}/${key.protocol}/${key.port}/${key.family}/${hex(key.address)}/${key.prefix_len}`;
}

export function portsKeyText(key: SfcportsKey): string {
  return `${key.endpoint}/${key.flags}/${key.protocol}/${key.port}/${key.prefix_len}`;
}

export function sameSelection(a: SfcselectValue, b: SfcselectValue): boolean {
  return a.path === b.path && a.cidr_prefix_len === b.cidr_prefix_len && a.last_port === b.last_port;
}

export function peerKeyText(key: PeerKey): string {
  return `${key.family}/${hex(key.address)}/${key.prefix_len}`;
}

/** `(family, address)` as one word. */
export function addressText(backend: SfcbackendValue): string {
  return `${backend.family}:${hex(backend.address)}`;
}

/** A run of slots in sfcbackend. */
export interface Slice {
  readonly base: number;
  readonly slots: number;
}

/** A path's backends by slot; equal tables have equal signatures. */
export interface BackendTable {
  readonly slots: readonly SfcbackendValue[];
  readonly signature: string;
}

/** Tables of thousands of slots hold few addresses: give the same object for the same backend to save memory. */
export function backendTable(slots: readonly SfcbackendValue[]): BackendTable {
  const bytes = new Uint8Array(slots.length * 17);
  slots.forEach((slot, index) => {
    bytes[index * 17] = slot.family;
    bytes.set(slot.address, index * 17 + 1);
  });
  return { slots, signature: createHash('sha256').update(bytes).digest('base64') };
}

/** Everything of an sfcpath value except where its slice is. */
export type PathSettings = Omit<SfcpathValue, 'backend_base' | 'backend_slots'>;

export interface TargetSelect {
  readonly key: SfcselectKey;
  readonly value: SfcselectValue;
  /** The TrafficSelector it comes from: applied together or not at all. */
  readonly selector: string;
  /** Other selectors without which it would be wrong: theirs are applied with it or not at all. */
  readonly together: readonly string[];
}

export interface TargetPorts {
  readonly key: SfcportsKey;
  readonly value: SfcportsValue;
  readonly together: readonly string[];
}

export interface TargetPath {
  readonly settings: PathSettings;
  readonly table: BackendTable;
  /** Instances whose live flows stay with them, as `addressText`: all that are ready. */
  readonly keepFlows: ReadonlySet<string>;
  /** Instances whose clients come back to them, where clients are remembered: those of some weight. */
  readonly keepClients: ReadonlySet<string>;
  /** What becomes of the flows of others. */
  readonly onInstanceLoss: InstanceLoss;
}

/** An endpoint's value without the generation, which the plan decides. */
export type EndpointSettings = Omit<EndpointValue, 'generation'>;

export interface Target {
  readonly selects: ReadonlyMap<string, TargetSelect>;
  readonly ports: ReadonlyMap<string, TargetPorts>;
  /** By path, SPI << 8 | SI. */
  readonly paths: ReadonlyMap<number, TargetPath>;
  /** By ifindex. */
  readonly endpoints: ReadonlyMap<number, EndpointSettings>;
  readonly peers: ReadonlyMap<string, { readonly key: PeerKey; readonly value: PeerValue }>;
}

export interface ObservedPath {
  readonly value: SfcpathValue;
  readonly table: BackendTable;
}

export interface Observed {
  readonly selects: Map<string, { readonly key: SfcselectKey; readonly value: SfcselectValue }>;
  readonly ports: Map<string, { readonly key: SfcportsKey; readonly value: SfcportsValue }>;
  readonly paths: Map<number, ObservedPath>;
  readonly endpoints: Map<number, EndpointValue>;
  readonly peers: Map<string, { readonly key: PeerKey; readonly value: PeerValue }>;
  /** What was filled for a path that does not name it yet; also holds slices that were only just left. */
  readonly filled: Map<string, { readonly slice: Slice; readonly table: BackendTable }>;
}

export function emptyObserved(): Observed {
  return { selects: new Map(), ports: new Map(), paths: new Map(), endpoints: new Map(), peers: new Map(), filled: new Map() };
}

/** Entries that each map can hold. */
export interface Capacities {
  readonly sfcselect: number;
  readonly sfcports: number;
  readonly sfcpath: number;
  readonly sfcbackend: number;
  readonly endpoint: number;
  readonly peer: number;
}
