/**
 * Loading, pinning, attaching and adopting on the real kernel. The story: agents come, die and come
 * back in other versions and with other settings, while a pod on a real veth keeps sending. What the
 * pod sends is UDP to the steering port, which a pod may not: each such packet is dropped and counted
 * once, so the counter tells how many of our programs a packet has met.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SfcError } from '../../errors/index.js';
import { ENDPOINT_FLAG, LAYOUT_VERSION, MAP_NAMES, REASONS, typedMaps } from '../../maps/index.js';
import { bytesOf } from '../cast.js';
import { enterFreshNetwork, unmount } from '../libc.js';
import { type AttachMethod, troubleOf } from './attach.js';
import { compileChanged, OBJECT } from './cast.js';
import { type KernelDatapath, type KernelOptions, openKernelDatapath } from './open.js';

const POD_NAMESPACE = `sfc-test-${process.pid}-pod`;
const POD = '10.244.1.2';
const HOST = '10.244.1.1';

let pins: string;
let open: KernelDatapath[] = [];
let ifindex = 0;

const run = (...argv: string[]) => execFileSync(argv[0] ?? '', argv.slice(1), { encoding: 'utf8' });
const inPod = (...argv: string[]) => run('nsenter', `--net=/run/netns/${POD_NAMESPACE}`, '--', ...argv);

beforeAll(() => {
  run('ip', 'netns', 'add', POD_NAMESPACE);
  enterFreshNetwork();
  run('ip', 'link', 'add', 'v-pod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', POD_NAMESPACE);
  run('ip', 'address', 'add', `${HOST}/24`, 'dev', 'v-pod');
  run('ip', 'link', 'set', 'v-pod', 'up');
  inPod('ip', 'address', 'add', `${POD}/24`, 'dev', 'eth0');
  inPod('ip', 'link', 'set', 'eth0', 'up');
  const links = JSON.parse(run('ip', '-json', 'link', 'show', 'dev', 'v-pod')) as { ifindex: number }[];
  ifindex = links[0]?.ifindex ?? 0;
});

afterAll(() => {
  run('ip', 'netns', 'delete', POD_NAMESPACE);
});

beforeEach(() => {
  pins = mkdtempSync(join(tmpdir(), 'sfc-lifecycle-'));
  open = [];
});

afterEach(() => {
  for (const datapath of open) {
    datapath.detach(ifindex);
    datapath.remove();
    datapath.close();
  }
  unmount(pins);
  rmSync(pins, { recursive: true, force: true });
});

function start(options: Partial<KernelOptions> = {}): KernelDatapath {
  const datapath = openKernelDatapath({ object: OBJECT, pinDirectory: pins, port: 7081, capacities: { sfcflow: 1024 }, ...options });
  open.push(datapath);
  return datapath;
}

/** An agent that has attached itself to the pod. */
function agent(method: AttachMethod): KernelDatapath {
  const datapath = start({ method });
  typedMaps(datapath.store).endpoint.set(
    { ifindex },
    { id: 7, flags: ENDPOINT_FLAG.ipv4, mtu: 1500, generation: 2, ipv4: bytesOf(POD).slice(0, 4), ipv6: new Uint8Array(16) },
  );
  datapath.attach(ifindex, 'v-pod');
  return datapath;
}

const SPOOFED = REASONS.find(({ name }) => name === 'spoofed-encap')?.number ?? 0;

/** How often a packet of the pod is counted. */
function countedOnce(datapath: KernelDatapath): number {
  const { metrics } = typedMaps(datapath.store);
  const packets = () => metrics.get({ slot: SPOOFED * 2 })?.packets ?? 0;
  const before = packets();
  const send = `const s = require('node:dgram').createSocket('udp4'); s.send('x', 7081, '${HOST}', () => s.close())`;
  inPod(process.execPath, '-e', send);
  return packets() - before;
}

function refusal(work: () => unknown): SfcError {
  try {
    work();
  } catch (error) {
    if (error instanceof SfcError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('pinned state', () => {
  it('is made, then adopted with what it holds', () => {
    const first = start();
    expect(first.adopted).toEqual([]);
    expect(readdirSync(join(pins, `v${LAYOUT_VERSION}`)).sort()).toEqual([...MAP_NAMES, 'links', 'programs', 'uplinks'].sort());
    expect(readdirSync(join(pins, `v${LAYOUT_VERSION}`, 'programs')).sort()).toEqual(['from_pod', 'from_uplink', 'to_pod']);
    typedMaps(first.store).sfcselect.set(
      { prefix_len: 96, endpoint: 3783, family: 1, flags: 1, port: 0, protocol: 6, address: bytesOf('10.0.2.12') },
      { cidr_prefix_len: 32, last_port: 0, path: 0x101 },
    );
    first.close();
    const second = start();
    expect(second.adopted).toContain('sfcselect');
    expect([...typedMaps(second.store).sfcselect.entries()].map(([key]) => key.endpoint)).toEqual([3783]);
  });

  it('of another capacity is refused, naming every difference, until it is reset', () => {
    start({ capacities: { sfcselect: 100, sfcpath: 50 } }).close();
    const error = refusal(() => start({ capacities: { sfcselect: 200, sfcpath: 60 } }));
    expect(error.code).toBe('PINNED_STATE');
    expect(error.message).toContain('sfcselect has capacity 100, expected 200');
    expect(error.message).toContain('sfcpath has capacity 50, expected 60');
    expect(start({ capacities: { sfcselect: 200, sfcpath: 60 }, reset: true }).adopted).toEqual([]);
  });

  it('of another layout version is refused by name until it is reset', () => {
    start().close();
    mkdirSync(join(pins, 'v4711'));
    const error = refusal(() => start());
    expect(error.code).toBe('PINNED_STATE');
    expect(error.message).toContain(`holds state of layout v4711; this version has v${LAYOUT_VERSION}`);
    expect(start({ reset: true }).adopted).toEqual([]);
  });
});

describe('the object', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sfc-object-'));
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('whose structs drifted from the layouts is refused before it is loaded', () => {
    const object = compileChanged(directory, 'layouts.h', (text) =>
      text.replaceAll(/^_Static_assert.*;$/gm, '').replace('__u8 family;', '__u8 family, stowaway;'),
    );
    const error = refusal(() => start({ object }));
    expect(error.code).toBe('LAYOUT_DRIFT');
    expect(error.message).toMatch(/stowaway is not in the layout/);
  });

  it('that the verifier refuses is refused with the end of its log', () => {
    const object = compileChanged(directory, 'sfc.bpf.c', (text) =>
      text.replace(
        '\tstruct sfcflow_value *flow;\n',
        '\tstruct sfcflow_value *flow = NULL;\n\tif (*(volatile __u8 *)(long)skb->data == 1) return 0;\n',
      ),
    );
    const error = refusal(() => start({ object }));
    expect(error.code).toBe('BPF_LOAD');
    expect(error.message).toMatch(/invalid access to packet|invalid mem access/);
  });

  it('that is not there is told from one that is wrong', () => {
    expect(refusal(() => start({ object: join(pins, 'none.o') })).message).toContain('make build');
  });
});

describe.each(['tcx', 'clsact'] as const)('attached by %s', (method) => {
  it('meets every packet once, also when attached twice', () => {
    const datapath = agent(method);
    datapath.attach(ifindex, 'v-pod');
    expect(countedOnce(datapath)).toBe(1);
  });

  it('stays when the agent is gone, and the next agent takes it over without doubling it', () => {
    agent(method).close();
    const witness = start({ method }); // opens the maps; attaches nothing of its own yet
    expect(countedOnce(witness)).toBe(1);
    witness.attach(ifindex, 'v-pod');
    expect(countedOnce(witness)).toBe(1);
  });

  it('gives way to the other method without doubling', () => {
    agent(method).close();
    expect(countedOnce(agent(method === 'tcx' ? 'clsact' : 'tcx'))).toBe(1);
  });

  it('is gone after detaching, and detaching again is fine', () => {
    const datapath = agent(method);
    datapath.detach(ifindex);
    datapath.detach(ifindex);
    expect(countedOnce(datapath)).toBe(0);
  });

  it('names the interface that is not there', () => {
    const error = refusal(() => start({ method }).attach(4_000_000, 'v-gone'));
    expect(error.code).toBe('BPF_ATTACH');
    expect(error.message).toMatch(/v-gone \((tcx|clsact)\): .*(ENODEV|EINVAL)/);
  });

  it('has its own program on links of the node: those that are named, put back, taken over, and no others', async () => {
    const uplink = { ifindex, ifname: 'v-pod' };
    const link = join(pins, `v${LAYOUT_VERSION}`, 'links', `${ifindex}-from_uplink`);
    const trouble = (datapath: KernelDatapath) => troubleOf(datapath, { ...uplink, place: 'uplink' });
    const isGone = expect.stringContaining('taken from_uplink away');
    const first = start({ method });
    expect(trouble(first)).toEqual(isGone);
    for (const _ of ['once', 'again']) {
      expect(first.setUplinks([uplink])).toEqual([]);
      expect(trouble(first)).toBe('');
    }
    if (method === 'tcx') run('bpftool', 'link', 'detach', 'pinned', link);
    else run('tc', 'qdisc', 'del', 'dev', 'v-pod', 'clsact');
    expect(trouble(first)).toEqual(isGone);
    expect(first.setUplinks([uplink])).toEqual([]);
    expect(trouble(first)).toBe('');
    first.close();
    const second = start({ method });
    const [refused, ...others] = second.setUplinks([uplink, { ifindex: 4_000_000, ifname: 'gone' }]);
    expect(refused).toEqual({ ifindex: 4_000_000, ifname: 'gone', why: expect.stringMatching(/from_uplink on gone .*(ENODEV|EINVAL)/) });
    expect(others).toEqual([]);
    expect(trouble(second)).toBe('');
    second.setUplinks([]);
    expect(trouble(second)).toEqual(isGone);
    second.setUplinks([uplink]);
    second.remove();
    // The kernel lets go of a link a moment after its pin.
    await expect.poll(() => trouble(second), { interval: 10, timeout: 10_000 }).toEqual(isGone);
  });

  it('of an agent before is taken from links that are none any more', async () => {
    const first = start({ method });
    first.setUplinks([{ ifindex, ifname: 'v-pod' }]);
    first.close();
    const second = start({ method });
    second.setUplinks([]);
    const trouble = () => troubleOf(second, { ifindex, ifname: 'v-pod', place: 'uplink' });
    await expect.poll(trouble, { interval: 10, timeout: 10_000 }).toContain('taken from_uplink away');
  });
});
