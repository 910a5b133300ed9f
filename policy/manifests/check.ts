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

/** Functions that a packet passes: the NSH TTL begins at 63, each takes one, and none is sent on with 0 (RFC 8300 2.2). */
export const MOST_PASSED = 62;

/** Chains that are too long. */
export function checkLengths(world: World): Problem[] {
  return world.chains.flatMap(({ name, serviceFunctions: { length } }) => {
    if (length <= MOST_PASSED) return [];
    const message = `has ${length} functions; a packet passes ${MOST_PASSED}, then its NSH TTL ends and it is dropped (nsh-ttl)`;
    return [warning(`ServiceFunctionChain/${name}`, 'spec.serviceFunctions', message, 'Shorten the chain.')];
  });
}

/** Chains that are too long, and rings of chains. A selector without its chain is compiling's to report. */
export function checkWorld(world: World): Problem[] {
  return [...checkLengths(world), ...checkRings(world)];
}

function checkRings(world: World): Problem[] {
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

interface Rival {
  readonly selector: Selector;
  readonly claim: Claim;
}

/** What each rival shares first with one of another chain; all are of one direction, protocol, prefix and width. */
function* meetings(rivals: readonly Rival[]): Generator<readonly [Rival, Rival, Omit<Claim, 'except'>]> {
  // Of one width: none that begins behind the last port can overlap.
  const ordered = [...rivals].sort((a, b) => a.claim.port - b.claim.port || compareNames(a.selector, b.selector));
  const met = new Set<Rival>();
  for (const [index, one] of ordered.entries()) {
    for (let next = index + 1; next < ordered.length; next++) {
      const other = ordered[next] as Rival;
      if (other.claim.port > one.claim.lastPort) break;
      if (other.selector.chain === one.selector.chain || (met.has(one) && met.has(other))) continue;
      const where = contested(one.claim, other.claim);
      if (where === undefined) continue;
      met.add(one).add(other);
      yield [one, other, where];
    }
  }
}

function compareNames(a: Selector, b: Selector): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Two selectors of different chains, by name, and what both claim. */
export interface Rivalry {
  readonly first: Selector;
  readonly second: Selector;
  /** `egress, 443/TCP, 10.0.0.0/8 of vpn/vpn`. */
  readonly what: string;
}

/**
 * Selectors of different chains with the same packets of the same pods: once a pair, with the first thing
 * they share. Of many that all claim the same, each is told of one other.
 */
export function findRivals(world: World): Rivalry[] {
  const pods = new Map<Selector, readonly string[]>();
  const subjectsOf = ({ selector }: Rival): readonly string[] => {
    const known = pods.get(selector) ?? selectedPods(world, selector).map(podKey);
    pods.set(selector, known);
    // The same subject conflicts whether or not its pods are in these manifests.
    return [...known, JSON.stringify([selector.namespaceSelector, selector.podSelector])];
  };
  const selectors = [...world.selectors].sort(compareNames);
  const claims = selectors.flatMap((selector) => claimsOf(selector).map((claim) => ({ selector, claim })));
  const precedence = (claim: Claim) => `${claim.direction} ${claim.protocol} ${claim.cidr.text} ${widthOf(claim)}`;
  const told = new Set<string>();
  const found: Rivalry[] = [];
  for (const [, rivals] of groupBy(claims, ({ claim }) => [precedence(claim)])) {
    if (new Set(rivals.map(({ selector }) => selector.chain)).size < 2) continue;
    for (const [subject, same] of groupBy(rivals, subjectsOf)) {
      for (const [one, other, where] of meetings(same)) {
        const [first, second] = [one.selector, other.selector].sort(compareNames) as [Selector, Selector];
        const pair = `${first.name} ${second.name}`;
        if (told.has(pair)) continue;
        told.add(pair);
        const what = `${describeClaim(where)} of ${subject.startsWith('[') ? 'the same pods' : subject}`;
        found.push({ first, second, what });
      }
    }
  }
  return found;
}

/** Told on both. */
function checkConflicts(world: World): Problem[] {
  return findRivals(world).flatMap(({ first, second, what }) => [rivalry(first, second, what), rivalry(second, first, what)]);
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
