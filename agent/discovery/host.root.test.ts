/** Finding pods' interfaces on a real node: a namespace with one routed and one bridged pod. */

import { execFileSync } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hostDiscovery, type RunCommand, runCommand } from './host.js';

describe('discovery on a node with one routed and one bridged pod', () => {
  const node = `sfcdisc${process.pid}`;
  const pods = [`${node}a`, `${node}b`];
  const ip = (line: string) => execFileSync('ip', line.split(' '));
  const run: RunCommand = (command, args) => runCommand('ip', ['netns', 'exec', node, command, ...args]);

  beforeAll(() => {
    for (const name of [node, ...pods]) ip(`netns add ${name}`);
    ip(`-n ${node} link add veth-fw mtu 1400 type veth peer name eth0 netns ${pods[0]}`);
    ip(`-n ${node} link set veth-fw up`);
    ip(`-n ${node} route add 10.1.1.10 dev veth-fw scope link`);
    ip(`-n ${node} link add cni0 type bridge`);
    ip(`-n ${node} addr add 10.1.2.1/24 dev cni0`);
    ip(`-n ${node} link set cni0 up`);
    ip(`-n ${node} link add veth-px type veth peer name eth0 netns ${pods[1]}`);
    ip(`-n ${node} link set veth-px master cni0 up`);
    ip(`-n ${pods[0]} addr add 10.1.1.10/32 dev eth0`);
    ip(`-n ${pods[1]} addr add 10.1.2.20/24 dev eth0`);
    for (const pod of pods) ip(`-n ${pod} link set eth0 up`);
  });
  afterAll(() => {
    for (const name of [node, ...pods]) ip(`netns del ${name}`);
  });

  it('finds both, resolving the neighbour that nobody had asked for', async () => {
    const discovery = hostDiscovery(run, (ms) => wait(ms));
    await vi.waitFor(
      async () => {
        const { locations, links } = await discovery.locateAll(['10.1.1.10', '10.1.2.20', '10.1.2.99']);
        expect(locations.get('10.1.1.10')).toMatchObject({ kind: 'found', ifname: 'veth-fw', mtu: 1400 });
        const bridged = locations.get('10.1.2.20');
        expect(bridged).toMatchObject({ kind: 'found', ifname: 'veth-px' });
        expect(bridged?.kind === 'found' && links.get(bridged.ifindex)?.master).toBe('cni0');
        expect(locations.get('10.1.2.99')).toMatchObject({ kind: 'unresolved' });
      },
      { timeout: 10_000 },
    );
  });

  it('learns the MTU inside the pods, and again when it has changed', async () => {
    const discovery = hostDiscovery(run, (ms) => wait(ms));
    const { links } = await discovery.locateAll(['10.1.1.10']);
    const [routed, bridged] = ['veth-fw', 'veth-px'].map((name) => [...links.values()].find(({ ifname }) => ifname === name));
    if (routed === undefined || bridged === undefined) throw new Error('both pods have an interface');
    expect(await discovery.insideMtus([routed])).toEqual(new Map([[routed.ifindex, 1500]]));
    ip(`-n ${pods[0]} link set eth0 mtu 1300`);
    const both = await discovery.insideMtus([...links.values()]);
    expect(both).toEqual(
      new Map([
        [bridged.ifindex, 1500],
        [routed.ifindex, 1300],
      ]),
    );
    expect(await discovery.insideMtus([])).toEqual(new Map());
  });

  it('finds a pod again whose port the bridge has forgotten', async () => {
    const discovery = hostDiscovery(run, (ms) => wait(ms));
    await run('ip', ['link', 'set', 'cni0', 'type', 'bridge', 'fdb_flush']);
    await vi.waitFor(
      async () => {
        const { locations } = await discovery.locateAll(['10.1.2.20']);
        expect(locations.get('10.1.2.20')).toMatchObject({ kind: 'found', ifname: 'veth-px' });
      },
      { timeout: 10_000 },
    );
  });
});
