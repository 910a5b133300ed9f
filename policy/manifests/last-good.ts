/**
 * A bad document never disturbs what runs: the last good version of its resource stays in force. What
 * is gone from well-formed files is gone.
 *
 *     good document ───────────────► in force
 *     bad document, names resource ─► last good version of that resource
 *     bad document, nameless ───────► last good version of all that its file defined and nobody defines now
 *     no document ──────────────────► out of force
 */

import type { Problem, World } from '../world.js';
import type { Entry } from './entries.js';
import { type Manifests, worldOf } from './parse.js';
import type { Resource } from './read-resource.js';

interface Held {
  readonly key: string;
  readonly kind: Resource['kind'];
  /** Where it stands, or stood when it was last good. */
  readonly file: string;
  readonly resource: Resource;
  /** Name that the document has now, where it seems to have been renamed and broken in one go. */
  readonly renamed: string | undefined;
}

export interface InForce {
  readonly world: World;
  readonly problems: readonly Problem[];
  readonly documents: number;
  readonly held: readonly Held[];
  /** Resources that documents name, good and bad. */
  readonly named: ReadonlySet<string>;
}

const NOTHING: Pick<InForce, 'held' | 'named'> = { held: [], named: new Set() };

/** For each resource the bad document that its own may have become; undefined when it is gone. */
function causes(bad: readonly Entry[], known: ReadonlySet<string>): (held: Held) => Entry | undefined {
  const named = new Map<string, Entry>();
  /** By file and kind, `*` for a kind that cannot be told: the first bad document without a name, and with a new one. */
  const nameless = new Map<string, Entry>();
  const renamed = new Map<string, Entry>();
  const keep = (map: Map<string, Entry>, key: string, entry: Entry) => map.has(key) || map.set(key, entry);
  for (const entry of bad) {
    const place = `${entry.file} ${entry.kind ?? '*'}`;
    if (entry.key === undefined) keep(nameless, place, entry);
    else {
      keep(named, entry.key, entry);
      if (!known.has(entry.key)) keep(renamed, place, entry);
    }
  }
  return ({ key, file, kind, renamed: newName }) => {
    const place = `${file} ${kind}`;
    const again = newName === undefined ? undefined : named.get(newName);
    return named.get(key) ?? nameless.get(place) ?? nameless.get(`${file} *`) ?? again ?? renamed.get(place);
  };
}

/** Names shown of the resources that stay. */
const MOST_SHOWN = 5;

function keptText(keys: readonly string[]): string {
  if (keys.length === 1) return `the last good version of ${keys[0]} stays in force`;
  const more = keys.length > MOST_SHOWN ? ` and ${keys.length - MOST_SHOWN} more` : '';
  return `the last good versions of ${keys.slice(0, MOST_SHOWN).join(', ')}${more} stay in force`;
}

function tell(entry: Entry, kept: readonly string[]): readonly Problem[] {
  if (kept.length === 0) return entry.problems;
  const text = kept.length === 1 && kept[0] === entry.key ? 'the last good version stays in force' : keptText(kept);
  return entry.problems.map((problem) =>
    problem.severity === 'error' ? { ...problem, message: `${problem.message} (${text})` } : problem,
  );
}

/** The problems of a bad version of one resource, whose last good one stays. */
export function withLastGood(problems: readonly Problem[]): readonly Problem[] {
  return problems.map((problem) =>
    problem.severity === 'error' ? { ...problem, message: `${problem.message} (the last good version stays in force)` } : problem,
  );
}

/** What is in force after this reading, given what was before. */
export function mergeLastGood(previous: InForce | undefined, next: Manifests): InForce {
  const before = previous ?? NOTHING;
  const good = next.entries.flatMap(({ key, file, resource }): Held[] =>
    resource === undefined || key === undefined ? [] : [{ key, kind: resource.kind, file, resource, renamed: undefined }],
  );
  const bad = next.entries.filter(({ resource }) => resource === undefined);
  const defined = new Set(good.map(({ key }) => key));
  const causeOf = causes(bad, before.named);
  const kept = new Map<Entry, string[]>();
  const stays = before.held.flatMap((held): Held[] => {
    if (defined.has(held.key)) return [];
    const cause = causeOf(held);
    if (cause === undefined) return [];
    const keys = kept.get(cause);
    if (keys === undefined) kept.set(cause, [held.key]);
    else keys.push(held.key);
    return [{ ...held, file: cause.file, renamed: cause.key === held.key ? undefined : cause.key }];
  });
  const held = [...good, ...stays];
  return {
    world: worldOf(held.map(({ resource }) => resource)),
    problems: next.entries.flatMap((entry) => tell(entry, kept.get(entry) ?? [])),
    documents: next.documents,
    held,
    named: new Set(next.entries.flatMap(({ key }) => (key === undefined ? [] : [key]))),
  };
}
