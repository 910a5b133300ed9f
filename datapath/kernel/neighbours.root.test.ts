/**
 * Another owner's programs beside ours, on a real veth: before and behind, with the last word or without, and what others do to ours.
 * What the pod sends is UDP to the steering port, which a pod may not: ours drops it and counts it, so the counter tells whether
 * ours has seen it; or UDP to any other port, which ours lets through.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINT_FLAG, LAYOUT_VERSION, REASONS, typedMaps } from '../../maps/index.js';
import { bytesOf } from '../cast.js';
import { enterFreshNetwork, unmount } from '../libc.js';
import type { AttachMethod } from './attach.js';
import { OBJECT } from './cast.js';
import { Neighbour, type NeighbourProgram } from './neighbours/cast.js';
import { type KernelDatapath, type KernelOptions, openKernelDatapath } from './open.js';

const POD_NAMESPACE = `sfc-test-${process.pid}-nb`;
const [POD, HOST] = ['10.244.1.2', '10.244.1.1'];
const METHODS = ['tcx', 'clsact'] as const;

let pins: string;
let room: string;
let open: KernelDatapath[] = [];
let neighbour: Neighbour;
let ifindex = 0;

const run = (...argv: string[]) => execFileSync(argv[0] ?? '', argv.slice(1), { encoding: 'utf8' });
const inPod = (...argv: string[]) => run('nsenter', `--net=/run/netns/${POD_NAMESPACE}`, '--', ...argv);

beforeAll(() => {
  run('ip', 'netns', 'add', POD_NAMESPACE);
  enterFreshNetwork();
  run('ip', 'link', 'set', 'lo', 'up');
  room = mkdtempSync(join(tmpdir(), 'sfc-room-'));
  neighbour = new Neighbour(room);
});

afterAll(() => {
  neighbour.close();
  rmSync(room, { recursive: true, force: true });
  run('ip', 'netns', 'delete', POD_NAMESPACE);
});

beforeEach(() => {
  run('ip', 'link', 'add', 'v-pod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', POD_NAMESPACE);
  run('sysctl', '-qw', 'net.ipv6.conf.v-pod.disable_ipv6=1');
  inPod('sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=1');
  run('ip', 'address', 'add', `${HOST}/24`, 'dev', 'v-pod');
  run('ip', 'link', 'set', 'v-pod', 'up');
  inPod('ip', 'address', 'add', `${POD}/24`, 'dev', 'eth0');
  inPod('ip', 'link', 'set', 'eth0', 'up');
  // Nobody asks for a neighbour: every packet that is counted is the pod's.
  const [{ address = '' } = {}] = JSON.parse(run('ip', '-json', 'link', 'show', 'dev', 'v-pod')) as { address?: string }[];
  inPod('ip', 'neigh', 'replace', HOST, 'lladdr', address, 'dev', 'eth0', 'nud', 'permanent');
  const [{ address: podAddress = '' } = {}] = JSON.parse(inPod('ip', '-json', 'link', 'show', 'dev', 'eth0')) as { address?: string }[];
  run('ip', 'neigh', 'replace', POD, 'lladdr', podAddress, 'dev', 'v-pod', 'nud', 'permanent');
  ifindex = (JSON.parse(run('ip', '-json', 'link', 'show', 'dev', 'v-pod')) as { ifindex: number }[])[0]?.ifindex ?? 0;
  pins = mkdtempSync(join(tmpdir(), 'sfc-neighbours-'));
  open = [];
});

afterEach(() => {
  for (const datapath of open) {
    datapath.detach(ifindex);
    datapath.remove();
    datapath.close();
  }
  neighbour.leave();
  run('ip', 'link', 'delete', 'v-pod');
  unmount(pins);
  rmSync(pins, { recursive: true, force: true });
});

function agent(method: AttachMethod, options: Partial<KernelOptions> = {}): KernelDatapath {
  const datapath = openKernelDatapath({
    object: OBJECT,
    pinDirectory: pins,
    port: 7081,
    capacities: { sfcflow: 1024 },
    method,
    ...options,
  });
  open.push(datapath);
  typedMaps(datapath.store).endpoint.set(
    { ifindex },
    { id: 7, flags: ENDPOINT_FLAG.ipv4, mtu: 1500, generation: 2, ipv4: bytesOf(POD).slice(0, 4), ipv6: new Uint8Array(16) },
  );
  datapath.attach(ifindex, 'v-pod');
  return datapath;
}

/** As the other owner does it: links, or filters of priority 1, which run before what was there with it. */
function hang(method: AttachMethod, program: NeighbourProgram, where: 'before' | 'behind'): void {
  if (method === 'tcx') neighbour.hangLink(program, ifindex, where);
  else {
    run('tc', 'qdisc', 'replace', 'dev', 'v-pod', 'clsact');
    neighbour.hangFilter(program, 'v-pod', where === 'before' ? 1 : 0);
  }
}

const send = (port: number) =>
  inPod(process.execPath, '-e', `const s = require('node:dgram').createSocket('udp4'); s.send('x', ${port}, '${HOST}', () => s.close())`);

const SPOOFED = REASONS.find(({ name }) => name === 'spoofed-encap')?.number ?? 0;
const ours = (datapath: KernelDatapath) => typedMaps(datapath.store).metrics.get({ slot: SPOOFED * 2 })?.packets ?? 0;

/** How often each has seen one packet that ours drops. */
function dropped(datapath: KernelDatapath, program: NeighbourProgram): { ours: number; theirs: number } {
  const before = { ours: ours(datapath), theirs: neighbour.seen(program) };
  send(7081);
  return { ours: ours(datapath) - before.ours, theirs: neighbour.seen(program) - before.theirs };
}

/** Do they see a packet that ours lets through? */
function theirsSees(program: NeighbourProgram): number {
  const before = neighbour.seen(program);
  send(9);
  return neighbour.seen(program) - before;
}

describe.each(METHODS)('attached by %s', (method) => {
  describe.each(['answers', 'redirects', 'passes'] as const)('beside a program that %s', (program) => {
    it('ours sees every packet first, though theirs was there before', () => {
      hang(method, program, 'behind');
      const datapath = agent(method);
      expect(datapath.troubled()).toEqual([]);
      expect(dropped(datapath, program)).toEqual({ ours: 1, theirs: 0 });
      expect(theirsSees(program)).toBe(1);
    });

    it('and though theirs comes later, behind it', () => {
      const datapath = agent(method);
      hang(method, program, 'behind');
      expect(datapath.troubled()).toEqual([]);
      expect(dropped(datapath, program)).toEqual({ ours: 1, theirs: 0 });
      expect(theirsSees(program)).toBe(1);
    });

    it('theirs that goes before is noticed, and ours goes before it again', () => {
      const datapath = agent(method);
      hang(method, program, 'before');
      // What it would mean: who has the last word answers for ours too.
      expect(dropped(datapath, program)).toEqual({ ours: program === 'passes' ? 1 : 0, theirs: 1 });
      expect(datapath.troubled()).toEqual([{ ifindex, ifname: 'v-pod', why: expect.stringMatching(/stands before from_pod/) }]);
      datapath.restore(ifindex);
      expect(datapath.troubled()).toEqual([]);
      expect(dropped(datapath, program)).toEqual({ ours: 1, theirs: 0 });
      expect(theirsSees(program)).toBe(1);
    });
  });

  it('ours stands behind all where that is asked for: a program that passes sees each packet before it', () => {
    hang(method, 'passes', 'behind');
    const datapath = agent(method, { order: 'last' });
    expect(datapath.troubled()).toEqual([]);
    expect(dropped(datapath, 'passes')).toEqual({ ours: 1, theirs: 1 });
    if (method === 'clsact') return; // what comes without a priority comes before
    hang(method, 'answers', 'behind');
    expect(datapath.troubled()).toEqual([{ ifindex, ifname: 'v-pod', why: expect.stringContaining('stands behind from_pod') }]);
  });

  it('an agent that wants another order takes over, and there is one program of ours', () => {
    hang(method, 'passes', 'behind');
    agent(method, { order: 'last' }).close();
    open = [];
    const next = agent(method);
    expect(next.troubled()).toEqual([]);
    expect(dropped(next, 'passes')).toEqual({ ours: 1, theirs: 0 });
    next.detach(ifindex);
    expect(dropped(next, 'passes')).toEqual({ ours: 0, theirs: 1 });
  });
});

describe('what others do to ours', () => {
  const link = (program: string) => join(pins, `v${LAYOUT_VERSION}`, 'links', `${ifindex}-${program}`);

  it.each<[string, AttachMethod, () => void, RegExp]>([
    ['a link that is detached', 'tcx', () => run('bpftool', 'link', 'detach', 'pinned', link('from_pod')), /taken from_pod away/],
    ['the link of what the pod receives', 'tcx', () => run('bpftool', 'link', 'detach', 'pinned', link('to_pod')), /taken to_pod away/],
    ['a pin that is removed', 'tcx', () => rmSync(link('from_pod')), /taken from_pod away/],
    ['a link that has another program', 'tcx', () => neighbour.takeLink(link('from_pod'), 'passes'), /taken from_pod away/],
    ['a qdisc that is deleted', 'clsact', () => run('tc', 'qdisc', 'del', 'dev', 'v-pod', 'clsact'), /taken from_pod away; .*to_pod away/],
    ['all filters deleted', 'clsact', () => run('tc', 'filter', 'del', 'dev', 'v-pod', 'ingress'), /^somebody has taken from_pod away$/],
  ])('%s is noticed and put back', async (_what, method, act, why) => {
    const datapath = agent(method);
    expect(datapath.troubled()).toEqual([]);
    act();
    // What a pin alone has held goes a moment after the pin.
    await expect.poll(() => datapath.troubled()).toEqual([{ ifindex, ifname: 'v-pod', why: expect.stringMatching(why) }]);
    datapath.restore(ifindex);
    expect(datapath.troubled()).toEqual([]);
    expect(dropped(datapath, 'passes')).toEqual({ ours: 1, theirs: 0 });
  });

  it.each(METHODS)('an interface that is gone (%s) is nobody’s doing', (method) => {
    const datapath = agent(method);
    run('ip', 'link', 'delete', 'v-pod');
    expect(datapath.troubled().filter(({ why }) => !/taken/.test(why))).toEqual([]);
    run('ip', 'link', 'add', 'v-pod', 'type', 'veth', 'peer', 'name', 'v-other'); // for what takes it away
  });
});
