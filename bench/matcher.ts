/**
 * How fast is the longest prefix found, among one entry and among a million? Ours (the matcher of the
 * userspace datapath) and its rivals hold the same table, one of each size and family, and take turns
 * at the same addresses. A rival is left out where it would take the benchmark minutes: a linear scan
 * past 16,384 entries (its time grows with them), `longest-prefix-match` past 100,000 (inserting).
 * The packages take their addresses as text, which is written before the clock runs.
 *
 * Before anything is timed, every rival's answers are compared with ours.
 */

import { FAMILY, type Family } from '../maps/index.js';
import { bytesAllocated, bytesHeld } from './heap.js';
import { type Addresses, drawTable, drawTraffic, type PrefixTable, type Traffic } from './prefixes.js';
import { type Matcher, RIVALS, type Rival } from './rivals.js';
import { median } from './statistics.js';

export const FAMILIES = { IPv4: FAMILY.ipv4, IPv6: FAMILY.ipv6 } as const;
export const TRAFFICS = ['uniform', 'skewed'] as const;

export interface MatcherOptions {
  /** Entries of the tables. */
  readonly sizes: readonly number[];
  readonly rounds: number;
}

/** One rival at one table. */
export interface MatcherFigures {
  readonly rival: string;
  readonly family: Family;
  readonly entries: number;
  /** A look-up, by traffic, median of the rounds. */
  readonly ns: Readonly<Record<Traffic, number>>;
  /** A look-up, uniform traffic. */
  readonly allocated: number;
  /** Bytes; undefined where they lie outside of what Node.js counts. */
  readonly held: number | undefined;
  readonly insertSeconds: number;
}

interface Contestant {
  readonly rival: Rival;
  readonly matcher: Matcher;
  readonly lookups: number;
  readonly held: number;
  readonly insertSeconds: number;
  readonly ns: Readonly<Record<Traffic, number[]>>;
}

function enter(rival: Rival, table: PrefixTable): Contestant {
  const before = bytesHeld();
  const started = performance.now();
  const matcher = rival.build(table);
  const insertSeconds = (performance.now() - started) / 1000;
  const held = bytesHeld() - before;
  return { rival, matcher, lookups: rival.lookups(table.count), held, insertSeconds, ns: { uniform: [], skewed: [] } };
}

/** Throws at the first address for which somebody's answer is not that of the first contestant. */
function compare(contestants: readonly Contestant[], addresses: Addresses): void {
  const [ours, ...others] = contestants;
  for (const { rival, matcher, lookups } of others) {
    for (let index = 0; index < lookups; index += 1) {
      const [expected, found] = [ours?.matcher.answer(addresses, index), matcher.answer(addresses, index)];
      if (expected !== found) throw new Error(`${addresses.texts[index]}: ours finds entry ${expected}, ${rival.name} ${found}`);
    }
  }
}

function contest(table: PrefixTable, rounds: number): readonly MatcherFigures[] {
  const contestants = RIVALS.filter(({ most }) => table.count <= most).map((rival) => enter(rival, table));
  const most = Math.max(...contestants.map(({ lookups }) => lookups));
  const traffic = { uniform: drawTraffic(table, 'uniform', most), skewed: drawTraffic(table, 'skewed', most) };
  for (const kind of TRAFFICS) compare(contestants, traffic[kind]);
  let results = 0;
  for (let round = -1; round < rounds; round += 1) {
    for (const kind of TRAFFICS) {
      for (const { matcher, lookups, ns } of contestants) {
        const started = performance.now();
        results += matcher.run(traffic[kind], lookups);
        if (round >= 0) ns[kind].push(((performance.now() - started) * 1e6) / lookups); // the first one is to warm up
      }
    }
  }
  if (Number.isNaN(results)) throw new Error('an answer is not a number');
  return contestants.map(({ rival, matcher, lookups, held, insertSeconds, ns }) => ({
    rival: rival.name,
    family: table.family,
    entries: table.count,
    ns: { uniform: median(ns.uniform), skewed: median(ns.skewed) },
    allocated: bytesAllocated(() => matcher.run(traffic.uniform, lookups)) / lookups,
    held: rival.counted ? held : undefined,
    insertSeconds,
  }));
}

export function measureMatcher(
  { sizes, rounds }: MatcherOptions,
  onProgress: (done: number, of: number) => void,
): readonly MatcherFigures[] {
  const settings = Object.values(FAMILIES).flatMap((family) => sizes.map((size) => [family, size] as const));
  return settings.flatMap(([family, size], done) => {
    const figures = contest(drawTable(family, size), rounds);
    onProgress(done + 1, settings.length);
    return figures;
  });
}
