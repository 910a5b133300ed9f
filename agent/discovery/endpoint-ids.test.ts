import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignEndpointIds } from './endpoint-ids.js';

const request = (pod: string, ifindex: number, ...addresses: string[]) => ({ pod, ifindex, addresses });

describe('endpoint ids', () => {
  it('are unique and within 1..65535 for any set of pods', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 300 }), (pods) => {
        const ids = assignEndpointIds(
          pods.map((pod, index) => request(pod, index + 1, `10.0.${index >> 8}.${index & 255}`)),
          [],
        );
        expect(new Set(ids.values()).size).toBe(pods.length);
        for (const id of ids.values()) expect(id >= 1 && id <= 65535).toBe(true);
      }),
    );
  });

  it('are kept by an endpoint with the same interface and address after a restart', () => {
    const ids = assignEndpointIds([request('vpn/vpn', 7, '10.1.1.10')], [{ id: 3783, ifindex: 7, addresses: ['10.1.1.10'] }]);
    expect(ids.get('vpn/vpn')).toBe(3783);
  });

  it('are kept by an endpoint that has gained an address, or lost one', () => {
    const known = [{ id: 3783, ifindex: 7, addresses: ['10.1.1.10'] }];
    expect(assignEndpointIds([request('vpn/vpn', 7, 'fd00:1::10', '10.1.1.10')], known).get('vpn/vpn')).toBe(3783);
    const both = [{ id: 3783, ifindex: 7, addresses: ['10.1.1.10', 'fd00:1::10'] }];
    expect(assignEndpointIds([request('vpn/vpn', 7, 'fd00:1::10')], both).get('vpn/vpn')).toBe(3783);
  });

  it('are not inherited by another pod that got the same interface number', () => {
    const first = assignEndpointIds([request('vpn/vpn', 7, '10.1.1.10')], []).get('vpn/vpn') as number;
    const ids = assignEndpointIds([request('vpn/vpn', 7, '10.1.1.11')], [{ id: first, ifindex: 7, addresses: ['10.1.1.10'] }]);
    expect(ids.get('vpn/vpn')).toBe((first % 65535) + 1);
  });

  it('do not depend on the order of the pods', () => {
    const pods = Array.from({ length: 500 }, (_, index) => request(`ns/pod-${index}`, index + 1, `10.0.${index >> 8}.${index & 255}`));
    const forwards = assignEndpointIds(pods, []);
    const backwards = assignEndpointIds([...pods].reverse(), []);
    expect([...backwards].sort()).toEqual([...forwards].sort());
  });
});
