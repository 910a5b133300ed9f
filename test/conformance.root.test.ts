/**
 * Both datapaths, one behaviour: stories drawn at random happen on the kernel program and on the
 * pipeline, and every verdict, byte, counter and flow entry is the same. So do the stories that are
 * kept in `conformance/stories`. A difference is told with its seed, shrunk to what it takes;
 * `make conformance SEED=…` finds it again and keeps it as a file there.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KernelStage } from '../datapath/kernel/cast.js';
import { UserspaceStage } from '../datapath/userspace/cast.js';
import { compare, type Rivals } from './conformance/compare.js';
import { conform, findingText } from './conformance/conform.js';
import { readStories } from './conformance/story-files.js';

let rivals: Rivals;

beforeAll(() => {
  rivals = { kernel: new KernelStage(), userspace: new UserspaceStage() };
});

afterAll(() => {
  rivals?.kernel.close();
  rivals?.userspace.close();
});

/** The same stories at every run; `make conformance` draws new ones. */
const SEED = 20_261_127;

describe('the kernel program and the pipeline', () => {
  it('do the same to every packet', async () => {
    const { finding, packets, reasons } = await conform(rivals, { stories: 800, seed: SEED });
    expect(finding === undefined ? '' : findingText(finding)).toBe('');
    // Stories that reach nothing compare nothing.
    expect(packets).toBeGreaterThan(10_000);
    expect([...reasons].sort()).toEqual(REACHED);
  });

  it.each(readStories().map((record) => [record.name, record] as const))('do the same when %s', (_, { story, counted }) => {
    const told = compare(rivals, story);
    expect(told.difference).toBeUndefined();
    if (counted !== undefined) expect(told.counted).toEqual(counted);
  });
});

describe('a seed', () => {
  it('tells the same stories again, whatever was told before', async () => {
    const run = () => conform(rivals, { stories: 20, seed: SEED + 1 });
    const first = await run();
    compare(
      rivals,
      readStories().flatMap(({ story }) => story),
    );
    expect(await run()).toEqual(first);
  });
});

it('a run that is interrupted ends with what it has', async () => {
  const interrupt = new AbortController();
  const onPackets = (sum: number): void => {
    if (sum > 500) interrupt.abort();
  };
  const { packets, finding } = await conform(rivals, { stories: 1000, seed: SEED, onPackets, signal: interrupt.signal });
  expect(finding).toBeUndefined();
  expect(packets).toBeGreaterThan(500);
  expect(packets).toBeLessThan(1000);
});

/** Every reason that a packet of less than a page can have, where the kernel has room for it and a device to send it to. */
const REACHED = [
  'bypassed',
  'control',
  'decapsulated',
  'ecn',
  'flow-limit',
  'fragment',
  'geneve-critical-option',
  'geneve-malformed',
  'geneve-no-nsh',
  'geneve-version',
  'inner-malformed',
  'instance-lost',
  'left-cluster',
  'malformed',
  'next-protocol',
  'no-address',
  'no-backend',
  'no-way-back',
  'not-a-peer',
  'nsh-malformed',
  'nsh-ttl',
  'nsh-version',
  'outer-checksum',
  'outer-malformed',
  'probe-answered',
  'rejected',
  'reply-entered',
  'reply-left',
  'reply-relayed',
  'spoofed-encap',
  'spoofed-source',
  'steered-destination',
  'steered-ingress',
  'steered-next',
  'steered-reply',
  'steered-source',
  'too-big',
  'tunnel-error',
  'unknown-path',
];
