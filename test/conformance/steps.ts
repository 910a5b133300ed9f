/**
 * What may happen on a node, step by step: policies that come and go, packets valid, odd, broken and
 * forged. One definition gives the types, and the check of a story that stands in a file.
 */

import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { CAST, type Name } from '../../datapath/cast.js';
import { MAPS } from '../../maps/index.js';

/** One of these words. */
const word = <const T extends string>(...words: readonly T[]) => Type.Union(words.map((each) => Type.Literal(each)));
const closed = { additionalProperties: false };
const number = (maximum: number) => Type.Integer({ minimum: 0, maximum });
const byte = number(0xff);
const port = number(0xffff);

const name = word(...(Object.keys(CAST) as Name[]));
const spi = number(0xffffff);
/** IPv4; the prefix of the same hosts' IPv6 addresses is meant too. */
const cidr = Type.String({ pattern: '^\\d{1,3}(\\.\\d{1,3}){3}/\\d{1,2}$' });
/** What selectors name: a protocol, or any. */
const protocol = word('tcp', 'udp', 'icmp', 'sctp', 'gre', 'any');

/** One change to the bytes: `at` counts from the IP header and wraps around. */
const spoil = Type.Union([
  Type.Object({ kind: Type.Literal('byte'), at: Type.Integer({ minimum: 0 }), value: byte }, closed),
  Type.Object({ kind: Type.Literal('cut'), bytes: Type.Integer({ minimum: 0 }) }, closed),
]);
export type Spoil = Static<typeof spoil>;

/**
 * A Geneve option: the NSH, one that nobody knows, one that nobody knows and that is critical, or one
 * that has the class of the NSH and another type. `words` of body are there, `says` is what its length
 * field says of them; by default both are right.
 */
const option = Type.Object(
  {
    kind: word('nsh', 'unknown', 'critical', 'sibling', 'critical-sibling'),
    words: Type.Optional(number(31)),
    says: Type.Optional(number(31)),
  },
  closed,
);
export type Option = Static<typeof option>;

/** Outer headers, as a datapath or a forger would write them. What is left out is as it should be. */
const wrap = Type.Object(
  {
    from: name,
    to: name,
    spi,
    si: byte,
    ttl: number(63),
    reply: Type.Optional(Type.Boolean()),
    tos: Type.Optional(byte),
    /** Flags and offset field of the outer IPv4 header. */
    fragment: Type.Optional(port),
    /** Options of the outer IPv4 header, 4-byte words. */
    ipOptions: Type.Optional(number(10)),
    /** Outer headers of the family that is not the story's. */
    other: Type.Optional(Type.Boolean()),
    /** The outer UDP checksum: right, or this number. */
    checksum: Type.Optional(Type.Union([Type.Literal('right'), port])),
    /** Added to the UDP length. */
    udpLength: Type.Optional(Type.Integer({ minimum: -40, maximum: 40 })),
    geneve: Type.Optional(
      Type.Object(
        {
          version: Type.Optional(number(3)),
          control: Type.Optional(number(1)),
          critical: Type.Optional(number(1)),
          optionWords: Type.Optional(number(63)),
          protocolType: Type.Optional(port),
          vni: Type.Optional(spi),
        },
        closed,
      ),
    ),
    /** By default one, the NSH. */
    options: Type.Optional(Type.Array(option, { maxItems: 8 })),
    nsh: Type.Optional(
      Type.Object(
        {
          version: Type.Optional(number(3)),
          oam: Type.Optional(number(1)),
          words: Type.Optional(number(63)),
          mdType: Type.Optional(number(15)),
          nextProtocol: Type.Optional(byte),
        },
        closed,
      ),
    ),
    /** Bytes behind the inner packet, inside the outer one. */
    behind: Type.Optional(number(64)),
  },
  closed,
);
export type Wrap = Static<typeof wrap>;

/** A packet in words. What is left out is as `frame` has it. */
const packet = Type.Object(
  {
    from: name,
    to: name,
    /** Of the family that is not the story's. */
    other: Type.Optional(Type.Boolean()),
    /** Of IPv6: extension headers by their numbers. */
    extensions: Type.Optional(Type.Array(byte, { maxItems: 8 })),
    protocol: Type.Optional(word('tcp', 'udp', 'icmp', 'sctp', 'gre')),
    icmpType: Type.Optional(byte),
    sourcePort: Type.Optional(port),
    destinationPort: Type.Optional(port),
    tcpFlags: Type.Optional(byte),
    tos: Type.Optional(byte),
    /** Flags and offset field of the IPv4 header; of IPv6, the same in a fragment header. */
    fragment: Type.Optional(port),
    /** Options of the IPv4 header, 4-byte words. */
    ipOptions: Type.Optional(number(10)),
    /** Bytes behind the TCP or UDP header. */
    payload: Type.Optional(number(2700)),
    /** The payload is that of a probe with this sequence number. */
    probe: Type.Optional(number(0xffff_ffff)),
    /** So many bytes behind the IP header are there, and the lengths say so. */
    keep: Type.Optional(number(40)),
    /** What the IP header says its packet's length is, whatever is there. */
    says: Type.Optional(port),
    wrap: Type.Optional(wrap),
    /** Bytes behind the packet, as Ethernet pads. */
    padding: Type.Optional(number(64)),
    spoil: Type.Optional(Type.Array(spoil)),
  },
  closed,
);
export type Draft = Static<typeof packet>;

const spoils = Type.Optional(Type.Array(spoil));
/** What the pod receives; otherwise what it sends. */
const ingress = Type.Optional(Type.Boolean());
const match = { name, cidr, protocol, port: Type.Optional(port), ingress };
const step = <const Do extends string, Fields extends Record<string, Parameters<typeof Type.Object>[0][string]>>(
  what: Do,
  fields: Fields,
) => Type.Object({ do: Type.Literal(what), ...fields }, closed);

/** What a pod's selectors name. */
const kinds = word('nothing', 'all-ports', 'ports', 'both', 'ranges', 'any-protocol', 'everything');

/** Every step by its `do`. */
export const STEPS = {
  /** First of all: the families that packets and their outer headers are of; without it, IPv4. */
  families: step('families', {
    inner: Type.Union([Type.Literal(4), Type.Literal(6)]),
    outer: Type.Union([Type.Literal(4), Type.Literal(6)]),
  }),
  /** The paths, selectors and pods of `WALKTHROUGH`. */
  walkthrough: step('walkthrough', {}),
  pod: step('pod', {
    name,
    generation: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }),
    selects: kinds,
    /** Of what it receives. */
    ingress: Type.Optional(kinds),
    ipv4: Type.Optional(Type.Boolean()),
    ipv6: Type.Optional(Type.Boolean()),
    isFunction: Type.Optional(Type.Boolean()),
    ownSource: Type.Optional(Type.Boolean()),
  }),
  /** A pod may have so many flows; it has been counted this moment, or long ago. */
  quota: step('quota', { name, limit: number(100), flows: number(100), stale: Type.Optional(Type.Boolean()) }),
  /** The pod goes. */
  gone: step('gone', { name }),
  /** Path 0, index 0 is an exception. `foundAs`: the prefix length that it is compared by, where that is not its own. */
  select: step('select', { ...match, spi, si: byte, foundAs: Type.Optional(number(32)) }),
  /** Ports that share the first `bits` of `port` are selected under `firstPort`. */
  range: step('range', { name, protocol, ingress, port, bits: number(16), firstPort: port }),
  unselect: step('unselect', match),
  /** A path with one slot a backend; an empty slot belongs to nobody. `other`: with addresses of the family that is not the story's. */
  path: step('path', {
    spi,
    si: byte,
    backends: Type.Array(Type.Union([name, word('nobody')]), { maxItems: 8 }),
    other: Type.Optional(Type.Boolean()),
    policy: Type.Optional(word('bypass', 'reject')),
    /** Seconds for which a client keeps its instance; none without it. */
    affinityTimeout: Type.Optional(number(86_400)),
    /** A pod of it has another position of the chain too. */
    revisits: Type.Optional(Type.Boolean()),
    /** The path's slots begin here, where nothing may be. */
    base: Type.Optional(Type.Integer({ minimum: MAPS.sfcbackend.capacity, maximum: 0xffff_ffff })),
  }),
  unpath: step('unpath', { spi, si: byte }),
  peer: step('peer', { cidr, trusted: Type.Boolean(), decapsulates: Type.Boolean() }),
  unpeer: step('unpeer', { cidr }),
  /** Seconds pass for the clients that are remembered. */
  age: step('age', { seconds: number(86_400) }),
  /** The flow table loses what it knows of a pod. */
  evict: step('evict', { name }),
  /** The instances of a pod's TCP flows are lost, in chains that reset them. */
  lose: step('lose', { name }),
  /** The agent asks an instance by this port. */
  probe: step('probe', { name, port }),
  packet: step('packet', { name, way: word('sends', 'receives'), packet }),
  /** The packet that was asked about last comes once more, as the first of its flow does not. */
  again: step('again', { spoil: spoils }),
  /** The last packet arrives: at the pod that it is addressed to, or at another. */
  deliver: step('deliver', { name: Type.Optional(name), spoil: spoils }),
  /** The pod that has it sends it on, as a function does; as a router does, with so much less TTL. */
  forward: step('forward', { spoil: spoils, hops: Type.Optional(number(8)) }),
  /** The pod that has it answers it. */
  answer: step('answer', { spoil: spoils }),
  /** A packet that came earlier, counted back from the last, has been inside a pod meanwhile and is on its way again. */
  back: step('back', { by: number(15) }),
  /**
   * Somebody who has the last packet tells its sender that it went no further, repeating so much of it: a function or a destination
   * (`sends`), or a router on the way, to the pod that it came from or to `name`. `mtu`: because it was too big.
   */
  complain: step('complain', {
    way: word('sends', 'receives'),
    name: Type.Optional(name),
    repeat: number(400),
    icmpType: byte,
    mtu: Type.Optional(number(70_000)),
    spoil: spoils,
  }),
  /** Its destination outside answers it; the answer comes to a pod by the plain way. */
  outside: step('outside', { name, spoil: spoils }),
} as const;

export type Step = { [Do in keyof typeof STEPS]: Static<(typeof STEPS)[Do]> }[keyof typeof STEPS];
export const isStep = (value: unknown): value is Step => {
  const kind = (value as { do?: unknown } | null)?.do;
  return typeof kind === 'string' && Object.hasOwn(STEPS, kind) && Value.Check(STEPS[kind as Step['do']], value);
};
export type StepOf<Do extends Step['do']> = Extract<Step, { readonly do: Do }>;
export type PacketStep = StepOf<'packet' | 'again' | 'deliver' | 'forward' | 'answer' | 'outside' | 'complain'>;
export type Preparation = Exclude<Step, PacketStep | StepOf<'back' | 'families'>>;
export type Families = Omit<StepOf<'families'>, 'do'>;
export type Way = StepOf<'packet'>['way'];

/** The walkthrough's world, and a chain of two: most stories begin in it. */
export const WALKTHROUGH: readonly Preparation[] = [
  { do: 'path', spi: 1, si: 1, backends: ['firewall'], affinityTimeout: 10 },
  { do: 'path', spi: 2, si: 1, backends: ['proxy'] },
  { do: 'path', spi: 3, si: 2, backends: ['firewall', 'proxy'] },
  { do: 'path', spi: 3, si: 1, backends: ['proxy', 'firewall'] },
  ...(['tcp', 'udp'] as const).flatMap((protocol): Preparation[] => [
    { do: 'select', name: 'vpn', spi: 1, si: 1, cidr: '0.0.0.0/0', protocol },
    { do: 'select', name: 'vpn', spi: 3, si: 2, cidr: '10.244.0.0/16', protocol, port: 443 },
    { do: 'select', name: 'firewall', spi: 2, si: 1, cidr: '203.0.113.0/24', protocol },
  ]),
  { do: 'pod', name: 'vpn', generation: 1, selects: 'both' },
  { do: 'pod', name: 'firewall', generation: 1, selects: 'both' },
  { do: 'pod', name: 'proxy', generation: 1, selects: 'nothing' },
  { do: 'pod', name: 'destination', generation: 1, selects: 'nothing' },
];
