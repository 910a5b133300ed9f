import { describe, expect, it } from 'vitest';
import { ENDPOINT_FLAG } from '../maps/index.js';
import type { Target } from './reconciler/index.js';
import { becomingSelected, selecting, selectsEgress, wraps } from './selected.js';

const { ipv4, selectsAllPorts, ingressPorts } = ENDPOINT_FLAG;
const endpoints = (...flags: number[]) => new Map(flags.map((one, index) => [index + 1, { flags: one }]));

describe('the selection of endpoints', () => {
  it('is told apart by direction', () => {
    const all = endpoints(ipv4, ipv4 | selectsAllPorts, ipv4 | ingressPorts);
    expect([...selecting(all)]).toEqual([2, 3]);
    expect([1, 2, 3, 4].map((ifindex) => selectsEgress(all, ifindex))).toEqual([false, true, false, false]);
  });

  it('wraps where something is selected, and at functions', () => {
    expect([ipv4, selectsAllPorts, ingressPorts, ENDPOINT_FLAG.function].map((flags) => wraps(endpoints(flags)))).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect(wraps(endpoints())).toBe(false);
  });

  it('begins for pods that ran without, and not for those that start or had one', () => {
    const located = [1, 2, 3, 4].map((ifindex) => ({ id: ifindex + 100, ifindex, mtu: 1500, addresses: [] }));
    const selects = new Map([101, 102, 103].map((endpoint) => [String(endpoint), { key: { endpoint } }])) as unknown as Target['selects'];
    const become = (isFirst: boolean) =>
      becomingSelected(located, { selects }, endpoints(ipv4, selectsAllPorts), isFirst).map(({ ifindex }) => ifindex);
    expect(become(false)).toEqual([1]);
    expect(become(true)).toEqual([1, 3]);
  });
});
