/** The packet figures as a table. */

import type { Version } from '../datapath/cast.js';
import { SELECTOR_COUNTS } from './node.js';
import { type Measured, PACKET_CASES, type PacketFigures, VERSIONS } from './packets.js';
import { rowsOf } from './row.js';

const FIRST_COLUMN = 32;
const COLUMN = 18;

const row = rowsOf(FIRST_COLUMN, COLUMN);
const cell = ({ ns, low, high }: Measured): string => `${ns.toFixed(0)} (${low.toFixed(0)}–${high.toFixed(0)})`;

export function packetReport(figures: PacketFigures): string {
  const ratios = (version: Version, name: 'established' | 'decapsulation', floor: Measured, of: (measured: Measured) => number): string[] =>
    SELECTOR_COUNTS.map((count) => (of(figures.cases[version][count][name]) / of(floor)).toFixed(2));
  const above = ({ ns }: Measured) => ns;
  const whole = ({ ns }: Measured) => ns + figures.empty;
  return [
    `ns a packet by BPF_PROG_TEST_RUN, median (quartiles) of ${figures.runs} single runs, an empty program's ${figures.empty.toFixed(0)} ns taken off`,
    row('selectors', SELECTOR_COUNTS.map(String)),
    ...VERSIONS.flatMap((version) =>
      PACKET_CASES.map((name) =>
        row(
          `${name}, IPv${version}`,
          SELECTOR_COUNTS.map((count) => cell(figures.cases[version][count][name])),
        ),
      ),
    ),
    ...VERSIONS.flatMap((version) => {
      const { add, take } = figures.floor[version];
      const bytes = version === 4 ? 48 : 68;
      return [
        row(`floor: add ${bytes} bytes, IPv${version}`, [cell(add)]),
        row(`floor: remove ${bytes} bytes, IPv${version}`, [cell(take)]),
        row(`established ÷ add, IPv${version}`, ratios(version, 'established', add, above)),
        row('  as the kernel reports', ratios(version, 'established', add, whole)),
        row(`decapsulation ÷ remove, IPv${version}`, ratios(version, 'decapsulation', take, above)),
        row('  as the kernel reports', ratios(version, 'decapsulation', take, whole)),
      ];
    }),
  ].join('\n');
}
