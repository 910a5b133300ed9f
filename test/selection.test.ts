/**
 * Selectors drawn at random, compiled, written by the reconciler and looked up by the classifier, beside
 * the same selectors read as docs/concepts.md says them. What they select must be the same.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildTarget, maglevLayer, Reconciler } from '../agent/reconciler/index.js';
import { bytesOf, frame, type Segment } from '../datapath/cast.js';
import { OVERHEAD, Pipeline } from '../datapath/userspace/index.js';
import { parseCidr } from '../geneve/index.js';
import { createMemoryStore, DIRECTION, SELECT_STATIC_BITS, typedMaps } from '../maps/index.js';
import {
  type Address,
  type Chain,
  type Cidr,
  compileNode,
  EMPTY_WORLD,
  type Pod,
  type Rule,
  SELECT_EVERYTHING,
  type Selector,
  type Spi,
} from '../policy/index.js';

const NODE = 'node-one';
const ID = 7;
const IFINDEX = 70;
const ETHERNET = 14;
const CHAINS = ['a', 'b', 'c'] as const;
const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, sctp: 132, gre: 47 } as const;
const address = (text: string): Address => ({ family: 1, bytes: bytesOf(text), text });
const POD: Address = address('10.9.9.9');

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`not a prefix: ${text}`);
  return parsed;
};

/** Few prefixes and ports, so that they meet. */
const PREFIXES = ['0.0.0.0/0', '10.0.0.0/8', '10.0.0.0/9', '10.1.0.0/16', '10.1.0.0/24', '10.1.1.0/24', '10.1.0.0/25', '10.1.0.3/32'].map(
  cidr,
);
const ADDRESSES = ['10.1.0.3', '10.1.0.4', '10.1.0.200', '10.1.1.1', '10.1.9.9', '10.2.0.1', '10.200.0.1', '192.0.2.1'];
const PORTS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 20, 1023, 1024, 65_535];

const inside = (outer: Cidr, text: string): boolean => cidr(`${text}/${outer.prefixLength}`).text === outer.text;

const portMatch = fc.oneof(
  fc.constantFrom(0, 1, 6, 17, 132).map((protocol) => ({ protocol, port: 0, lastPort: 0 })),
  fc.tuple(fc.constantFrom(6, 6, 6, 132), fc.constantFrom(...PORTS), fc.constantFrom(...PORTS)).map(([protocol, one, other]) => ({
    protocol,
    port: Math.min(one, other),
    lastPort: Math.max(one, other),
  })),
  fc.constantFrom(...PORTS).map((port) => ({ protocol: 6, port, lastPort: port })),
);

const rule: fc.Arbitrary<Rule> = fc
  .record({
    direction: fc.constantFrom('egress' as const, 'egress' as const, 'ingress' as const),
    cidr: fc.option(fc.constantFrom(...PREFIXES), { nil: undefined, freq: 6 }),
    except: fc.uniqueArray(fc.constantFrom(...PREFIXES), { maxLength: 3 }),
    ports: fc.array(portMatch, { minLength: 1, maxLength: 4 }),
  })
  .map((drawn) => ({
    ...drawn,
    except: drawn.except.filter(
      (part) =>
        drawn.cidr !== undefined && part.prefixLength > drawn.cidr.prefixLength && inside(drawn.cidr, part.text.split('/')[0] ?? ''),
    ),
  }));

const selectors: fc.Arbitrary<Selector[]> = fc
  .array(fc.record({ chain: fc.constantFrom(...CHAINS), rules: fc.array(rule, { minLength: 1, maxLength: 2 }) }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((drawn) =>
    drawn.map(({ chain, rules }, index) => ({
      name: `s${index}`,
      chain,
      namespaceSelector: SELECT_EVERYTHING,
      podSelector: SELECT_EVERYTHING,
      rules,
      resource: {},
    })),
  );

interface Probe {
  readonly direction: 'egress' | 'ingress';
  readonly protocol: keyof typeof PROTOCOLS;
  readonly remote: string;
  readonly port: number;
}

const probe: fc.Arbitrary<Probe> = fc.record({
  direction: fc.constantFrom('egress', 'ingress'),
  protocol: fc.constantFrom('tcp', 'tcp', 'tcp', 'udp', 'sctp', 'icmp', 'gre'),
  remote: fc.constantFrom(...ADDRESSES),
  port: fc.constantFrom(...PORTS, 4, 10, 18, 500, 30_000),
});

const spiOf = (chain: string): Spi => (CHAINS.indexOf(chain as 'a') + 1) as Spi;

interface Match {
  readonly selector: string;
  readonly spi: number;
  /** Each smaller one wins, the first that differs decides; the last is the servicePathId. */
  readonly rank: readonly number[];
}

/** The selectors read as they are written. */
function matches(all: readonly Selector[], { direction, protocol, remote, port }: Probe): Match[] {
  const found = all.flatMap(({ name, chain, rules }) =>
    rules.flatMap((one) =>
      one.ports.flatMap((match): Match[] => {
        const prefix = one.cidr ?? cidr('0.0.0.0/0');
        if (one.direction !== direction || !inside(prefix, remote) || one.except.some((part) => inside(part, remote))) return [];
        if (match.protocol !== 0 && match.protocol !== PROTOCOLS[protocol]) return [];
        if (match.port !== 0 && (port < match.port || port > match.lastPort)) return [];
        const width = match.port === 0 ? 65_536 : match.lastPort - match.port;
        return [{ selector: name, spi: spiOf(chain), rank: [-prefix.prefixLength, width, match.protocol === 0 ? 1 : 0, spiOf(chain)] }];
      }),
    ),
  );
  const byRank = (a: Match, b: Match): number => {
    const at = a.rank.findIndex((value, index) => value !== b.rank[index]);
    return at < 0 ? (a.selector < b.selector ? -1 : 1) : (a.rank[at] as number) - (b.rank[at] as number);
  };
  return found.sort(byRank);
}

function compile(all: readonly Selector[]) {
  const pod: Pod = {
    namespace: 'n',
    name: 'p',
    labels: {},
    nodeName: NODE,
    addresses: [POD],
    hostNetwork: false,
    phase: 'Running',
    ready: true,
    terminating: false,
  };
  const chains = CHAINS.map(
    (name): Chain => ({
      name,
      uid: undefined,
      serviceFunctions: [{ name, namespace: 'f', podSelector: SELECT_EVERYTHING, weights: [] }],
      affinityTimeout: undefined,
      locality: 'None',
      onInstanceLoss: 'Move',
      failurePolicy: 'Drop',
      servicePathId: undefined,
      resource: {},
    }),
  );
  return compileNode({
    world: { ...EMPTY_WORLD, chains, selectors: all, pods: [pod] },
    node: NODE,
    endpoints: new Map([['n/p', ID]]),
    allocations: { spiOf, serviceAddressOf: () => address('10.96.0.1') },
  });
}

function programmed(all: readonly Selector[]) {
  const compiled = compile(all);
  const store = createMemoryStore({ sfcselect: 4096, sfcports: 4096, sfcflow: 64, sfcbackend: 64 });
  const located = [{ id: ID, ifindex: IFINDEX, mtu: 1500, addresses: [POD] }];
  const { refusals } = new Reconciler(store, () => 0).reconcile(buildTarget(compiled, located, maglevLayer()));
  expect(refusals).toEqual([]);
  return { compiled, store, maps: typedMaps(store), pipeline: new Pipeline(store, { port: 7081 }) };
}

function segment({ direction, protocol, remote, port }: Probe): Segment {
  const ends = direction === 'egress' ? { from: POD.text, to: remote } : { from: remote, to: POD.text };
  return { ...ends, protocol, sourcePort: 50_000, destinationPort: port };
}

/** SPI of the chain that the classifier finds; 0: none. */
function classified({ store, pipeline }: ReturnType<typeof programmed>, asked: Probe): number {
  const packet = frame(segment(asked)).subarray(ETHERNET);
  const buffer = new Uint8Array(OVERHEAD + packet.length);
  buffer.set(packet, OVERHEAD);
  const view = new DataView(buffer.buffer);
  if (asked.direction === 'egress') pipeline.fromPod(IFINDEX, view, OVERHEAD, packet.length);
  else pipeline.toPod(IFINDEX, view, OVERHEAD, packet.length);
  const entry = pipeline.selecting(asked.direction === 'egress' ? DIRECTION.fromPod : DIRECTION.toPod);
  return entry < 0 ? 0 : store.select.path(entry) >>> 8;
}

describe('selectors at random', () => {
  it('select what they say', () => {
    fc.assert(
      fc.property(selectors, fc.array(probe, { minLength: 20, maxLength: 40 }), (all, probes) => {
        const node = programmed(all);
        for (const asked of probes) expect([asked, classified(node, asked)]).toEqual([asked, matches(all, asked)[0]?.spi ?? 0]);
      }),
      { numRuns: 300 },
    );
  });

  it('take no more entries than the bound, and no exception that says nothing', () => {
    fc.assert(
      fc.property(selectors, (all) => {
        const { maps } = programmed(all);
        const claims = all.flatMap(({ rules }) => rules.flatMap((one) => one.ports.map((match) => ({ ...match, ...one }))));
        const groups = new Map<string, (typeof claims)[number][]>();
        for (const claim of claims) {
          const key = `${claim.direction} ${claim.protocol}`;
          groups.set(key, [...(groups.get(key) ?? []), claim]);
        }
        let selects = 0;
        let ports = 0;
        for (const group of groups.values()) {
          // Two for a rule without a prefix: one a family.
          const prefixes = (some: typeof claims) =>
            new Set(
              some.flatMap(({ cidr: own, except }) => [
                ...(own === undefined ? ['0.0.0.0/0', '::/0'] : [own.text]),
                ...except.map(({ text }) => text),
              ]),
            ).size;
          const withPorts = group.filter(({ port }) => port !== 0);
          const ranges = new Set(withPorts.map(({ port, lastPort }) => `${port}-${lastPort}`)).size;
          selects += prefixes(group.filter(({ port }) => port === 0)) + Math.max(0, 2 * ranges - 1) * prefixes(withPorts);
          ports += 30 * Math.max(0, 2 * ranges - 1);
        }
        expect(maps.sfcselect.size()).toBeLessThanOrEqual(selects);
        expect(maps.sfcports.size()).toBeLessThanOrEqual(ports);
        for (const [key, value] of maps.sfcselect.entries()) {
          if (key.prefix_len - SELECT_STATIC_BITS === value.cidr_prefix_len && value.path !== 0) continue;
          expect(maps.sfcselect.get({ ...key, prefix_len: key.prefix_len - 1 })).not.toEqual(value);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('mean the same in any order of the files', () => {
    fc.assert(
      fc.property(
        selectors.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          const one = compile(all);
          const other = compile(shuffled);
          const sorted = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value)).sort();
          expect(sorted(other.selects)).toEqual(sorted(one.selects));
          expect(sorted(other.ports)).toEqual(sorted(one.ports));
          expect(other.conflicts).toEqual(one.conflicts);
        },
      ),
    );
  });

  it('of two chains that have the same packets with the same precedence are told of, by both names', () => {
    fc.assert(
      fc.property(selectors, fc.array(probe, { minLength: 20, maxLength: 40 }), (all, probes) => {
        const { conflicts } = compile(all);
        for (const asked of probes) {
          const [winner, ...others] = matches(all, asked);
          const rivals = others.filter(
            ({ spi, rank }) => spi !== winner?.spi && rank.slice(0, -1).join() === winner?.rank.slice(0, -1).join(),
          );
          for (const rival of rivals) {
            const told = conflicts.some(
              (one) => one.winner.selector === winner?.selector && one.losers.some(({ selector }) => selector === rival.selector),
            );
            expect(told, `${winner?.selector} and ${rival.selector} of ${JSON.stringify(asked)}`).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
