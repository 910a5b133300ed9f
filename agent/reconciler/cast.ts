/** Builders for the reconciler's tests: small targets that read as a story. */

import {
  FAMILY,
  PATH_FLAG,
  PEER_FLAG,
  PEER_STATIC_BITS,
  PORTS_STATIC_BITS,
  SELECT_FLAG,
  SELECT_STATIC_BITS,
  type SfcbackendValue,
} from '../../maps/index.js';
import type { InstanceLoss } from '../../policy/index.js';
import {
  addressText,
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

/** An IPv4 address as the maps hold it. */
export function ip(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  text.split('.').forEach((part, index) => {
    bytes[index] = Number(part);
  });
  return bytes;
}

export const backend = (text: string): SfcbackendValue => ({ address: ip(text), family: FAMILY.ipv4 });

export interface SelectStory {
  readonly selector: string;
  readonly endpoint: number;
  readonly cidr?: string;
  readonly port?: number;
  readonly protocol?: number;
  readonly ingress?: boolean;
  /** 0: an exception. */
  readonly spi: number;
  readonly together?: readonly string[];
}

export interface PortsStory {
  readonly endpoint: number;
  readonly port: number;
  readonly bits: number;
  readonly firstPort: number;
  readonly ingress?: boolean;
  readonly together: readonly string[];
}

export interface Story {
  readonly selects?: readonly SelectStory[];
  readonly ports?: readonly PortsStory[];
  /** Backends by service path id; one slot each, in turn, over seven slots. */
  readonly paths?: Readonly<Record<number, readonly string[]>>;
  /** Instances of weight 0, likewise. */
  readonly others?: Readonly<Record<number, readonly string[]>>;
  readonly onInstanceLoss?: InstanceLoss;
  /** Seconds, of every path. */
  readonly affinityTimeout?: number;
  /** Endpoint id by ifindex. */
  readonly endpoints?: Readonly<Record<number, number>>;
  readonly peers?: readonly string[];
}

const SLOTS = 7;

export function story(told: Story): Target {
  const {
    selects = [],
    ports = [],
    paths = {},
    others = {},
    endpoints = {},
    peers = [],
    onInstanceLoss = 'Move',
    affinityTimeout = 0,
  } = told;
  const target = {
    selects: new Map<string, TargetSelect>(),
    ports: new Map<string, TargetPorts>(),
    paths: new Map<number, TargetPath>(),
    endpoints: new Map<number, EndpointSettings>(),
    peers: new Map(),
  };
  for (const { selector, endpoint, cidr = '0.0.0.0/0', port = 0, protocol = 6, ingress = false, spi, together = [] } of selects) {
    const [network = '', length = ''] = cidr.split('/');
    const key = {
      prefix_len: SELECT_STATIC_BITS + Number(length),
      endpoint,
      family: FAMILY.ipv4,
      flags: ingress ? 0 : SELECT_FLAG.egress,
      port,
      protocol,
      address: ip(network),
    };
    target.selects.set(selectKeyText(key), {
      key,
      value: { cidr_prefix_len: Number(length), last_port: port, path: spi === 0 ? 0 : spi * 256 + 1 },
      selector,
      together,
    });
  }
  for (const { endpoint, port, bits, firstPort, ingress = false, together } of ports) {
    const flags = ingress ? 0 : SELECT_FLAG.egress;
    const key = { prefix_len: PORTS_STATIC_BITS + bits, endpoint, flags, protocol: 6, port };
    target.ports.set(portsKeyText(key), { key, value: { first_port: firstPort }, together });
  }
  for (const [spi, backends] of Object.entries(paths)) {
    const slots = backends.length === 0 ? [] : Array.from({ length: SLOTS }, (_, slot) => backend(backends[slot % backends.length] ?? ''));
    const settings = {
      service_address: ip('10.96.0.2'),
      family: FAMILY.ipv4,
      flags: affinityTimeout > 0 ? PATH_FLAG.affinity : 0,
      failure_policy: 0,
      affinity_timeout: affinityTimeout,
    };
    const ready = new Set([...backends, ...(others[Number(spi)] ?? [])].map((text) => addressText(backend(text))));
    const keepClients = new Set(backends.map((text) => addressText(backend(text))));
    target.paths.set(Number(spi) * 256 + 1, { settings, table: backendTable(slots), keepFlows: ready, keepClients, onInstanceLoss });
  }
  for (const [ifindex, id] of Object.entries(endpoints)) {
    target.endpoints.set(Number(ifindex), { id, flags: 1, mtu: 1500, ipv4: ip(`10.1.1.${ifindex}`).slice(0, 4), ipv6: new Uint8Array(16) });
  }
  for (const cidr of peers) {
    const [network = '', length = ''] = cidr.split('/');
    const key = { prefix_len: PEER_STATIC_BITS + Number(length), family: FAMILY.ipv4, address: ip(network) };
    target.peers.set(peerKeyText(key), { key, value: { flags: PEER_FLAG.trusted | PEER_FLAG.decapsulates, ifindex: 0 } });
  }
  return target;
}
