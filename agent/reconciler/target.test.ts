import { describe, expect, it } from 'vitest';
import { parseAddress, parseCidr } from '../../geneve/index.js';
import { PEER_FLAG, PEER_STATIC_BITS } from '../../maps/index.js';
import type { Address, Cidr, DesiredState } from '../../policy/index.js';
import { backendTable } from './model.js';
import { buildTarget } from './target.js';

const known = <T>(value: T | undefined, text: string): T => {
  if (value === undefined) throw new Error(text);
  return value;
};
const cidr = (text: string): Cidr => known(parseCidr(text), text);
const address = (text: string): Address => ({ ...known(parseAddress(text), text), text });

describe('peers', () => {
  const desired = {
    selects: [],
    ports: [],
    paths: [],
    conflicts: [],
    peers: [
      { node: 'n1', cidr: cidr('10.244.1.0/24') },
      { node: 'n2', cidr: cidr('10.244.2.0/24') },
    ],
  } as unknown as DesiredState;
  const entries = (addresses: readonly string[], behind: readonly string[]) =>
    [
      ...buildTarget(desired, [{ id: 9, ifindex: 3, mtu: 1500, addresses: addresses.map(address), behind: behind.map(cidr) }], () =>
        backendTable([]),
      ).peers.values(),
    ].map(({ key, value }) => [`${key.address.slice(0, 4).join('.')}/${key.prefix_len - PEER_STATIC_BITS}`, value.flags, value.ifindex]);
  const believed = PEER_FLAG.trusted | PEER_FLAG.decapsulates;

  it('are the ranges of pods, believed, and this node’s pods in them with their interface', () => {
    expect(entries(['10.244.1.7', '192.0.2.7'], [])).toEqual([
      ['10.244.1.0/24', believed, 0],
      ['10.244.2.0/24', believed, 0],
      ['10.244.1.7/32', believed, 3],
    ]);
  });

  it('are what is behind a pod, by its interface, and believed in nothing', () => {
    expect(entries([], ['10.8.0.0/24'])).toContainEqual(['10.8.0.0/24', 0, 3]);
  });

  it('are no ranges behind a pod that lie in those of pods: whoever routes them there takes no word from these', () => {
    expect(entries([], ['10.244.2.128/25', '10.244.2.0/24'])).toEqual([
      ['10.244.1.0/24', believed, 0],
      ['10.244.2.0/24', believed, 0],
    ]);
  });
});
