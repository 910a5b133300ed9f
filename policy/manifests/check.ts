/** What can be said of manifests as a whole, without a node and before anything is assigned. */

import { formatProtocol } from '../../maps/index.js';
import { compileNode, podKey, selectedPods } from '../compile.js';
import { ANY_IPV4, ANY_IPV6 } from '../destinations.js';
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

function claimsOf({ cidr, ports }: Selector): string[] {
  const cidrs = cidr === undefined ? [ANY_IPV4, ANY_IPV6] : [cidr];
  const claims = ports.flatMap(({ protocol, port }) => cidrs.map(({ text }) => `egress, ${port}/${formatProtocol(protocol)}, ${text}`));
  return [...new Set(claims)];
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

/** Selectors of different chains with the same packets of the same pods: told once a pair, with the first thing they share. */
function checkConflicts(world: World): Problem[] {
  const pods = new Map<Selector, readonly string[]>();
  const subjectsOf = (selector: Selector): readonly string[] => {
    const known = pods.get(selector) ?? selectedPods(world, selector).map(podKey);
    pods.set(selector, known);
    // The same subject conflicts whether or not its pods are in these manifests.
    return [...known, JSON.stringify([selector.namespaceSelector, selector.podSelector])];
  };
  const problems = new Map<string, Problem>();
  for (const [claim, rivals] of groupBy(world.selectors, claimsOf)) {
    if (new Set(rivals.map(({ chain }) => chain)).size < 2) continue;
    for (const [subject, [first, ...others]] of groupBy(rivals, subjectsOf)) {
      for (const other of others) {
        if (first === undefined || other.chain === first.chain || problems.has(`${first.name} ${other.name}`)) continue;
        const whose = subject.startsWith('[') ? 'the same pods' : subject;
        const message = `claims the same packets as TrafficSelector/${first.name}, which leads to chain ${first.chain}: ${claim} of ${whose}`;
        const hint = 'The chain with the lower servicePathId has them; let the two differ in subject, port or prefix.';
        problems.set(`${first.name} ${other.name}`, warning(`TrafficSelector/${other.name}`, 'spec', message, hint));
      }
    }
  }
  return [...problems.values()];
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
