/** Finding pods' interfaces on a real node: a namespace with one routed and one bridged pod. */

import { execFileSync } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hostDiscovery, type RunCommand, runCommand } from './host.js';

const ADDRESSES = {
  4: { routed: '10.1.1.10', bridged: '10.1.2.20', nobody: '10.1.2.99', gateway: '10.1.2.1', lengths: [32, 24] },
  6: { routed: 'fd00:1::10', bridged: 'fd00:2::20', nobody: 'fd00:2::99', gateway: 'fd00:2::1', lengths: [128, 64] },
} as const;
const families = [4, 6] as const;

describe('discovery on a node with one routed and one bridged pod, each with an address of either family', () => {
  const node = `sfcdisc${process.pid}`;
  const pods = [`${node}a`, `${node}b`];
  const ip = (line: string) => execFileSync('ip', line.split(' '));
  const run: RunCommand = (command, args) => runCommand('ip', ['netns', 'exec', node, command, ...args]);

  beforeAll(() => {
    for (const name of [node, ...pods]) {
      ip(`netns add ${name}`);
      // Nobody waits for duplicates of an address.
      execFileSync('nsenter', [`--net=/run/netns/${name}`, 'tee', '/proc/sys/net/ipv6/conf/default/accept_dad'], { input: '0' });
    }
    ip(`-n ${node} link add veth-fw mtu 1400 type veth peer name eth0 netns ${pods[0]}`);
    ip(`-n ${node} link set veth-fw up`);
    ip(`-n ${node} link add cni0 type bridge`);
    ip(`-n ${node} link set cni0 up`);
    ip(`-n ${node} link add veth-px type veth peer name eth0 netns ${pods[1]}`);
    ip(`-n ${node} link set veth-px master cni0 up`);
    for (const pod of pods) ip(`-n ${pod} link set eth0 up`);
    for (const family of families) {
      const { routed, bridged, gateway, lengths } = ADDRESSES[family];
      ip(`-n ${node} route add ${routed} dev veth-fw scope link`);
      ip(`-n ${node} addr add ${gateway}/${lengths[1]} dev cni0`);
      ip(`-n ${pods[0]} addr add ${routed}/${lengths[0]} dev eth0`);
      ip(`-n ${pods[1]} addr add ${bridged}/${lengths[1]} dev eth0`);
    }
  });
  afterAll(() => {
    for (const name of [node, ...pods]) ip(`netns del ${name}`);
  });

  it.each(families)('finds both by IPv%i, resolving the neighbour that nobody had asked for', async (family) => {
    const { routed, bridged: address, nobody } = ADDRESSES[family];
    const discovery = hostDiscovery(run, (ms) => wait(ms));
    await vi.waitFor(
      async () => {
        const { locations, links } = await discovery.locateAll([routed, address, nobody]);
        expect(locations.get(routed)).toMatchObject({ kind: 'found', ifname: 'veth-fw', mtu: 1400 });
        const bridged = locations.get(address);
        expect(bridged).toMatchObject({ kind: 'found', ifname: 'veth-px' });
        expect(bridged?.kind === 'found' && links.get(bridged.ifindex)?.master).toBe('cni0');
        expect(locations.get(nobody)).toMatchObject({ kind: 'unresolved' });
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

  it.each(families)('finds by IPv%i a pod again whose port the bridge has forgotten', async (family) => {
    const { bridged } = ADDRESSES[family];
    const discovery = hostDiscovery(run, (ms) => wait(ms));
    await run('ip', ['link', 'set', 'cni0', 'type', 'bridge', 'fdb_flush']);
    await vi.waitFor(
      async () => {
        const { locations } = await discovery.locateAll([bridged]);
        expect(locations.get(bridged)).toMatchObject({ kind: 'found', ifname: 'veth-px' });
      },
      { timeout: 10_000 },
    );
  });

  it('looks an address up without asking for it where another one leads to the pod already', async () => {
    const [asked, other] = [ADDRESSES[4].bridged, ADDRESSES[6].bridged];
    await run('ip', ['neigh', 'flush', 'dev', 'cni0']);
    const discovery = hostDiscovery(run, (ms) => wait(ms));
    await vi.waitFor(
      async () => {
        const { locations } = await discovery.locateAll([asked], [other]);
        expect(locations.get(asked)).toMatchObject({ kind: 'found', ifname: 'veth-px' });
        expect(locations.get(other)).toMatchObject({ kind: 'unresolved', missing: 'neighbour' });
      },
      { timeout: 10_000 },
    );
  });
});
