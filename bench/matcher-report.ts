/** The matcher's figures as tables, one a family. */

import type { Family } from '../maps/index.js';
import { FAMILIES, type MatcherFigures, type MatcherOptions, measureMatcher, TRAFFICS } from './matcher.js';
import { RIVALS } from './rivals.js';
import { rowsOf } from './row.js';

const FIRST_COLUMN = 34;
const COLUMN = 16;
const MEBIBYTE = 2 ** 20;

const row = rowsOf(FIRST_COLUMN, COLUMN);

function table(name: string, family: Family, sizes: readonly number[], figures: readonly MatcherFigures[]): string[] {
  const rows = (title: string, cell: (found: MatcherFigures) => string) =>
    RIVALS.map((rival) =>
      row(
        `${title}, ${rival.name}`,
        sizes.map((size) => {
          const found = figures.find((one) => one.rival === rival.name && one.family === family && one.entries === size);
          return found === undefined ? '-' : cell(found);
        }),
      ),
    );
  return [
    row(
      `${name} entries`,
      sizes.map((size) => size.toLocaleString('en')),
    ),
    ...TRAFFICS.flatMap((traffic) => rows(traffic, ({ ns }) => `${ns[traffic].toFixed(0)} (${(1e3 / ns[traffic]).toFixed(2)})`)),
    ...rows('bytes', ({ allocated }) => allocated.toFixed(0)),
    ...rows('MiB', ({ held }) => (held === undefined ? '-' : (held / MEBIBYTE).toFixed(2))),
    ...rows('insertion', ({ insertSeconds }) => `${insertSeconds.toFixed(3)} s`),
  ];
}

export function matcherReport(options: MatcherOptions, onProgress: (done: number, of: number) => void): string {
  const figures = measureMatcher(options, onProgress);
  return [
    `longest-prefix match: ns a look-up (million look-ups/s), median of ${options.rounds} rounds in turns, for uniform and skewed addresses;`,
    'bytes allocated a look-up; MiB of the table; time to insert it one by one. -: left out (bench/matcher.ts says why), or not counted by Node.js',
    ...Object.entries(FAMILIES).flatMap(([name, family]) => table(name, family, options.sizes, figures)),
  ].join('\n');
}
