/** Map entries as operators read them. Paths are SPI << 8 | SI; addresses are 16 bytes, IPv4 in the first four. */

import ipaddr from 'ipaddr.js';
import type { LayoutRecord } from './codec.js';
import { FAMILY, FLOW_FLAG, FLOW_ROLE, SELECT_FLAG, SELECT_STATIC_BITS, TCP_STATE } from './layouts.js';
import type { SfcflowKey, SfcflowValue, SfcselectKey, SfcselectValue } from './records.js';

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6', 132: 'SCTP' };
const ROLES = new Map<number, string>(Object.entries(FLOW_ROLE).map(([name, number]) => [number, name]));

const TCP = 6;
/** Whichever end began to close. */
const TCP_STATES = new Map<number, string>(
  Object.entries(TCP_STATE).map(([name, state]) => [state, name.startsWith('closing') ? 'closing' : name]),
);

/** `handshake`, `established`, `closing`, `closed`, `reset`; empty for other protocols than TCP. */
export function formatTcpState(protocol: number, state: number): string {
  return protocol === TCP ? (TCP_STATES.get(state) ?? String(state)) : '';
}

/** `(1, 1)`: service path identifier and service index. */
export function formatPath(path: number): string {
  return `(${path >>> 8}, ${path & 0xff})`;
}

/** `TCP`, or the number of a protocol that has no common name. */
export function formatProtocol(protocol: number): string {
  return PROTOCOLS[protocol] ?? String(protocol);
}

/** Canonical text of the address (RFC 5952 for IPv6); empty for a family that is neither, which marks an unset address. */
export function formatMapAddress(bytes: Uint8Array, family: number): string {
  if (family === FAMILY.ipv4) return bytes.subarray(0, 4).join('.');
  if (family === FAMILY.ipv6) return new ipaddr.IPv6(Array.from(bytes.subarray(0, 16))).toRFC5952String();
  return '';
}

/** `10.0.2.12:443`, `[2001:db8::1]:443`. */
export function formatAddressPort(bytes: Uint8Array, family: number, port: number): string {
  const address = formatMapAddress(bytes, family);
  return family === FAMILY.ipv6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `0/TCP`, `53/UDP`, `8000-8999/TCP`, `0/Any`: protocol and ports of a selection; port 0 is all of them. */
export function formatPorts(protocol: number, first: number, last: number): string {
  const ports = last > first ? `${first}-${last}` : first;
  return `${ports}/${protocol === 0 ? 'Any' : formatProtocol(protocol)}`;
}

/** The two columns of `sfc bpf sfcselect list`: `3783, egress, 0/TCP, 10.0.2.12/32` and `/32 (1, 1)`, `-` where nothing selects. */
export function formatSelector(key: SfcselectKey, value: SfcselectValue): { readonly selector: string; readonly path: string } {
  const direction = (key.flags & SELECT_FLAG.egress) !== 0 ? 'egress' : 'ingress';
  const cidr = `${formatMapAddress(key.address, key.family)}/${key.prefix_len - SELECT_STATIC_BITS}`;
  return {
    selector: `${key.endpoint}, ${direction}, ${formatPorts(key.protocol, key.port, value.last_port)}, ${cidr}`,
    path: value.path === 0 ? '-' : `/${value.cidr_prefix_len} ${formatPath(value.path)}`,
  };
}

/** A flow in text. Hops that the flow does not have, and paths that are 0, are empty. */
export interface FlowText {
  readonly endpoint: number;
  readonly protocol: string;
  /** Who opened the flow, `10.8.0.2:40000`. */
  readonly source: string;
  readonly destination: string;
  readonly role: string;
  /** Of a TCP connection; empty for other protocols. */
  readonly state: string;
  readonly path: string;
  readonly nextPath: string;
  readonly previousHop: string;
  readonly nextHop: string;
  readonly packets: number;
  readonly bytes: number;
  readonly replyPackets: number;
  readonly replyBytes: number;
}

/** A flow the way its forward direction runs, whichever of its two sides is `a` in the key. */
export function formatFlow(key: SfcflowKey, value: SfcflowValue): FlowText {
  const a = formatAddressPort(key.address_a, key.family, key.port_a);
  const b = formatAddressPort(key.address_b, key.family, key.port_b);
  const forward = (value.flags & FLOW_FLAG.forwardAToB) !== 0;
  return {
    endpoint: value.endpoint,
    protocol: formatProtocol(key.protocol),
    source: forward ? a : b,
    destination: forward ? b : a,
    state: formatTcpState(key.protocol, value.tcp_state),
    role: ROLES.get(value.role) ?? String(value.role),
    path: value.path === 0 ? '' : formatPath(value.path),
    nextPath: value.next_path === 0 ? '' : formatPath(value.next_path),
    previousHop: (value.flags & FLOW_FLAG.previousHop) !== 0 ? formatMapAddress(value.previous_hop, value.previous_family) : '',
    nextHop: (value.flags & FLOW_FLAG.nextHop) !== 0 ? formatMapAddress(value.next_hop, value.next_family) : '',
    packets: value.packets,
    bytes: value.bytes,
    replyPackets: value.reply_packets,
    replyBytes: value.reply_bytes,
  };
}

/** Which field of the same entry names the family of an address field, or the family itself. */
const FAMILY_OF: Readonly<Record<string, string | number>> = {
  address: 'family',
  service_address: 'family',
  address_a: 'family',
  address_b: 'family',
  previous_hop: 'previous_family',
  next_hop: 'next_family',
  ipv4: FAMILY.ipv4,
  ipv6: FAMILY.ipv6,
  previous_local: 'previous_family',
  next_local: 'next_family',
  source: 'family',
  destination: 'family',
  client: 'family',
  backend: 'backend_family',
};
/** Bytes of an Ethernet address. */
const MAC_LENGTH = 6;
const PATH_FIELDS: readonly string[] = ['path', 'next_path'];

/**
 * An entry of any map as flat JSON-ready data: every field by its name, addresses and paths as text.
 * An address that is not set is empty. No map has a field of one name in key and value both.
 */
export function formatEntry(key: LayoutRecord, value: LayoutRecord): Readonly<Record<string, string | number>> {
  const entry = { ...key, ...value };
  const text: Record<string, string | number> = {};
  for (const [name, field] of Object.entries(entry)) {
    if (typeof field === 'number') text[name] = PATH_FIELDS.includes(name) ? formatPath(field) : field;
    else if (field.length === MAC_LENGTH) text[name] = formatMac(field);
    else text[name] = field.every((byte) => byte === 0) && fixedFamily(name) ? '' : formatMapAddress(field, familyOf(name, entry));
  }
  return text;
}

/** `02:00:00:00:00:02`; empty when it is not set. */
function formatMac(bytes: Uint8Array): string {
  return bytes.every((byte) => byte === 0) ? '' : Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function fixedFamily(name: string): boolean {
  return typeof FAMILY_OF[name] === 'number';
}

function familyOf(name: string, entry: LayoutRecord): number {
  const family = FAMILY_OF[name];
  const value = typeof family === 'string' ? entry[family] : family;
  return typeof value === 'number' ? value : 0;
}
