/** All packet records, for a datapath to be held to; and that they reach every verdict, or a test of its own does. */

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { DIRECTION, REASONS, type ReasonName } from '../maps/index.js';
import { affinityRecords } from './affinity.records.js';
import type { Stage } from './cast.js';
import { chainRecords } from './chains.records.js';
import { familyRecords } from './families.records.js';
import { fragmentRecords } from './fragments.records.js';
import { icmpRecords } from './icmp.records.js';
import { ingressRecords } from './ingress.records.js';
import { outageRecords } from './outages.records.js';
import { probeRecords } from './probes.records.js';
import { replyRecords } from './reply.records.js';
import { resetRecords } from './reset.records.js';
import { selectionRecords } from './selection.records.js';
import { steeringRecords } from './steering.records.js';
import { tcpRecords } from './tcp.records.js';
import { trustRecords } from './trust.records.js';
import { visitRecords } from './visits.records.js';

const RECORDS: Readonly<Record<string, (open: () => Stage) => void>> = {
  steering: steeringRecords,
  tcp: tcpRecords,
  replies: replyRecords,
  affinity: affinityRecords,
  selection: selectionRecords,
  ingress: ingressRecords,
  reset: resetRecords,
  visits: visitRecords,
  chains: chainRecords,
  outages: outageRecords,
  families: familyRecords,
  fragments: fragmentRecords,
  icmp: icmpRecords,
  trust: trustRecords,
  probes: probeRecords,
};

/** Verdicts that no packet on a stage meets, why, and the test that meets them (test/meets.ts). */
const UNREACHED: Readonly<Partial<Record<ReasonName, { readonly why: string; readonly metIn: string }>>> = {
  'encap-failed': {
    why: 'it takes a packet of which the kernel knows that it is many, and not of which kind',
    metIn: 'datapath/kernel/refusals.root.test.ts',
  },
  'spoofed-hop': { why: 'it takes another interface by which the packet came', metIn: 'datapath/kernel/refusals.root.test.ts' },
  overrun: { why: 'it takes a queue that is full', metIn: 'test/userspace.root.test.ts' },
  'io-failed': { why: 'it takes a device that refuses a packet', metIn: 'test/userspace.root.test.ts' },
};

/** Tests that are there and do not run. */
const LEFT_OUT = /\.(skip|todo|only|skipIf|runIf|fails)\b/;

/** Declares every record's tests for the datapath that `open` puts on stage. */
export function everyRecord(open: () => Stage): void {
  /** Slots of `metrics` that anything was counted in. */
  const counted = new Set<number>();

  for (const [name, records] of Object.entries(RECORDS)) {
    describe(name, () => {
      let stage: Stage | undefined;
      records(() => {
        stage = open();
        return stage;
      });
      // Before the records close it: what is declared last is done first.
      afterAll(() => {
        for (const slot of stage?.totals().keys() ?? []) counted.add(slot);
      });
    });
  }

  describe('of all verdicts', () => {
    const slotsOf = (number: number) => Object.values(DIRECTION).map((direction) => number * 2 + direction);

    it.each(REASONS.filter(({ name }) => UNREACHED[name] === undefined))('$name is met by some packet of the records', ({ number }) => {
      expect(slotsOf(number).some((slot) => counted.has(slot))).toBe(true);
    });

    it.each(Object.entries(UNREACHED).map(([name, { why, metIn }]) => ({ name, why, metIn })))(
      '$name is not: $why; but in $metIn',
      ({ name, metIn }) => {
        const reason = REASONS.find((one) => one.name === name);
        expect(slotsOf(reason?.number ?? 0).some((slot) => counted.has(slot))).toBe(false);
        const test = readFileSync(metIn, 'utf8');
        expect(test).toMatch(new RegExp(`\\bmeets\\(\\s*'${name}'`));
        expect(test).not.toMatch(LEFT_OUT);
      },
    );

    it('each is counted by the programs that are said to count it', () => {
      const others = REASONS.flatMap(({ number, name, countedBy }) =>
        (countedBy === 'from-pod' && counted.has(number * 2 + DIRECTION.toPod)) ||
        (countedBy === 'to-pod' && counted.has(number * 2 + DIRECTION.fromPod))
          ? [name]
          : [],
      );
      expect(others).toEqual([]);
    });
  });
}
