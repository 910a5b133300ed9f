/**
 * The record of servicePathIds: which chain has which, which rest, where the range has come to. It is the authority; a
 * chain's status is a copy of it. Kept as text that reads well in `kubectl get configmap -o yaml`:
 *
 *     next: "8"                          the first id that was never given out in order
 *     assigned: 5 <uid> firewall         one line a chain
 *     resting: 2026-01-31T09:00:00Z 1-3,7   ids of chains that were gone at that time
 */

import { SfcError } from '../../errors/index.js';

export const FIRST_ID = 1;
/** Last servicePathId that is given out: the reference's range. */
export const LAST_ID = 1_048_575;

const VERSION = '1';

export interface Owner {
  /** metadata.uid of the chain: a chain that is deleted and made anew is another one. */
  readonly uid: string;
  readonly name: string;
}

/** Ids of chains that were found deleted at one time. */
export interface Rest {
  /** Wall clock, ms; whole seconds. */
  readonly since: number;
  /** Ascending, inclusive, none next to another. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

export interface IdRecord {
  /** Ids are given out in order from here, until it is past LAST_ID. */
  readonly next: number;
  readonly assigned: ReadonlyMap<number, Owner>;
  /** By time. */
  readonly resting: readonly Rest[];
}

export const EMPTY_RECORD: IdRecord = { next: FIRST_ID, assigned: new Map(), resting: [] };

/** Ascending and without repetition, as ranges. */
export function rangesOf(ids: readonly number[]): (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && id <= last[1] + 1) last[1] = Math.max(last[1], id);
    else ranges.push([id, id]);
  }
  return ranges;
}

const isoSeconds = (ms: number) => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');

/** As the ConfigMap's data. */
export function formatRecord({ next, assigned, resting }: IdRecord): Record<string, string> {
  const lines = [...assigned].sort(([a], [b]) => a - b).map(([id, { uid, name }]) => `${id} ${uid} ${name}\n`);
  const rests = resting.map(
    ({ since, ranges }) =>
      `${isoSeconds(since)} ${ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',')}\n`,
  );
  return { version: VERSION, next: String(next), assigned: lines.join(''), resting: rests.join('') };
}

function unreadable(what: string): SfcError {
  return new SfcError('PATH_ID_RECORD', what);
}

function toId(text: string, where: string, last = LAST_ID): number {
  const id = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (id < FIRST_ID || id > last) throw unreadable(`${where}: ${JSON.stringify(text)} is no number of ${FIRST_ID} to ${last}`);
  return id;
}

const linesOf = (text: string | undefined) => (text ?? '').split('\n').filter((line) => line !== '');

function parseAssigned(text: string | undefined): Map<number, Owner> {
  const assigned = new Map<number, Owner>();
  const owners = new Set<string>();
  for (const line of linesOf(text)) {
    const [number = '', uid = '', name = '', ...more] = line.split(' ');
    const id = toId(number, 'assigned');
    if (uid === '' || name === '' || more.length > 0) throw unreadable(`assigned: ${JSON.stringify(line)} is not "ID UID NAME"`);
    if (assigned.has(id)) throw unreadable(`assigned: ${id} stands there twice`);
    if (owners.has(uid)) throw unreadable(`assigned: chain ${name} (${uid}) has two ids`);
    assigned.set(id, { uid, name });
    owners.add(uid);
  }
  return assigned;
}

function parseRest(line: string): Rest {
  const [time = '', ranges = '', ...more] = line.split(' ');
  const since = Date.parse(time);
  if (Number.isNaN(since) || more.length > 0) throw unreadable(`resting: ${JSON.stringify(line)} is not "TIME RANGES"`);
  return {
    since,
    ranges: ranges.split(',').map((range) => {
      const [first = '', last = first, ...rest] = range.split('-');
      const pair = [toId(first, 'resting'), toId(last, 'resting')] as const;
      if (rest.length > 0 || pair[0] > pair[1]) throw unreadable(`resting: ${JSON.stringify(range)} is no range`);
      return pair;
    }),
  };
}

/**
 * @param data of the ConfigMap
 * @throws SfcError PATH_ID_RECORD where it is not what `formatRecord` writes
 */
export function parseRecord(data: Readonly<Record<string, string>>): IdRecord {
  if (data.version !== VERSION) throw unreadable(`version ${JSON.stringify(data.version)}; this program reads ${VERSION}`);
  return {
    next: toId(data.next ?? '', 'next', LAST_ID + 1),
    assigned: parseAssigned(data.assigned),
    resting: linesOf(data.resting)
      .map(parseRest)
      .sort((a, b) => a.since - b.since),
  };
}
