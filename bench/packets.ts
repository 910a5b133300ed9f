/**
 * How many nanoseconds does a packet cost? Each case is one packet through a loaded program by
 * BPF_PROG_TEST_RUN, once a run, because a program that wraps its packet finds it wrapped in a
 * second repetition. All cases and the floor take turns within one process; the figure is the median
 * less that of a program that does nothing, which is what the measuring itself costs.
 *
 * Runs in a network and mount namespace of its own (see main.ts): a veth, a route and a neighbour,
 * so that the kernel's route look-up resolves as it does on a node.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesOf, CAST, frame } from '../datapath/cast.js';
import { type KernelDatapath, openKernelDatapath, type PreparedRun, prepareRun } from '../datapath/index.js';
import { unmount } from '../datapath/libc.js';
import { ENDPOINT_FLAG, PEER_FLAG, type TypedMaps, typedMaps } from '../maps/index.js';
import { loadFloor } from './floor.js';
import { PROJECT } from './machine.js';
import { median, quantile } from './statistics.js';

export const SELECTOR_COUNTS = [1, 100, 16_384] as const;
export const CASES = ['no match', 'first packet', 'established', 'decapsulation'] as const;
export type Case = (typeof CASES)[number];
export type SelectorCount = (typeof SELECTOR_COUNTS)[number];

export interface Measured {
  /** Median, ns, the measuring's own cost taken off. */
  readonly ns: number;
  /** Quartiles, same unit. */
  readonly low: number;
  readonly high: number;
}

export interface PacketFigures {
  readonly floor: { readonly add: Measured; readonly take: Measured };
  readonly cases: Readonly<Record<SelectorCount, Readonly<Record<Case, Measured>>>>;
  /** What an empty program takes, ns: the measuring's own cost. */
  readonly empty: number;
  readonly runs: number;
}

const VPN = 1;
const FIREWALL = 2;
const FIRST_SOURCE_PORT = 1024;
/** Bytes of Ethernet, then of IPv4, before the source port. */
const SOURCE_PORT_AT = 14 + 20;

const selected = frame({ from: CAST.client, to: CAST.server, protocol: 'tcp', payload: 'x'.repeat(64) });
const unselected = frame({ from: CAST.client, to: '198.51.100.7', protocol: 'tcp', payload: 'x'.repeat(64) });

/** Two pods of one node, so that the output of one is the input of the other; returns their interfaces. */
function buildNode(): { readonly vpn: number; readonly firewall: number } {
  const sh = (command: string) => execFileSync('/bin/sh', ['-ec', command], { encoding: 'utf8' });
  sh(`
    ip link set lo up
    for pod in vpn firewall uplink; do ip link add v-$pod type veth peer name p-$pod; ip link set v-$pod up; ip link set p-$pod up; done
    ip address add 172.30.0.1/24 dev v-uplink
    ip neighbour replace 172.30.0.2 lladdr 02:00:00:00:00:02 dev v-uplink nud permanent
    ip route add 10.244.2.0/24 via 172.30.0.2
    echo 1 > /proc/sys/net/ipv4/ip_forward
  `);
  // Not from /sys, which still shows the namespace that it was mounted in.
  const index = (name: string) => (JSON.parse(sh(`ip -json link show dev ${name}`)) as { readonly ifindex: number }[])[0]?.ifindex ?? 0;
  return { vpn: index('v-vpn'), firewall: index('v-firewall') };
}

interface Setting {
  readonly maps: TypedMaps;
  readonly datapath: KernelDatapath;
  /** Its own, with a bpffs mounted on it. */
  readonly directory: string;
  readonly interfaces: { readonly vpn: number; readonly firewall: number };
}

function openSetting(interfaces: Setting['interfaces']): Setting {
  const directory = mkdtempSync(join(tmpdir(), 'sfc-bench-'));
  const datapath = openKernelDatapath({
    object: join(PROJECT, 'dist/datapath/kernel/sfc.bpf.o'),
    pinDirectory: directory,
    port: 7081,
  });
  const maps = typedMaps(datapath.store);
  const endpoint = (ifindex: number, id: number, address: string, flags: number) =>
    maps.endpoint.set(
      { ifindex },
      { id, flags: ENDPOINT_FLAG.ipv4 | flags, mtu: 1500, generation: 1, ipv4: bytesOf(address).slice(0, 4), ipv6: new Uint8Array(16) },
    );
  endpoint(interfaces.vpn, VPN, CAST.vpn, ENDPOINT_FLAG.selectsAllPorts | ENDPOINT_FLAG.selectsPorts);
  endpoint(interfaces.firewall, FIREWALL, CAST.firewall, 0);
  maps.peer.set({ prefix_len: 32 + 16, family: 1, address: bytesOf('10.244.0.0') }, { flags: PEER_FLAG.trusted | PEER_FLAG.decapsulates });
  maps.sfcbackend.set({ slot: 0 }, { address: bytesOf(CAST.firewall), family: 1 });
  maps.sfcpath.set(
    { path: 0x101 },
    {
      service_address: bytesOf('10.96.0.1'),
      family: 1,
      flags: 0,
      failure_policy: 0,
      affinity_timeout: 0,
      backend_base: 0,
      backend_slots: 1,
    },
  );
  return { maps, datapath, interfaces, directory };
}

function closeSetting({ datapath, directory }: Setting): void {
  datapath.remove();
  datapath.close();
  unmount(directory);
  rmSync(directory, { recursive: true });
}

/** The one that matches, and others of the same endpoint with prefixes of every length from 9 to 32. */
function select({ maps }: Setting, count: number): void {
  const add = (address: Uint8Array, length: number, port: number) =>
    maps.sfcselect.set(
      { prefix_len: 64 + length, endpoint: VPN, family: 1, flags: 1, port, protocol: 6, address },
      { cidr_prefix_len: length, last_port: port, path: 0x101 },
    );
  add(bytesOf('203.0.113.0'), 24, 0);
  for (let n = 1; n < count; n++) {
    const length = 9 + (n % 24);
    const spread = Math.imul(n, 0x9e3779b1) >>> 0;
    const network = (0x0a000000 | (spread & 0x00ffffff)) & (-1 << (32 - length));
    const address = new Uint8Array(16);
    new DataView(address.buffer).setInt32(0, network);
    add(address, length, n % 2 === 0 ? 0 : 1 + (n % 60_000));
  }
}

type Samples = Record<'nop' | 'add' | 'take' | Case, number[]>;

/** One turn of every case and of the floor. */
function turn(setting: Setting, floor: ReturnType<typeof loadFloor>, runs: number, samples: Samples, port: { next: number }): void {
  const { programs } = setting.datapath;
  const { vpn, firewall } = setting.interfaces;
  const established = prepareRun(programs.from_pod, selected, vpn);
  established.run();
  const wrapped = Buffer.from(established.output());
  expect(established, 7, 'established');
  const decapsulation = prepareRun(programs.to_pod, wrapped, firewall);
  decapsulation.run();
  expect(decapsulation, -1, 'decapsulation');
  const first = prepareRun(programs.from_pod, selected, vpn);
  const none = prepareRun(programs.from_pod, unselected, vpn);
  const measure = (name: keyof Samples, prepared: PreparedRun, before?: () => void) => {
    const list = samples[name];
    for (let i = 0; i < runs; i++) {
      before?.();
      list.push(prepared.run());
    }
  };
  measure('nop', prepareRun(floor.nop, selected, vpn));
  measure('add', prepareRun(floor.add, selected, vpn));
  measure('established', established);
  measure('take', prepareRun(floor.take, wrapped, firewall));
  measure('decapsulation', decapsulation);
  measure('no match', none);
  measure('first packet', first, () => {
    port.next = port.next >= 0xffff ? FIRST_SOURCE_PORT : port.next + 1;
    if (port.next === FIRST_SOURCE_PORT) for (const [key] of setting.maps.sfcflow.entries()) setting.maps.sfcflow.delete(key);
    first.frame.writeUInt16BE(port.next, SOURCE_PORT_AT);
  });
}

function expect(prepared: PreparedRun, verdict: number, name: string): void {
  if (prepared.verdict() !== verdict) throw new Error(`${name}: verdict ${prepared.verdict()} instead of ${verdict}: the setting is wrong`);
}

/** Measures in the namespace it finds itself in. Needs root. */
export function measurePackets(runs: number, turns: number, onProgress: (done: number, of: number) => void): PacketFigures {
  const interfaces = buildNode();
  const floor = loadFloor();
  const stages = SELECTOR_COUNTS.map((count) => {
    const setting = openSetting(interfaces);
    select(setting, count);
    const samples: Samples = { nop: [], add: [], take: [], 'no match': [], 'first packet': [], established: [], decapsulation: [] };
    return { count, setting, samples };
  });
  const port = { next: FIRST_SOURCE_PORT };
  for (let round = 0; round < turns; round++) {
    for (const { setting, samples } of stages) turn(setting, floor, runs, samples, port);
    onProgress(round + 1, turns);
  }
  for (const { setting } of stages) closeSetting(setting);
  const every = (name: keyof Samples) => stages.flatMap(({ samples }) => samples[name]);
  const empty = median(every('nop'));
  const measured = (list: readonly number[]): Measured => ({
    ns: median(list) - empty,
    low: quantile(list, 0.25) - empty,
    high: quantile(list, 0.75) - empty,
  });
  const cases = stages.map(({ count, samples }) => [count, Object.fromEntries(CASES.map((name) => [name, measured(samples[name])]))]);
  return {
    floor: { add: measured(every('add')), take: measured(every('take')) },
    cases: Object.fromEntries(cases) as PacketFigures['cases'],
    empty,
    runs: runs * turns,
  };
}
