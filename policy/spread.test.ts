/**
 * Are flows spread evenly, and do they stay? Measured over flows, not slots: 5-tuples as they occur, the
 * flow hash of the datapaths, the tables that the agent lays. Nothing here is random: a run is every run.
 */

import { describe, expect, it } from 'vitest';
import { type FlowTuple, flowHash } from '../geneve/index.js';
import { MAGLEV_SLOTS, type MaglevBackend, maglevTable } from './index.js';

const address = (number: number) => Uint8Array.of(number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff);
const CLIENT = 0xc0a84d05; // 192.168.77.5
const SERVER = 0xcb00710a; // 203.0.113.10
const TCP = 6;
const UDP = 17;
/** Linux takes ports from 32768 to 60999. */
const FIRST_PORT = 32_768;
const PORTS = 28_232;

/** The n-th flow of each kind of traffic. */
const TRAFFIC: Readonly<Record<string, (n: number) => FlowTuple>> = {
  'one client, its ports one after the other': (n) => ({
    source: address(CLIENT),
    destination: address(SERVER),
    sourcePort: FIRST_PORT + (n % PORTS),
    destinationPort: 443,
    protocol: TCP,
  }),
  'one client, every other port, as Linux gives them out to one destination': (n) => ({
    source: address(CLIENT),
    destination: address(SERVER + Math.floor((2 * n) / PORTS)),
    sourcePort: FIRST_PORT + ((2 * n) % PORTS),
    destinationPort: 443,
    protocol: TCP,
  }),
  'many clients, one flow each, from the same port': (n) => ({
    source: address(0x0a000000 + n),
    destination: address(SERVER),
    sourcePort: 40_000,
    destinationPort: 443,
    protocol: TCP,
  }),
  'many clients with many flows to a few servers, names among them': (n) => ({
    source: address(0x0a010000 + (n % 250)),
    destination: address(SERVER + (n % 16)),
    sourcePort: FIRST_PORT + Math.floor(n / 250),
    destinationPort: n % 4 === 0 ? 53 : 443,
    protocol: n % 4 === 0 ? UDP : TCP,
  }),
};
const FLOWS = 28_000;
const hashes = Object.fromEntries(
  Object.entries(TRAFFIC).map(([name, tuple]) => [name, Array.from({ length: FLOWS }, (_, n) => flowHash(tuple(n)))]),
);

const instances = (count: number): MaglevBackend[] =>
  Array.from({ length: count }, (_, index) => ({ key: `firewall/firewall-${index}`, weight: 100 }));

/** Flows by instance. */
function placed(flows: readonly number[], table: Int32Array, count: number): number[] {
  const found = new Array<number>(count).fill(0);
  for (const hash of flows) {
    const instance = table[hash % MAGLEV_SLOTS] as number;
    found[instance] = (found[instance] as number) + 1;
  }
  return found;
}

/** Pearson's statistic. */
function chiSquared(found: readonly number[], expected: readonly number[]): number {
  return found.reduce((sum, count, index) => sum + (count - (expected[index] as number)) ** 2 / (expected[index] as number), 0);
}

/** By chance one of the 80 measurements would be past it in one of 125 such files. */
const SIGNIFICANCE = 0.0001;
/** Quantile of the normal distribution at 1 - SIGNIFICANCE. */
const Z = 3.719;

/** Value that chi-squared exceeds with probability SIGNIFICANCE (Wilson and Hilferty, 1931). */
function critical(degrees: number): number {
  return degrees * (1 - 2 / (9 * degrees) + Z * Math.sqrt(2 / (9 * degrees))) ** 3;
}

const COUNTS = Array.from({ length: 19 }, (_, index) => index + 2);

describe(`flows are spread evenly (chi-squared, significance ${SIGNIFICANCE})`, () => {
  it('by a measure that knows the tables of statistics, and sees one instance with a tenth less', () => {
    for (const [degrees, exact] of [
      [1, 15.137],
      [3, 21.108],
      [19, 50.795],
    ] as const)
      expect(Math.abs(critical(degrees) / exact - 1)).toBeLessThan(0.08);
    const five = maglevTable(instances(5).map(({ key }, index) => ({ key, weight: index === 0 ? 90 : 100 })));
    const even = new Array<number>(5).fill(FLOWS / 5);
    expect(chiSquared(placed(hashes['many clients, one flow each, from the same port'] ?? [], five, 5), even)).toBeGreaterThan(critical(4));
  });

  describe.each(Object.keys(TRAFFIC))('%s', (traffic) => {
    it.each(COUNTS)('over %i instances', (count) => {
      const found = placed(hashes[traffic] ?? [], maglevTable(instances(count)), count);
      expect(chiSquared(found, new Array<number>(count).fill(FLOWS / count))).toBeLessThan(critical(count - 1));
    });

    it('by weight', () => {
      const weights = [100, 100, 100, 10, 1];
      const table = maglevTable(weights.map((weight, index) => ({ key: `firewall/firewall-${index}`, weight })));
      const expected = weights.map((weight) => (FLOWS * weight) / 311);
      expect(chiSquared(placed(hashes[traffic] ?? [], table, weights.length), expected)).toBeLessThan(critical(weights.length - 1));
    });
  });
});

const EVERY_SIZE = [2, 3, 4, 5, 6, 7, 8, 10, 11, 16, 20, 21, 33, 50, 51, 75, 100];

/** Share of the flows that are at another instance than before. */
function moved(flows: readonly number[], before: readonly MaglevBackend[], after: readonly MaglevBackend[]): number {
  const [old, now] = [maglevTable(before), maglevTable(after)];
  const others = flows.filter((hash) => before[old[hash % MAGLEV_SLOTS] as number]?.key !== after[now[hash % MAGLEV_SLOTS] as number]?.key);
  return others.length / flows.length;
}

describe('flows stay', () => {
  const flows = Object.values(hashes).flat();

  it.each(EVERY_SIZE)('when one of %i instances goes: at most 1/N + 1 %% move', (count) => {
    const all = instances(count);
    for (const gone of [0, Math.floor(count / 3), count - 1])
      expect(
        moved(
          flows,
          all,
          all.filter((_, index) => index !== gone),
        ),
      ).toBeLessThanOrEqual(1 / count + 0.01);
  });

  it.each(EVERY_SIZE)('when one comes to %i: at most 1/(N + 1) + 1 %% move', (count) => {
    expect(moved(flows, instances(count), instances(count + 1))).toBeLessThanOrEqual(1 / (count + 1) + 0.01);
  });

  it('when a canary is given more: what it gains, and 1 %', () => {
    const with_ = (weight: number) => instances(10).map(({ key }, index) => ({ key, weight: index === 0 ? weight : 100 }));
    for (const [from, to] of [
      [1, 10],
      [10, 50],
      [50, 100],
    ] as const) {
      const gained = to / (900 + to) - from / (900 + from);
      expect(moved(flows, with_(from), with_(to))).toBeLessThanOrEqual(gained + 0.01);
    }
  });
});
