import { describe, expect, it } from 'vitest';
import { parseDiscarded, parseReceived } from './received.js';

/** As Linux 6.18 shows them. */
const DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
 v-vpn:    2184      21    0    0    0     0          0         0     1020      10    0    0    0     0       0          0
`;

describe('what an interface has received', () => {
  it('is the second figure behind its name', () => {
    expect([...parseReceived(DEV)]).toEqual([
      ['lo', 0],
      ['v-vpn', 21],
    ]);
  });

  it('includes IPv6 packets that nobody saw', () => {
    expect(
      parseDiscarded('ifIndex                         \t7\nIp6InReceives                   \t9\nIp6InDiscards                   \t4\n'),
    ).toBe(4);
    expect(parseDiscarded('')).toBe(0);
  });
});
