import { describe, expect, it } from 'vitest';
import { parseAddress } from '../geneve/index.js';
import { type Chain, EMPTY_WORLD, type Pod, SELECT_EVERYTHING } from '../policy/index.js';
import { allocationRequest } from './intent.js';

const chain: Chain = {
  name: 'out',
  uid: undefined,
  serviceFunctions: [{ name: 'firewall', namespace: 'firewall', podSelector: SELECT_EVERYTHING, weights: [] }],
  affinityTimeout: undefined,
  locality: 'None',
  onInstanceLoss: 'Move',
  failurePolicy: 'Drop',
  servicePathId: undefined,
  resource: {},
};

const pod = (name: string, ...addresses: string[]): Pod => ({
  namespace: 'firewall',
  name,
  nodeName: 'node-one',
  ready: true,
  labels: {},
  addresses: addresses.flatMap((text) => parseAddress(text) ?? []),
  hostNetwork: false,
  phase: 'Running',
  terminating: false,
});

describe('the address of a function', () => {
  it.each<[string, number | undefined, Pod[]]>([
    ['IPv6 where the primary addresses of all its pods are', 2, [pod('a', 'fd44:1::2', '10.244.1.2'), pod('b', 'fd44:1::3')]],
    ['IPv4 where they are', 1, [pod('a', '10.244.1.2', 'fd44:1::2')]],
    ['of any family where its pods differ', undefined, [pod('a', 'fd44:1::2'), pod('b', '10.244.1.3')]],
    ['of any family while it has no pod', undefined, []],
  ])('is asked for as one of a family: %s', (_, family, pods) => {
    const request = allocationRequest({ ...EMPTY_WORLD, chains: [chain], pods });
    expect(request.services).toMatchObject([{ given: undefined, family }]);
  });
});
