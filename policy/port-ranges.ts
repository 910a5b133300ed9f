/**
 * Ranges of ports that overlap, cut into parts of one answer each. A part has one set of prefix entries
 * in `sfcselect`, under its first port; `sfcports` leads every other port of it there.
 *
 *     8000-8999 ─┬──────────────┬────┬───────────────┬─   parts   8000-8999 (two pieces), 8500-8599
 *     8500-8599  └───── a ──────┴─ b ┴────── a ──────┘
 *
 * Bound: k distinct ranges and ports make at most 2k - 1 parts (k where they lie within each other or
 * apart), and at most 30 prefixes of ports for each piece of a part.
 */

import { widthOf } from './claims.js';
import { type PortPrefix, type PortRun, portPrefixes } from './port-tree.js';
import { type Contender, type OnTie, type PrefixEntry, prefixEntries } from './prefix-table.js';

export interface PortPart {
  /** First port; the entries stand under it. */
  readonly port: number;
  readonly lastPort: number;
  readonly entries: readonly PrefixEntry[];
}

interface Piece {
  readonly first: number;
  readonly last: number;
  /** The narrowest range that it lies in. */
  readonly owner: { readonly port: number; readonly lastPort: number };
  readonly entries: readonly PrefixEntry[];
  /** Equal for pieces with the same answers. */
  readonly answers: string;
}

function answersOf(entries: readonly PrefixEntry[]): string {
  const texts = entries.map(({ cidr, winner, excepting }) => {
    const answer = winner === undefined ? '-' : `${winner.cidr.prefixLength} ${winner.spi} ${winner.si} ${winner.selector}`;
    return `${cidr.text} ${answer} ${excepting.join()}`;
  });
  return texts.sort().join('\n');
}

function piecesOf(contenders: readonly Contender[], onTie: OnTie): Piece[] {
  const cuts = [...new Set(contenders.flatMap(({ port, lastPort }) => [port, lastPort + 1]))].sort((a, b) => a - b);
  // Narrow ones first, so that the first active one is the owner.
  const ordered = [...contenders].sort((a, b) => widthOf(a) - widthOf(b) || a.port - b.port);
  return cuts.flatMap((first, index): Piece[] => {
    const active = ordered.filter(({ port, lastPort }) => port <= first && first <= lastPort);
    const [owner] = active;
    if (owner === undefined) return [];
    const entries = prefixEntries(active, onTie);
    return [{ first, last: (cuts[index + 1] ?? first + 1) - 1, owner, entries, answers: answersOf(entries) }];
  });
}

/** Neighbours with the same answers become one, as far as a range is among them: single ports need no entry of `sfcports`. */
function mergeNeighbours(pieces: readonly Piece[]): Piece[] {
  const runs: Piece[][] = [];
  for (const piece of pieces) {
    const run = runs.at(-1);
    const before = run?.at(-1);
    if (run !== undefined && before?.last === piece.first - 1 && before.answers === piece.answers) run.push(piece);
    else runs.push([piece]);
  }
  return runs.flatMap((run) => {
    const widest = run.reduce((wide, piece) => (widthOf(piece.owner) > widthOf(wide.owner) ? piece : wide));
    if (widthOf(widest.owner) === 1) return run;
    return [{ ...widest, first: (run[0] as Piece).first, last: (run.at(-1) as Piece).last }];
  });
}

/**
 * @param contenders claims of ports, of one endpoint, direction and protocol
 * @returns the parts, and how ports find theirs: nothing where every part is one port
 */
export function layPorts(contenders: readonly Contender[], onTie: OnTie): { readonly parts: PortPart[]; readonly tree: PortPrefix[] } {
  // Single ports alone need no cutting, and there may be thousands of them.
  if (contenders.every((contender) => widthOf(contender) === 1)) {
    const byPort = new Map<number, Contender[]>();
    for (const contender of contenders) {
      const rivals = byPort.get(contender.port);
      if (rivals === undefined) byPort.set(contender.port, [contender]);
      else rivals.push(contender);
    }
    return { parts: [...byPort].map(([port, rivals]) => ({ port, lastPort: port, entries: prefixEntries(rivals, onTie) })), tree: [] };
  }
  const parts = new Map<string, Piece[]>();
  for (const piece of mergeNeighbours(piecesOf(contenders, onTie))) {
    const key = `${piece.owner.port}-${piece.owner.lastPort}\n${piece.answers}`;
    const pieces = parts.get(key);
    if (pieces === undefined) parts.set(key, [piece]);
    else pieces.push(piece);
  }
  const runs: PortRun[] = [];
  const laid = [...parts.values()].map((pieces): PortPart => {
    const { first: port, entries } = pieces[0] as Piece;
    const lastPort = (pieces.at(-1) as Piece).last;
    for (const { first, last } of pieces) runs.push({ first, last, value: port === lastPort ? 0 : port });
    return { port, lastPort, entries };
  });
  return { parts: laid, tree: portPrefixes(runs.sort((a, b) => a.first - b.first)) };
}
