/** Many stories on both datapaths, until one differs. */

import fc from 'fast-check';
import { compare, type Rivals } from './compare.js';
import { type Step, story } from './steps.js';

export interface Conformance {
  readonly packets: number;
  readonly reasons: ReadonlySet<string>;
  /** What differs, on which story and how to see it again; empty when nothing does. */
  readonly failure: string;
}

export interface ConformOptions {
  readonly stories: number;
  readonly seed: number;
  readonly onPackets?: (sum: number) => void;
}

export function conform(rivals: Rivals, { stories, seed, onPackets }: ConformOptions): Conformance {
  let packets = 0;
  const reasons = new Set<string>();
  const outcome = fc.check(
    fc.property(story, (steps) => {
      const told = compare(rivals, steps);
      packets += told.packets;
      onPackets?.(packets);
      for (const reason of told.reasons) reasons.add(reason);
      return told.difference === undefined;
    }),
    { numRuns: stories, seed },
  );
  const smallest = outcome.counterexample?.[0] as readonly Step[] | undefined;
  if (smallest === undefined) return { packets, reasons, failure: '' };
  const { difference } = compare(rivals, smallest);
  const lines = smallest.map((step, at) => `  ${at}. ${JSON.stringify(step)}`);
  const failure = [
    `the datapaths differ (seed ${seed}):`,
    ...lines,
    `at step ${difference?.at}, ${difference?.what}:`,
    `  kernel     ${JSON.stringify(difference?.kernel)}`,
    `  userspace  ${JSON.stringify(difference?.userspace)}`,
  ].join('\n');
  return { packets, reasons, failure };
}
