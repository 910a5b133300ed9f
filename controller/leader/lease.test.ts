import { describe, expect, it } from 'vitest';
import { held, type LeaseObject, look, mayTake, microTime, released } from './lease.js';

const TIMES = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };
const NOON = new Date('2026-01-31T12:00:00.123Z');

const lease = (holderIdentity: string, version = '1'): LeaseObject => ({
  metadata: { name: 'sfc-controller', resourceVersion: version },
  spec: { holderIdentity, leaseDurationSeconds: 15, acquireTime: 'then', renewTime: 'then', leaseTransitions: 4 },
});

describe('a lease', () => {
  it('is taken where there is none, where nobody holds it, and where it is ours', () => {
    const sight = look(undefined, undefined, 0);
    expect(mayTake(undefined, 'me', sight, 0)).toBe(true);
    expect(mayTake(lease(''), 'me', sight, 0)).toBe(true);
    expect(mayTake(lease('me'), 'me', sight, 0)).toBe(true);
  });

  it('of another is taken when it has not changed for its duration, as seen from here', () => {
    const first = look(undefined, lease('other'), 100);
    const second = look(first, lease('other'), 15_099);
    expect(mayTake(lease('other'), 'me', second, 15_099)).toBe(false);
    expect(mayTake(lease('other'), 'me', second, 15_100)).toBe(true);
    const renewed = look(second, lease('other', '2'), 15_100);
    expect(mayTake(lease('other', '2'), 'me', renewed, 15_100)).toBe(false);
  });

  it('counts who has had it', () => {
    expect(held(undefined, 'me', TIMES, NOON)).toEqual({
      holderIdentity: 'me',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-31T12:00:00.123000Z',
      renewTime: '2026-01-31T12:00:00.123000Z',
      leaseTransitions: 0,
    });
    expect(held(lease('other'), 'me', TIMES, NOON)).toMatchObject({ acquireTime: microTime(NOON), leaseTransitions: 5 });
    expect(held(lease('me'), 'me', TIMES, NOON)).toMatchObject({ acquireTime: 'then', renewTime: microTime(NOON), leaseTransitions: 4 });
  });

  it('that is released is nobody’s', () => {
    expect(released(lease('me'), NOON)).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 4 });
  });
});
