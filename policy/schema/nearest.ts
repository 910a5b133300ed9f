/** The word that was probably meant. */

/** Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] && i > 1 && j > 1) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Nobody mistypes a word longer than this into one of ours. */
const LONGEST = 64;

/**
 * The nearest of the names: one edit in a short word, up to three in a long one, case counting for
 * nothing; failing that, the one name that the word begins (`port` for `portNumber`). Undefined when
 * none is near.
 */
export function nearestName(wrong: string, names: readonly string[]): string | undefined {
  if (wrong.length > LONGEST) return undefined;
  const word = wrong.toLowerCase();
  let best: string | undefined;
  let least = (word.length <= 4 ? 1 : Math.min(3, Math.ceil(word.length / 3))) + 1;
  for (const name of names) {
    const apart = distance(word, name.toLowerCase());
    if (apart < least) {
      least = apart;
      best = name;
    }
  }
  if (best !== undefined || word.length < 4) return best;
  const begun = names.filter((name) => name.toLowerCase().startsWith(word));
  return begun.length === 1 ? begun[0] : undefined;
}
