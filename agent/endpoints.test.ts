import { describe, expect, it } from 'vitest';
import { type Discovery, type Link, type Location, parseRoutes } from './discovery/index.js';
import { rangesBehind, trackEndpoints } from './endpoints.js';

function host(locations: Readonly<Record<string, Location>>, links: readonly Link[] = []): Discovery {
  return {
    locateAll: async () => ({
      locations: new Map(Object.entries(locations)),
      links: new Map(links.map((link) => [link.ifindex, link])),
      routes: [],
    }),
    insideMtus: async () => new Map(),
  };
}

const tracked = async (...given: Parameters<typeof trackEndpoints>) => (await trackEndpoints(...given)).tracked;
const vpn = { pod: 'vpn/vpn', addresses: ['10.1.2.20'] };
const veth: Link = { ifindex: 7, ifname: 'veth-vpn', kind: 'veth', ethernet: true, mtu: 1500, master: 'cni0', peer: undefined };
const unresolved: Location = { kind: 'unresolved', bridge: 'cni0', missing: 'fdb', problem: 'the bridge has forgotten it' };
const known = [{ id: 3783, ifindex: 7, addresses: ['10.1.2.20'] }];

describe('the endpoints of a node', () => {
  it('keep id and interface while the bridge has forgotten the port but the interface lives', async () => {
    expect(await tracked([vpn], known, host({ '10.1.2.20': unresolved }, [veth]))).toMatchObject([
      { id: 3783, ifindex: 7, ifname: 'veth-vpn', mtu: 1500, problem: '' },
    ]);
  });

  it('are lost with their interface, and say why', async () => {
    expect(await tracked([vpn], known, host({ '10.1.2.20': unresolved }))).toMatchObject([
      { id: 0, ifindex: 0, problem: 'the bridge has forgotten it' },
    ]);
  });

  it('are lost when the address is no longer on this node', async () => {
    const none: Location = { kind: 'none', problem: 'no route to 10.1.2.20' };
    expect(await tracked([vpn], known, host({ '10.1.2.20': none }, [veth]))).toMatchObject([{ id: 0, problem: 'no route to 10.1.2.20' }]);
  });

  describe('with two addresses', () => {
    const both = { pod: 'vpn/vpn', addresses: ['10.1.2.20', 'fd00:2::20'] };
    const found: Location = { kind: 'found', ifindex: 7, ifname: 'veth-vpn', mtu: 1500 };
    const none: Location = { kind: 'none', problem: 'no route to it' };

    it('are behind the one interface that both lead to', async () => {
      const { tracked } = await trackEndpoints([both], [], host({ '10.1.2.20': found, 'fd00:2::20': found }));
      expect(tracked).toMatchObject([{ ifindex: 7, problem: '' }]);
    });

    it.each<[string, Location, Location]>([
      ['the first', found, none],
      ['the second', none, found],
      ['the second, while the first is asked for', unresolved, found],
    ])('are found by %s alone', async (_, first, second) => {
      const { tracked } = await trackEndpoints([both], [], host({ '10.1.2.20': first, 'fd00:2::20': second }));
      expect(tracked).toMatchObject([{ ifindex: 7, ifname: 'veth-vpn', problem: '' }]);
    });

    it('are refused where these lead to two interfaces, and say which', async () => {
      const elsewhere: Location = { ...found, ifindex: 8, ifname: 'veth-other' };
      const { tracked } = await trackEndpoints([both], known, host({ '10.1.2.20': found, 'fd00:2::20': elsewhere }, [veth]));
      const problem = '10.1.2.20 leads to veth-vpn, but fd00:2::20 to veth-other: a pod is behind one interface';
      expect(tracked).toMatchObject([{ id: 0, problem }]);
    });

    it('say what is wrong with the first where neither leads anywhere', async () => {
      const { tracked } = await trackEndpoints([both], [], host({ '10.1.2.20': none, 'fd00:2::20': unresolved }));
      expect(tracked).toMatchObject([{ id: 0, problem: 'no route to it' }]);
    });

    it('keep their id when one of them goes', async () => {
      const entry = [{ id: 3783, ifindex: 7, addresses: both.addresses }];
      const { tracked } = await trackEndpoints([{ ...both, addresses: ['fd00:2::20'] }], entry, host({ 'fd00:2::20': found }));
      expect(tracked).toMatchObject([{ id: 3783 }]);
    });

    it('ask for the first on their bridge, and look the other up', async () => {
      const asked: (readonly string[])[] = [];
      const discovery: Discovery = {
        locateAll: async (...given) => {
          asked.push(...given.map((list) => list ?? []));
          return { locations: new Map(), links: new Map(), routes: [] };
        },
        insideMtus: async () => new Map(),
      };
      await trackEndpoints([both], [], discovery);
      expect(asked).toEqual([['10.1.2.20'], ['fd00:2::20']]);
    });
  });

  it('do not share an interface: the second pod is told who has it', async () => {
    const found: Location = { kind: 'found', ifindex: 7, ifname: 'veth-vpn', mtu: 1500 };
    const other = { pod: 'vpn/other', addresses: ['10.1.2.21'] };
    const both = await tracked([vpn, other], [], host({ '10.1.2.20': found, '10.1.2.21': found }));
    expect(both[1]).toMatchObject({ id: 0, problem: 'veth-vpn, which leads to 10.1.2.21, already leads to vpn/vpn' });
  });

  it('are not the next pod’s: one that is ending keeps its interface, and gets no other', async () => {
    const found: Location = { kind: 'found', ifindex: 8, ifname: 'veth-next', mtu: 1500 };
    const ending = { ...vpn, terminating: true };
    expect(await tracked([ending], known, host({ '10.1.2.20': found }))).toMatchObject([{ id: 0, ifindex: 0 }]);
    const own: Location = { ...found, ifindex: 7 };
    expect(await tracked([ending], known, host({ '10.1.2.20': own }))).toMatchObject([{ id: 3783, ifindex: 7, problem: '' }]);
  });
});

describe('what is behind the pods of a node', () => {
  const pods = [
    { ifindex: 7, ifname: 'veth-vpn', addresses: ['10.1.2.20', 'fd00:2::20'] },
    { ifindex: 8, ifname: 'cali-router', addresses: ['10.1.2.30'] },
  ];
  const behind = (rows: readonly object[], family: 4 | 6 = 4) =>
    [...rangesBehind(parseRoutes(JSON.stringify(rows), family), pods)].map(([ifindex, ranges]) => [
      ifindex,
      ranges.map(({ text }) => text),
    ]);

  it('is what is routed by way of a pod, or over its interface', () => {
    const rows = [
      { dst: '10.8.0.0/24', gateway: '10.1.2.20', dev: 'cni0' },
      { dst: '10.9.0.7', gateway: '10.1.2.20', dev: 'cni0' },
      { dst: '172.20.0.0/16', dev: 'cali-router' },
    ];
    expect(behind(rows)).toEqual([
      [7, ['10.8.0.0/24', '10.9.0.7/32']],
      [8, ['172.20.0.0/16']],
    ]);
    expect(behind([{ dst: 'fd08::/64', gateway: 'fd00:2::20', dev: 'cni0' }], 6)).toEqual([[7, ['fd08::/64']]]);
  });

  it('is neither a pod’s own address, nor everything, nor what leads nowhere or elsewhere', () => {
    const rows = [
      { dst: '10.1.2.30', dev: 'cali-router' },
      { dst: 'default', gateway: '10.1.2.20', dev: 'cni0' },
      { dst: '10.7.0.0/24', gateway: '10.1.2.20', dev: 'cni0', type: 'unreachable' },
      { dst: '10.6.0.0/24', gateway: '10.1.2.99', dev: 'cni0' },
    ];
    expect(behind(rows)).toEqual([]);
    expect(behind([{ dst: 'fe80::/64', dev: 'cali-router' }], 6)).toEqual([]);
  });
});
