/** The resources of one file, each on its own: which of several counts is not decided here. */

import { type Fault, formatPath, type Kind, type Path } from '../schema/index.js';
import type { Problem } from '../world.js';
import { readDocuments, type SourceDocument } from './documents.js';
import { type Identity, identify, identityText } from './identify.js';
import { type Resource, readResource } from './read-resource.js';

export interface ManifestFile {
  readonly file: string;
  readonly text: string;
}

/** One resource of a document, or what stands where one should. */
export interface Entry {
  readonly file: string;
  /** 1-based number in the file; 0 when the file as a whole is meant. */
  readonly document: number;
  readonly line: number;
  /** Path of the resource in its document: not empty inside a List. */
  readonly path: Path;
  /** `other`: a kind that steering does not read; undefined when it cannot be told. */
  readonly kind: Kind | 'other' | undefined;
  readonly identity: Identity | undefined;
  /** The identity as text: `TrafficSelector/vpn-to-firewall`. */
  readonly key: string | undefined;
  /** undefined when it is bad. */
  readonly resource: Resource | undefined;
  readonly problems: readonly Problem[];
  /** Line of a field of this resource. */
  lineOf(path: Path): number;
}

export interface FileEntries {
  /** Documents that are not empty, good and bad. */
  readonly documents: number;
  readonly entries: readonly Entry[];
}

/** Documents of one file that are read. */
const MOST_DOCUMENTS = 10_000;
/** Problems that one resource can have; a machine's mistake repeats itself. */
const MOST_PROBLEMS = 100;

type Place = Pick<Entry, 'file' | 'document' | 'line' | 'path' | 'lineOf'>;

/** A bad entry of which nothing is known but where it stands. */
function nameless(place: Place, problems: readonly Problem[]): Entry {
  return { ...place, kind: undefined, identity: undefined, key: undefined, resource: undefined, problems };
}

/** What is told of a whole file. Whatever stood in the file before may still stand in it. */
export function fileEntry(file: string, message: string, hint: string): Entry {
  const problem: Problem = { severity: 'error', file, document: 0, line: 0, resource: '', path: '', message, hint };
  return nameless({ file, document: 0, line: 0, path: [], lineOf: () => 0 }, [problem]);
}

/** Puts a fault where it stands. */
export function problemAt({ file, document, path, lineOf }: Place, resource: string, fault: Fault): Problem {
  const { severity, message, hint } = fault;
  return { severity, file, document, line: lineOf(fault.path), resource, path: formatPath([...path, ...fault.path]), message, hint };
}

/** In the order of the file, and not without end. */
function problemsAt(place: Place, resource: string, faults: readonly Fault[]): Problem[] {
  const problems = faults.map((fault) => problemAt(place, resource, fault)).sort((a, b) => a.line - b.line);
  const last = problems[MOST_PROBLEMS];
  if (last === undefined) return problems;
  const message = `${problems.length - MOST_PROBLEMS} more problems like these`;
  return [...problems.slice(0, MOST_PROBLEMS), { ...last, path: '', message, hint: 'Correct those above first.' }];
}

function entriesOf(value: unknown, place: Place): Entry[] {
  const identified = identify(value);
  switch (identified.what) {
    case 'list':
      return identified.items.flatMap((item, index) => {
        const within: Path = ['items', index];
        const lineOf = (path: Path) => place.lineOf([...within, ...path]);
        return entriesOf(item, { ...place, line: lineOf([]), path: [...place.path, ...within], lineOf });
      });
    case 'other': {
      const problems = problemsAt(place, '', identified.faults);
      return problems.length === 0 ? [] : [{ ...nameless(place, problems), kind: 'other' }];
    }
    case 'unknown': {
      const { kind, identity, faults } = identified;
      const key = identity && identityText(identity);
      return [{ ...nameless(place, problemsAt(place, key ?? '', faults)), kind, identity, key }];
    }
    case 'resource': {
      const { identity } = identified;
      const key = identityText(identity);
      const { resource, faults } = readResource(identity.kind, value as Record<string, unknown>);
      return [{ ...place, kind: identity.kind, identity, key, resource, problems: problemsAt(place, key, faults) }];
    }
  }
}

function documentEntries(file: string, { number, line, value, faults, lineOf }: SourceDocument): Entry[] {
  const place: Place = { file, document: number, line, path: [], lineOf };
  if (faults.length === 0) return entriesOf(value, place);
  // What seems to be the name helps the reader; it may be that of a document whose --- was lost.
  const identified = identify(value);
  const resource = 'identity' in identified && identified.identity !== undefined ? identityText(identified.identity) : '';
  const problems = faults.map((fault): Problem => ({ severity: 'error', file, document: number, resource, path: '', ...fault }));
  return [nameless(place, problems)];
}

/** An object that a cluster has, read as a document is: it stands in no line, and in `file` all of them. */
export function readObject(file: string, value: unknown): Entry | undefined {
  return entriesOf(value, { file, document: 0, line: 0, path: [], lineOf: () => 0 })[0];
}

export function readEntries({ file, text }: ManifestFile): FileEntries {
  const entries: Entry[] = [];
  let documents = 0;
  for (const source of readDocuments(text)) {
    if (documents === MOST_DOCUMENTS) {
      entries.push(fileEntry(file, `more than ${MOST_DOCUMENTS} documents; the rest is not read`, 'Divide the file.'));
      break;
    }
    documents++;
    entries.push(...documentEntries(file, source));
  }
  return { documents, entries };
}
