import { describe, expect, it } from 'vitest';
import { parseCommandLine, resolveSettings } from './index.js';

const resolve = (flags: Record<string, string> = {}, environment: Record<string, string> = {}) =>
  resolveSettings({ flags, environment, host: { hostname: 'pod-one' } });

describe('settings of sfc-controller', () => {
  it('have the times of client-go', () => {
    expect(resolve()).toMatchObject({
      identity: 'pod-one',
      namespace: 'sfc-system',
      pathIdRestSeconds: 3600,
      lease: { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 },
    });
  });

  it('are given as flags, in the environment or in a file', () => {
    const line = parseCommandLine(['--lease-retry-ms', '100', '--http-address=127.0.0.1:0'], {}, '1');
    expect(resolve(line.flags as Record<string, string>, { SFC_PARALLEL: '2' })).toMatchObject({
      parallel: 2,
      httpAddress: '127.0.0.1:0',
      lease: { retryMs: 100 },
    });
  });

  it.each([
    [{ 'lease.durationMs': '10000' }, 'lease.durationMs must be longer than lease.renewDeadlineMs'],
    [{ 'lease.retryMs': '9000' }, 'lease.renewDeadlineMs must be longer than 1.2 times lease.retryMs'],
    [{ httpAddress: 'here' }, 'httpAddress'],
    [{ parallel: '0' }, 'parallel must be >= 1, not 0'],
  ])('are refused: %j', (flags, message) => {
    expect(() => resolve(flags as unknown as Record<string, string>)).toThrow(message);
  });
});
