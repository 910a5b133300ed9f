/** The packet figures as a table. */

import { CASES, SELECTOR_COUNTS } from './node.js';
import type { Measured, PacketFigures } from './packets.js';
import { rowsOf } from './row.js';

const FIRST_COLUMN = 26;
const COLUMN = 18;

const row = rowsOf(FIRST_COLUMN, COLUMN);
const cell = ({ ns, low, high }: Measured): string => `${ns.toFixed(0)} (${low.toFixed(0)}–${high.toFixed(0)})`;

export function packetReport(figures: PacketFigures): string {
  const ratios = (name: 'established' | 'decapsulation', floor: Measured, of: (measured: Measured) => number): string[] =>
    SELECTOR_COUNTS.map((count) => (of(figures.cases[count][name]) / of(floor)).toFixed(2));
  const above = ({ ns }: Measured) => ns;
  const whole = ({ ns }: Measured) => ns + figures.empty;
  return [
    `ns a packet by BPF_PROG_TEST_RUN, median (quartiles) of ${figures.runs} single runs, an empty program's ${figures.empty.toFixed(0)} ns taken off`,
    row('selectors', SELECTOR_COUNTS.map(String)),
    ...CASES.map((name) =>
      row(
        name,
        SELECTOR_COUNTS.map((count) => cell(figures.cases[count][name])),
      ),
    ),
    row('floor: add 48 bytes', [cell(figures.floor.add)]),
    row('floor: remove 48 bytes', [cell(figures.floor.take)]),
    row('established ÷ add', ratios('established', figures.floor.add, above)),
    row('  as the kernel reports', ratios('established', figures.floor.add, whole)),
    row('decapsulation ÷ remove', ratios('decapsulation', figures.floor.take, above)),
    row('  as the kernel reports', ratios('decapsulation', figures.floor.take, whole)),
  ].join('\n');
}
