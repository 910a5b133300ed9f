/** A run judged family by family: what the addresses of one say is nothing to the packets of another. Pure. */

import type { Point } from './proof.js';
import { type Family, familyOf, type RequestResult, type Transport } from './testbed/index.js';

type Counts<T> = { readonly [K in keyof T]: number };

/** What a judge says. */
export interface Judged<J, T> {
  readonly journeys: readonly J[];
  readonly totals: Readonly<Record<Transport, T>>;
  readonly seenAtServer: readonly string[];
  readonly faults: readonly string[];
}

/** Totals of one family. */
export interface FamilyTotals<T> {
  readonly family: Family;
  readonly totals: Readonly<Record<Transport, T>>;
}

/** Everything that was said of each family together, and the totals of each beside their sums. */
export interface JudgedByFamily<J, T> extends Judged<J, T> {
  readonly byFamily: readonly FamilyTotals<T>[];
}

export function judgeEach<J, T extends Counts<T>>(
  families: readonly Family[],
  points: readonly Point[],
  results: readonly RequestResult[],
  judge: (points: readonly Point[], results: readonly RequestResult[], family: Family) => Judged<J, T>,
): JudgedByFamily<J, T> {
  const each = families.map((family) => {
    const seen = points.map((point) => ({ ...point, packets: point.packets.filter(({ frame }) => frame.family === family) }));
    const sent = results.filter(({ server }) => familyOf(server) === family);
    return { family, ...judge(seen, sent, family) };
  });
  const sum = (transport: Transport) => each.map(({ totals }) => totals[transport]).reduce(added);
  return {
    journeys: each.flatMap(({ journeys }) => journeys),
    totals: { tcp: sum('tcp'), udp: sum('udp') },
    seenAtServer: each.flatMap(({ seenAtServer }) => seenAtServer),
    faults: each.flatMap(({ faults }) => faults),
    byFamily: each.map(({ family, totals }) => ({ family, totals })),
  };
}

function added<T extends Counts<T>>(one: T, other: T): T {
  return Object.fromEntries((Object.keys(one) as (keyof T)[]).map((name) => [name, one[name] + other[name]])) as T;
}
