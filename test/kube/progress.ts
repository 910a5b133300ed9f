/** Telling what goes on, and how long each part took. */

/** Takes one line without its end. */
export type Say = (line: string) => void;

export const silent: Say = () => {};

/** Seconds with one digit, as the reports write it. */
export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

/** Does one part of the work; says its name and time when it is done. */
export async function phase<T>(say: Say, title: string, work: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  const result = await work();
  say(`${title}: ${seconds(performance.now() - begin)}`);
  return result;
}

/** Asks again every `everyMs` until the answer is not undefined. Throws what `late` makes when `withinMs` have passed. */
export async function until<T>(
  ask: () => Promise<T | undefined>,
  late: () => Error,
  { withinMs = 60_000, everyMs = 50 }: { readonly withinMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw late();
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
