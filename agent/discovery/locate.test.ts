import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { locate, longestPrefix } from './locate.js';
import { type HostTables, parseFdb, parseLinks, parseNeighbours, parseRoutes } from './tables.js';

/** Saved from iproute2 6.1.0 in a namespace with one routed and one bridged pod (kernel 6.18). */
const saved = (name: string) => readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8');

const host: HostTables = {
  links: parseLinks(saved('link')),
  routes: [...parseRoutes(saved('route'), 4), ...parseRoutes(saved('route6'), 6)],
  neighbours: parseNeighbours(saved('neigh')),
  fdb: parseFdb(saved('fdb')),
};

describe('locating a pod', () => {
  it('follows a host route straight to the veth', () => {
    expect(locate('10.1.1.10', host)).toEqual({ kind: 'found', ifindex: 2, ifname: 'veth-fw', mtu: 1500 });
  });

  it('follows an IPv6 host route, however the address is spelled', () => {
    expect(locate('fd00:1:0::10', host)).toMatchObject({ kind: 'found', ifname: 'veth-fw' });
  });

  it('goes through bridge, neighbour and forwarding table to the port', () => {
    expect(locate('10.1.2.20', host)).toEqual({ kind: 'found', ifindex: 4, ifname: 'veth-px', mtu: 1500 });
  });

  it('asks for a neighbour that nobody resolved', () => {
    expect(locate('10.1.2.21', host)).toMatchObject({ kind: 'unresolved', bridge: 'cni0', missing: 'neighbour' });
  });

  it('takes a neighbour that failed as unresolved', () => {
    expect(locate('10.1.2.99', host)).toMatchObject({ kind: 'unresolved', missing: 'neighbour' });
  });

  it('asks again when the bridge has forgotten the port', () => {
    expect(locate('10.1.2.20', { ...host, fdb: [] })).toMatchObject({ kind: 'unresolved', missing: 'fdb' });
  });

  it('names an interface of another kind', () => {
    expect(locate('10.1.3.3', host)).toEqual({ kind: 'none', problem: 'tap0, which leads to 10.1.3.3, is not a veth (tun)' });
  });

  it('does not take the uplink for a pod, though it is a veth, when the route has a gateway', () => {
    expect(locate('8.8.8.8', host)).toMatchObject({ kind: 'none', problem: expect.stringContaining('192.168.9.254') });
    expect(locate('10.77.1.1', host)).toMatchObject({ kind: 'none', problem: expect.stringContaining('192.168.9.2 ') });
  });

  it('names a blackhole and a missing route', () => {
    expect(locate('10.66.1.1', host)).toMatchObject({ problem: 'the route to 10.66.1.1 is blackhole' });
    expect(locate('fd99::1', host)).toMatchObject({ problem: 'no route to fd99::1' });
  });

  it('prefers the longest prefix wherever it stands in the list', () => {
    const routes = parseRoutes('[{"dst":"10.0.0.0/8","dev":"a"},{"dst":"10.1.0.0/16","dev":"b"},{"dst":"default","dev":"c"}]', 4);
    expect(longestPrefix('10.1.2.3', routes)?.dev).toBe('b');
    expect(longestPrefix('10.2.2.3', [...routes].reverse())?.dev).toBe('a');
    expect(longestPrefix('11.2.2.3', routes)?.dev).toBe('c');
  });
});

describe('parsing iproute2', () => {
  it('takes empty output as an empty table', () => {
    expect([parseLinks(''), parseRoutes('\n', 4), parseNeighbours(''), parseFdb('')]).toEqual([[], [], [], []]);
  });

  it('refuses what is not JSON, naming the command', () => {
    expect(() => parseNeighbours('Dump terminated')).toThrow('ip -j neigh did not print JSON: Dump terminated');
  });

  it("leaves out the bridge's own and its ports' own addresses", () => {
    expect(host.fdb).toHaveLength(1);
  });
});
