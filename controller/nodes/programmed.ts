/** On how many nodes an object is programmed, out of what the nodes report: small, whatever the number of objects. */

import { EMPTY_DIGEST } from './digest.js';
import type { History } from './history.js';

export type SteeringKind = 'ServiceFunctionChain' | 'TrafficSelector';

/** A SteeringNode's status, as far as it matters here. */
export interface Report {
  readonly node: string;
  /** By kind. */
  readonly digests: Readonly<Record<SteeringKind, string>>;
  readonly failing: readonly { readonly kind: string; readonly name: string; readonly message: string }[];
  /** More than are named: then any other object may fail there too. */
  readonly failingTotal: number;
}

export interface Nodes {
  readonly reports: readonly Report[];
  /** Nodes that have an agent's pod. Those without a report have nothing yet. */
  readonly agents: ReadonlySet<string>;
}

export interface Progress {
  readonly programmed: number;
  readonly total: number;
  /** Nodes that are known not to have it. */
  readonly behind: readonly string[];
  /** Nodes that report a state that is not known: they may have it. */
  readonly unclear: readonly string[];
  readonly failing: readonly { readonly node: string; readonly message: string }[];
}

type Where = number | 'unclear';

/** Where each node is with one kind. To be made once for many objects. */
export interface Standing {
  readonly kind: SteeringKind;
  readonly history: History;
  readonly total: number;
  readonly nodes: readonly { readonly node: string; readonly where: Where }[];
  /** Failures by object's name. */
  readonly failing: ReadonlyMap<string, readonly { readonly node: string; readonly message: string }[]>;
  /** Nodes that do not name all their failures. */
  readonly unnamed: ReadonlyMap<string, string>;
}

export function standing(kind: SteeringKind, history: History, { reports, agents }: Nodes): Standing {
  const failing = new Map<string, { node: string; message: string }[]>();
  const unnamed = new Map<string, string>();
  const nodes = reports.map((report) => {
    const { node } = report;
    for (const { kind: ofKind, name, message } of report.failing) {
      if (ofKind !== kind) continue;
      const list = failing.get(name) ?? [];
      list.push({ node, message });
      failing.set(name, list);
    }
    if (report.failingTotal > report.failing.length)
      unnamed.set(node, `${report.failingTotal} objects fail there, of which it names ${report.failing.length}`);
    const digest = report.digests[kind];
    // Nothing at all is a state that every history begins with.
    return { node, where: digest === EMPTY_DIGEST ? 0 : (history.placeOf(digest) ?? 'unclear') } as const;
  });
  const reporting = new Set(reports.map(({ node }) => node));
  const silent = [...agents].filter((node) => !reporting.has(node)).map((node) => ({ node, where: 0 }) as const);
  const all = [...nodes, ...silent].sort((a, b) => (a.node < b.node ? -1 : 1));
  return { kind, history, total: all.length, nodes: all, failing, unnamed };
}

export function progressOf({ history, total, nodes, failing, unnamed }: Standing, uid: string, generation: number, name: string): Progress {
  const since = history.since(uid, generation) ?? Number.POSITIVE_INFINITY;
  const named = failing.get(name) ?? [];
  const fails = new Set(named.map(({ node }) => node));
  const behind: string[] = [];
  const unclear: string[] = [];
  const more: { node: string; message: string }[] = [];
  let programmed = 0;
  for (const { node, where } of nodes) {
    const unknown = unnamed.get(node);
    if (fails.has(node)) continue;
    if (unknown !== undefined) more.push({ node, message: unknown });
    else if (where === 'unclear') unclear.push(node);
    else if (where < since) behind.push(node);
    else programmed++;
  }
  return { programmed, total, behind, unclear, failing: [...named, ...more] };
}
