/**
 * Tables and traffic for the matcher, the same in every run.
 *
 * The lengths are shared out about as in the Internet's routing tables, where whoever writes the
 * ranges of a provider, a country or a list of threats into a policy takes them from: of IPv4 three
 * in five are /24, of IPv6 half are /48. Half of the prefixes lie near another one, as the parts of
 * one network do, so some nest and dense and empty regions alternate.
 */

import { formatAddress } from '../geneve/index.js';
import { FAMILY, type Family } from '../maps/index.js';

/** Prefix lengths with their shares, in percent. */
const LENGTHS: Readonly<Record<Family, readonly (readonly [length: number, share: number])[]>> = {
  [FAMILY.ipv4]: [
    [24, 60],
    [22, 12],
    [23, 10],
    [21, 5],
    [20, 4],
    [19, 3],
    [18, 2],
    [16, 2],
    [32, 2],
  ],
  [FAMILY.ipv6]: [
    [48, 48],
    [32, 12],
    [44, 11],
    [40, 10],
    [36, 6],
    [46, 4],
    [64, 4],
    [29, 3],
    [128, 2],
  ],
};
/** Leading bits that neighbours share. */
const NEIGHBOURS: Readonly<Record<Family, number>> = { [FAMILY.ipv4]: 14, [FAMILY.ipv6]: 28 };
/** One look-up in so many is for an address anywhere. */
const STRAY = 8;

/** Addresses, four big-endian words each, and their texts. */
export interface Addresses {
  readonly count: number;
  readonly words: readonly [Int32Array, Int32Array, Int32Array, Int32Array];
  readonly texts: readonly string[];
}

/** Prefixes in canonical form, each once. */
export interface PrefixTable extends Addresses {
  readonly family: Family;
  readonly lengths: Uint8Array;
}

export type Traffic = 'uniform' | 'skewed';

/** Numbers 0 to 2^32 - 1: a congruential generator (Numerical Recipes), its bits mixed. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  word(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) | 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 15), 0x2c1b3c6d);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  below(end: number): number {
    return Math.floor((this.word() / 2 ** 32) * end);
  }
}

type Words = [number, number, number, number];

/** The first `bits` bits of `from`, the others of `rest`. */
function spliced(from: Words, rest: Words, bits: number): Words {
  return from.map((word, index) => {
    const own = Math.min(32, Math.max(0, bits - 32 * index));
    const mask = own === 0 ? 0 : -1 << (32 - own);
    return (word & mask) | ((rest[index] as number) & ~mask);
  }) as Words;
}

function anywhere(family: Family, dice: Dice): Words {
  if (family === FAMILY.ipv4) return [dice.word() | 0, 0, 0, 0];
  return [0x20000000 | (dice.word() >>> 4), dice.word() | 0, dice.word() | 0, dice.word() | 0];
}

function drawLength(family: Family, dice: Dice): number {
  let left = dice.below(100);
  for (const [length, share] of LENGTHS[family]) {
    left -= share;
    if (left < 0) return length;
  }
  throw new RangeError('the shares of the lengths are not 100 %');
}

function emptyAddresses(count: number): Addresses & { texts: string[] } {
  const column = () => new Int32Array(count);
  return { count, words: [column(), column(), column(), column()], texts: [] };
}

function wordsAt({ words }: Addresses, index: number): Words {
  return words.map((column) => column[index]) as Words;
}

function textOf(family: Family, words: Words): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  words.forEach((word, index) => {
    view.setInt32(4 * index, word);
  });
  return formatAddress(family === FAMILY.ipv4 ? bytes.subarray(0, 4) : bytes, family);
}

function put(addresses: Addresses & { texts: string[] }, family: Family, index: number, words: Words): void {
  words.forEach((word, column) => {
    (addresses.words[column] as Int32Array)[index] = word;
  });
  addresses.texts[index] = textOf(family, words);
}

export function drawTable(family: Family, count: number): PrefixTable {
  const dice = new Dice(count + family);
  const table = { ...emptyAddresses(count), family, lengths: new Uint8Array(count) };
  const seen = new Set<string>();
  while (seen.size < count) {
    const index = seen.size;
    const near = index > 0 && dice.below(2) === 0 ? NEIGHBOURS[family] : 0;
    const address = spliced(wordsAt(table, near === 0 ? 0 : dice.below(index)), anywhere(family, dice), near);
    const length = drawLength(family, dice);
    const words = spliced(address, [0, 0, 0, 0], length);
    const name = `${words.join()}/${length}`;
    if (seen.has(name)) continue;
    seen.add(name);
    put(table, family, index, words);
    table.lengths[index] = length;
  }
  return table;
}

/**
 * Addresses within the table's prefixes, and now and then one anywhere. Uniform: every prefix as often
 * as another. Skewed: the prefix of rank r in proportion to 1/r (Zipf), as traffic meets destinations.
 */
export function drawTraffic(table: PrefixTable, traffic: Traffic, count: number): Addresses {
  const { family } = table;
  const dice = new Dice(table.count);
  const drawn = emptyAddresses(count);
  for (let index = 0; index < count; index += 1) {
    const rank = traffic === 'uniform' ? dice.below(table.count) : Math.floor(table.count ** (dice.word() / 2 ** 32)) - 1;
    const length = dice.below(STRAY) === 0 ? 0 : (table.lengths[rank] as number);
    put(drawn, family, index, spliced(wordsAt(table, rank), anywhere(family, dice), length));
  }
  return drawn;
}
