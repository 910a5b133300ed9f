/**
 * The comparison can fail: one line is broken, first in the kernel program and then in the pipeline,
 * and the other one, which is whole, gives it away. What is found is told by what differs, in a story
 * that has nothing left to take away.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KernelStage } from '../../datapath/kernel/cast.js';
import { UserspaceStage } from '../../datapath/userspace/cast.js';
import type { Rivals } from './compare.js';
import { conform, findingText } from './conform.js';
import { broken, brokenKernel, brokenUserspace, MUTANTS, type Mutant } from './mutants.js';

/** Enough for every mutant, and as many for one that nobody finds. */
const STORIES = 2000;
const SEED = 25;
/** The longest that is needed: a path, a selector or two, a pod, and a packet that travels. */
const STEPS = 10;

let whole: Rivals;
let mutant: KernelStage | UserspaceStage | undefined;

beforeAll(() => {
  whole = { kernel: new KernelStage(), userspace: new UserspaceStage() };
});

afterEach(() => {
  mutant?.close();
  mutant = undefined;
});

afterAll(() => {
  whole?.kernel.close();
  whole?.userspace.close();
});

async function expectFound(rivals: Rivals, { differs, steps = STEPS }: Mutant): Promise<void> {
  const { finding } = await conform(rivals, { stories: STORIES, seed: SEED });
  if (finding === undefined) throw new Error(`${STORIES} stories, and no difference`);
  const text = findingText(finding);
  expect(differs, text).toContain(finding.difference.what);
  expect(text).toContain(`the datapaths differ in ${finding.difference.what} (seed ${SEED}):`);
  expect(finding.story.length, text).toBeLessThanOrEqual(steps);
}

describe.each(MUTANTS.map((each) => [each.name, each] as const))('where %s', (_, each) => {
  it('the kernel program is found out', async () => {
    const kernel = brokenKernel(each.kernel);
    mutant = kernel;
    await expectFound({ ...whole, kernel }, each);
  });

  it('the pipeline is found out', async () => {
    const userspace = await brokenUserspace(each.userspace);
    mutant = userspace;
    await expectFound({ ...whole, userspace }, each);
  });
});

it('a line to be broken that is not there, or there twice, is a mistake of the table', () => {
  const place = { file: 'decap.h', is: 'ttl', becomes: '' };
  expect(() => broken('hop', place)).toThrow('decap.h has "ttl" nowhere: mend the table');
  expect(() => broken('ttl ttl', place)).toThrow('decap.h has "ttl" more than once');
});
