/**
 * The maps, declared once. From these tables come the TypeScript codecs (`codec.ts`), the C header
 * `datapath/kernel/bpf/layouts.h` (`tools/generate-layouts.ts`) and the check of the compiled
 * object's BTF against both (`datapath/kernel/layout-check.ts`).
 *
 * Widths are bytes. `be` fields are big-endian because they are compared with, or copied to, packet
 * bytes; `host` fields are in the machine's order because the kernel reads them as integers.
 * Addresses are 16 bytes; an IPv4 address stands in the first four and the rest is zero, so that an
 * LPM prefix length counts from the same bit for both families.
 */

export type FieldKind = 'uint' | 'bytes' | 'pad';

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly width: number;
  readonly kind: FieldKind;
  readonly order: 'be' | 'host' | 'none';
  readonly doc: string;
}

export interface Layout {
  /** C struct name. */
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
}

type Draft = readonly [name: string, type: `u${8 | 16 | 32 | 64}` | `be${16 | 32}` | `bytes${number}` | `pad${number}`, doc: string];

/** Lays fields one after the other; an unaligned integer or a size that C would pad is a mistake here. */
function layout(name: string, align: 1 | 2 | 4 | 8, drafts: readonly Draft[]): Layout {
  let offset = 0;
  const fields: Field[] = [];
  for (const [field, type, doc] of drafts) {
    const match = /^(u|be|bytes|pad)(\d+)$/.exec(type);
    if (match === null) throw new Error(`${name}.${field}: unknown type ${type}`);
    const number = Number(match[2]);
    const integer = match[1] === 'u' || match[1] === 'be';
    const width = integer ? number / 8 : number;
    if (integer && offset % width !== 0) throw new Error(`${name}.${field}: offset ${offset} is not aligned to ${width}`);
    fields.push({
      name: field,
      offset,
      width,
      kind: integer ? 'uint' : match[1] === 'pad' ? 'pad' : 'bytes',
      order: match[1] === 'be' ? 'be' : match[1] === 'u' && width > 1 ? 'host' : 'none',
      doc,
    });
    offset += width;
  }
  if (offset % align !== 0) throw new Error(`${name}: size ${offset} is not a multiple of ${align}; pad it explicitly`);
  return { name, size: offset, fields };
}

export type MapKind = 'hash' | 'lru-hash' | 'lpm-trie' | 'array' | 'percpu-array';

export interface MapSpec {
  readonly name: string;
  readonly kind: MapKind;
  readonly key: Layout;
  readonly value: Layout;
  /** Default capacity; configuration may raise it. */
  readonly capacity: number;
  readonly doc: string;
}

/** Bits before the address in an `sfcselect` key: they always match in full. */
export const SELECT_STATIC_BITS = 64;
/** Bits before the port in an `sfcports` key. */
export const PORTS_STATIC_BITS = 32;
/** Bits before the address in a `peer` key: family and padding. */
export const PEER_STATIC_BITS = 32;

export const FAMILY = { ipv4: 1, ipv6: 2 } as const;
export type Family = (typeof FAMILY)[keyof typeof FAMILY];

export const SELECT_FLAG = { egress: 1 } as const;

export const ENDPOINT_FLAG = {
  /** `ipv4` holds the endpoint's address. */
  ipv4: 1,
  /** `ipv6` holds the endpoint's address. */
  ipv6: 2,
  /** What it sends is selected by at least one entry of all ports of a protocol. */
  selectsAllPorts: 4,
  /** … of a port or a range of ports. */
  selectsPorts: 8,
  /** … of a range of ports: `sfcports` tells which. */
  selectsRanges: 16,
  /** … of any protocol, or of one that is neither TCP nor UDP. */
  selectsAnyProtocol: 32,
  /** The same four of what it receives. */
  ingressAllPorts: 64,
  ingressPorts: 128,
  ingressRanges: 256,
  ingressAnyProtocol: 512,
  /** It is an instance of a function: what it forwards is a chain's, and no fragment of that may slip past. */
  function: 1024,
  /** It may send in its own name only: what has another source is dropped. */
  ownSource: 2048,
} as const;

/** The flags of what is selected, by direction; those of ingress are those of egress, shifted. */
export const ENDPOINT_SELECTS = { egress: 0x3c, ingress: 0x3c0 } as const;
export const ENDPOINT_INGRESS_SHIFT = 4;

export const PATH_FLAG = {
  /** Session affinity: a client, which is the inner source address alone, stays with its backend. */
  affinity: 1,
  /** A pod of this function also has another position of the chain: one flow may come to it more than once. */
  revisits: 2,
} as const;

export const FAILURE_POLICY = { drop: 0, bypass: 1, reject: 2 } as const;

export const FLOW_ROLE = {
  /** The endpoint is the classifier: its own egress was selected. */
  source: 1,
  /** The endpoint is a service function on the flow's path. */
  function: 2,
  /** The endpoint is the flow's destination inside the cluster (service index 0). */
  destination: 3,
  /** Somebody outside opened this flow to the endpoint; its replies are not egress. */
  inbound: 4,
  /** The endpoint is the classifier of what comes to it: its ingress was selected. It is the destination too. */
  ingress: 5,
  /** The endpoint opened this flow, which nothing steers; the replies are not ingress. */
  outbound: 6,
} as const;

export const FLOW_FLAG = {
  /** The forward direction runs from (address_a, port_a) to (address_b, port_b). */
  forwardAToB: 1,
  /** `next_hop` holds an address: forward packets are encapsulated to it. */
  nextHop: 2,
  /** `previous_hop` holds an address: reply packets are encapsulated to it. */
  previousHop: 4,
  /** The next hop is decided (also when the decision was to let the packet leave plain). */
  resolved: 8,
  /** The flow's instance is gone and its chain resets such flows: the next packet ends it. Never with `resolved`. */
  reset: 16,
  /** Of visit 0: the flow comes to this pod at other positions of its chain too, and has entries for them. */
  revisited: 32,
} as const;

/**
 * Errors and RSTs that a CPU makes of its own in a tick of the kernel's clock, the userspace datapath in ten milliseconds, at most: a flood is
 * not answered by one (RFC 4443 2.4 f, RFC 1812 4.3.2.8).
 */
export const ANSWERS_A_TICK = 100;

/**
 * Mark of a packet of which the node's netfilter may not have seen the rest of the flow: a rule of ours takes it from conntrack's invalid
 * ones, and the mark away. Of none of the bits that others use: kube-proxy 0x4000 and 0x8000, Cilium 0x0f00, Calico 0xffff0000, the
 * CNI of AWS 0x80.
 */
export const HALF_SEEN_MARK = 0x54;

/** Datagrams whose fragments an interface may have on the way at once. */
export const FRAGMENT_SLOTS = 512;
/** Seconds after which a datagram's fragments come no more: half of what a receiver waits (RFC 8200 4.5). */
export const FRAGMENT_SECONDS = 30;
/** Seconds after which a count of flows is too old to hold a pod to it: no agent runs. */
export const QUOTA_SECONDS = 30;

/** Visits of one flow at one pod, at most: the NSH TTL lets no packet pass more functions. */
export const VISITS_MAX = 63;

/**
 * Where a TCP connection is, as its packets tell at this endpoint. Established is 0, so that one word
 * tells an established packet of any protocol from one that changes something.
 */
export const TCP_STATE = {
  /** Data may flow; also a connection met in its middle, and every protocol that is not TCP. */
  established: 0,
  /** The opener has sent SYN and not yet acknowledged an answer. */
  handshake: 1,
  /** The opener has sent FIN. */
  closingForward: 2,
  /** The other end has sent FIN. */
  closingReply: 3,
  /** Both have. */
  closed: 4,
  /** Somebody has sent RST. */
  reset: 5,
} as const;

export const PEER_FLAG = {
  /** A packet from this range is believed as an outer source. */
  trusted: 1,
  /** The range's nodes decapsulate: a packet to it may travel encapsulated at service index 0. */
  decapsulates: 2,
} as const;

/**
 * Probes through functions: the path that they travel on, which no chain can have (the highest SPI of 24 bits), and the
 * word with which their payload begins; behind it stands the sequence number, 32 bits, big-endian as well.
 */
export const PROBE = { spi: 0xffffff, magic: 0x73666370 } as const;

const selectKey = layout('sfcselect_key', 4, [
  ['prefix_len', 'u32', 'bits that count, from `endpoint` on (64 + the CIDR prefix length)'],
  ['endpoint', 'u16', 'endpoint id'],
  ['family', 'u8', '1 = IPv4, 2 = IPv6'],
  ['flags', 'u8', 'bit 0 = egress; clear = ingress'],
  ['port', 'be16', 'destination port, or the first port of a range; 0 = all ports'],
  ['protocol', 'u8', 'IP protocol number; 0 = any'],
  ['pad', 'pad1', 'zero'],
  ['address', 'bytes16', 'address of the other end: destination of egress, source of ingress'],
]);

const selectValue = layout('sfcselect_value', 4, [
  ['cidr_prefix_len', 'u8', 'prefix length of the CIDR that the selector names; in an exception, that of the one that takes its place'],
  ['pad', 'pad1', 'zero'],
  ['last_port', 'be16', 'last port of the range; the port itself for one port, 0 for all ports'],
  ['path', 'be32', 'service path: SPI << 8 | SI; 0 = nothing selects here (an exception)'],
]);

const portsKey = layout('sfcports_key', 4, [
  ['prefix_len', 'u32', 'bits that count, from `endpoint` on (32 + leading bits of the port)'],
  ['endpoint', 'u16', 'endpoint id'],
  ['flags', 'u8', 'bit 0 = egress; clear = ingress'],
  ['protocol', 'u8', 'IP protocol number'],
  ['port', 'be16', 'destination port, bits behind the prefix zero'],
  ['pad', 'pad2', 'zero'],
]);

const portsValue = layout('sfcports_value', 4, [
  ['first_port', 'be16', 'port under which `sfcselect` holds the range of this port; 0 = under the port itself'],
  ['pad', 'pad2', 'zero'],
]);

const pathKey = layout('sfcpath_key', 4, [['path', 'be32', 'service path: SPI << 8 | SI']]);

const pathValue = layout('sfcpath_value', 4, [
  ['service_address', 'bytes16', "the function's ClusterIP"],
  ['family', 'u8', 'family of service_address'],
  ['flags', 'u8', 'bit 0 = client address affinity, 1 = a pod also has another position of the chain'],
  ['failure_policy', 'u8', '0 = drop, 1 = bypass, 2 = reject'],
  ['pad', 'pad1', 'zero'],
  ['affinity_timeout', 'u32', 'seconds'],
  ['backend_base', 'u32', "index of the path's first slot in sfcbackend"],
  ['backend_slots', 'u32', 'number of slots; 0 = no ready backend'],
]);

const backendKey = layout('sfcbackend_key', 4, [['slot', 'u32', 'slot number']]);

const backendValue = layout('sfcbackend_value', 4, [
  ['address', 'bytes16', "the function pod's address"],
  ['family', 'u8', 'family of address; 0 = the slot is empty'],
  ['pad', 'pad3', 'zero'],
]);

/** The way to a hop as the kernel's route look-up gave it: used again for a few ticks. */
const route = (hop: 'next' | 'previous'): readonly Draft[] => [
  [`${hop}_ifindex`, 'u32', `interface that leads to the ${hop} hop; 0 = look it up`],
  [`${hop}_checked`, 'u32', 'jiffies of the look-up, low 32 bits'],
  [`${hop}_mtu`, 'u16', 'MTU of that interface, bytes; 65535 for more'],
  [`${hop}_path_mtu`, 'u16', `MTU of the path to the ${hop} hop as a router on it told, bytes; 0 = none did`],
  [`${hop}_destination_mac`, 'bytes6', 'Ethernet destination'],
  [`${hop}_source_mac`, 'bytes6', 'Ethernet source'],
];

const affinityKey = layout('sfcaffinity_key', 4, [
  ['path', 'be32', 'service path: SPI << 8 | SI'],
  ['family', 'u8', 'family of client'],
  ['pad', 'pad3', 'zero'],
  ['client', 'bytes16', 'inner source address'],
]);

const affinityValue = layout('sfcaffinity_value', 8, [
  ['last_seen', 'u64', "coarse monotonic clock, ns: first packet of the client's last flow; the agent puts a later packet's in its place"],
  ['backend', 'bytes16', "the function pod's address"],
  ['backend_family', 'u8', 'family of backend'],
  ['pad', 'pad7', 'zero'],
]);

const flowKey = layout('sfcflow_key', 4, [
  ['ifindex', 'u32', "host side of the pod's interface: known without a look-up, and never reused while the node is up"],
  ['family', 'u8', 'family of both addresses'],
  ['protocol', 'u8', 'IP protocol number'],
  ['visit', 'u8', '0; 1, 2, … = at another position of its chain that the same pod has too'],
  ['pad', 'pad1', 'zero'],
  ['address_a', 'bytes16', 'the lower of the two (address, port) pairs, compared as bytes'],
  ['address_b', 'bytes16', 'the higher one'],
  ['port_a', 'be16', 'port that belongs to address_a'],
  ['port_b', 'be16', 'port that belongs to address_b'],
]);

const flowValue = layout('sfcflow_value', 8, [
  ['path', 'be32', 'path the packets arrive on, 0 for plain ones; at a source, the path chosen'],
  ['next_path', 'be32', 'path that forward packets leave with'],
  ['previous_hop', 'bytes16', 'outer source of the forward packets'],
  ['next_hop', 'bytes16', 'outer destination of the forward packets'],
  ['previous_local', 'bytes16', "the endpoint's own address of the previous hop's family: outer source of what it sends there"],
  ['next_local', 'bytes16', "the same of the next hop's family"],
  ['endpoint', 'u16', 'endpoint id'],
  ['role', 'u8', '1 = source, 2 = function, 3 = destination, 4 = inbound, 5 = ingress, 6 = outbound'],
  ['flags', 'u8', 'bit 0 = forward is a to b, 1 = next hop, 2 = previous hop, 3 = resolved, 4 = reset, 5 = there are other visits'],
  ['previous_family', 'u8', 'family of previous_hop'],
  ['next_family', 'u8', 'family of next_hop'],
  ['ttl', 'u8', 'NSH TTL of the last forward packet on arrival; 64 at a source'],
  ['tcp_state', 'u8', '0 = established or not TCP, 1 = handshake, 2 = opener closes, 3 = other end closes, 4 = closed, 5 = reset'],
  ['generation', 'u32', 'policy generation of the endpoint when the next hop was decided'],
  ['epoch', 'u32', "epoch of the node's policy when the generation was compared last"],
  ['last_seen', 'u64', 'coarse monotonic clock, ns'],
  ['last_tick', 'u32', 'jiffies of last_seen, low 32 bits: the clock is read once a tick, not once a packet'],
  ['arrival_ttl', 'u8', 'inner TTL of a forward packet on arrival: of the last one where there are other visits, else of the first'],
  ['reply_ttl', 'u8', 'the same of the last reply; kept only where there are other visits'],
  ['latest', 'u8', 'of visit 0: the visit at which a packet arrived last'],
  ['pad', 'pad1', 'zero'],
  ['packets', 'u64', 'forward packets'],
  ['bytes', 'u64', 'forward bytes, inner IP length'],
  ['reply_packets', 'u64', 'reply packets'],
  ['reply_bytes', 'u64', 'reply bytes, inner IP length'],
  ...route('next'),
  ...route('previous'),
]);

const fragmentKey = layout('sfcfragment_key', 4, [
  ['ifindex', 'u32', "host side of the pod's interface"],
  ['slot', 'u32', 'hash of addresses and identification, modulo the slots that each interface has'],
]);

const fragmentValue = layout('sfcfragment_value', 8, [
  ['source', 'bytes16', 'source of the datagram'],
  ['destination', 'bytes16', 'its destination'],
  ['id', 'u32', 'its identification; of IPv4 with the protocol in bits 16 to 23'],
  ['source_port', 'be16', 'port that its first fragment carries'],
  ['destination_port', 'be16', 'the same'],
  ['family', 'u8', 'family of both addresses'],
  ['protocol', 'u8', 'IP protocol number'],
  ['pad', 'pad6', 'zero'],
  ['last_seen', 'u64', 'coarse monotonic clock, ns: its first fragment'],
]);

const quotaKey = layout('sfcquota_key', 4, [['ifindex', 'u32', "host side of the pod's interface"]]);

const quotaValue = layout('sfcquota_value', 8, [
  ['limit', 'u32', 'flows that the pod may have open'],
  ['flows', 'u32', 'flows that it had when the agent counted, and those that it has opened since'],
  ['counted_at', 'u64', 'coarse monotonic clock, ns: when the agent counted'],
]);

const endpointKey = layout('endpoint_key', 4, [['ifindex', 'u32', "host side of the pod's interface"]]);

const endpointValue = layout('endpoint_value', 4, [
  ['id', 'u16', 'endpoint id, unique on the node, 1..65535'],
  [
    'flags',
    'u16',
    'bit 0 = has IPv4, 1 = has IPv6; egress selects 2 = all ports, 3 = ports, 4 = ranges, 5 = any or another protocol; ingress 6 to 9; 10 = is a function, 11 = sends in its own name only',
  ],
  ['mtu', 'u32', "MTU of the pod's interface, bytes"],
  ['generation', 'u32', 'policy generation: changes whenever what is selected here changes'],
  ['ipv4', 'bytes4', "the pod's IPv4 address"],
  ['ipv6', 'bytes16', "the pod's IPv6 address"],
]);

const peerKey = layout('peer_key', 4, [
  ['prefix_len', 'u32', 'bits that count, from `family` on (32 + the CIDR prefix length)'],
  ['family', 'u8', '1 = IPv4, 2 = IPv6'],
  ['pad', 'pad3', 'zero'],
  ['address', 'bytes16', 'network address'],
]);

const peerValue = layout('peer_value', 4, [
  ['flags', 'u32', 'bit 0 = trusted outer source, 1 = decapsulates'],
  ['ifindex', 'u32', 'of a pod of this node: host side of its interface, by which its packets come; 0 = elsewhere'],
]);

const probeKey = layout('sfcprobe_key', 4, [
  ['address', 'bytes16', "the function pod's address: outer source of the answer"],
  ['family', 'u8', 'family of address'],
  ['pad', 'pad1', 'zero'],
  ['port', 'be16', 'UDP port of the probe, inside'],
]);

const probeValue = layout('sfcprobe_value', 8, [
  ['answered', 'u64', 'coarse monotonic clock, ns: when a probe came back last; 0 = none has'],
  ['sequence', 'u32', 'sequence number of that probe'],
  ['pad', 'pad4', 'zero'],
]);

const metricsKey = layout('metrics_key', 4, [['slot', 'u32', 'reason * 2 + direction']]);

const metricsValue = layout('metrics_value', 8, [
  ['packets', 'u64', 'packets'],
  ['bytes', 'u64', 'bytes, IP length of the packet as the program met it'],
]);

/** Slots in `metrics`: 128 reasons, two directions. Room to append reasons without a new layout. */
const METRICS_SLOTS = 256;

export const MAPS = {
  sfcselect: {
    name: 'sfcselect',
    kind: 'lpm-trie',
    key: selectKey,
    value: selectValue,
    capacity: 16384,
    doc: 'What is steered: endpoint, direction, protocol, port and address to a service path.',
  },
  sfcports: {
    name: 'sfcports',
    kind: 'lpm-trie',
    key: portsKey,
    value: portsValue,
    capacity: 16384,
    doc: 'Ranges of ports: from a port to the key that its range has in sfcselect.',
  },
  sfcpath: {
    name: 'sfcpath',
    kind: 'hash',
    key: pathKey,
    value: pathValue,
    capacity: 4096,
    doc: 'Where a service path goes: the function and its table of backends.',
  },
  sfcbackend: {
    name: 'sfcbackend',
    kind: 'array',
    key: backendKey,
    value: backendValue,
    capacity: 1048576,
    doc: 'Maglev tables, one slice of slots a path.',
  },
  sfcaffinity: {
    name: 'sfcaffinity',
    kind: 'lru-hash',
    key: affinityKey,
    value: affinityValue,
    capacity: 65536,
    doc: 'Which instance a client has, on paths with session affinity: asked at the first packet of a flow.',
  },
  sfcflow: {
    name: 'sfcflow',
    kind: 'lru-hash',
    key: flowKey,
    value: flowValue,
    capacity: 262144,
    doc: 'Live flows: one entry a flow and endpoint, found by the packets of both directions.',
  },
  sfcfragment: {
    name: 'sfcfragment',
    kind: 'lru-hash',
    key: fragmentKey,
    value: fragmentValue,
    capacity: 65536,
    doc: 'The ports of fragmented datagrams, as their first fragments told them.',
  },
  sfcquota: {
    name: 'sfcquota',
    kind: 'hash',
    key: quotaKey,
    value: quotaValue,
    capacity: 4096,
    doc: 'How many flows a pod has and may have.',
  },
  endpoint: {
    name: 'endpoint',
    kind: 'hash',
    key: endpointKey,
    value: endpointValue,
    capacity: 4096,
    doc: 'The pods of this node by the host side of their interface.',
  },
  peer: {
    name: 'peer',
    kind: 'lpm-trie',
    key: peerKey,
    value: peerValue,
    capacity: 16384,
    doc: 'Pod ranges of the nodes that run this datapath.',
  },
  sfcprobe: {
    name: 'sfcprobe',
    kind: 'hash',
    key: probeKey,
    value: probeValue,
    capacity: 4096,
    doc: 'Instances that this node probes, each entered by the agent, and the probe that came back last.',
  },
  metrics: {
    name: 'metrics',
    kind: 'percpu-array',
    key: metricsKey,
    value: metricsValue,
    capacity: METRICS_SLOTS,
    doc: 'Packets and bytes by reason and direction.',
  },
} as const satisfies Record<string, MapSpec>;

export type MapName = keyof typeof MAPS;
export const MAP_NAMES = Object.keys(MAPS) as MapName[];

/**
 * Names the set of layouts above. Part of the pin path: state pinned by another layout is never
 * opened by mistake. Raise it with every change of a layout.
 */
export const LAYOUT_VERSION = 5;
