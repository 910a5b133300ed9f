/** What looking at an object needs. */

import type { Api } from '../api.js';
import type { Cluster } from '../cluster/index.js';
import type { EventRecorder } from '../events.js';
import type { IdKeeper, Refusal } from '../ids/index.js';
import { type Nodes, type Progress, progressOf, type Standing, type SteeringKind, standing } from '../nodes/index.js';
import type { Rival } from '../status/index.js';

/** The part of a logger (pino's shape) that the controller needs. */
export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** A rival, with the servicePathId of its chain. */
export type KnownRival = Pick<Rival, 'selector' | 'chain' | 'what'> & { readonly servicePathId: number | undefined };

/** What only a look at everything tells. */
export interface Whole {
  /** By selector. */
  readonly rivals: ReadonlyMap<string, readonly KnownRival[]>;
  /** By chain: `a -> b -> a`. */
  readonly rings: ReadonlyMap<string, string>;
}

export interface Context {
  readonly api: Api;
  readonly cluster: Cluster;
  readonly ids: IdKeeper;
  readonly events: EventRecorder;
  readonly log: Log;
  readonly clock: { wall(): Date; monotonic(): number };
  /** ms for which Services of functions that are gone stay, where nodes are that have not programmed the change. */
  readonly serviceGraceMs: number;
  /** Found out anew from time to time. */
  whole: Whole;
  /**
   * What the nodes reported, as of the last look at all of them. Not as of this moment: a status that counts nodes would be written
   * with every report, since each write is itself a cause to look.
   */
  nodes: Nodes;
  /** Why chains have no id, by UID; the empty key: why none gets one. */
  withoutId: ReadonlyMap<string, string>;
  refusals: ReadonlyMap<string, Refusal>;
  /** Chains that were looked at before they had an id: to be looked at again once ids have been given out. */
  readonly awaitingId: Set<string>;
}

/** RFC 3339, whole seconds: metav1.Time. */
export function timeOf(wall: Date): string {
  return wall.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

export function standingOf({ cluster, nodes }: Pick<Context, 'cluster' | 'nodes'>, kind: SteeringKind): Standing {
  return standing(kind, cluster.history[kind], nodes);
}

export function progress(
  context: Context,
  kind: SteeringKind,
  { uid = '', generation = 0, name }: { readonly uid?: string; readonly generation?: number; readonly name: string },
): Progress {
  return progressOf(standingOf(context, kind), uid, generation, name);
}
