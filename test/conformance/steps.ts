/** What may happen on a node, drawn at random: policies that come and go, packets valid, odd, broken and forged. */

import fc from 'fast-check';
import { CAST, type Name } from '../../datapath/cast.js';
import { ENDPOINT_FLAG, ENDPOINT_SELECTS } from '../../maps/index.js';

export type Step =
  | { readonly do: 'pod'; readonly name: Name; readonly generation: number; readonly selects: boolean; readonly alsoSelects?: number }
  | {
      readonly do: 'select';
      readonly name: Name;
      readonly spi: number;
      readonly si: number;
      readonly cidr: readonly [string, number];
      readonly protocol: number;
      readonly port: number;
      readonly foundAs?: number | undefined;
    }
  /** Ports that are selected under another. */
  | {
      readonly do: 'range';
      readonly name: Name;
      readonly protocol: number;
      readonly ports: readonly [port: number, bits: number];
      readonly firstPort: number;
    }
  | { readonly do: 'path'; readonly spi: number; readonly si: number; readonly backends: readonly Name[]; readonly failurePolicy: number }
  | { readonly do: 'packet'; readonly name: Name; readonly way: Way; readonly packet: Draft }
  /** The last packet arrives: at the pod that it is addressed to, or at another. */
  | { readonly do: 'deliver'; readonly name: Name | undefined; readonly spoil: readonly Spoil[] }
  /** The pod that has it sends it on, as a function does. */
  | { readonly do: 'forward'; readonly spoil: readonly Spoil[] }
  /** The pod that has it answers it. */
  | { readonly do: 'answer'; readonly spoil: readonly Spoil[] };

export type Way = 'sends' | 'receives';

/** A packet in words. */
export interface Draft {
  readonly from: string;
  readonly to: string;
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'sctp' | 'gre';
  readonly icmpType: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tcpFlags: number;
  readonly tos: number;
  readonly fragment: number;
  readonly payload: number;
  readonly wrap: Wrap | undefined;
  readonly spoil: readonly Spoil[];
}

/** Outer headers, as a datapath or a forger would write them. */
export interface Wrap {
  readonly from: string;
  readonly to: string;
  readonly spi: number;
  readonly si: number;
  readonly ttl: number;
  readonly reply: boolean;
  readonly tos: number | undefined;
}

/** One change to the bytes: `at` counts from the IP header and wraps around. */
export type Spoil =
  | { readonly kind: 'byte'; readonly at: number; readonly value: number }
  | { readonly kind: 'cut'; readonly bytes: number };

const names = Object.keys(CAST) as Name[];
const pods = fc.constantFrom<Name>('vpn', 'firewall', 'proxy', 'destination');
const name = fc.constantFrom(...names);
/** Few addresses and ports, so that flows meet each other. */
const address = name.map((who) => CAST[who]);
const port = fc.constantFrom(80, 443, 4000, 7081, 40_000);
const spi = fc.constantFrom(1, 2, 3);
const si = fc.constantFrom(0, 1, 1, 1, 2);

const spoil: fc.Arbitrary<Spoil> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('byte' as const), at: fc.nat({ max: 80 }), value: fc.nat({ max: 255 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), bytes: fc.nat({ max: 60 }) }) },
);
/** Mostly none. */
const spoils = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(spoil, { minLength: 1, maxLength: 3 }) },
);

const wrap: fc.Arbitrary<Wrap> = fc.record({
  from: address,
  to: address,
  spi,
  si,
  ttl: fc.constantFrom(0, 1, 2, 62, 63),
  reply: fc.boolean(),
  tos: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
});

const packet: fc.Arbitrary<Draft> = fc.record({
  from: address,
  to: address,
  protocol: fc.constantFrom('tcp', 'tcp', 'udp', 'udp', 'udp', 'icmp', 'sctp', 'gre'),
  icmpType: fc.constantFrom(8, 8, 0, 3),
  sourcePort: port,
  destinationPort: port,
  tcpFlags: fc.constantFrom(0x02, 0x10, 0x12, 0x18, 0x04),
  tos: fc.constantFrom(0, 0, 1, 2, 3, 0xb8),
  fragment: fc.constantFrom(0, 0, 0, 0, 0x2000, 0x0010, 0x4000),
  payload: fc.nat({ max: 60 }),
  wrap: fc.option(wrap, { nil: undefined }),
  spoil: spoils,
});

const cidr = fc.constantFrom<readonly [string, number]>(['0.0.0.0', 0], ['203.0.113.0', 24], ['203.0.113.10', 32], ['10.244.0.0', 16]);

/** One thing that happens; packets more often than policies. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pod' as const),
      name: pods,
      generation: fc.integer({ min: 1, max: 3 }),
      selects: fc.boolean(),
      alsoSelects: fc.constantFrom(0, ENDPOINT_FLAG.selectsRanges, ENDPOINT_FLAG.selectsAnyProtocol, ENDPOINT_SELECTS.egress),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('select' as const),
      name: pods,
      spi,
      si: fc.constantFrom(1, 2),
      cidr,
      protocol: fc.constantFrom(6, 6, 17, 17, 0, 1, 47, 132),
      port: fc.constantFrom(0, 80, 443),
      foundAs: fc.constantFrom(undefined, undefined, 0, 16, 32),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('select' as const),
      name: pods,
      spi: fc.constant(0),
      si: fc.constant(0),
      cidr,
      protocol: fc.constantFrom(6, 17, 0),
      port: fc.constantFrom(0, 80, 443),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('range' as const),
      name: pods,
      protocol: fc.constantFrom(6, 17, 132),
      ports: fc.constantFrom<readonly [number, number]>([0, 0], [256, 8], [443, 16], [4000, 11], [0x8000, 1]),
      firstPort: fc.constantFrom(0, 80, 443),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('path' as const),
      spi,
      si: fc.constantFrom(1, 2),
      backends: fc.array(pods, { maxLength: 3 }),
      failurePolicy: fc.constantFrom(0, 0, 1),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('packet' as const),
      name: pods,
      way: fc.constantFrom<Way>('sends', 'sends', 'receives'),
      packet,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      name: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: pods }),
      spoil: spoils,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('forward' as const), spoil: spoils }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), spoil: spoils }) },
);

/** The walkthrough's world, and a chain of two: most stories begin in it. */
export const WALKTHROUGH: readonly Step[] = [
  { do: 'path', spi: 1, si: 1, backends: ['firewall'], failurePolicy: 0 },
  { do: 'path', spi: 2, si: 1, backends: ['proxy'], failurePolicy: 0 },
  { do: 'path', spi: 3, si: 2, backends: ['firewall', 'proxy'], failurePolicy: 0 },
  { do: 'path', spi: 3, si: 1, backends: ['proxy', 'firewall'], failurePolicy: 0 },
  ...[6, 17].flatMap((protocol): Step[] => [
    { do: 'select', name: 'vpn', spi: 1, si: 1, cidr: ['0.0.0.0', 0], protocol, port: 0 },
    { do: 'select', name: 'vpn', spi: 3, si: 2, cidr: ['10.244.0.0', 16], protocol, port: 443 },
    { do: 'select', name: 'firewall', spi: 2, si: 1, cidr: ['203.0.113.0', 24], protocol, port: 0 },
  ]),
  { do: 'pod', name: 'vpn', generation: 1, selects: true },
  { do: 'pod', name: 'firewall', generation: 1, selects: true },
  { do: 'pod', name: 'proxy', generation: 1, selects: false },
  { do: 'pod', name: 'destination', generation: 1, selects: false },
];

/** Long enough for flows to begin, change hands and end. */
export const story = fc
  .record({
    walkthrough: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    steps: fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
  })
  .map(({ walkthrough, steps }) => (walkthrough ? [...WALKTHROUGH, ...steps] : steps));
