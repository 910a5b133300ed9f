/** Stories drawn at random. */

import fc from 'fast-check';
import { CAST, type Name } from '../../datapath/cast.js';
import { MAPS, PROBE } from '../../maps/index.js';
import type { Draft, Option, Spoil, Step, StepOf, Wrap } from './steps.js';

/** One of several, so often. */
const or = <T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> => ({ weight, arbitrary });

const pods = fc.constantFrom<Name>('vpn', 'firewall', 'proxy', 'destination');
/** Few names and ports, so that flows meet each other. */
const name = fc.constantFrom(...(Object.keys(CAST) as Name[]));
const port = fc.constantFrom(80, 443, 4000, 7081, 40_000);
const spi = fc.constantFrom(1, 2, 3);
const si = fc.constantFrom(0, 1, 1, 1, 2);
const tos = fc.constantFrom(0, 1, 2, 3, 0xb8);
const fragment = fc.constantFrom(0, 0, 0, 0x2000, 0x0010, 0x4000, 0x2001);
const ipOptions = fc.constantFrom(0, 1, 2, 10);
/** Hop-by-hop, routing, authentication, destination; a fragment header too many; none that is one. */
const extensions = fc.array(fc.constantFrom(0, 43, 51, 60, 60, 44, 59), { minLength: 1, maxLength: 7 });

/** A record of which every part may be missing, most of them mostly. */
function rarely<T extends object>(parts: { [Key in keyof T]-?: fc.Arbitrary<NonNullable<T[Key]>> }): fc.Arbitrary<Partial<T>> {
  return fc
    .tuple(fc.constantFrom(0, 0, 1, 1, 2), fc.shuffledSubarray(Object.keys(parts) as (keyof T)[]), fc.record(parts))
    .map(([many, order, record]) => Object.fromEntries(order.slice(0, many).map((key) => [key, record[key]])) as Partial<T>);
}

/** Where a byte decides something in a wrapped packet: TOS, source, port, Geneve, NSH, path, inner version and length. */
const TELLING = [
  ...[1, 12, 21, 28, 29, 31, 34, 35, 40, 41, 42, 43, 46, 47, 48, 51],
  // The same over IPv6, and what stands first in a packet of it.
  ...[6, 7, 40, 46, 48, 49, 54, 60, 61, 66, 67, 68, 74, 75],
];
const spoil: fc.Arbitrary<Spoil> = fc.oneof(
  or(
    4,
    fc.record({
      kind: fc.constant('byte' as const),
      at: fc.oneof(fc.nat({ max: 100 }), fc.constantFrom(...TELLING)),
      value: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 2, 0x42, 0x82, 0xc2)),
    }),
  ),
  or(1, fc.record({ kind: fc.constant('cut' as const), bytes: fc.nat({ max: 60 }) })),
);
/** Mostly none. */
const spoils = fc.oneof(
  or(3, fc.constant({})),
  or(
    1,
    fc.array(spoil, { minLength: 1, maxLength: 3 }).map((spoil) => ({ spoil })),
  ),
);

/** Where a byte decides something in a TCP packet: sequence, acknowledgement, length of the header, flags. */
const spoilTcp: fc.Arbitrary<Spoil> = fc.record({
  kind: fc.constant('byte' as const),
  at: fc.integer({ min: 24, max: 33 }),
  value: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 0x50, 0x80, 0xf0)),
});

const option: fc.Arbitrary<Option> = fc
  .record({
    kind: fc.constantFrom<Option['kind']>(
      'nsh',
      'nsh',
      'unknown',
      'unknown',
      'unknown',
      'unknown',
      'sibling',
      'critical',
      'critical-sibling',
    ),
    sizes: fc.oneof(
      or(5, fc.constant({})),
      or(2, fc.record({ words: fc.constantFrom(0, 1, 2, 3, 20, 31) })),
      or(1, fc.record({ says: fc.constantFrom(0, 1, 2, 3, 31) })),
    ),
  })
  // An NSH of another size is no valid packet's: seldom enough by itself.
  .map(({ kind, sizes }) => ({ kind, ...(kind === 'nsh' && 'words' in sizes && sizes.words > 3 ? {} : sizes) }));
const harmless = fc.constantFrom<Option>({ kind: 'unknown' }, { kind: 'unknown', words: 0 }, { kind: 'sibling', words: 5 });
/** One NSH and unknown options around it, or whatever comes. */
const options: fc.Arbitrary<Option[]> = fc.oneof(
  fc
    .tuple(fc.array(harmless, { maxLength: 3 }), fc.nat({ max: 3 }))
    .map(([others, at]) => [...others.slice(0, at), { kind: 'nsh' }, ...others.slice(at)] satisfies Option[]),
  fc.array(option, { maxLength: 5 }),
);

const wrap: fc.Arbitrary<Wrap> = fc
  .tuple(
    fc.record({ from: name, to: name, spi, si, ttl: fc.constantFrom(0, 1, 2, 62, 63), reply: fc.boolean() }),
    rarely<Pick<Wrap, 'tos' | 'fragment' | 'ipOptions' | 'udpLength' | 'geneve' | 'options' | 'nsh' | 'behind' | 'other' | 'checksum'>>({
      other: fc.constant(true),
      checksum: fc.constantFrom<'right' | number>('right', 'right', 'right', 1, 0xffff),
      tos,
      fragment,
      ipOptions,
      udpLength: fc.constantFrom(-8, -1, 1, 4),
      geneve: rarely<NonNullable<Wrap['geneve']>>({
        version: fc.nat({ max: 3 }),
        control: fc.nat({ max: 1 }),
        critical: fc.nat({ max: 1 }),
        optionWords: fc.nat({ max: 63 }),
        protocolType: fc.constantFrom(0x0800, 0x86dd, 0x6558, 0x894f),
        vni: fc.nat({ max: 0xffffff }),
      }),
      options,
      nsh: rarely<NonNullable<Wrap['nsh']>>({
        version: fc.nat({ max: 3 }),
        oam: fc.nat({ max: 1 }),
        words: fc.nat({ max: 63 }),
        mdType: fc.nat({ max: 15 }),
        nextProtocol: fc.nat({ max: 5 }),
      }),
      behind: fc.nat({ max: 20 }),
    }),
  )
  .map(([ends, rest]) => ({ ...ends, ...rest }));

/** Mostly small: what is in a packet decides nothing, but how much of it there is might. */
const payload = fc.oneof(or(20, fc.nat({ max: 60 })), or(1, fc.constantFrom(1400, 1452, 2700)));

const packet: fc.Arbitrary<Draft> = fc
  .tuple(
    fc.record(
      {
        from: name,
        to: name,
        protocol: fc.constantFrom('tcp', 'tcp', 'udp', 'udp', 'udp', 'icmp', 'sctp', 'gre'),
        icmpType: fc.constantFrom(8, 8, 0, 3),
        sourcePort: port,
        destinationPort: port,
        tcpFlags: fc.constantFrom(0x02, 0x10, 0x12, 0x18, 0x04),
        payload,
      },
      { requiredKeys: ['from', 'to'] },
    ),
    rarely<Pick<Draft, 'other' | 'extensions' | 'tos' | 'fragment' | 'ipOptions' | 'keep' | 'says' | 'padding'>>({
      other: fc.constant(true),
      extensions,
      tos,
      fragment,
      ipOptions,
      keep: fc.nat({ max: 24 }),
      says: fc.oneof(fc.nat({ max: 100 }), fc.constantFrom(1500, 2000, 60_000, 65_487, 65_488, 65_535)),
      padding: fc.nat({ max: 60 }),
    }),
    fc.oneof(
      fc.constant({}),
      wrap.map((wrap) => ({ wrap })),
    ),
    spoils,
  )
  .map(([ends, rest, outer, changes]) => ({ ...ends, ...rest, ...outer, ...changes }));

/** Some more often, so that selectors meet on a prefix. */
const cidr = fc.constantFrom(
  '0.0.0.0/0',
  '0.0.0.0/0',
  '203.0.113.0/24',
  '0.0.0.0/0',
  '203.0.113.0/24',
  '203.0.113.8/29',
  '203.0.113.10/32',
  '10.0.0.0/8',
  '10.244.0.0/16',
  '10.244.3.0/24',
  '10.244.3.9/32',
  '192.168.0.0/16',
);
const match = {
  name: fc.constantFrom<Name>('vpn', 'vpn', 'firewall', 'firewall', 'proxy', 'destination'),
  cidr,
  protocol: fc.constantFrom(
    'tcp' as const,
    'tcp' as const,
    'udp' as const,
    'udp' as const,
    'any' as const,
    'icmp' as const,
    'sctp' as const,
    'gre' as const,
  ),
  port: fc.constantFrom(0, 80, 443),
  ingress: fc.constantFrom(false, false, true),
};
const kinds = fc.constantFrom(
  'both' as const,
  'both' as const,
  'both' as const,
  'nothing' as const,
  'all-ports' as const,
  'ports' as const,
  'ranges' as const,
  'any-protocol' as const,
  'everything' as const,
  'everything' as const,
);

const doing = <const Do extends Step['do']>(what: Do) => fc.constant(what);

/** What the agent writes. */
const preparation: fc.Arbitrary<Step> = fc.oneof(
  or(
    4,
    fc
      .record({
        do: doing('pod'),
        name: pods,
        generation: fc.integer({ min: 1, max: 3 }),
        selects: kinds,
        ingress: fc.oneof(fc.constant('nothing' as const), kinds),
      })
      .chain((pod) =>
        fc.constantFrom(
          pod,
          pod,
          pod,
          pod,
          pod,
          { ...pod, isFunction: true },
          { ...pod, ownSource: true },
          { ...pod, ipv4: false },
          { ...pod, ipv6: false },
        ),
      ),
  ),
  or(1, fc.record({ do: doing('gone'), name: pods })),
  or(5, fc.record({ do: doing('select'), ...match, spi: fc.constantFrom(0, 1, 2, 3, 3, 4), si: fc.constantFrom(0, 1, 1, 2, 2) })),
  or(1, fc.record({ do: doing('unselect'), ...match })),
  or(
    3,
    fc
      .tuple(
        fc.record({
          do: doing('path'),
          spi,
          si: fc.constantFrom(1, 2),
          backends: fc.array(fc.oneof(or(6, pods), or(1, fc.constantFrom('nobody' as const))), { maxLength: 3 }),
        }),
        rarely<Pick<StepOf<'path'>, 'policy' | 'affinityTimeout' | 'base' | 'other'>>({
          policy: fc.constantFrom('bypass', 'reject'),
          other: fc.constant(true),
          affinityTimeout: fc.constant(10),
          base: fc.constantFrom(MAPS.sfcbackend.capacity, 0xffff_ffff),
        }),
      )
      .map(([path, rest]) => ({ ...path, ...rest })),
  ),
  or(1, fc.record({ do: doing('unpath'), spi, si: fc.constantFrom(1, 2) })),
  or(1, fc.record({ do: doing('peer'), cidr, trusted: fc.boolean(), decapsulates: fc.boolean() })),
  or(1, fc.record({ do: doing('unpeer'), cidr })),
  // An exception; and an entry that is compared by another's prefix.
  or(1, fc.record({ do: doing('select'), ...match, spi: fc.constant(0), si: fc.constant(0) })),
  or(1, fc.record({ do: doing('select'), ...match, spi, si: fc.constantFrom(1, 2), foundAs: fc.constantFrom(0, 16, 32) })),
  or(
    1,
    fc
      .tuple(
        fc.record({
          do: doing('range'),
          name: pods,
          protocol: match.protocol,
          ingress: match.ingress,
          firstPort: fc.constantFrom(0, 80, 443),
        }),
        fc.constantFrom<readonly [number, number]>([0, 0], [256, 8], [443, 16], [4000, 11], [0x8000, 1]),
      )
      .map(([range, [port, bits]]) => ({ ...range, port, bits })),
  ),
  or(
    1,
    fc
      .record({ do: doing('quota'), name: pods, limit: fc.constantFrom(0, 1, 2, 5), flows: fc.constantFrom(0, 0, 1, 5) })
      .chain((quota) => fc.constantFrom(quota, quota, quota, { ...quota, stale: true })),
  ),
  or(1, fc.record({ do: doing('evict'), name: pods })),
  or(1, fc.record({ do: doing('lose'), name: pods })),
  // No sum of these is near the time-out: how long a story takes is not what is compared.
  or(1, fc.record({ do: doing('age'), seconds: fc.constantFrom(4, 13, 40) })),
);

/** A wrapped packet at the pod whose name stands outside: most that anybody forges get no further than the wrong pod. */
const arrival: fc.Arbitrary<Step> = fc
  .tuple(pods, packet, wrap)
  .map(([name, inner, outer]) => ({ do: 'packet', name, way: 'receives', packet: { ...inner, wrap: { ...outer, to: name } } }));

/** Two selectors of one prefix: all ports and an exact one. */
const rivals: fc.Arbitrary<readonly Step[]> = fc
  .tuple(fc.record({ do: doing('select'), ...match, port: fc.constantFrom(80, 443), spi, si: fc.constantFrom(1, 2) }), spi)
  .map(([exact, other]) => [exact, { ...exact, spi: other, port: 0 }]);

/** A client comes back after a while, once or twice, when its path has other instances: by chance alone that is rare. */
const comeback: fc.Arbitrary<readonly Step[]> = fc
  .record({
    from: name,
    ports: fc.array(port, { minLength: 2, maxLength: 3 }),
    spi,
    backends: fc.array(pods, { minLength: 1, maxLength: 3 }),
    seconds: fc.constantFrom(4, 8, 13),
  })
  .map(({ from, ports, spi: number, backends, seconds }) =>
    ports.flatMap((sourcePort): Step[] => [
      { do: 'packet', name: 'vpn', way: 'sends', packet: { from, to: 'server', sourcePort } },
      { do: 'path', spi: number, si: 1, backends, affinityTimeout: 10 },
      { do: 'age', seconds },
    ]),
  );

/** A packet through two functions and out, its answer past them and back: as far as it comes, one step of it spoiled now and then. */
const journey: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.record({
      from: fc.constant('client' as const),
      to: fc.constantFrom('server', 'destination'),
      protocol: fc.constantFrom('tcp', 'udp'),
      destinationPort: port,
      tcpFlags: fc.constantFrom(0x02, 0x10, 0x11),
    }),
    fc.integer({ min: 4, max: 16 }),
    fc.nat({ max: 40 }),
    spoils,
  )
  .map(([packet, length, spoiledAt, changes]) => {
    const out: Step[] = [{ do: 'packet', name: 'vpn', way: 'sends', packet }];
    for (const each of ['deliver', 'forward', 'deliver', 'forward'] as const) out.push({ do: each });
    out.push({ do: 'outside', name: 'vpn' });
    for (const each of ['deliver', 'deliver', 'forward', 'deliver', 'forward', 'deliver', 'again', 'answer', 'deliver', 'forward'] as const)
      out.push({ do: each });
    return out.slice(0, length).map((step, at) => (at === spoiledAt && step.do !== 'packet' ? ({ ...step, ...changes } as Step) : step));
  });

/** Into a pod whose ingress is selected, through its chain, and the answer the same way back. */
const visit: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.record({
      from: fc.constantFrom('server', 'client'),
      to: fc.constant('destination' as const),
      protocol: fc.constantFrom('tcp', 'udp'),
      destinationPort: port,
      tcpFlags: fc.constantFrom(0x02, 0x10, 0x11),
    }),
    fc.constantFrom({ spi: 1, si: 1 }, { spi: 2, si: 1 }, { spi: 3, si: 2 }),
    fc.integer({ min: 3, max: 16 }),
    fc.nat({ max: 40 }),
    spoils,
    fc.boolean(),
  )
  .map(([packet, path, length, spoiledAt, changes, wrapped]) => {
    const { protocol } = packet;
    const out: Step[] = [
      { do: 'pod', name: 'destination', generation: 1, selects: 'nothing', ingress: 'both' },
      { do: 'select', name: 'destination', ingress: true, cidr: '0.0.0.0/0', protocol, ...path },
      wrapped
        ? { do: 'packet', name: 'vpn', way: 'sends', packet: { ...packet, from: 'client' } }
        : { do: 'packet', name: 'destination', way: 'receives', packet },
    ];
    const way = wrapped ? (['deliver', 'forward', 'deliver', 'deliver', 'forward'] as const) : (['deliver', 'forward'] as const);
    for (const each of [...way, 'deliver', 'again', 'answer', 'deliver', 'forward', 'deliver', 'again'] as const) out.push({ do: each });
    return out.slice(0, length).map((step, at) => (at === spoiledAt && at > 2 ? ({ ...step, ...changes } as Step) : step));
  });

/** A connection whose instance is lost, and what its ends then say: spoiled now and then, which may change their flags, lengths and options. */
const loss: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.record({
      to: fc.constantFrom('server', 'destination'),
      tcpFlags: fc.constantFrom(0x02, 0x10),
      destinationPort: fc.constantFrom(80, 443),
    }),
    fc.array(
      fc.tuple(
        fc.boolean(),
        fc.constantFrom(0x00, 0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x12, 0x14, 0x18),
        rarely<Pick<Draft, 'tos' | 'ipOptions' | 'payload' | 'padding'>>({ tos, ipOptions, payload, padding: fc.nat({ max: 60 }) }),
        fc.oneof(
          or(3, fc.constant({})),
          or(
            1,
            fc.array(spoilTcp, { minLength: 1, maxLength: 3 }).map((spoil) => ({ spoil })),
          ),
        ),
      ),
      { minLength: 1, maxLength: 5 },
    ),
  )
  .map(([{ to, tcpFlags, destinationPort }, packets]): Step[] => {
    const forth = { from: 'client', to, protocol: 'tcp', sourcePort: 4000, destinationPort } as const;
    const back = { from: to, to: 'client', protocol: 'tcp', sourcePort: destinationPort, destinationPort: 4000 } as const;
    return [
      { do: 'packet', name: 'vpn', way: 'sends', packet: { ...forth, tcpFlags } },
      { do: 'lose', name: 'vpn' },
      ...packets.map(([isForth, flags, rest, changes]): Step => {
        const packet = { ...(isForth ? forth : back), tcpFlags: flags, ...rest, ...changes };
        return { do: 'packet', name: 'vpn', way: isForth ? 'sends' : 'receives', packet };
      }),
    ];
  });

/** How much a function lowers the TTL: as a router, mostly. */
const lowering = fc.constantFrom(1, 1, 1, 1, 0, 2);

/** A chain that has pods more than once, and packets of one flow in it at once: by chance alone that is rare. */
const circuit: fc.Arbitrary<readonly Step[]> = fc
  .record({
    chain: fc.constantFrom<readonly Name[]>(
      ['firewall', 'proxy', 'firewall'],
      ['firewall', 'firewall'],
      ['firewall', 'proxy', 'firewall', 'proxy', 'firewall'],
      ['proxy', 'firewall', 'proxy', 'destination', 'firewall'],
    ),
    said: fc.constantFrom(true, true, true, true, false),
    to: fc.constantFrom<Name>('server', 'destination'),
    protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'udp' as const),
    sourcePort: port,
    moves: fc.array(
      fc.oneof(
        or(8, fc.record({ do: doing('deliver') })),
        or(
          8,
          lowering.map((hops): Step => ({ do: 'forward', hops })),
        ),
        or(2, fc.record({ do: doing('back'), by: fc.nat({ max: 6 }) })),
        or(1, fc.record({ do: doing('answer') })),
        or(2, fc.record({ do: doing('outside'), name: fc.constant('vpn' as const) })),
        or(1, fc.record({ do: doing('evict'), name: fc.constant('firewall' as const) })),
      ),
      { maxLength: 30, size: 'max' },
    ),
    again: fc.nat({ max: 12 }),
  })
  .map(({ chain, said, to, protocol, sourcePort, moves, again }) => {
    const first = { do: 'packet', name: 'vpn', way: 'sends', packet: { from: 'client', to, protocol, sourcePort } } as const;
    const through = chain.flatMap((): Step[] => [{ do: 'deliver' }, { do: 'forward', hops: 1 }]);
    return [
      ...chain.map((name, position): Step => {
        const revisits = said && chain.filter((other) => other === name).length > 1;
        return { do: 'path', spi: 4, si: chain.length - position, backends: [name], revisits };
      }),
      { do: 'select', name: 'vpn', cidr: '0.0.0.0/0', protocol, port: 0, spi: 4, si: chain.length },
      { do: 'pod', name: 'vpn', generation: 4, selects: 'both' },
      first,
      ...through,
      ...moves.slice(0, again),
      first,
      ...moves.slice(again),
    ];
  });

/** A probe through a function and back, or what looks like one. */
const question: fc.Arbitrary<readonly Step[]> = fc
  .record({
    asked: pods,
    through: pods,
    back: fc.constantFrom<Name>('vpn', 'vpn', 'destination'),
    ports: fc.tuple(port, fc.constantFrom(80, 80, 443)),
    // In a payload of text every byte is an ASCII character.
    payload: fc.constantFrom<Pick<Draft, 'probe' | 'payload'>>(
      { probe: 0x01020304 },
      { probe: 0x7f7f7f7f },
      { payload: 8 },
      { payload: 7 },
    ),
    si: fc.constantFrom(1, 1, 1, 0),
    reply: fc.constantFrom(false, false, false, true),
    length: fc.integer({ min: 2, max: 6 }),
    spoiledAt: fc.nat({ max: 10 }),
    changes: spoils,
  })
  .map(({ asked, through, back, ports: [sourcePort, destinationPort], payload, si, reply, length, spoiledAt, changes }) => {
    const outer = { from: back, to: through, spi: PROBE.spi, si, ttl: 63, reply };
    const inner = { from: 'server', to: back, sourcePort, destinationPort, ...payload } as const;
    const out: Step[] = [
      { do: 'probe', name: asked, port: destinationPort },
      { do: 'packet', name: through, way: 'receives', packet: { ...inner, wrap: outer } },
    ];
    for (const each of ['forward', 'deliver', 'again', 'answer'] as const) out.push({ do: each });
    return out.slice(0, length).map((step, at) => (at === spoiledAt && at > 1 ? ({ ...step, ...changes } as Step) : step));
  });

/** What a wrapped packet has when it comes by a longer way: another NSH TTL. */
const another = fc.constantFrom(0x42, 0x82, 0xc2).map((value) => ({ spoil: [{ kind: 'byte' as const, at: 41, value }] }));

/** Somebody tells that the last packet went no further. */
const complaints: fc.Arbitrary<Step> = fc
  .tuple(
    fc.record({
      do: doing('complain'),
      way: fc.constantFrom('sends', 'receives', 'receives'),
      repeat: fc.constantFrom(28, 48, 76, 96, 104, 128, 148, 400, 400),
      icmpType: fc.constantFrom(3, 3, 3, 4, 5, 11, 12),
    }),
    rarely<Pick<StepOf<'complain'>, 'name' | 'mtu'>>({ name: pods, mtu: fc.constantFrom(0, 500, 576, 1279, 1280, 1400, 69_000) }),
    spoils,
  )
  .map(([complaint, rest, changes]) => ({ ...complaint, ...rest, ...changes }));

/** A router says that a wrapped packet is too big, and the next ones are, or are not. */
const narrow: fc.Arbitrary<readonly Step[]> = fc
  .record({
    packet: fc.record({
      from: fc.constant('client' as const),
      to: fc.constantFrom<Name>('server', 'destination'),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'icmp' as const),
      destinationPort: port,
    }),
    mtu: fc.constantFrom(576, 700, 1280, 1300),
    repeat: fc.constantFrom(76, 104, 128, 200),
    at: fc.constantFrom(0, 1, 2),
    sizes: fc.array(fc.constantFrom(10, 30, 50, 60, 480, 504, 600, 1184, 1204, 1212, 1232, 1400), { minLength: 1, maxLength: 4 }),
    fragment: fc.constantFrom(0, 0, 0, 0x4000, 0x2000),
  })
  .map(({ packet, mtu, repeat, at, sizes, fragment }): Step[] => {
    const way = Array.from({ length: at }, (): Step[] => [{ do: 'deliver' }, { do: 'forward', hops: 1 }]).flat();
    const send = (payload: number): Step => ({ do: 'packet', name: 'vpn', way: 'sends', packet: { ...packet, payload, fragment } });
    return [
      send(10),
      ...way,
      { do: 'complain', way: 'receives', repeat, icmpType: 3, mtu },
      ...sizes.flatMap((payload) => [send(payload), ...way]),
    ];
  });

/** A datagram in fragments, in order or not, on its way through a chain. */
const pieces: fc.Arbitrary<readonly Step[]> = fc
  .record({
    packet: fc.record({
      from: fc.constant('client' as const),
      to: fc.constantFrom<Name>('server', 'destination'),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const, 'udp' as const, 'icmp' as const, 'gre' as const),
      sourcePort: port,
    }),
    extensions: fc.constantFrom<number[] | undefined>(undefined, undefined, [60]),
    order: fc.array(fc.constantFrom(0x2000, 0x2010, 0x0020), { minLength: 2, maxLength: 5 }),
    at: fc.constantFrom(0, 1, 2, 3),
    back: fc.boolean(),
  })
  .map(({ packet, extensions, order, at, back }): Step[] => {
    const way = Array.from({ length: at }, (): Step[] => [{ do: 'deliver' }, { do: 'forward', hops: 1 }]).flat();
    return order.flatMap((fragment): Step[] => [
      { do: 'packet', name: 'vpn', way: 'sends', packet: { ...packet, fragment, ...(extensions && { extensions }) } },
      ...way,
      ...(back ? ([{ do: 'deliver' }, { do: 'answer' }, { do: 'deliver' }, { do: 'outside', name: 'vpn' }] as const) : []),
    ]);
  });

/** What packets do. */
const traffic: fc.Arbitrary<Step> = fc.oneof(
  or(3, arrival),
  or(8, fc.record({ do: doing('packet'), name: pods, way: fc.constantFrom('sends', 'sends', 'receives'), packet })),
  or(
    6,
    fc
      .tuple(
        fc.oneof(
          or(5, fc.constant({})),
          or(
            1,
            pods.map((name) => ({ name })),
          ),
        ),
        spoils,
      )
      .map(([to, changes]) => ({ do: 'deliver' as const, ...to, ...changes })),
  ),
  or(
    3,
    fc.oneof(spoils, another).map((changes) => ({ do: 'again' as const, ...changes })),
  ),
  or(
    4,
    fc.tuple(spoils, lowering).map(([changes, hops]) => ({ do: 'forward' as const, hops, ...changes })),
  ),
  or(
    3,
    spoils.map((changes) => ({ do: 'answer' as const, ...changes })),
  ),
  or(3, complaints),
  or(
    3,
    fc
      .tuple(fc.oneof(or(3, fc.constant('vpn' as const)), or(1, pods)), spoils)
      .map(([name, changes]) => ({ do: 'outside' as const, name, ...changes })),
  ),
);

const one = (step: fc.Arbitrary<Step>): fc.Arbitrary<readonly Step[]> => step.map((each) => [each]);

/** Long enough for flows to begin, change hands and end. */
export const story: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.record({ do: doing('families'), inner: fc.constantFrom(4 as const, 6 as const), outer: fc.constantFrom(4 as const, 6 as const) }),
    fc.constantFrom<readonly Step[]>(...Array.from({ length: 4 }, () => [{ do: 'walkthrough' as const }]), []),
    fc.array(
      fc.oneof(
        or(10, one(preparation)),
        or(1, rivals),
        or(2, comeback),
        or(2, journey),
        or(2, visit),
        or(1, narrow),
        or(1, pieces),
        or(1, loss),
        or(1, circuit),
        or(1, question),
        or(50, one(traffic)),
      ),
      {
        minLength: 1,
        maxLength: 60,
        size: 'max',
      },
    ),
  )
  .map(([families, beginning, steps]) => [families, ...beginning, ...steps.flat()]);
