import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PortPrefix, type PortRun, portPrefixes } from './port-tree.js';

/** Value of the longest prefix that covers the port. */
function lookup(prefixes: readonly PortPrefix[], port: number, width: number): number {
  const covering = prefixes.filter(({ port: start, bits }) => port >= start && port < start + 2 ** (width - bits));
  return covering.sort((a, b) => b.bits - a.bits)[0]?.value ?? 0;
}

const wanted = (runs: readonly PortRun[], port: number): number =>
  runs.find(({ first, last }) => first <= port && port <= last)?.value ?? 0;

/** The fewest entries there are, by trying everything: what is below a prefix inherits one value or another. */
function fewest(runs: readonly PortRun[], width: number): number {
  const values = [...new Set([0, ...runs.map(({ value }) => value)])];
  function cost(start: number, bits: number, inherited: number): number {
    const below = (value: number): number => {
      if (bits === width) return start === 0 || wanted(runs, start) === value ? 0 : Number.POSITIVE_INFINITY;
      return cost(start, bits + 1, value) + cost(start + 2 ** (width - bits - 1), bits + 1, value);
    };
    return Math.min(below(inherited), ...values.map((value) => 1 + below(value)));
  }
  return cost(0, 0, 0);
}

/** Runs of the ports 1 to 2^width - 1. */
const runsOf = (width: number): fc.Arbitrary<PortRun[]> =>
  fc
    .uniqueArray(fc.integer({ min: 1, max: 2 ** width }), { minLength: 2, maxLength: 7 })
    .chain((cuts) => {
      const sorted = cuts.sort((a, b) => a - b);
      return fc.array(fc.nat({ max: 3 }), { minLength: sorted.length - 1, maxLength: sorted.length - 1 }).map((values) => {
        return values.map((value, index) => ({ first: sorted[index] as number, last: (sorted[index + 1] as number) - 1, value }));
      });
    })
    .map((runs) => runs.filter(({ value }) => value !== 0));

describe('runs of ports', () => {
  it('are found again, with the fewest entries there can be', () => {
    fc.assert(
      fc.property(runsOf(4), (runs) => {
        const prefixes = portPrefixes(runs, 4);
        for (let port = 1; port < 16; port++) expect(lookup(prefixes, port, 4)).toBe(wanted(runs, port));
        expect(prefixes).toHaveLength(fewest(runs, 4));
      }),
    );
  });

  it('take at most 30 entries each', () => {
    fc.assert(
      fc.property(runsOf(16), (runs) => {
        const prefixes = portPrefixes(runs);
        expect(prefixes.length).toBeLessThanOrEqual(30 * runs.length);
        for (const port of runs.flatMap(({ first, last }) => [first - 1, first, last, last + 1]))
          if (port > 0 && port < 65_536) expect(lookup(prefixes, port, 16)).toBe(wanted(runs, port));
      }),
    );
  });

  it.each([
    ['every port', [[1, 65_535]], 1],
    ['every port but the last', [[1, 65_534]], 2],
    ['the ports of users', [[1024, 65_535]], 2],
    ['one port', [[443, 443]], 1],
    ['a range at an odd place', [[1025, 65_534]], 4],
    [
      'a range with one port taken out',
      [
        [8000, 8099],
        [8101, 8999],
      ],
      7,
    ],
  ])('%s: few entries', (_, ranges, count) => {
    const runs = (ranges as [number, number][]).map(([first, last]) => ({ first, last, value: 7 }));
    expect(portPrefixes(runs)).toHaveLength(count);
  });
});
