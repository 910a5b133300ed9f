/** Manifest files as a world, with everything that is wrong in them. Never throws for what they hold. */

import { type Fault, formatPath, type Kind, type Path } from '../schema/index.js';
import type { Problem, World } from '../world.js';
import { readDocuments, type SourceDocument } from './documents.js';
import { type Identity, identify, identityText } from './identify.js';
import { type Resource, readResource } from './read-resource.js';

export interface ManifestFile {
  readonly file: string;
  readonly text: string;
}

/** A file that could not be read, and why. */
export interface UnreadFile {
  readonly file: string;
  readonly message: string;
}

/** One resource of a document, or what stands where one should. */
export interface Entry {
  readonly file: string;
  /** 1-based number in the file; 0 when the file as a whole is meant. */
  readonly document: number;
  readonly line: number;
  /** `other`: a kind that steering does not read; undefined when it cannot be told. */
  readonly kind: Kind | 'other' | undefined;
  /** `TrafficSelector/vpn-to-firewall`; undefined when it cannot be told. */
  readonly key: string | undefined;
  readonly identity: Identity | undefined;
  /** undefined when it is bad. */
  readonly resource: Resource | undefined;
  readonly problems: readonly Problem[];
  /** Line of a field of this resource. */
  lineOf(path: Path): number;
}

export interface Manifests {
  readonly world: World;
  readonly problems: readonly Problem[];
  /** Documents that are not empty, good and bad. */
  readonly documents: number;
  readonly entries: readonly Entry[];
}

/** Documents of one file that are read. */
const MOST_DOCUMENTS = 10_000;
/** Problems that one resource can have; a machine's mistake repeats itself. */
const MOST_PROBLEMS = 100;

export function worldOf(resources: readonly Resource[]): World {
  const of = <K extends Kind>(kind: K) =>
    resources.filter((resource): resource is Extract<Resource, { kind: K }> => resource.kind === kind).map(({ value }) => value);
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

/** What is told of a whole file. Whatever stood in the file before may still stand in it. */
function fileEntry(file: string, message: string, hint: string): Entry {
  const problem: Problem = { severity: 'error', file, document: 0, line: 0, resource: '', path: '', message, hint };
  return {
    file,
    document: 0,
    line: 0,
    kind: undefined,
    key: undefined,
    identity: undefined,
    resource: undefined,
    problems: [problem],
    lineOf: () => 0,
  };
}

interface Place {
  readonly file: string;
  readonly source: SourceDocument;
  /** Path of the resource in the document: not empty inside a List. */
  readonly path: Path;
}

/** Puts faults where they stand, in the order of the file. */
function problemsOf({ file, source, path }: Place, resource: string, faults: readonly Fault[]): Problem[] {
  const problems = faults.map((fault): Problem => {
    const at = [...path, ...fault.path];
    const { severity, message, hint } = fault;
    return { severity, file, document: source.number, line: source.lineOf(at), resource, path: formatPath(at), message, hint };
  });
  problems.sort((a, b) => a.line - b.line);
  const more = problems.length - MOST_PROBLEMS;
  if (more <= 0) return problems;
  const last = problems[MOST_PROBLEMS - 1] as Problem;
  return [
    ...problems.slice(0, MOST_PROBLEMS),
    { ...last, path: '', message: `${more} more problems like these`, hint: 'Correct those above first.' },
  ];
}

/** The first document that names a resource has it, even when it is bad: which one counts shall not hang on a typing error. */
type Claims = Map<string, { readonly file: string; readonly line: number }>;

function duplicate(key: string, claims: Claims, file: string, line: number): Fault[] {
  const first = claims.get(key);
  if (first === undefined) {
    claims.set(key, { file, line });
    return [];
  }
  const message = `${key} is already defined in ${first.file} line ${first.line}; that one counts`;
  return [{ severity: 'error', path: ['metadata', 'name'], message, hint: 'Remove one of the two, or give this one another name.' }];
}

function entriesOf(value: unknown, place: Place, claims: Claims): Entry[] {
  const { file, source, path } = place;
  const line = source.lineOf(path);
  const at = { file, document: source.number, line, lineOf: (within: Path) => source.lineOf([...path, ...within]) };
  const identified = identify(value);
  switch (identified.what) {
    case 'list':
      return identified.items.flatMap((item, index) => entriesOf(item, { ...place, path: [...path, 'items', index] }, claims));
    case 'other': {
      const problems = problemsOf(place, '', identified.faults);
      if (problems.length === 0) return [];
      return [{ ...at, kind: 'other', key: undefined, identity: undefined, resource: undefined, problems }];
    }
    case 'unknown': {
      const { kind, identity } = identified;
      const key = identity && identityText(identity);
      return [{ ...at, kind, key, identity, resource: undefined, problems: problemsOf(place, key ?? '', identified.faults) }];
    }
    case 'resource': {
      const { identity } = identified;
      const key = identityText(identity);
      const again = duplicate(key, claims, file, line);
      const { resource, faults } = readResource(identity.kind, value as Record<string, unknown>);
      const problems = problemsOf(place, key, [...again, ...faults]);
      return [{ ...at, kind: identity.kind, key, identity, resource: again.length > 0 ? undefined : resource, problems }];
    }
  }
}

function documentEntries(file: string, source: SourceDocument, claims: Claims): Entry[] {
  if (source.faults.length === 0) return entriesOf(source.value, { file, source, path: [] }, claims);
  const identified = identify(source.value);
  const identity = 'identity' in identified ? identified.identity : undefined;
  const resource = identity === undefined ? '' : identityText(identity);
  const problems = source.faults.map(
    ({ line, message, hint }): Problem => ({ severity: 'error', file, document: source.number, line, resource, path: '', message, hint }),
  );
  // Where the syntax is broken, what seems to be the name may be another's.
  const sure = source.broken ? undefined : identity;
  const kind = sure?.kind;
  return [
    {
      file,
      document: source.number,
      line: source.line,
      kind,
      key: sure && resource,
      identity: sure,
      resource: undefined,
      problems,
      lineOf: source.lineOf,
    },
  ];
}

/** Reads every document of every file, in order; of two that define one resource, the first. */
export function parseManifests(files: readonly ManifestFile[], unread: readonly UnreadFile[] = []): Manifests {
  const claims: Claims = new Map();
  const entries: Entry[] = [];
  let documents = 0;
  for (const { file, text } of files) {
    let inFile = 0;
    for (const source of readDocuments(text)) {
      if (++inFile > MOST_DOCUMENTS) {
        entries.push(fileEntry(file, `more than ${MOST_DOCUMENTS} documents; the rest is not read`, 'Divide the file.'));
        break;
      }
      documents++;
      entries.push(...documentEntries(file, source, claims));
    }
  }
  for (const { file, message } of unread) entries.push(fileEntry(file, message, 'Make the file readable, or divide it.'));
  const resources = entries.flatMap(({ resource }) => (resource === undefined ? [] : [resource]));
  return { world: worldOf(resources), problems: entries.flatMap(({ problems }) => problems), documents, entries };
}
