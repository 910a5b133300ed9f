/** The guard in this network namespace: the tables are the state, and outlive whoever made them. */

import { SfcError } from '../../errors/index.js';
import { interfaceNumber } from '../libc.js';
import { nft } from '../nftables.js';
import { changeText, GUARD_FAMILIES, GUARD_TABLE, type GuardChange, HOLDING, installText, LAYOUT_CHAIN, removeText } from './ruleset.js';

export interface GuardState {
  /** Interfaces whose packets pass. */
  readonly settled: ReadonlySet<number>;
  /** Interfaces that have had their programs once. */
  readonly begun: ReadonlySet<number>;
  /** Packets, by interface, that came from it before it was settled, held and finding neighbours. */
  readonly met: ReadonlyMap<number, number>;
  /** Packets held since the tables were made. */
  readonly held: { readonly fromPod: number; readonly toPod: number };
  /** Of all these, interfaces that there are no more. */
  readonly gone: ReadonlySet<number>;
  /** Made by this version. */
  readonly current: boolean;
}

interface Item {
  readonly chain?: { readonly name: string };
  readonly counter?: { readonly name: string; readonly packets: number };
  readonly set?: { readonly name: string; readonly elem?: readonly unknown[] };
}

interface Element {
  readonly ifindex: number;
  readonly gone: boolean;
  readonly packets: number;
}

/**
 * An element with a counter is an object, one without a word: the interface's name, or its number where it is gone.
 * Undefined: it went while it was listed, and is known by nothing; the next listing has its number.
 */
function elementOf(listed: unknown): Element | undefined {
  const { val, counter } =
    typeof listed === 'object' && listed !== null
      ? (listed as { elem: { val: unknown; counter?: { packets: number } } }).elem
      : { val: listed };
  const text = String(val);
  const present = interfaceNumber(text);
  const ifindex = present === 0 && /^\d+$/.test(text) ? Number(text) : present;
  return ifindex === 0 ? undefined : { ifindex, gone: present === 0, packets: counter?.packets ?? 0 };
}

const refused = (words: string) => new SfcError('GUARD_UNAVAILABLE', `nftables: ${words}`);
/** ENOENT, as nft says it: a table is not there. */
const isMissing = (words: string) => words.includes('No such file or directory');

/** Undefined when the tables are not there. Throws `GUARD_UNAVAILABLE`. */
export function readGuard(): GuardState | undefined {
  // One at a time: libnftables 1.0.6 looks for the tables of several commands in the last one's family only.
  const answers = GUARD_FAMILIES.map((family) => nft(`list table ${family} ${GUARD_TABLE}`));
  const words = answers.find((answer) => answer.words !== '' && !isMissing(answer.words))?.words;
  if (words !== undefined) throw refused(words);
  if (answers.every((answer) => answer.words !== '')) return undefined;
  const documents = answers.flatMap((answer) => answer.documents);
  const settled: ReadonlySet<number>[] = [];
  const begun = new Set<number>();
  const met = new Map<number, number>();
  const gone = new Set<number>();
  const held = { fromPod: 0, toPod: 0 };
  let layouts = 0;
  for (const { chain, counter, set } of documents.flatMap((one) => (one as { nftables: readonly Item[] }).nftables)) {
    const elements = (set?.elem ?? []).map(elementOf).filter((element) => element !== undefined);
    for (const element of elements) if (element.gone) gone.add(element.ifindex);
    if (chain?.name === LAYOUT_CHAIN) layouts++;
    else if (counter?.name === 'from_pod') held.fromPod += counter.packets;
    else if (counter?.name === 'to_pod') held.toPod += counter.packets;
    else if (set?.name === 'settled') settled.push(new Set(elements.map(({ ifindex }) => ifindex)));
    else if (set?.name === 'begun') for (const { ifindex } of elements) begun.add(ifindex);
    else if (set?.name === 'met') for (const { ifindex, packets } of elements) met.set(ifindex, (met.get(ifindex) ?? 0) + packets);
  }
  // Somebody who changed one table by hand has not settled an interface.
  const [one = new Set<number>(), ...others] = settled;
  const both = [...one].filter((ifindex) => others.every((other) => other.has(ifindex)));
  const current = layouts === GUARD_FAMILIES.length && settled.length === HOLDING.length;
  return { settled: new Set(both), begun, met, held, gone, current };
}

/** Makes the tables, in place of what is there. Throws `GUARD_UNAVAILABLE`. */
export function installGuard(settled: Iterable<number>, begun: Iterable<number>): void {
  const { words } = nft(installText([...settled], [...begun]));
  if (words !== '') throw refused(words);
}

/** One transaction; nothing is done when nothing is asked. Throws `GUARD_UNAVAILABLE`. */
export function changeGuard(change: GuardChange): void {
  const text = changeText(change);
  if (text === '') return;
  const { words } = nft(text);
  if (words !== '') throw refused(words);
}

/** Every packet passes from now on. Throws `GUARD_UNAVAILABLE`. */
export function removeGuard(): void {
  const { words } = nft(removeText());
  if (words !== '') throw refused(words);
}
