import { describe, expect, it } from 'vitest';
import type { Discovery, Link, Location } from './discovery/index.js';
import { trackEndpoints } from './endpoints.js';

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
const veth: Link = { ifindex: 7, ifname: 'veth-vpn', kind: 'veth', mtu: 1500, master: 'cni0', peer: undefined };
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
