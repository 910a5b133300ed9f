/** A node with routed pods, pods on a bridge, a bridge of docker's, and a way out that is a veth itself. */

import { describe, expect, it } from 'vitest';
import type { Link, Route } from '../discovery/index.js';
import { decide, type HostFacts } from './decide.js';

const link = (ifindex: number, ifname: string, kind = 'veth', master = ''): Link => ({
  ifindex,
  ifname,
  kind,
  ethernet: true,
  mtu: 1500,
  master,
  peer: undefined,
});
const route = (cidr: string, dev: string, gateway = ''): Route => {
  const [network = '', length = ''] = cidr.split('/');
  return { network, prefixLength: Number(length), type: 'unicast', dev, gateway };
};

const node: HostFacts = {
  links: [
    link(2, 'eth0'),
    link(3, 'cni0', 'bridge'),
    link(4, 'docker0', 'bridge'),
    link(5, 'v-pod'),
    link(6, 'v-bridged', 'veth', 'cni0'),
    link(7, 'v-docker', 'veth', 'docker0'),
    link(8, 'v-new'),
    link(9, 'ens5', 'physical'),
  ],
  routes: [
    route('0.0.0.0/0', 'eth0', '172.30.0.254'),
    route('172.30.0.0/24', 'eth0'),
    route('10.244.2.0/24', 'eth0', '172.30.0.2'),
    route('10.244.1.10/32', 'v-pod'),
    route('10.244.1.0/24', 'cni0'),
    route('172.17.0.0/16', 'docker0'),
    route('fe80::/64', 'v-new'),
  ],
  ranges: ['10.244.1.0/24', '10.244.2.0/24'],
  endpoints: new Map(),
  except: [],
};

function actionOf(ifname: string, other: Partial<HostFacts> = {}): string | undefined {
  return decide({ ...node, ...other }).find((decision) => decision.link.ifname === ifname)?.action;
}
const withRoutes = (...routes: readonly Route[]) => ({ routes: [...node.routes, ...routes] });

describe('whose an interface is', () => {
  it('is asked of the kinds that pods have, and no others', () => {
    expect(decide(node).map((decision) => decision.link.ifname)).toEqual(['eth0', 'v-pod', 'v-bridged', 'v-docker', 'v-new']);
  });

  it.each([
    ['eth0', 'settle', 'a way out of the node, though pods of other nodes are behind it'],
    ['v-pod', 'hold', 'routed to a pod’s address, whose pod is not known'],
    ['v-bridged', 'hold', 'a port of the pods’ bridge'],
    ['v-docker', 'settle', 'a port of a bridge of other addresses'],
    ['v-new', 'keep', 'nothing but link-local addresses yet'],
  ])('%s: %s, as %s', (ifname, action) => {
    expect(actionOf(ifname)).toBe(action);
  });

  it('is a known pod’s: settled when nothing of it is missing, as it was until then', () => {
    expect(actionOf('v-pod', { endpoints: new Map([[5, '']]) })).toBe('settle');
    const [decision] = decide({ ...node, endpoints: new Map([[5, 'its endpoint entry is not in the maps']]) }).slice(1);
    expect(decision).toMatchObject({ action: 'keep', why: 'its endpoint entry is not in the maps' });
  });

  it('is told by the operator for an interface, or a bridge with all its ports', () => {
    expect(actionOf('v-new', { except: ['v-n*'] })).toBe('settle');
    expect(actionOf('v-bridged', { except: ['cni0'] })).toBe('settle');
    expect(actionOf('v-pod', { except: ['v-n*', 'pod'] })).toBe('hold');
  });

  it('is a pod’s where a route leads to one address alone, whatever the ranges are', () => {
    expect(actionOf('v-new', withRoutes(route('192.0.2.7/32', 'v-new')))).toBe('hold');
    expect(actionOf('v-new', withRoutes(route('2001:db8::7/128', 'v-new')))).toBe('hold');
  });

  it('is no pod’s where that one address is the default gateway', () => {
    expect(actionOf('v-new', withRoutes(route('192.0.2.1/32', 'v-new'), route('0.0.0.0/0', 'v-new', '192.0.2.1')))).toBe('settle');
  });

  it('is a pod’s where networks lie behind a pod’s address', () => {
    expect(actionOf('v-new', withRoutes(route('192.168.77.0/24', 'v-new', '10.244.1.20')))).toBe('hold');
  });

  it('is a pod’s where its bridge spans more than the range, and nobody’s where a way out does', () => {
    expect(actionOf('v-docker', withRoutes(route('10.0.0.0/8', 'docker0')))).toBe('hold');
    expect(actionOf('eth0', withRoutes(route('10.0.0.0/8', 'eth0')))).toBe('settle');
  });

  it('is a pod’s on every bridge, as long as no ranges are known', () => {
    expect(actionOf('v-docker', { ranges: [] })).toBe('hold');
    expect(actionOf('eth0', { ranges: [] })).toBe('settle');
  });

  it('is not known while a bridge has no addresses, or what it is a port of is no bridge', () => {
    expect(actionOf('v-docker', { routes: [] })).toBe('keep');
    expect(actionOf('v-odd', { links: [link(20, 'v-odd', 'veth', 'vrf-a')] })).toBe('keep');
  });

  it('tells IPv6 ranges apart too', () => {
    const ranges = ['fd00:1::/64'];
    expect(actionOf('v-docker', { ranges, routes: [route('fd00:1::/64', 'docker0')] })).toBe('hold');
    expect(actionOf('v-docker', { ranges, routes: [route('fd00:2::/64', 'docker0')] })).toBe('settle');
  });
});
