import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../geneve/index.js';
import type { Pod } from '../../policy/index.js';
import { instancesOf, readWeights, type Surroundings } from './kubernetes-instances.js';
import type { EndpointSliceObject, ServiceObject, SliceEndpoint } from './kubernetes-objects.js';

const SERVICE = 'sf-firewall-12345678';
const service: ServiceObject = { metadata: { namespace: 'firewall', name: SERVICE } };
const slice = (addressType: string, endpoints: readonly SliceEndpoint[], name = addressType.toLowerCase()): EndpointSliceObject => ({
  metadata: { namespace: 'firewall', name, labels: { 'kubernetes.io/service-name': SERVICE } },
  addressType,
  endpoints,
});
const endpoint = (pod: string, address: string, conditions: SliceEndpoint['conditions'] = {}, nodeName = 'node2'): SliceEndpoint => ({
  addresses: [address],
  nodeName,
  targetRef: { kind: 'Pod', namespace: 'firewall', name: pod },
  conditions,
});
const nowhere: Surroundings = { localPods: new Map(), primaryFamily: () => undefined, isNodeAddress: () => false };
const words = (slices: readonly EndpointSliceObject[], around: Partial<Surroundings> = {}, of = service) =>
  instancesOf([of], slices, { ...nowhere, ...around })
    .get(`firewall/${SERVICE}`)
    ?.pods.map(({ name, nodeName, addresses, ready, terminating }) => {
      const state = terminating ? 'terminating' : ready ? 'ready' : 'not ready';
      return `${name} on ${nodeName} ${addresses.map(({ text }) => text).join('+')} ${state}`;
    });

describe('instances from EndpointSlices', () => {
  it('are pods by name, ready unless it is said that they are not', () => {
    const endpoints = [
      endpoint('firewall-2', '10.2.0.2'),
      endpoint('firewall-1', '10.2.0.1', { ready: false, serving: false }),
      endpoint('firewall-3', '10.2.0.3', { ready: false, serving: true, terminating: true }),
      // A Service that publishes what is not ready calls everything ready.
      endpoint('firewall-4', '10.2.0.4', { ready: true, serving: false }),
    ];
    expect(words([slice('IPv4', endpoints)])).toEqual([
      'firewall-1 on node2 10.2.0.1 not ready',
      'firewall-2 on node2 10.2.0.2 ready',
      'firewall-3 on node2 10.2.0.3 terminating',
      'firewall-4 on node2 10.2.0.4 not ready',
    ]);
  });

  it('have the addresses of all their slices, that of the node’s first range first', () => {
    const slices = [slice('IPv4', [endpoint('firewall-1', '10.2.0.1')]), slice('IPv6', [endpoint('firewall-1', 'fd44:2::1')])];
    expect(words(slices, { primaryFamily: () => 2 })).toEqual(['firewall-1 on node2 fd44:2::1+10.2.0.1 ready']);
    expect(words(slices.toReversed(), { primaryFamily: () => 1 })).toEqual(['firewall-1 on node2 10.2.0.1+fd44:2::1 ready']);
  });

  it('have the order of podIPs where the pod is of this node', () => {
    const slices = [slice('IPv4', [endpoint('firewall-1', '10.2.0.1')]), slice('IPv6', [endpoint('firewall-1', 'fd44:2::1')])];
    const addresses = ['fd44:2::1', '10.2.0.1'].flatMap((text) => parseAddress(text) ?? []);
    const pod = { namespace: 'firewall', name: 'firewall-1', addresses, hostNetwork: false, phase: 'Running' } as unknown as Pod;
    const localPods = new Map([['firewall/firewall-1', pod]]);
    expect(words(slices, { localPods, primaryFamily: () => 1 })).toEqual(['firewall-1 on node2 fd44:2::1+10.2.0.1 ready']);
    expect(words(slices, { localPods: new Map([['firewall/firewall-1', { ...pod, phase: 'Failed' }]]) })).toEqual([]);
  });

  it('stand once though two slices have them, as they do while slices are rearranged', () => {
    const slices = [
      slice('IPv4', [endpoint('firewall-1', '10.2.0.1')], 'one'),
      slice('IPv4', [endpoint('firewall-1', '10.2.0.1')], 'other'),
    ];
    expect(words(slices)).toEqual(['firewall-1 on node2 10.2.0.1 ready']);
  });

  it('are none of nodes’ own addresses, of other kinds, of other Services, and nothing of names', () => {
    const byHand = { addresses: ['10.9.9.9'], conditions: {} };
    const ofOther = {
      ...slice('IPv4', [endpoint('other', '10.2.0.9')]),
      metadata: { namespace: 'firewall', name: 'x', labels: { 'kubernetes.io/service-name': 'other' } },
    };
    const slices = [
      slice('IPv4', [endpoint('on-host', '192.168.0.2'), byHand]),
      slice('FQDN', [endpoint('named', 'example.org')]),
      ofOther,
    ];
    expect(words(slices, { isNodeAddress: (address) => address === '192.168.0.2' })).toEqual([]);
    expect(words([slice('IPv4', null as never)])).toEqual([]);
  });
});

describe('weights in the annotation', () => {
  it('are whole numbers up to 100 by pod name, or nobody has weighed anything', () => {
    expect([...(readWeights('{"firewall-1":20,"firewall-2":0,"firewall-3":101,"firewall-4":"5"}') ?? [])]).toEqual([
      ['firewall-1', 20],
      ['firewall-2', 0],
    ]);
    expect([undefined, '', '[1]', 'null', '{'].map(readWeights)).toEqual(Array(5).fill(undefined));
  });
});
