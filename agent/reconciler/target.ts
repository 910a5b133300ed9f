/** What policy wants of this node, as map entries. Pure. */

import {
  ENDPOINT_FLAG,
  FAILURE_POLICY,
  FAMILY,
  type Family,
  PATH_FLAG,
  PEER_FLAG,
  PEER_STATIC_BITS,
  PORTS_STATIC_BITS,
  SELECT_FLAG,
  SELECT_STATIC_BITS,
  type SfcbackendValue,
} from '../../maps/index.js';
import {
  type Address,
  type Cidr,
  type DesiredBackend,
  type DesiredState,
  type Direction,
  type FailurePolicy,
  maglevTable,
} from '../../policy/index.js';
import {
  addressText,
  type BackendTable,
  backendTable,
  type EndpointSettings,
  peerKeyText,
  portsKeyText,
  selectKeyText,
  type Target,
  type TargetPath,
  type TargetPorts,
  type TargetSelect,
} from './model.js';

/** A pod of this node whose interface is known. */
export interface LocatedEndpoint {
  readonly id: number;
  readonly ifindex: number;
  /** Bytes. */
  readonly mtu: number;
  readonly addresses: readonly Address[];
  /** Ranges that the node routes to it: of clients behind the pod. */
  readonly behind?: readonly Cidr[];
  /** It may send in its own name only, unless it is a function. */
  readonly ownSource?: boolean;
}

/** The table of a path's backends; no slots for no backends. */
export type LayBackends = (backends: readonly DesiredBackend[]) => BackendTable;

/** Lays Maglev tables, each once: a table takes milliseconds, and rarely changes. */
export function maglevLayer(): LayBackends {
  let before = new Map<string, BackendTable>();
  let now = new Map<string, BackendTable>();
  return (backends) => {
    const key = backends.map(({ pod, address, weight }) => `${pod} ${address.text} ${weight}`).join('\n');
    const known = now.get(key) ?? before.get(key);
    const table = known ?? lay(backends);
    now.set(key, table);
    // Two generations: what the last few hundred tables did not use is forgotten.
    if (now.size > 256) [before, now] = [now, new Map()];
    return table;
  };
}

function lay(backends: readonly DesiredBackend[]): BackendTable {
  const values: SfcbackendValue[] = backends.map(({ address }) => ({ address: address.bytes, family: address.family }));
  const table = maglevTable(backends.map(({ pod, weight }) => ({ key: pod, weight })));
  return backendTable(Array.from(table, (index) => values[index] as SfcbackendValue));
}

function addresses(backends: readonly DesiredBackend[]): Set<string> {
  return new Set(backends.map(({ address }) => addressText({ address: address.bytes, family: address.family })));
}

/** `functions`: addresses of all instances. */
function endpointSettings(endpoint: LocatedEndpoint, functions: ReadonlySet<string>): EndpointSettings {
  const ipv4 = endpoint.addresses.find((address) => address.family === FAMILY.ipv4);
  const ipv6 = endpoint.addresses.find((address) => address.family === FAMILY.ipv6);
  const isFunction = endpoint.addresses.some(({ bytes, family }) => functions.has(addressText({ address: bytes, family })));
  return {
    id: endpoint.id,
    flags:
      (ipv4 === undefined ? 0 : ENDPOINT_FLAG.ipv4) |
      (ipv6 === undefined ? 0 : ENDPOINT_FLAG.ipv6) |
      (isFunction ? ENDPOINT_FLAG.function : endpoint.ownSource === true ? ENDPOINT_FLAG.ownSource : 0),
    mtu: endpoint.mtu,
    ipv4: ipv4 === undefined ? new Uint8Array(4) : ipv4.bytes.slice(0, 4),
    ipv6: ipv6 === undefined ? new Uint8Array(16) : ipv6.bytes.slice(),
  };
}

/**
 * The pod ranges; and the pods of this node in them, with the interfaces by which their packets come. And what is behind these pods, which
 * is nobody's outer source and unwraps nothing: from_uplink asks whose answers are for it.
 */
function targetPeers({ peers }: DesiredState, located: readonly LocatedEndpoint[]): Target['peers'] {
  const flags = PEER_FLAG.trusted | PEER_FLAG.decapsulates;
  const entry = (prefixLength: number, family: Family, address: Uint8Array, ifindex: number, entryFlags: number = flags) => {
    const key = { prefix_len: PEER_STATIC_BITS + prefixLength, family, address };
    return [peerKeyText(key), { key, value: { flags: entryFlags, ifindex } }] as const;
  };
  const covered = ({ bytes, family }: Pick<Address, 'bytes' | 'family'>) =>
    peers.some(({ cidr }) => cidr.family === family && sharesPrefix(bytes, cidr.bytes, cidr.prefixLength));
  const local = located.flatMap(({ ifindex, addresses }) =>
    addresses.filter(covered).map(({ bytes, family }) => entry(family === FAMILY.ipv4 ? 32 : 128, family, bytes, ifindex)),
  );
  const behind = located.flatMap(({ ifindex, behind: ranges = [] }) =>
    ranges.filter((range) => !covered(range)).map(({ prefixLength, family, bytes }) => entry(prefixLength, family, bytes, ifindex, 0)),
  );
  return new Map([...behind, ...peers.map(({ cidr }) => entry(cidr.prefixLength, cidr.family, cidr.bytes, 0)), ...local]);
}

/** Are the first `bits` of two addresses the same? */
function sharesPrefix(one: Uint8Array, other: Uint8Array, bits: number): boolean {
  const whole = bits >> 3;
  for (let index = 0; index < whole; index++) if (one[index] !== other[index]) return false;
  return (bits & 7) === 0 || ((one[whole] ?? 0) ^ (other[whole] ?? 0)) >> (8 - (bits & 7)) === 0;
}

/** Path as the maps hold it: SPI << 8 | SI, unsigned. */
export function pathNumber(spi: number, si: number): number {
  return spi * 256 + si;
}

const FAILURE_POLICY_OF = {
  Drop: FAILURE_POLICY.drop,
  Bypass: FAILURE_POLICY.bypass,
  Reject: FAILURE_POLICY.reject,
} as const satisfies Record<FailurePolicy, number>;

const selectFlags = (direction: Direction) => (direction === 'egress' ? SELECT_FLAG.egress : 0);

export function buildTarget(desired: DesiredState, located: readonly LocatedEndpoint[], layBackends: LayBackends): Target {
  const paths = new Map<number, TargetPath>();
  for (const path of desired.paths) {
    paths.set(pathNumber(path.spi, path.si), {
      settings: {
        service_address: path.serviceAddress.bytes,
        family: path.serviceAddress.family,
        flags: (path.affinityTimeout === undefined ? 0 : PATH_FLAG.affinity) | (path.revisits ? PATH_FLAG.revisits : 0),
        failure_policy: FAILURE_POLICY_OF[path.failurePolicy],
        affinity_timeout: path.affinityTimeout ?? 0,
      },
      table: layBackends(path.backends),
      keepFlows: addresses([...path.backends, ...path.others]),
      keepClients: addresses([...path.backends, ...path.others].filter(({ weight }) => weight > 0)),
      onInstanceLoss: path.onInstanceLoss,
    });
  }

  const ids = new Set(located.map((endpoint) => endpoint.id));
  const selects = new Map<string, TargetSelect>();
  for (const select of desired.selects) {
    // A pod whose interface is not found yet has no endpoint entry, and so nothing to select.
    if (!ids.has(select.endpoint.id)) continue;
    const key = {
      prefix_len: SELECT_STATIC_BITS + select.cidr.prefixLength,
      endpoint: select.endpoint.id,
      family: select.cidr.family,
      flags: selectFlags(select.direction),
      port: select.port,
      protocol: select.protocol,
      address: select.cidr.bytes,
    };
    const path = pathNumber(select.spi, select.si);
    const value = { cidr_prefix_len: select.winningPrefix, last_port: select.lastPort, path };
    selects.set(selectKeyText(key), { key, value, selector: select.selector, together: select.together });
  }
  const ports = new Map<string, TargetPorts>();
  for (const { endpoint, direction, protocol, port, bits, firstPort, together } of desired.ports) {
    if (!ids.has(endpoint.id)) continue;
    const key = { prefix_len: PORTS_STATIC_BITS + bits, endpoint: endpoint.id, flags: selectFlags(direction), protocol, port };
    ports.set(portsKeyText(key), { key, value: { first_port: firstPort }, together });
  }

  const peers = targetPeers(desired, located);
  const functions = new Set([...paths.values()].flatMap(({ keepFlows }) => [...keepFlows]));
  const endpoints = new Map(located.map((endpoint) => [endpoint.ifindex, endpointSettings(endpoint, functions)] as const));
  return { selects, ports, paths, endpoints, peers };
}
