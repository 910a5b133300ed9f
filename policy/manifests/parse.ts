/** Manifest files as a world, with everything that is wrong in them. Never throws for what they hold. */

import type { Fault, Kind } from '../schema/index.js';
import type { Problem, World } from '../world.js';
import { type Entry, type FileEntries, fileEntry, type ManifestFile, problemAt, readEntries } from './entries.js';
import type { Resource } from './read-resource.js';

/** A file that could not be read, and why. */
export interface UnreadFile {
  readonly file: string;
  readonly message: string;
}

export interface Manifests {
  readonly world: World;
  readonly problems: readonly Problem[];
  /** Documents that are not empty, good and bad. */
  readonly documents: number;
  readonly entries: readonly Entry[];
}

export function worldOf(resources: readonly Resource[]): World {
  const of = <K extends Kind>(kind: K) =>
    Object.freeze(
      resources.filter((resource): resource is Extract<Resource, { kind: K }> => resource.kind === kind).map(({ value }) => value),
    );
  const world = {
    chains: of('ServiceFunctionChain'),
    selectors: of('TrafficSelector'),
    pods: of('Pod'),
    namespaces: of('Namespace'),
    nodes: of('Node'),
    services: of('Service'),
  } as World;
  return Object.freeze(world);
}

/**
 * Of documents that name one resource the first has it, even when it is bad: which one counts shall
 * not hang on a typing error.
 */
function claim(entries: readonly Entry[]): Entry[] {
  const owners = new Map<string, Entry>();
  return entries.map((entry) => {
    const owner = entry.key === undefined ? undefined : owners.get(entry.key);
    if (entry.key === undefined || owner === undefined) {
      if (entry.key !== undefined) owners.set(entry.key, entry);
      return entry;
    }
    const message = `${entry.key} is already defined in ${owner.file} line ${owner.line}; that one counts`;
    const hint = 'Remove one of the two, or give this one another name.';
    const fault: Fault = { severity: 'error', path: ['metadata', 'name'], message, hint };
    return { ...entry, resource: undefined, problems: [problemAt(entry, entry.key, fault), ...entry.problems] };
  });
}

/** Reads every document of every file, in order. `read` may remember what it read before. */
export function parseManifests(
  files: readonly ManifestFile[],
  unread: readonly UnreadFile[] = [],
  read: (file: ManifestFile) => FileEntries = readEntries,
): Manifests {
  const parsed = files.map(read);
  const skipped = unread.map(({ file, message }) => fileEntry(file, message, 'Make the file readable, or divide it.'));
  const entries = [...claim(parsed.flatMap(({ entries }) => entries)), ...skipped];
  return {
    world: worldOf(entries.flatMap(({ resource }) => (resource === undefined ? [] : [resource]))),
    problems: entries.flatMap(({ problems }) => problems),
    documents: parsed.reduce((sum, { documents }) => sum + documents, 0),
    entries,
  };
}

/** `parseManifests` that reads only those files anew whose text differs from the last time. */
export function rememberingParser(): (files: readonly ManifestFile[], unread?: readonly UnreadFile[]) => Manifests {
  let remembered = new Map<string, { readonly text: string; readonly entries: FileEntries }>();
  return (files, unread) => {
    const now: typeof remembered = new Map();
    const manifests = parseManifests(files, unread, (file) => {
      const before = remembered.get(file.file);
      const entries = before?.text === file.text ? before.entries : readEntries(file);
      now.set(file.file, { text: file.text, entries });
      return entries;
    });
    remembered = now;
    return manifests;
  };
}
