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
/** The same in IPv6. */
export const CAST6 = Object.fromEntries(Object.entries(CAST).map(([name, address]) => [name, `fd00::${address}`])) as Readonly<
  Record<Name, string>
>;
export type Version = 4 | 6;
/** The cast's address of a family. */
export const addressFor = (name: Name, version: Version): string => (version === 6 ? CAST6 : CAST)[name];

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
  /** Flags and offset field of the IPv4 header; in IPv6 the same in a fragment header, where one bit of it is set but "do not fragment". */
  readonly fragment?: number;
  /** Of IPv6: headers between that one and the transport's, by their numbers, each of 8 bytes. */
  readonly extensions?: readonly number[];
  /** Of an ICMP error: the IP packet that it is about, as far as it is repeated, and the MTU or whatever its last four bytes say. */
  readonly about?: Uint8Array;
  readonly says?: number;
}

const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, sctp: 132 } as const;
const ICMPV6 = 58;
const FRAGMENT_HEADER = 44;
const AUTHENTICATION = 51;
/** ICMP types by those of ICMPv6 that mean the same; every other stays what it is. */
const ICMPV6_TYPE: Readonly<Record<number, number>> = { 0: 129, 8: 128, 3: 1, 4: 2, 11: 3, 12: 4 };
/** Bytes of the transport header. */
const HEADER = { icmp: 8, tcp: 20, udp: 8, gre: 4, sctp: 12 } as const;

/** An Ethernet frame with one IP packet, of the family that `from` is of. */
export function frame(segment: Segment): Uint8Array {
  const { protocol = 'udp', sourcePort = 4000, destinationPort = 80 } = segment;
  const payload = segment.about === undefined ? Buffer.from(segment.payload ?? 'hello', 'latin1') : Buffer.from(segment.about);
  const transport = Buffer.alloc(HEADER[protocol] + payload.length);
  const v6 = segment.from.includes(':');
  if (protocol === 'icmp') {
    const type = segment.icmpType ?? 8;
    transport.writeUInt8(v6 ? (ICMPV6_TYPE[type] ?? type) : type, 0);
    if (segment.about === undefined) transport.writeUInt16BE(sourcePort, 4);
    // Fragmentation needed has a code of its own; packet too big has a type of its own.
    else if (segment.says !== undefined) {
      transport.writeUInt8(v6 ? 2 : 3, 0);
      transport.writeUInt8(v6 ? 0 : 4, 1);
      transport.writeUInt32BE(segment.says, 4);
    }
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
  payload.copy(transport, transport.length - payload.length);
  if (v6) return ipv6Frame(segment, transport);
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

function ipv6Frame(segment: Segment, transport: Buffer): Uint8Array {
  const { protocol = 'udp', extensions = [], fragment = 0 } = segment;
  const last = protocol === 'icmp' ? ICMPV6 : PROTOCOL[protocol];
  const inFragments = (fragment & 0x3fff) !== 0;
  const numbers = [...extensions, ...(inFragments ? [FRAGMENT_HEADER] : []), last];
  const headers = numbers.slice(0, -1).map((number, at) => {
    const header = Buffer.alloc(8);
    header.writeUInt8(numbers[at + 1] ?? last, 0);
    if (number === AUTHENTICATION) header.writeUInt8(0, 1);
    if (number === FRAGMENT_HEADER) {
      header.writeUInt16BE(((fragment & 0x1fff) << 3) | ((fragment >> 13) & 1), 2);
      header.writeUInt32BE(0x89ab_1234, 4);
    }
    return header;
  });
  const rest = Buffer.concat([...headers, transport]);
  const ip = Buffer.alloc(40);
  ip.writeUInt32BE(((6 << 28) | ((segment.tos ?? 0) << 20) | 0x2345) >>> 0, 0);
  ip.writeUInt16BE(rest.length, 4);
  ip.writeUInt8(numbers[0] ?? last, 6);
  ip.writeUInt8(segment.ttl ?? 64, 7);
  ip.set(bytesOf(segment.from), 8);
  ip.set(bytesOf(segment.to), 24);
  return Buffer.concat([Buffer.from('02000000000102000000000286dd', 'hex'), ip, rest]);
}

/** RFC 1071 over a header whose checksum field is as it stands: 0 when that is right. */
export function checksum(header: Buffer): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A copy of a wrapped frame whose outer UDP checksum is right over everything, as somebody who knows nothing of the inner packet makes it. */
export function withUdpChecksum(bytes: Uint8Array): Buffer {
  const out = Buffer.from(bytes);
  const v6 = out.readUInt16BE(12) === 0x86dd;
  const udp = v6 ? 54 : 34;
  const datagram = out.subarray(udp, udp + out.readUInt16BE(udp + 4));
  const addresses = v6 ? out.subarray(22, 54) : out.subarray(26, 34);
  datagram.writeUInt16BE(0, 6);
  const pseudo = Buffer.from([0, PROTOCOL.udp, datagram.length >> 8, datagram.length & 0xff]);
  const sum = checksum(Buffer.concat([addresses, pseudo, datagram, Buffer.alloc(datagram.length & 1)]));
  datagram.writeUInt16BE(sum || 0xffff, 6);
  return out;
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
  const v6 = packet.readUInt16BE(12) === 0x86dd;
  const udp = v6 ? 54 : 34;
  if (packet.readUInt8(v6 ? 20 : 23) !== 17 || packet.length < udp + 28 || packet.readUInt16BE(udp + 2) !== 7081) return undefined;
  return {
    from: v6 ? formatAddress(packet.subarray(22, 38), 2) : formatAddress(packet.subarray(26, 30), 1),
    to: v6 ? formatAddress(packet.subarray(38, 54), 2) : formatAddress(packet.subarray(30, 34), 1),
    reply: (packet.readUInt16BE(udp) & 1) === 1,
    spi: packet.readUIntBE(udp + 24, 3),
    si: packet.readUInt8(udp + 27),
    ttl: (packet.readUInt16BE(udp + 20) >> 6) & 0x3f,
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
    family: addressOf(address).family,
    flags: ingress ? 0 : SELECT_FLAG.egress,
    port,
    protocol,
    address: bytesOf(address),
  };
}

/** Roles of flows that send to an instance. */
const LOSING: ReadonlySet<number> = new Set([FLOW_ROLE.source, FLOW_ROLE.function, FLOW_ROLE.ingress]);

/** A slot of a table of backends: a pod by its IPv4 address, or by its IPv6 address, or nobody. */
export type Backend = Name | `${Name}6` | 'nobody';

function backendOf(backend: Backend) {
  if (backend === 'nobody') return { address: new Uint8Array(16), family: 0 };
  const v6 = backend.endsWith('6');
  const name = (v6 ? backend.slice(0, -1) : backend) as Name;
  return { address: bytesOf(addressFor(name, v6 ? 6 : 4)), family: v6 ? FAMILY.ipv6 : FAMILY.ipv4 };
}

export interface PodSettings {
  readonly id?: number;
  readonly generation?: number;
  readonly selects?: boolean | 'all-ports' | 'ports';
  /** Further flags of what the pod sends. */
  readonly alsoSelects?: number;
  /** Flags of what it receives, at the places of what it sends. */
  readonly ingress?: number;
  /** Has it addresses of both families? By default it has. */
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  /** May it send in its own name only? */
  readonly ownSource?: boolean;
  /** Is it an instance of a function? */
  readonly isFunction?: boolean;
}

/** A pod whose turn it is. */
export interface Player {
  send(bytes: Uint8Array): Outcome;
  receive(bytes: Uint8Array): Outcome;
  /** Like both, without looking at the counters. */
  pass(way: 'sends' | 'receives', bytes: Uint8Array): Omit<Outcome, 'counted'>;
}

/** Packets of one node on one datapath. */
export abstract class Stage {
  readonly maps: TypedMaps;
  private onStage: Name = 'vpn';

  constructor(store: MapStore) {
    this.maps = typedMaps(store);
    this.peers();
  }

  private peers(): void {
    this.peer(['10.244.0.0', 16], PEER_FLAG.trusted | PEER_FLAG.decapsulates);
    this.peer(['fd00::10.244.0.0', 112], PEER_FLAG.trusted | PEER_FLAG.decapsulates);
  }

  abstract close(): void;
  protected abstract interfaceOf(name: Name): number;
  protected abstract policyChanged(): void;
  protected abstract process(program: 'from_pod' | 'to_pod', bytes: Uint8Array, ifindex: number): Omit<Outcome, 'counted'>;

  /** Back to the beginning, but for the counters. */
  clear(): void {
    clearMap(this.maps.peer);
    this.peers();
    clearMap(this.maps.sfcflow);
    clearMap(this.maps.sfcfragment);
    clearMap(this.maps.sfcquota);
    clearMap(this.maps.sfcaffinity);
    clearMap(this.maps.sfcselect);
    clearMap(this.maps.sfcports);
    clearMap(this.maps.sfcpath);
    clearMap(this.maps.endpoint);
    clearMap(this.maps.sfcprobe);
    this.policyChanged();
  }

  /** The agent has begun to probe an instance by this port, at the address of a family. */
  probes(name: Name, port: number, version: Version = 4): this {
    const { bytes, family } = addressOf(addressFor(name, version));
    this.maps.sfcprobe.set({ address: bytes, family, port }, { answered: 0, sequence: 0 });
    return this;
  }

  /** Another pod's turn, as it was put on stage before; none if it was not. What is returned stays that pod, whoever's turn comes meanwhile. */
  as(name: Name): Player {
    this.onStage = name;
    return {
      send: (bytes) => this.run('from_pod', bytes, name),
      receive: (bytes) => this.run('to_pod', bytes, name),
      pass: (way, bytes) => this.processAs(way, bytes, name),
    };
  }

  /** Puts a pod on stage: it sends and receives until the next is put there. */
  pod(name: Name, settings: PodSettings = {}): this {
    const { ingress = 0, selects = false, alsoSelects = 0, ipv4 = true, ipv6 = true } = settings;
    this.onStage = name;
    this.maps.endpoint.set(
      { ifindex: this.interfaceOf(name) },
      {
        id: settings.id ?? idOf(name),
        flags:
          (ipv4 ? ENDPOINT_FLAG.ipv4 : 0) |
          (ipv6 ? ENDPOINT_FLAG.ipv6 : 0) |
          (settings.isFunction ? ENDPOINT_FLAG.function : 0) |
          (settings.ownSource ? ENDPOINT_FLAG.ownSource : 0) |
          (selects === true || selects === 'all-ports' ? ENDPOINT_FLAG.selectsAllPorts : 0) |
          (selects === true || selects === 'ports' ? ENDPOINT_FLAG.selectsPorts : 0) |
          alsoSelects |
          (ingress << ENDPOINT_INGRESS_SHIFT),
        mtu: 1500,
        generation: settings.generation ?? 1,
        ipv4: ipv4 ? bytesOf(CAST[name]).slice(0, 4) : new Uint8Array(4),
        ipv6: ipv6 ? bytesOf(CAST6[name]) : new Uint8Array(16),
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

  /** A pod may have so many flows, and has had so many when it was counted: this moment, or so many seconds ago. */
  quota(name: Name, limit: number, flows = 0, secondsAgo = 0): this {
    // A time to come is as good as this moment: the stages' clocks are not the same.
    const counted_at = secondsAgo === 0 ? 2 ** 52 : 0;
    this.maps.sfcquota.set({ ifindex: this.interfaceOf(name) }, { limit, flows, counted_at });
    return this;
  }

  /** Time passes for the clients and the datagrams that are remembered. */
  age(seconds: number): this {
    const fragments = [...this.maps.sfcfragment.entries()];
    this.maps.sfcfragment.setMany(
      fragments.map(([key, value]) => [key, { ...value, last_seen: Math.max(0, value.last_seen - seconds * 1e9) }] as const),
    );
    const entries = [...this.maps.sfcaffinity.entries()];
    const older = entries.map(([key, value]) => [key, { ...value, last_seen: Math.max(0, value.last_seen - seconds * 1e9) }] as const);
    this.maps.sfcaffinity.setMany(older);
    return this;
  }

  /** A range of outer addresses; without flags it is forgotten. */
  peer([address, length]: readonly [string, number], flags: number | undefined): this {
    const { family, bytes } = addressOf(address);
    const key = { prefix_len: PEER_STATIC_BITS + length, family, address: bytes };
    if (flags === undefined) this.maps.peer.delete(key);
    else this.maps.peer.set(key, { flags, ifindex: 0 });
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
    return this.run('from_pod', bytes, this.onStage);
  }

  receive(bytes: Uint8Array): Outcome {
    return this.run('to_pod', bytes, this.onStage);
  }

  private processAs(way: 'sends' | 'receives', bytes: Uint8Array, name: Name): Omit<Outcome, 'counted'> {
    return this.process(way === 'sends' ? 'from_pod' : 'to_pod', bytes, this.interfaceOf(name));
  }

  private run(program: 'from_pod' | 'to_pod', bytes: Uint8Array, name: Name): Outcome {
    const before = this.counters();
    const result = this.process(program, bytes, this.interfaceOf(name));
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
