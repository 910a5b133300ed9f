/** Rows of the tables that benchmarks print. */

/** A row's writer for these widths. A cell that is too wide for its column moves the rest, it never touches its neighbour. */
export function rowsOf(firstColumn: number, column: number): (name: string, cells: readonly string[]) => string {
  return (name, cells) => `  ${name.padEnd(firstColumn)}${cells.map((cell) => ` ${cell}`.padStart(column)).join('')}`;
}
