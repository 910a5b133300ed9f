/** Many stories on both datapaths, until one differs; that one in its smallest form. */

import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { type Aspect, compare, type Difference, type Rivals } from './compare.js';
import { story } from './draw.js';
import { isStep, type Step, WALKTHROUGH } from './steps.js';

export interface Finding {
  readonly seed: number;
  readonly story: readonly Step[];
  readonly difference: Difference;
}

export interface Conformance {
  readonly packets: number;
  /** Reasons that were counted. */
  readonly reasons: ReadonlySet<string>;
  /** Undefined when the datapaths did the same. */
  readonly finding: Finding | undefined;
}

export interface ConformOptions {
  readonly stories: number;
  /** The same seed, the same stories, whatever was run before. */
  readonly seed: number;
  readonly onPackets?: (sum: number) => void;
  /** Ends the run with what it has. */
  readonly signal?: AbortSignal;
}

/** After so many stories signals and timers have their turn. */
const BREATH = 20;

export async function conform(rivals: Rivals, { stories, seed, onPackets, signal }: ConformOptions): Promise<Conformance> {
  const reasons = new Set<string>();
  let packets = 0;
  let told = 0;
  /** Of the first difference: shrinking stays with it. */
  let aspect: Aspect | undefined;
  const outcome = await fc.check(
    fc.asyncProperty(story, async (steps) => {
      if (++told % BREATH === 0) await setImmediate();
      if (signal?.aborted) return true;
      const { difference, counted, ...run } = compare(rivals, steps);
      if (aspect === undefined) packets += run.packets; // shrinking is no progress
      onPackets?.(packets);
      for (const reason of Object.keys(counted)) reasons.add(reason);
      if (difference === undefined) return true;
      aspect ??= difference.what;
      return difference.what !== aspect;
    }),
    { numRuns: stories, seed },
  );
  const differing = outcome.counterexample?.[0];
  return { packets, reasons, finding: differing === undefined ? undefined : smallest(rivals, seed, differing) };
}

/** Without what the difference does not need: steps, those behind `walkthrough` one by one, and parts of steps. */
function smallest(rivals: Rivals, seed: number, differing: readonly Step[]): Finding | undefined {
  let story: readonly Step[] = differing.flatMap((step): readonly Step[] => (step.do === 'walkthrough' ? WALKTHROUGH : [step]));
  let { difference } = compare(rivals, story);
  const differsToo = (candidate: readonly Step[]): boolean => {
    const told = compare(rivals, candidate).difference;
    if (told === undefined || told.what !== difference?.what) return false;
    story = candidate;
    difference = told;
    return true;
  };
  while (simpler(story).some(differsToo));
  return difference === undefined ? undefined : { seed, story, difference };
}

/** The story with one thing less. */
function simpler(story: readonly Step[]): readonly (readonly Step[])[] {
  const shorter = story.map((_, at) => story.toSpliced(at, 1)).reverse();
  const plainer = story.flatMap((step, at) => withOneLess(step).flatMap((less) => (isStep(less) ? [story.with(at, less)] : [])));
  return [...shorter, ...plainer];
}

function withOneLess(value: unknown): readonly unknown[] {
  if (Array.isArray(value))
    return value.flatMap((each, at) => [value.toSpliced(at, 1), ...withOneLess(each).map((less) => value.with(at, less))]);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    const { [key]: _, ...rest } = value as Record<string, unknown>;
    return [rest, ...withOneLess(each).map((less) => ({ ...value, [key]: less }))];
  });
}

/** A finding for people. */
export function findingText({ seed, story, difference }: Finding): string {
  return [
    `the datapaths differ in ${difference.what} (seed ${seed}):`,
    ...story.map((step, at) => `  ${at}. ${JSON.stringify(step)}`),
    difference.at < story.length ? `at step ${difference.at}:` : 'at the end:',
    `  kernel     ${JSON.stringify(difference.kernel)}`,
    `  userspace  ${JSON.stringify(difference.userspace)}`,
  ].join('\n');
}
