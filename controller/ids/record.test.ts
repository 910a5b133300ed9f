import { describe, expect, it } from 'vitest';
import { EMPTY_RECORD, formatRecord, type IdRecord, parseRecord } from './record.js';

const RECORD: IdRecord = {
  next: 12,
  assigned: new Map([
    [5, { uid: '0b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a', name: 'firewall' }],
    [11, { uid: '1b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a', name: 'proxy.example' }],
  ]),
  resting: [
    {
      since: Date.parse('2026-01-31T09:00:00Z'),
      ranges: [
        [1, 3],
        [7, 7],
      ],
    },
  ],
};

describe('the record as text', () => {
  it('reads well', () => {
    expect(formatRecord(RECORD)).toEqual({
      version: '1',
      next: '12',
      assigned: '5 0b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a firewall\n11 1b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a proxy.example\n',
      resting: '2026-01-31T09:00:00Z 1-3,7\n',
    });
  });

  it('is read back', () => {
    expect(parseRecord(formatRecord(RECORD))).toEqual(RECORD);
    expect(parseRecord(formatRecord(EMPTY_RECORD))).toEqual(EMPTY_RECORD);
  });

  it.each([
    ['version', '2', 'version "2"; this program reads 1'],
    ['next', '0', 'next: "0" is no number of 1 to 1048576'],
    ['next', '', 'next: "" is no number'],
    ['assigned', '1048576 u n\n', 'assigned: "1048576" is no number'],
    ['assigned', '5 u\n', 'assigned: "5 u" is not "ID UID NAME"'],
    ['assigned', '5 u n\n5 v m\n', 'assigned: 5 stands there twice'],
    ['assigned', '5 u n\n6 u n\n', 'assigned: chain n (u) has two ids'],
    ['resting', 'yesterday 1\n', 'resting: "yesterday 1" is not "TIME RANGES"'],
    ['resting', '2026-01-31T09:00:00Z 3-1\n', 'resting: "3-1" is no range'],
    ['resting', '2026-01-31T09:00:00Z 1-2-3\n', 'resting: "1-2-3" is no range'],
    ['resting', '2026-01-31T09:00:00Z\n', 'resting: "" is no number'],
  ])('is refused with %s %j', (field, text, message) => {
    expect(() => parseRecord({ ...formatRecord(RECORD), [field]: text })).toThrow(message);
  });
});
