/**
 * Both datapaths, one behaviour: stories drawn at random happen on the kernel program and on the
 * pipeline, and every verdict, byte, counter and flow entry is the same. The seed of a difference is
 * printed, with the story shrunk to what it takes; `make conformance SEED=…` replays it.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { KernelStage } from '../datapath/kernel/cast.js';
import { UserspaceStage } from '../datapath/userspace/cast.js';
import type { Rivals } from './conformance/compare.js';
import { conform } from './conformance/conform.js';

let rivals: Rivals;

beforeAll(() => {
  rivals = { kernel: new KernelStage(), userspace: new UserspaceStage() };
});

afterAll(() => {
  rivals?.kernel.close();
  rivals?.userspace.close();
});

/** The same stories at every run; `make conformance` draws new ones. */
const SEED = 20_261_124;

it('the kernel program and the pipeline do the same to every packet', () => {
  const found = conform(rivals, { stories: 1000, seed: SEED });
  expect(found.failure).toBe('');
  // Stories that reach nothing compare nothing.
  expect(found.packets).toBeGreaterThan(10_000);
  for (const reason of ['steered-source', 'steered-next', 'steered-reply', 'steered-destination', 'left-cluster', 'decapsulated'])
    expect(found.reasons).toContain(reason);
  expect(found.reasons.size).toBeGreaterThan(20);
});
