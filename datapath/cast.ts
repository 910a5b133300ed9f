/**
 * The cast of the datapaths' tests, and one builder: a node seen from one pod at a time. What a
 * datapath does with a packet is `run` of a stage; everything else is the same for all of them.
 */

import { formatAddress, type IpAddress, parseAddress } from '../geneve/index.js';
import {
  ENDPOINT_FLAG,
  ENDPOINT_INGRESS_SHIFT,
  FAMILY,
  FLOW_FLAG,
  FLOW_ROLE,
  type MapStore,
  PATH_FLAG,
  PEER_FLAG,
  PEER_STATIC_BITS,
  REASONS,
  SELECT_FLAG,
  SELECT_STATIC_BITS,
  type TypedMap,
  type TypedMaps,
  typedMaps,
} from '../maps/index.js';

export const CAST = {
  client: '192.168.77.5',
  vpn: '10.244.1.2',
  firewall: '10.244.2.2',
  proxy: '10.244.3.2',
  destination: '10.244.3.9',
  server: '203.0.113.10',
} as const;
export type Name = keyof typeof CAST;

export const addressOf = (text: string): IpAddress => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
};

export const bytesOf = (text: string): Uint8Array => addressOf(text).bytes;

export interface Segment {
  readonly from: string;
  readonly to: string;
  /** `gre` stands for those that have no ports. */
  readonly protocol?: 'tcp' | 'udp' | 'icmp' | 'sctp' | 'gre';
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly payload?: string;
  readonly tos?: number;
  /** 64 by default. */
  readonly ttl?: number;
  /** ICMP type; 8 (echo request) by default. Of an echo, `sourcePort` is the identifier. */
  readonly icmpType?: number;
  /** TCP flags; PSH and ACK by default. */
  readonly tcpFlags?: number;
  /** TCP sequence and acknowledgement numbers; 0 by default. */
  readonly sequence?: number;
  readonly acknowledgement?: number;
  /** Flags and offset field of the IPv4 header. */
  readonly fragment?: number;
}

const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, sctp: 132 } as const;
/** Bytes of the transport header. */
const HEADER = { icmp: 8, tcp: 20, udp: 8, gre: 4, sctp: 12 } as const;

/** An Ethernet frame with one IPv4 packet. */
export function frame(segment: Segment): Uint8Array {
  const { protocol = 'udp', sourcePort = 4000, destinationPort = 80, payload = 'hello' } = segment;
  const transport = Buffer.alloc(HEADER[protocol] + payload.length);
  if (protocol === 'icmp') {
    transport.writeUInt8(segment.icmpType ?? 8, 0);
    transport.writeUInt16BE(sourcePort, 4);
  } else if (protocol !== 'gre') {
    transport.writeUInt16BE(sourcePort, 0);
    transport.writeUInt16BE(destinationPort, 2);
  }
  if (protocol === 'udp') transport.writeUInt16BE(transport.length, 4);
  if (protocol === 'tcp') {
    transport.writeUInt32BE(segment.sequence ?? 0, 4);
    transport.writeUInt32BE(segment.acknowledgement ?? 0, 8);
    transport.writeUInt8(5 << 4, 12);
    transport.writeUInt8(segment.tcpFlags ?? 0x18, 13);
  }
  transport.write(payload, transport.length - payload.length);
  const ip = Buffer.alloc(20);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt8(segment.tos ?? 0, 1);
  ip.writeUInt16BE(20 + transport.length, 2);
  ip.writeUInt16BE(0x1234, 4);
  ip.writeUInt16BE(segment.fragment ?? 0, 6);
  ip.writeUInt8(segment.ttl ?? 64, 8);
  ip.writeUInt8(PROTOCOL[protocol], 9);
  ip.set(bytesOf(segment.from).subarray(0, 4), 12);
  ip.set(bytesOf(segment.to).subarray(0, 4), 16);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([Buffer.from('0200000000010200000000020800', 'hex'), ip, transport]);
}

/** RFC 1071 over a header whose checksum field is as it stands: 0 when that is right. */
export function checksum(header: Buffer): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Outcome {
  readonly verdict: string;
  readonly frame: Buffer;
  /** A second frame, which the datapath sent the other way. */
  readonly answer?: Buffer | undefined;
  /** Reasons counted by this packet, with how often. */
  readonly counted: Readonly<Record<string, number>>;
}

/** What the outer headers of a frame say; undefined when it is not steering traffic. */
export function tunnelOf(bytes: Uint8Array) {
  const packet = Buffer.from(bytes);
  if (packet.readUInt8(23) !== 17 || packet.readUInt16BE(36) !== 7081) return undefined;
  return {
    from: formatAddress(packet.subarray(26, 30), 1),
    to: formatAddress(packet.subarray(30, 34), 1),
    reply: (packet.readUInt16BE(34) & 1) === 1,
    spi: packet.readUIntBE(58, 3),
    si: packet.readUInt8(61),
    ttl: (packet.readUInt16BE(54) >> 6) & 0x3f,
  };
}

function clearMap<K, V>(map: TypedMap<K, V>): void {
  map.deleteMany([...map.entries()].map(([key]) => key));
}

/** Where a selector matches; by default every UDP packet. */
export interface Match {
  readonly cidr?: readonly [string, number];
  readonly protocol?: number;
  readonly port?: number;
  /** What the pod receives, by its source; otherwise what it sends, by its destination. */
  readonly ingress?: boolean;
}

const idOf = (name: Name): number => Object.keys(CAST).indexOf(name) + 1;

function selectKey(name: Name, { cidr: [address, length] = ['0.0.0.0', 0], protocol = 17, port = 0, ingress = false }: Match) {
  return {
    prefix_len: SELECT_STATIC_BITS + length,
    endpoint: idOf(name),
    family: FAMILY.ipv4,
    flags: ingress ? 0 : SELECT_FLAG.egress,
    port,
    protocol,
    address: bytesOf(address),
  };
}

/** Roles of flows that send to an instance. */
const LOSING: ReadonlySet<number> = new Set([FLOW_ROLE.source, FLOW_ROLE.function, FLOW_ROLE.ingress]);

/** A slot of a table of backends: a pod, nobody, or an IPv6 address. */
export type Backend = Name | 'nobody' | 'foreign';

function backendOf(backend: Backend) {
  if (backend === 'nobody') return { address: new Uint8Array(16), family: 0 };
  return backend === 'foreign'
    ? { address: bytesOf('fd00::1'), family: FAMILY.ipv6 }
    : { address: bytesOf(CAST[backend]), family: FAMILY.ipv4 };
}

export interface PodSettings {
  readonly id?: number;
  readonly generation?: number;
  readonly selects?: boolean | 'all-ports' | 'ports';
  /** Further flags of what the pod sends. */
  readonly alsoSelects?: number;
  /** Flags of what it receives, at the places of what it sends. */
  readonly ingress?: number;
  readonly ipv4?: boolean;
}

/** Packets of one node on one datapath. */
export abstract class Stage {
  readonly maps: TypedMaps;
  private onStage: Name = 'vpn';

  constructor(store: MapStore) {
    this.maps = typedMaps(store);
    this.peer(['10.244.0.0', 16], PEER_FLAG.trusted | PEER_FLAG.decapsulates);
  }

  abstract close(): void;
  protected abstract interfaceOf(name: Name): number;
  protected abstract policyChanged(): void;
  protected abstract process(program: 'from_pod' | 'to_pod', bytes: Uint8Array, ifindex: number): Omit<Outcome, 'counted'>;

  /** Back to the beginning, but for the counters. */
  clear(): void {
    clearMap(this.maps.peer);
    this.peer(['10.244.0.0', 16], PEER_FLAG.trusted | PEER_FLAG.decapsulates);
    clearMap(this.maps.sfcflow);
    clearMap(this.maps.sfcaffinity);
    clearMap(this.maps.sfcselect);
    clearMap(this.maps.sfcports);
    clearMap(this.maps.sfcpath);
    clearMap(this.maps.endpoint);
    clearMap(this.maps.sfcprobe);
    this.policyChanged();
  }

  /** The agent has begun to probe an instance by this port. */
  probes(name: Name, port: number): this {
    this.maps.sfcprobe.set({ address: bytesOf(CAST[name]), family: FAMILY.ipv4, port }, { answered: 0, sequence: 0 });
    return this;
  }

  /** Another pod's turn, as it was put on stage before; none if it was not. */
  as(name: Name): this {
    this.onStage = name;
    return this;
  }

  /** Puts a pod on stage: it sends and receives until the next is put there. */
  pod(name: Name, settings: PodSettings = {}): this {
    const { ingress = 0, selects = false, alsoSelects = 0, ipv4 = true } = settings;
    this.onStage = name;
    this.maps.endpoint.set(
      { ifindex: this.interfaceOf(name) },
      {
        id: settings.id ?? idOf(name),
        flags:
          (ipv4 ? ENDPOINT_FLAG.ipv4 : 0) |
          (selects === true || selects === 'all-ports' ? ENDPOINT_FLAG.selectsAllPorts : 0) |
          (selects === true || selects === 'ports' ? ENDPOINT_FLAG.selectsPorts : 0) |
          alsoSelects |
          (ingress << ENDPOINT_INGRESS_SHIFT),
        mtu: 1500,
        generation: settings.generation ?? 1,
        ipv4: ipv4 ? bytesOf(CAST[name]).slice(0, 4) : new Uint8Array(4),
        ipv6: new Uint8Array(16),
      },
    );
    this.policyChanged();
    return this;
  }

  /** Takes a pod away; its flows stay until somebody ends them. */
  gone(name: Name): this {
    this.maps.endpoint.delete({ ifindex: this.interfaceOf(name) });
    this.policyChanged();
    return this;
  }

  /** The flow table loses what it knows of a pod. */
  evict(name: Name): this {
    const ifindex = this.interfaceOf(name);
    this.maps.sfcflow.deleteMany([...this.maps.sfcflow.entries()].flatMap(([key]) => (key.ifindex === ifindex ? [key] : [])));
    return this;
  }

  /** The instances of a pod's TCP flows are gone, and their chains say `Reset`: marks them as the agent's sweep does. */
  lose(name: Name): this {
    const ifindex = this.interfaceOf(name);
    const { nextHop, resolved, reset } = FLOW_FLAG;
    const lost = [...this.maps.sfcflow.entries()].filter(
      ([key, flow]) => key.ifindex === ifindex && key.protocol === PROTOCOL.tcp && LOSING.has(flow.role) && (flow.flags & nextHop) !== 0,
    );
    this.maps.sfcflow.setMany(lost.map(([key, flow]) => [key, { ...flow, flags: (flow.flags & ~resolved) | reset }]));
    return this;
  }

  /** Time passes for the clients that are remembered. */
  age(seconds: number): this {
    const entries = [...this.maps.sfcaffinity.entries()];
    const older = entries.map(([key, value]) => [key, { ...value, last_seen: Math.max(0, value.last_seen - seconds * 1e9) }] as const);
    this.maps.sfcaffinity.setMany(older);
    return this;
  }

  /** A range of outer addresses; without flags it is forgotten. */
  peer([address, length]: readonly [string, number], flags: number | undefined): this {
    const key = { prefix_len: PEER_STATIC_BITS + length, family: FAMILY.ipv4, address: bytesOf(address) };
    if (flags === undefined) this.maps.peer.delete(key);
    else this.maps.peer.set(key, { flags });
    return this;
  }

  /**
   * A path with these backends, one slot each; `base`: its slots begin there, and nothing is put into them.
   * `affinityTimeout`: seconds, 0 for none.
   */
  path(
    spi: number,
    si: number,
    backends: readonly Backend[],
    settings: { failurePolicy?: number; affinityTimeout?: number; revisits?: boolean; base?: number | undefined } = {},
  ): this {
    const { affinityTimeout = 0 } = settings;
    const base = settings.base ?? spi * 16 + si;
    if (settings.base === undefined)
      backends.forEach((backend, index) => {
        this.maps.sfcbackend.set({ slot: base + index }, backendOf(backend));
      });
    this.maps.sfcpath.set(
      { path: spi * 256 + si },
      {
        service_address: bytesOf('10.96.0.1'),
        family: 1,
        flags: (affinityTimeout > 0 ? PATH_FLAG.affinity : 0) | (settings.revisits ? PATH_FLAG.revisits : 0),
        failure_policy: settings.failurePolicy ?? 0,
        affinity_timeout: affinityTimeout,
        backend_base: base,
        backend_slots: backends.length,
      },
    );
    return this;
  }

  unpath(spi: number, si: number): this {
    this.maps.sfcpath.delete({ path: spi * 256 + si });
    return this;
  }

  /** What a pod is selected for; with path 0, an exception. `foundAs` is the prefix length that the entry is compared by. */
  selects(name: Name, spi: number, si: number, match: Match & { lastPort?: number; foundAs?: number } = {}): this {
    const { foundAs = match.cidr?.[1] ?? 0, port = 0, lastPort = port } = match;
    this.maps.sfcselect.set(selectKey(name, match), { cidr_prefix_len: foundAs, last_port: lastPort, path: spi * 256 + si });
    return this;
  }

  unselects(name: Name, match: Match = {}): this {
    this.maps.sfcselect.delete(selectKey(name, match));
    return this;
  }

  /** Ports of a pod that `sfcselect` holds under another: all that share the first `bits` of `port`. */
  range(name: Name, port: number, bits: number, firstPort: number, { protocol = 17, ingress = false }: Match = {}): this {
    const flags = ingress ? 0 : SELECT_FLAG.egress;
    this.maps.sfcports.set({ prefix_len: 32 + bits, endpoint: idOf(name), flags, protocol, port }, { first_port: firstPort });
    return this;
  }

  send(bytes: Uint8Array): Outcome {
    return this.run('from_pod', bytes);
  }

  receive(bytes: Uint8Array): Outcome {
    return this.run('to_pod', bytes);
  }

  /** Like `send` and `receive`, without looking at the counters. */
  pass(way: 'sends' | 'receives', bytes: Uint8Array): Omit<Outcome, 'counted'> {
    return this.process(way === 'sends' ? 'from_pod' : 'to_pod', bytes, this.interfaceOf(this.onStage));
  }

  private run(program: 'from_pod' | 'to_pod', bytes: Uint8Array): Outcome {
    const before = this.counters();
    const result = this.process(program, bytes, this.interfaceOf(this.onStage));
    const counted: Record<string, number> = {};
    for (const [reason, packets] of this.counters()) {
      const more = packets - (before.get(reason) ?? 0);
      if (more > 0) counted[reason] = more;
    }
    return { ...result, counted };
  }

  /** Packets by reason, so far. */
  counters(): Map<string, number> {
    const found = new Map<string, number>();
    for (const [{ slot }, { packets }] of this.maps.metrics.entries()) {
      const name = NAME_OF[slot >> 1];
      if (name !== undefined) found.set(name, (found.get(name) ?? 0) + packets);
    }
    return found;
  }

  /** Packets and bytes by slot, so far; slots without any left out. */
  totals(): Map<number, { readonly packets: number; readonly bytes: number }> {
    return new Map([...this.maps.metrics.entries()].flatMap(([{ slot }, count]) => (count.packets === 0 ? [] : [[slot, count] as const])));
  }
}

/** Reasons by number. */
export const NAME_OF: Readonly<Record<number, string>> = Object.fromEntries(REASONS.map(({ number, name }) => [number, name]));
