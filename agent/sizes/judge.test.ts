import { describe, expect, it } from 'vitest';
import { parseCidr } from '../../geneve/index.js';
import { FAMILY, type Family } from '../../maps/index.js';
import { type Link, parseRoutes, type Route } from '../discovery/index.js';
import type { Destination } from './destinations.js';
import { judgeSizes, type SizedPod } from './judge.js';

const { ipv4, ipv6 } = FAMILY;

const link = (ifindex: number, ifname: string, mtu: number, kind = 'physical', master = ''): Link => ({
  ifindex,
  ifname,
  kind,
  ethernet: true,
  mtu,
  master,
  peer: undefined,
});
const pod = (name: string, ifindex: number, mtu: number, families: readonly Family[] = [ipv4]): SizedPod => ({
  pod: name,
  ifindex,
  mtu,
  families,
});
const to = (node: string, cidr: string): Destination => {
  const parsed = parseCidr(cidr);
  if (parsed === undefined) throw new Error(cidr);
  return { node, ...parsed };
};
type Row = readonly [destination: string, dev: string];
const routes = (...rows: readonly Row[]): Route[] =>
  rows.flatMap(([dst, dev]) => parseRoutes(JSON.stringify([{ dst, dev, gateway: 'x' }]), dst.includes(':') ? 6 : 4));

interface Told {
  readonly pods?: readonly SizedPod[];
  readonly families?: readonly Family[];
  readonly destinations?: readonly Destination[];
  readonly links?: readonly Link[];
  readonly routes?: readonly Route[];
}

const usual = {
  pods: [pod('vpn', 7, 1500)],
  families: [ipv4],
  destinations: [to('node2', '10.244.2.0/24')],
  links: [link(2, 'eth0', 1548), link(7, 'v-vpn', 1548, 'veth')],
  routes: routes(['10.244.2.0/24', 'eth0'], ['default', 'eth1']),
};

function judge(other: Told) {
  const told = { ...usual, ...other };
  const links = new Map(told.links.map((one) => [one.ifindex, one]));
  return judgeSizes({ ...told, families: new Set(told.families), links }).map(
    ({ kind, links, missing, outer, towards }) => `${[kind, ...links, missing, outer, ...towards].join(' ')}`,
  );
}

describe('packets of a pod that are wrapped', () => {
  it('fit, to the byte', () => {
    expect(judge({})).toEqual([]);
    expect(judge({ links: [link(2, 'eth0', 1547), usual.links[1] as Link] })).toEqual(['link eth0 1 IPv4 node2']);
    expect(judge({ links: [usual.links[0] as Link, link(7, 'v-vpn', 1547, 'veth')] })).toEqual(['interface v-vpn 1 IPv4']);
  });

  it('are as large as the largest pod lets them be', () => {
    const links = [link(2, 'eth0', 1500), link(7, 'v-vpn', 1500, 'veth'), link(8, 'v-db', 1500, 'veth')];
    expect(judge({ pods: [pod('vpn', 7, 1400), pod('db', 8, 1452)], links })).toEqual([]);
    expect(judge({ pods: [pod('vpn', 7, 1400), pod('db', 8, 1500)], links })).toEqual([
      'link eth0 48 IPv4 node2',
      'interface v-db v-vpn 48 IPv4',
    ]);
  });

  it('cross no link to a pod of their own node, but its host side and its bridge', () => {
    const links = [link(2, 'eth0', 1500), link(3, 'cni0', 1500, 'bridge'), link(7, 'v-vpn', 1600, 'veth', 'cni0')];
    expect(judge({ destinations: [], links })).toEqual(['interface cni0 48 IPv4']);
  });

  it('are of no size where nothing is steered, and where no pod is', () => {
    const links = [link(2, 'eth0', 1500), link(7, 'v-vpn', 1500, 'veth')];
    expect(judge({ links, families: [], destinations: [] })).toEqual([]);
    expect(judge({ links, pods: [] })).toEqual([]);
  });

  it('are larger over IPv6: each link is judged by what crosses it', () => {
    const dual = {
      pods: [pod('vpn', 7, 1500, [ipv4, ipv6])],
      families: [ipv4, ipv6],
      destinations: [to('node2', '10.244.2.0/24'), to('node2', 'fd00:2::/64'), to('node3', 'fd00:3::/64')],
      links: [link(2, 'eth0', 1548), link(3, 'eth1', 1548), link(7, 'v-vpn', 1568, 'veth')],
    };
    expect(judge({ ...dual, routes: routes(['10.244.2.0/24', 'eth0'], ['fd00:2::/64', 'eth1'], ['fd00:3::/64', 'eth1']) })).toEqual([
      'link eth1 20 IPv6 node2 node3',
    ]);
    // A pod that has no address of the family is not reached over it.
    expect(judge({ ...dual, pods: [pod('vpn', 7, 1500)], destinations: [], links: [link(7, 'v-vpn', 1548, 'veth')] })).toEqual([]);
  });

  it('may take every link of a route with several', () => {
    const links = [link(2, 'eth0', 1500), link(3, 'eth1', 9000), link(4, 'eth2', 1400), usual.links[1] as Link];
    const several = parseRoutes('[{"dst":"10.244.2.0/24","nexthops":[{"dev":"eth0"},{"dev":"eth1"},{"dev":"eth2"}]}]', 4);
    expect(judge({ links, routes: several })).toEqual(['link eth0 48 IPv4 node2', 'link eth2 148 IPv4 node2']);
  });
});

describe('the way to a range', () => {
  const links = [link(2, 'eth0', 1500), link(3, 'eth1', 1500), link(4, 'tunnel', 1500), usual.links[1] as Link];
  const ways = (...rows: readonly Row[]) => judge({ links, routes: routes(...rows) }).map((line) => line.split(' ')[1]);

  it.each<[string, readonly Row[], readonly string[]]>([
    ['is its own route', [['10.244.2.0/24', 'eth0']], ['eth0']],
    [
      'is the longest that holds it',
      [
        ['10.0.0.0/8', 'eth0'],
        ['10.244.0.0/16', 'eth1'],
        ['default', 'tunnel'],
      ],
      ['eth1'],
    ],
    [
      'is the default route where there is nothing else',
      [
        ['10.244.3.0/24', 'eth0'],
        ['default', 'eth1'],
      ],
      ['eth1'],
    ],
    [
      'is those within it',
      [
        ['10.244.2.0/26', 'tunnel'],
        ['10.244.2.77', 'eth0'],
        ['default', 'eth1'],
      ],
      ['tunnel', 'eth0'],
    ],
    [
      'is those within it and what holds the rest',
      [
        ['10.244.2.0/26', 'tunnel'],
        ['10.244.0.0/16', 'eth1'],
      ],
      ['tunnel', 'eth1'],
    ],
    [
      'is none without a route',
      [
        ['10.244.3.0/24', 'eth0'],
        ['fd00::/8', 'eth1'],
      ],
      [],
    ],
    ['is not a device that leads to pods of this node', [['10.244.2.0/24', 'v-vpn']], []],
  ])('%s', (_, rows, expected) => {
    expect(ways(...rows)).toEqual(expected);
  });

  it('is none where packets are thrown away', () => {
    const gone = parseRoutes('[{"type":"blackhole","dst":"10.244.2.0/24","dev":"eth0"}]', 4);
    expect(judge({ links, routes: gone })).toEqual([]);
  });
});
