/** Tables as operators read them: a line of capitals, columns two spaces apart, numbers to the right. */

import { printable } from './printable.js';

export interface Column<Row> {
  readonly title: string;
  /** A number is written to the right side of its column; an empty text as `-`. */
  readonly value: (row: Row) => string | number;
  /** Least width. */
  readonly width?: number;
}

const GAP = '  ';

/**
 * The lines of the table, its head first.
 * @param paint colours a finished line; widths are settled before
 */
export function* tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  paint: (line: string, row: Row) => string = (line) => line,
): Generator<string> {
  const cells = rows.map((row) => columns.map(({ value }) => cell(value(row))));
  const widths = columns.map(({ title, width = 0 }) => Math.max(title.length, width));
  const isNumber = columns.map(({ value }) => rows.length > 0 && rows.every((row) => typeof value(row) === 'number'));
  for (const line of cells) {
    for (const [index, text] of line.entries()) widths[index] = Math.max(widths[index] ?? 0, text.length);
  }
  const join = (line: readonly string[]) =>
    line
      .map((text, index) => (isNumber[index] ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0)))
      .join(GAP)
      .trimEnd();
  yield join(columns.map(({ title }) => title));
  for (const [index, line] of cells.entries()) yield paint(join(line), rows[index] as Row);
}

function cell(value: string | number): string {
  return value === '' ? '-' : printable(String(value));
}
