import { describe, expect, it } from 'vitest';
import { REASONS, type ReasonName } from '../maps/index.js';
import { DROP_REASONS, formatFailure } from './index.js';

/** Fails to compile when a name is none of the datapath's. */
const names: readonly ReasonName[] = DROP_REASONS;

describe('a reason for a drop', () => {
  it.each(names)('is counted by the datapath under its name: %s', (name) => {
    expect(REASONS.find((reason) => reason.name === name)?.class).toBe('dropped');
  });
});

describe('a failure in words', () => {
  it('says how much is missing, or what is there instead', () => {
    expect(formatFailure({ part: 'UDP header', problem: 'short', wanted: 8, found: 3 })).toBe('UDP header: 8 bytes wanted, 3 there');
    expect(formatFailure({ part: 'NSH version', problem: 'wrong', wanted: 0, found: 1 })).toBe('NSH version: 0 wanted, 1 found');
  });
});
