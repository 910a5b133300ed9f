/**
 * Runs of ports as the fewest entries for longest-prefix match (Draves et al., Constructing Optimal IP
 * Routing Tables, 1999): a longer prefix may take a part out of a shorter one.
 */

export interface PortRun {
  readonly first: number;
  readonly last: number;
  /** 0 is also what a port has that no entry covers. */
  readonly value: number;
}

export interface PortPrefix {
  readonly port: number;
  /** Leading bits of the port that count. */
  readonly bits: number;
  readonly value: number;
}

interface Node {
  /** Values that let the ports below do with the fewest entries; undefined: any value. */
  readonly values: ReadonlySet<number> | undefined;
  readonly halves: readonly [Node, Node] | undefined;
}

const UNCOVERED = 0;

/** What both halves can have, else what either can. */
function joined(left: ReadonlySet<number> | undefined, right: ReadonlySet<number> | undefined): ReadonlySet<number> | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  const common = [...left].filter((value) => right.has(value));
  return new Set(common.length > 0 ? common : [...left, ...right]);
}

/** @param runs in order, not overlapping; port 0 is never asked for, so that it may get any value */
export function portPrefixes(runs: readonly PortRun[], width = 16): PortPrefix[] {
  const out: PortPrefix[] = [];

  function build(start: number, bits: number, inside: readonly PortRun[]): Node {
    const end = start + 2 ** (width - bits) - 1;
    if (end === 0) return { values: undefined, halves: undefined };
    const [first] = inside;
    if (first === undefined) return { values: new Set([UNCOVERED]), halves: undefined };
    // Port 0 takes after its neighbours.
    if (first.first <= Math.max(start, 1) && first.last >= end) return { values: new Set([first.value]), halves: undefined };
    const middle = start + 2 ** (width - bits - 1);
    const left = build(
      start,
      bits + 1,
      inside.filter((run) => run.first < middle),
    );
    const right = build(
      middle,
      bits + 1,
      inside.filter((run) => run.last >= middle),
    );
    return { values: joined(left.values, right.values), halves: [left, right] };
  }

  function emit(node: Node, start: number, bits: number, inherited: number): void {
    const fits = node.values === undefined || node.values.has(inherited);
    const value = fits ? inherited : Math.min(...(node.values ?? []));
    if (!fits) out.push({ port: start, bits, value });
    if (node.halves === undefined) return;
    emit(node.halves[0], start, bits + 1, value);
    emit(node.halves[1], start + 2 ** (width - bits - 1), bits + 1, value);
  }

  emit(build(0, 0, runs), 0, 0, UNCOVERED);
  return out;
}
