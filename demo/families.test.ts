import { describe, expect, it } from 'vitest';
import type { Frame } from '../capture/index.js';
import { type Judged, judgeEach } from './families.js';
import type { Point } from './proof.js';
import type { Family, RequestResult } from './testbed/index.js';

const frame = (family: Family): Frame => ({
  sourceMac: '',
  destinationMac: '',
  family,
  source: '',
  destination: '',
  protocol: 'udp',
  sourcePort: 1,
  destinationPort: 2,
  payload: new Uint8Array(0),
});
const point: Point = {
  name: 'server',
  role: 'server',
  mac: '',
  addresses: [],
  packets: ([4, 6, 6] as const).map((family, timestamp) => ({ timestamp, frame: frame(family) })),
};
const result = (server: string): RequestResult => ({
  transport: 'udp',
  id: server,
  server,
  source: '',
  sourcePort: 0,
  answered: true,
  seenAs: '',
  error: '',
});

/** Counts what it is shown. */
const count = (
  points: readonly Point[],
  results: readonly RequestResult[],
  family: Family,
): Judged<string, { seen: number; sent: number }> => ({
  journeys: results.map(({ id }) => id),
  totals: { tcp: { seen: 0, sent: 0 }, udp: { seen: points[0]?.packets.length ?? 0, sent: results.length } },
  seenAtServer: [`IPv${family}`],
  faults: [`fault of IPv${family}`],
});

describe('a run in several families', () => {
  it('is judged by the packets and requests of each, and summed', () => {
    const verdict = judgeEach([4, 6], [point], [result('2001:db8::1'), result('192.0.2.1'), result('192.0.2.2')], count);
    expect(verdict.journeys).toEqual(['192.0.2.1', '192.0.2.2', '2001:db8::1']);
    expect(verdict.byFamily).toEqual([
      { family: 4, totals: { tcp: { seen: 0, sent: 0 }, udp: { seen: 1, sent: 2 } } },
      { family: 6, totals: { tcp: { seen: 0, sent: 0 }, udp: { seen: 2, sent: 1 } } },
    ]);
    expect(verdict.totals.udp).toEqual({ seen: 3, sent: 3 });
    expect(verdict.seenAtServer).toEqual(['IPv4', 'IPv6']);
    expect(verdict.faults).toEqual(['fault of IPv4', 'fault of IPv6']);
  });
});
