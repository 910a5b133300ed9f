/** What can be said of manifests as a whole, without a node and before anything is assigned. */

import { type Claim, claimsOf, contested, describeClaim, widthOf } from '../claims.js';
import { compileNode, podKey, selectedPods } from '../compile.js';
import { findRings } from '../rings.js';
import type { Problem, Selector, World } from '../world.js';
import type { ManifestFile } from './entries.js';
import { type Manifests, parseManifests, type UnreadFile } from './parse.js';

function warning(resource: string, path: string, message: string, hint: string): Problem {
  return { severity: 'warning', file: '', document: 0, line: 0, resource, path, message, hint };
}

/** Rings of chains. A selector without its chain is compiling's to report. */
export function checkWorld(world: World): Problem[] {
  return findRings(world).map(({ chains }) => {
    const message = `chains lead in a ring: ${[...chains, chains[0]].join(' -> ')}`;
    const hint = 'Packets would go round until their NSH TTL ends: let a selector leave out the pods of the chain before it.';
    return warning(`ServiceFunctionChain/${chains[0]}`, '', message, hint);
  });
}

function groupBy<T>(values: readonly T[], keysOf: (value: T) => readonly string[]): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    for (const key of keysOf(value)) {
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [value]);
      else group.push(value);
    }
  }
  return [...groups];
}

/** Pods whose packets two selectors both mean, in words; undefined: none, as far as the manifests tell. */
type SharedPods = (one: Selector, other: Selector) => string | undefined;

function sharedPods(world: World): SharedPods {
  const known = new Map<Selector, ReadonlySet<string>>();
  const podsOf = (selector: Selector): ReadonlySet<string> => {
    const pods = known.get(selector) ?? new Set(selectedPods(world, selector).map(podKey));
    known.set(selector, pods);
    return pods;
  };
  const subject = ({ namespaceSelector, podSelector }: Selector) => JSON.stringify([namespaceSelector, podSelector]);
  return (one, other) => {
    const others = podsOf(other);
    // The same subject conflicts whether or not its pods are in these manifests.
    return [...podsOf(one)].find((pod) => others.has(pod)) ?? (subject(one) === subject(other) ? 'the same pods' : undefined);
  };
}

/** Selectors of different chains with the same packets of the same pods: told on both, once a pair, with the first thing they share. */
function checkConflicts(world: World): Problem[] {
  const shared = sharedPods(world);
  const claims = [...world.selectors]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((selector) => claimsOf(selector).map((claim) => ({ selector, claim })));
  const told = new Set<string>();
  const problems: Problem[] = [];
  // Only claims of one direction, protocol, prefix and width can be of the same precedence.
  const precedence = (claim: Claim) => `${claim.direction} ${claim.protocol} ${claim.cidr.text} ${widthOf(claim)}`;
  for (const [, rivals] of groupBy(claims, ({ claim }) => [precedence(claim)])) {
    if (new Set(rivals.map(({ selector }) => selector.chain)).size < 2) continue;
    for (const [index, one] of rivals.entries()) {
      for (const other of rivals.slice(index + 1)) {
        const pair = `${one.selector.name} ${other.selector.name}`;
        if (one.selector.chain === other.selector.chain || told.has(pair)) continue;
        const where = contested(one.claim, other.claim);
        const whose = where === undefined ? undefined : shared(one.selector, other.selector);
        if (where === undefined || whose === undefined) continue;
        told.add(pair);
        const what = `${describeClaim(where)} of ${whose}`;
        problems.push(rivalry(one.selector, other.selector, what), rivalry(other.selector, one.selector, what));
      }
    }
  }
  return problems;
}

function rivalry(selector: Selector, rival: Selector, what: string): Problem {
  const message = `claims the same packets as TrafficSelector/${rival.name}, which leads to chain ${rival.chain}: ${what}`;
  const hint = 'The chain with the lower servicePathId has them; let the two differ in subject, port or prefix.';
  return warning(`TrafficSelector/${selector.name}`, 'spec', message, hint);
}

const UNASSIGNED = { spiOf: () => undefined, serviceAddressOf: () => undefined };

/** The problem with the place of its resource, where a document of these manifests defines that. */
export function locateProblem(problem: Problem, entries: Manifests['entries']): Problem {
  const entry = entries.find(({ key, resource }) => key === problem.resource && resource !== undefined);
  if (entry === undefined) return problem;
  return { ...problem, file: entry.file, document: entry.document, line: entry.lineOf(problem.path.split('.')) };
}

export interface Validation {
  readonly documents: number;
  /** Good resources of the kinds that steering reads. */
  readonly resources: readonly { readonly kind: string; readonly namespace: string; readonly name: string }[];
  readonly problems: readonly Problem[];
}

/** Everything that is wrong with manifests, as far as they tell it themselves. */
export function validateManifests(files: readonly ManifestFile[], unread: readonly UnreadFile[] = []): Validation {
  const { world, problems, documents, entries } = parseManifests(files, unread);
  const compiled = compileNode({ world, node: '', endpoints: new Map(), allocations: UNASSIGNED });
  const whole = [...compiled.problems, ...checkWorld(world), ...checkConflicts(world)];
  return {
    documents,
    resources: entries.flatMap(({ identity, resource }) => (identity === undefined || resource === undefined ? [] : [identity])),
    problems: [...problems, ...whole.map((problem) => locateProblem(problem, entries))],
  };
}
