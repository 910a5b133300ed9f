/**
 * Maglev consistent hashing (Eisenbud et al., NSDI 2016, 3.4): every backend fills the slots of a
 * table in its own order, in turns, so that shares are even and a backend that goes takes few slots
 * of the others with it. Pure and deterministic: every node lays the same table.
 */

/** Primes by size. A table has 1,000 slots a backend where that fits: the fewer, the more slots move needlessly when a backend goes. */
const PRIMES = [1009, 2003, 5003, 10007, 20011, 50021, 100003];
const SLOTS_A_BACKEND = 1000;

/** Slots for a number of backends; 0 for none. Past 100 backends the largest table serves, a little less stable. */
export function maglevSlots(backends: number): number {
  if (backends === 0) return 0;
  return PRIMES.find((prime) => prime >= backends * SLOTS_A_BACKEND) ?? (PRIMES.at(-1) as number);
}

/** FNV-1a with a seed and a final avalanche (murmur3's), 32 bits. */
function hash(text: string, seed: number): number {
  let value = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/**
 * Index of the backend of every slot. `slots` must be prime, so that each backend's order visits
 * every slot. Keys must differ. Empty for no backends.
 */
export function maglevTable(backends: readonly { readonly key: string }[], slots: number): Int32Array {
  const table = new Int32Array(backends.length === 0 ? 0 : slots).fill(-1);
  // In the order of the keys, so that the caller's order does not matter.
  const turns = backends.map((backend, index) => ({ index, key: backend.key })).sort((a, b) => (a.key < b.key ? -1 : 1));
  const position = turns.map(({ key }) => hash(key, 0) % slots);
  const skip = turns.map(({ key }) => (hash(key, 0x9e3779b9) % (slots - 1)) + 1);
  for (let filled = 0; filled < table.length; ) {
    for (let turn = 0; turn < turns.length && filled < table.length; turn++) {
      let slot = position[turn] as number;
      while (table[slot] !== -1) slot = (slot + (skip[turn] as number)) % slots;
      table[slot] = (turns[turn] as { index: number }).index;
      position[turn] = (slot + (skip[turn] as number)) % slots;
      filled++;
    }
  }
  return table;
}
