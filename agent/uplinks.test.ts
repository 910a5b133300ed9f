import { describe, expect, it } from 'vitest';
import type { TroubledInterface, UplinkInterface } from '../datapath/index.js';
import { type Link, parseRoutes } from './discovery/index.js';
import type { Log } from './log.js';
import { Uplinks, uplinksOf } from './uplinks.js';

const link = (ifindex: number, ifname: string, more: Partial<Link> = {}): Link => ({
  ifindex,
  ifname,
  kind: 'physical',
  ethernet: true,
  mtu: 1500,
  master: '',
  peer: undefined,
  ...more,
});
const LINKS = [
  link(1, 'lo', { kind: 'loopback', ethernet: false }),
  link(2, 'eth0'),
  link(3, 'eth1'),
  link(4, 'flannel.1', { kind: 'vxlan' }),
  link(5, 'cni0', { kind: 'bridge' }),
  link(6, 'veth-vpn', { kind: 'veth', master: 'cni0' }),
  link(7, 'cali-other', { kind: 'veth' }),
  link(8, 'wg0', { kind: 'wireguard', ethernet: false }),
  link(9, 'idle0'),
  link(10, 'cali-own', { kind: 'veth' }),
];
const TABLE = [
  { dst: 'default', gateway: '192.0.2.1', dev: 'eth0' },
  { dst: '192.0.2.0/24', dev: 'eth0' },
  { dst: '198.51.100.0/24', dev: 'eth1' },
  { dst: '10.244.1.0/24', dev: 'cni0' },
  { dst: '10.244.2.0/24', gateway: '10.244.2.0', dev: 'flannel.1' },
  { dst: '10.244.9.9', dev: 'cali-other' },
  { dst: '10.244.1.9', dev: 'cali-own' },
  { dst: '10.244.3.0/24', dev: 'wg0' },
  { dst: '203.0.113.0/24', type: 'blackhole' },
];
const ROUTES = parseRoutes(JSON.stringify(TABLE), 4);
const survey = { links: new Map(LINKS.map((one) => [one.ifindex, one])), routes: ROUTES };
const names = (links: readonly UplinkInterface[]) => links.map(({ ifname }) => ifname);

describe('the uplinks of a node', () => {
  it('are its links of Ethernet to more than single hosts: not pods’, nor bridges of pods, nor what nothing is routed to', () => {
    expect(names(uplinksOf(survey, [6, 10]))).toEqual(['eth0', 'eth1', 'flannel.1']);
  });

  it('are not pods’ though ranges are routed there, as to a pod that routes', () => {
    const routes = [...ROUTES, ...parseRoutes(JSON.stringify([{ dst: '10.8.0.0/24', gateway: '10.244.1.9', dev: 'cali-own' }]), 4)];
    expect(names(uplinksOf({ ...survey, routes }, [6, 10]))).toEqual(['eth0', 'eth1', 'flannel.1']);
  });

  it('are what a gateway stands behind, though to a single host', () => {
    const routes = parseRoutes(JSON.stringify([{ dst: '2001:db8::1', gateway: 'fe80::1', dev: 'eth1' }]), 6);
    expect(names(uplinksOf({ ...survey, routes }, []))).toEqual(['eth1']);
    const direct = parseRoutes(JSON.stringify([{ dst: '2001:db8::1', dev: 'eth1' }]), 6);
    expect(names(uplinksOf({ ...survey, routes: direct }, []))).toEqual([]);
  });
});

describe('following them', () => {
  const set: string[][] = [];
  const said: string[] = [];
  let troubled: readonly TroubledInterface[] = [];
  let rules = { there: true, trouble: '' };
  let asked = 0;
  const datapath = {
    kind: 'kernel' as const,
    setUplinks: (links: readonly UplinkInterface[]) => {
      set.push(names(links));
      return troubled;
    },
  };
  const keepRules = () => {
    asked++;
    return rules;
  };
  const log = { warn: (_: object, message: string) => said.push(message) } as unknown as Log;
  const uplinks = new Uplinks(datapath, keepRules, log);

  it('gives them the program while packets are wrapped here, and takes it away afterwards', () => {
    uplinks.follow(survey, [6, 10], []);
    expect(uplinks.names).toEqual(['eth0', 'eth1', 'flannel.1']);
    uplinks.restore();
    uplinks.follow(undefined, [6, 10], []);
    expect(uplinks.names).toEqual([]);
    expect(set).toEqual([['eth0', 'eth1', 'flannel.1'], ['eth0', 'eth1', 'flannel.1'], []]);
    expect(said).toEqual([]);
  });

  it('says once what is wrong and what that means', () => {
    troubled = [{ ifindex: 3, ifname: 'eth1', why: 'from_uplink on eth1 (tcx): ENODEV' }];
    rules = { there: false, trouble: 'libnftables.so.1 is not installed' };
    for (const _ of ['first', 'again']) uplinks.follow(survey, [6, 10], []);
    expect(uplinks.names).toEqual(['eth0', 'flannel.1']);
    expect(said).toEqual([
      expect.stringMatching(/^eth1: from_uplink on eth1 \(tcx\): ENODEV; .* may be dropped as invalid$/),
      expect.stringMatching(/libnftables\.so\.1 is not installed.* may drop them as invalid$/),
    ]);
  });

  it('asks for the rules until they are there, and again when the host has changed', () => {
    rules = { there: false, trouble: '' };
    uplinks.follow(survey, [], []);
    asked = 0;
    for (const _ of [1, 2]) uplinks.restore();
    expect(asked).toBe(2);
    rules = { there: true, trouble: '' };
    for (const _ of [1, 2, 3]) uplinks.restore();
    expect(asked).toBe(3);
    uplinks.follow(survey, [], []);
    expect(asked).toBe(4);
    uplinks.follow(undefined, [], []);
    expect(asked).toBe(4);
  });

  it('on the userspace datapath, which has no program there, the rules are for the pods that steer', () => {
    const told: (readonly string[])[] = [];
    const keep = (asking: readonly string[]) => {
      told.push(asking);
      return { there: true, trouble: '' };
    };
    for (const kind of ['kernel', 'userspace'] as const)
      new Uplinks({ kind, setUplinks: () => [] }, keep, log).follow(survey, [6], ['fd00::7', '10.244.1.7']);
    expect(told).toEqual([[], ['10.244.1.7', 'fd00::7']]);
  });
});
