/** What iproute2 says in JSON, parsed to what discovery needs. Pure. */

import { SfcError } from '../../errors/index.js';

export interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  /** `veth`, `bridge`, …; `physical` where the kernel names none. */
  readonly kind: string;
  /** Its frames have Ethernet headers. */
  readonly ethernet: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** Name of the bridge it is a port of; empty when of none. */
  readonly master: string;
  /** The other end of a veth, where that is in another network namespace: the number that this one has for it, and its ifindex there. */
  readonly peer: { readonly netnsid: number; readonly ifindex: number } | undefined;
}

export interface Route {
  /** Canonical text of the destination network, without its length. */
  readonly network: string;
  readonly prefixLength: number;
  /** `unicast`, `blackhole`, `unreachable`, … */
  readonly type: string;
  /** Empty when the route has no device. */
  readonly dev: string;
  /** Empty when the destination is on the link itself. */
  readonly gateway: string;
}

export interface Neighbour {
  readonly address: string;
  readonly dev: string;
  /** Link-layer address; empty while unresolved. */
  readonly lladdr: string;
}

export interface FdbEntry {
  readonly mac: string;
  /** The bridge's port that the address was learned on. */
  readonly port: string;
  readonly bridge: string;
}

export interface HostTables {
  readonly links: readonly Link[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  readonly fdb: readonly FdbEntry[];
}

type Row = Readonly<Record<string, unknown>>;

const text = (row: Row, name: string) => (typeof row[name] === 'string' ? (row[name] as string) : '');
const number = (row: Row, name: string) => (typeof row[name] === 'number' ? (row[name] as number) : 0);

/** iproute2 6.1 prints nothing at all where a table is empty. */
function rows(json: string, command: string): Row[] {
  if (json.trim() === '') return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw new SfcError('COMMAND_FAILED', `${command} did not print JSON: ${json.slice(0, 80)}`, { cause });
  }
  if (!Array.isArray(parsed)) throw new SfcError('COMMAND_FAILED', `${command} did not print a list`);
  // `ip -j -d link` prints empty objects for links it filters out.
  return parsed.filter((row): row is Row => typeof row === 'object' && row !== null && Object.keys(row).length > 0);
}

/** Output of `ip -j -d link`. */
export function parseLinks(json: string): Link[] {
  return rows(json, 'ip -j -d link').map((row) => ({
    ifindex: number(row, 'ifindex'),
    ifname: text(row, 'ifname'),
    kind: text((row.linkinfo ?? {}) as Row, 'info_kind') || (text(row, 'link_type') === 'loopback' ? 'loopback' : 'physical'),
    ethernet: text(row, 'link_type') === 'ether',
    mtu: number(row, 'mtu'),
    master: text(row, 'master'),
    peer: typeof row.link_netnsid === 'number' ? { netnsid: row.link_netnsid, ifindex: number(row, 'link_index') } : undefined,
  }));
}

/** Output of `ip -j netns list-id`: names below /run/netns by their number. A namespace may have a number and no name. */
export function parseNamespaces(json: string): ReadonlyMap<number, string> {
  const named = rows(json, 'ip -j netns list-id').filter((row) => text(row, 'name') !== '');
  return new Map(named.map((row) => [number(row, 'nsid'), text(row, 'name')]));
}

/** Output of `ip -j route show table main` or its `-6` twin. A route of several next hops gives one each. */
export function parseRoutes(json: string, family: 4 | 6): Route[] {
  const bits = family === 4 ? 32 : 128;
  return rows(json, 'ip -j route').flatMap((row) => {
    const destination = text(row, 'dst');
    const [network = '', length] = destination === 'default' ? [family === 4 ? '0.0.0.0' : '::', '0'] : destination.split('/');
    const prefixLength = length === undefined ? bits : Number(length);
    const hops = Array.isArray(row.nexthops) ? (row.nexthops as Row[]) : [row];
    return hops.map((hop) => ({
      network,
      prefixLength,
      type: text(row, 'type') || 'unicast',
      dev: text(hop, 'dev'),
      // A next hop of the other family stands under `via` (RFC 5549).
      gateway: text(hop, 'gateway') || text((hop.via ?? {}) as Row, 'host'),
    }));
  });
}

/** Output of `ip -j neigh`. Entries that failed to resolve count as unresolved. */
export function parseNeighbours(json: string): Neighbour[] {
  return rows(json, 'ip -j neigh').map((row) => ({
    address: text(row, 'dst'),
    dev: text(row, 'dev'),
    lladdr: Array.isArray(row.state) && row.state.includes('FAILED') ? '' : text(row, 'lladdr'),
  }));
}

/** Output of `bridge -j fdb`: what bridges learned, without their ports' own addresses. */
export function parseFdb(json: string): FdbEntry[] {
  return rows(json, 'bridge -j fdb')
    .filter((row) => text(row, 'master') !== '' && !((row.flags ?? []) as unknown[]).includes('self') && text(row, 'state') !== 'permanent')
    .map((row) => ({ mac: text(row, 'mac'), port: text(row, 'ifname'), bridge: text(row, 'master') }));
}
