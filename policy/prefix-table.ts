/**
 * Claims that differ in prefix alone, as entries for longest-prefix match: one for each prefix that is
 * claimed, and one for each exception where the answer is another than around it.
 *
 * Bound: at most one entry for each distinct prefix and exception of the claims.
 */

import { type Claim, widthOf } from './claims.js';
import type { Cidr, Si, Spi } from './desired.js';
import { comparePrefixes, covers, fill, shortened } from './prefixes.js';

export interface Contender extends Claim {
  readonly spi: Spi;
  readonly si: Si;
  /** Name of the TrafficSelector. */
  readonly selector: string;
}

export interface PrefixEntry {
  readonly cidr: Cidr;
  /** Undefined: nothing claims these addresses. */
  readonly winner: Contender | undefined;
  /** Selectors that except these addresses and would have them otherwise. */
  readonly excepting: readonly string[];
}

/** Two claims of one precedence, of which the first wins. */
export type OnTie = (winner: Contender, loser: Contender) => void;

/** Narrower ports first, then the lower servicePathId; the name only makes the order a total one. */
export function byPrecedence(a: Contender, b: Contender): number {
  return widthOf(a) - widthOf(b) || a.spi - b.spi || (a.selector < b.selector ? -1 : a.selector > b.selector ? 1 : 0);
}

function sameAnswer(a: Contender | undefined, b: Contender | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.spi === b.spi && a.si === b.si && a.cidr.prefixLength === b.cidr.prefixLength;
}

class PrefixTable {
  /** By text of the prefix, in order of precedence. */
  readonly #claims = new Map<string, Contender[]>();
  readonly #entries = new Map<string, PrefixEntry>();
  /** Texts of what each excepts, where it does. */
  readonly #exceptions = new Map<Contender, ReadonlySet<string>>();
  /** Lengths that occur, longest first. */
  readonly #lengths: readonly number[];
  readonly #onTie: OnTie;

  constructor(contenders: readonly Contender[], onTie: OnTie) {
    this.#onTie = onTie;
    const lengths = new Set<number>();
    for (const contender of [...contenders].sort(byPrecedence)) {
      const { text, prefixLength } = contender.cidr;
      const rivals = this.#claims.get(text);
      if (rivals === undefined) this.#claims.set(text, [contender]);
      else rivals.push(contender);
      lengths.add(prefixLength);
      if (contender.except.length > 0) this.#exceptions.set(contender, new Set(contender.except.map((cidr) => cidr.text)));
    }
    for (const rivals of this.#claims.values()) {
      const [winner] = rivals as [Contender, ...Contender[]];
      this.#tell(rivals);
      this.#entries.set(winner.cidr.text, { cidr: winner.cidr, winner, excepting: [] });
    }
    const exceptions = new Map(contenders.flatMap(({ except }) => except.map((cidr) => [cidr.text, cidr] as const)));
    for (const { prefixLength } of exceptions.values()) lengths.add(prefixLength);
    this.#lengths = [...lengths].sort((a, b) => b - a);
    // Shorter ones first: what an exception lies in is there when it is compared with it.
    const ordered = [...exceptions.values()].sort((a, b) => a.prefixLength - b.prefixLength);
    const holes = ordered.filter((cidr) => !this.#claims.has(cidr.text) && this.#open(cidr));
    if (holes.length > 0) this.#closeUnreached(holes);
  }

  get entries(): PrefixEntry[] {
    return [...this.#entries.values()];
  }

  #tell([winner, ...others]: readonly Contender[]): void {
    if (winner === undefined) return;
    for (const other of others) if (widthOf(other) === widthOf(winner) && other.spi !== winner.spi) this.#onTie(winner, other);
  }

  /** Adds an exception unless the answer there is that of what surrounds it. */
  #open(cidr: Cidr): boolean {
    let around: PrefixEntry | undefined;
    let winner: Contender | undefined;
    const excepting: string[] = [];
    const texts = this.#lengths.filter((length) => length <= cidr.prefixLength).map((length) => shortened(cidr, length).text);
    const excepted = (contender: Contender): boolean => {
      const exceptions = this.#exceptions.get(contender);
      return exceptions !== undefined && texts.some((text) => exceptions.has(text));
    };
    for (const text of texts) {
      if (text === cidr.text) continue;
      around ??= this.#entries.get(text);
      const rivals = this.#claims.get(text) ?? [];
      const at = rivals.findIndex((rival) => !excepted(rival));
      const passed = at < 0 ? rivals : rivals.slice(0, at);
      for (const { selector } of passed) excepting.push(selector);
      if (at < 0) continue;
      winner = rivals[at];
      this.#tell(rivals.slice(at).filter((rival) => !excepted(rival)));
      break;
    }
    if (around !== undefined && sameAnswer(around.winner, winner)) return false;
    this.#entries.set(cidr.text, { cidr, winner, excepting });
    return true;
  }

  /** Takes out exceptions of which longer entries take every address. */
  #closeUnreached(holes: readonly Cidr[]): void {
    const ordered = [...this.#entries.values()].map(({ cidr }) => cidr).sort(comparePrefixes);
    const places = new Map(ordered.map(({ text }, index) => [text, index]));
    for (const hole of holes) {
      const from = (places.get(hole.text) ?? 0) + 1;
      let to = from;
      while (to < ordered.length && covers(hole, ordered[to] as Cidr)) to++;
      if (to - from > 1 && fill(hole, ordered.slice(from, to))) this.#entries.delete(hole.text);
    }
  }
}

export function prefixEntries(contenders: readonly Contender[], onTie: OnTie): PrefixEntry[] {
  return new PrefixTable(contenders, onTie).entries;
}
