/**
 * Maglev consistent hashing (Eisenbud et al., NSDI 2016, 3.4): every backend has an order of its own in
 * which it would like the slots of a table, and they take turns, so that shares are even and a backend
 * that goes takes few slots of the others with it. Pure and deterministic: every node lays the same
 * table for the same backends.
 *
 * Two things are not as in the paper, and both were measured (docs/decisions/010-maglev-tables.md):
 *
 * - The size does not follow the number of backends. A table of another size places every flow anew.
 * - A backend whose next slot is taken has lost that turn. The paper lets it run on to its next free
 *   one; then the last slots of a table depend on everybody, and more of them move when one goes.
 *   Quotas, not turns, make the shares even, and give weights their meaning.
 */

/** Slots of every table, a prime. Up to 100 backends at most 1 % of the slots move needlessly when one goes. */
export const MAGLEV_SLOTS = 16_381;

export interface MaglevBackend {
  readonly key: string;
  /** A positive integer: shares are in proportion to it. */
  readonly weight: number;
}

/** FNV-1a with a seed and a final avalanche (murmur3's), 32 bits. */
function hash(text: string, seed: number): number {
  let value = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

const OFFSET_SEED = 0;
const SKIP_SEED = 0x9e3779b9;
const REMAINDER_SEED = 0x85ebca6b;

interface Turn {
  /** In the caller's list. */
  readonly index: number;
  readonly skip: number;
  position: number;
  /** Slots that it still gets. */
  quota: number;
}

/** Slots by weight, to a whole number: what is left over goes to the largest fractions, and among equals by the key's hash. */
function quotas(backends: readonly MaglevBackend[], slots: number): number[] {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  const found = backends.map(({ weight }) => Math.floor((weight * slots) / total));
  const rest = backends
    .map(({ key, weight }, at) => ({ at, key, fraction: (weight * slots) % total, order: hash(key, REMAINDER_SEED) }))
    .sort((a, b) => b.fraction - a.fraction || a.order - b.order || (a.key < b.key ? -1 : 1));
  const left = slots - found.reduce((sum, quota) => sum + quota, 0);
  for (const { at } of rest.slice(0, left)) found[at] = (found[at] as number) + 1;
  return found;
}

/**
 * Index of the backend of every slot. `slots` must be prime, so that each backend's order visits
 * every slot. Keys must differ. Empty for no backends.
 */
export function maglevTable(backends: readonly MaglevBackend[], slots: number = MAGLEV_SLOTS): Int32Array {
  if (backends.length === 0) return new Int32Array(0);
  const table = new Int32Array(slots).fill(-1);
  const quota = quotas(backends, slots);
  // In the order of the keys, so that the caller's order does not matter.
  const turns = backends
    .map(({ key }, index) => ({ index, key }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ index, key }): Turn => {
      const skip = (hash(key, SKIP_SEED) % (slots - 1)) + 1;
      return { index, skip, position: hash(key, OFFSET_SEED) % slots, quota: quota[index] as number };
    });
  // After `slots` rounds everybody has been everywhere, so nothing is free any more.
  for (let free = slots; free > 0; ) {
    for (const turn of turns) {
      const slot = turn.position;
      turn.position = (slot + turn.skip) % slots;
      if (turn.quota === 0 || table[slot] !== -1) continue;
      table[slot] = turn.index;
      turn.quota -= 1;
      free -= 1;
    }
  }
  return table;
}
