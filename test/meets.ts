/**
 * Verdicts that packets on a stage (`datapath/every.records.ts`) do not meet, met in tests of their own. The records look for
 * calls of `meets` in the files that they name, and `meets` fails where nothing was counted: no reason is without a test.
 */

import { expect } from 'vitest';
import type { ReasonName } from '../maps/index.js';

/** Does something, and waits until packets were counted under `reason`: as many as `atLeast`, by what `counted` reads. */
export async function meets(
  reason: ReasonName,
  counted: (reason: ReasonName) => number | Promise<number>,
  does: () => unknown,
  atLeast = 1,
): Promise<void> {
  const before = await counted(reason);
  await does();
  await expect.poll(async () => (await counted(reason)) - before, { timeout: 20_000 }).toBeGreaterThanOrEqual(atLeast);
}
