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
import { addressFor, addressOf, frame, type Version } from '../datapath/cast.js';
import { type KernelDatapath, openKernelDatapath, type PreparedRun, prepareRun } from '../datapath/index.js';
import { unmount } from '../datapath/libc.js';
import { HALF_SEEN_MARK, PEER_FLAG, PEER_STATIC_BITS, type TypedMaps, typedMaps } from '../maps/index.js';
import { loadFloor } from './floor.js';
import { PROJECT } from './machine.js';
import { CASES, furnish, type Interfaces, SELECTOR_COUNTS, type SelectorCount, select } from './node.js';
import { median, quantile } from './statistics.js';

/** Of a node's own links: a packet that is no pod's here, and an answer that has come past its chain. */
export const PACKET_CASES = [...CASES, 'uplink: other', 'uplink: answer'] as const;
type PacketCase = (typeof PACKET_CASES)[number];

export interface Measured {
  /** Median, ns, the measuring's own cost taken off. */
  readonly ns: number;
  /** Quartiles, same unit. */
  readonly low: number;
  readonly high: number;
}

export interface PacketFigures {
  /** By version: what adding or removing the outer headers' bytes takes alone. */
  readonly floor: Readonly<Record<Version, { readonly add: Measured; readonly take: Measured }>>;
  /** By version of IP, of packets and tunnels, and number of selectors. */
  readonly cases: Readonly<Record<Version, Readonly<Record<SelectorCount, Readonly<Record<PacketCase, Measured>>>>>>;
  /** What an empty program takes, ns: the measuring's own cost. */
  readonly empty: number;
  readonly runs: number;
}

const FIRST_SOURCE_PORT = 1024;
/** Bytes of Ethernet, then of IP, before the source port. */
const SOURCE_PORT_AT = { 4: 14 + 20, 6: 14 + 40 } as const;
export const VERSIONS: readonly Version[] = [4, 6];

const packetTo = (version: Version, to: string) =>
  frame({ from: addressFor('client', version), to, protocol: 'tcp', payload: 'x'.repeat(64) });
const ANSWER = { protocol: 'tcp', sourcePort: 80, destinationPort: 4000 } as const;
const packets = (version: Version) => ({
  selected: packetTo(version, addressFor('server', version)),
  unselected: packetTo(version, version === 6 ? 'fd00::198.51.100.7' : '198.51.100.7'),
  own: frame({ from: addressFor('vpn', version), to: addressFor('server', version), protocol: 'tcp' }),
  answer: frame({ ...ANSWER, from: addressFor('server', version), to: addressFor('vpn', version) }),
  other: frame({ ...ANSWER, from: addressFor('server', version), to: addressFor('destination', version) }),
});

/** Two pods of one node, so that the output of one is the input of the other; returns their interfaces. */
function buildNode(): Interfaces {
  const sh = (command: string) => execFileSync('/bin/sh', ['-ec', command], { encoding: 'utf8' });
  sh(`
    ip link set lo up
    for pod in vpn firewall uplink; do ip link add v-$pod type veth peer name p-$pod; ip link set v-$pod up; ip link set p-$pod up; done
    ip address add 172.30.0.1/24 dev v-uplink
    ip neighbour replace 172.30.0.2 lladdr 02:00:00:00:00:02 dev v-uplink nud permanent
    ip route add 10.244.2.0/24 via 172.30.0.2
    ip address add fd30::1/64 dev v-uplink nodad
    ip neighbour replace fd30::2 lladdr 02:00:00:00:00:02 dev v-uplink nud permanent
    ip route add fd00::10.244.2.0/120 via fd30::2
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
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
  readonly interfaces: Interfaces;
  readonly version: Version;
}

function openSetting(interfaces: Interfaces, version: Version): Setting {
  const directory = mkdtempSync(join(tmpdir(), 'sfc-bench-'));
  const datapath = openKernelDatapath({
    object: join(PROJECT, 'dist/datapath/kernel/sfc.bpf.o'),
    pinDirectory: directory,
    port: 7081,
  });
  const maps = typedMaps(datapath.store);
  furnish(maps, interfaces, version);
  const { bytes, family } = addressOf(addressFor('vpn', version));
  const here = { prefix_len: PEER_STATIC_BITS + (version === 6 ? 128 : 32), family, address: bytes };
  maps.peer.set(here, { flags: PEER_FLAG.trusted | PEER_FLAG.decapsulates, ifindex: interfaces.vpn });
  return { maps, datapath, interfaces, directory, version };
}

function closeSetting({ datapath, directory }: Setting): void {
  datapath.remove();
  datapath.close();
  unmount(directory);
  rmSync(directory, { recursive: true });
}

type Samples = Record<'nop' | 'add' | 'take' | PacketCase, number[]>;

/** One turn of every case and of the floor. */
function turn(setting: Setting, floor: ReturnType<typeof loadFloor>, runs: number, samples: Samples, port: { next: number }): void {
  const { programs } = setting.datapath;
  const { vpn, firewall } = setting.interfaces;
  const { selected, unselected, own, answer: answerPacket, other: otherPacket } = packets(setting.version);
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
  const { version } = setting;
  measure('nop', prepareRun(floor.nop, selected, vpn));
  measure('add', prepareRun(floor[`add_ipv${version}`], selected, vpn));
  measure('established', established);
  measure('take', prepareRun(floor[`take_ipv${version}`], wrapped, firewall));
  measure('decapsulation', decapsulation);
  measure('no match', none);
  const answer = prepareRun(programs.from_uplink, answerPacket, firewall);
  const other = prepareRun(programs.from_uplink, otherPacket, firewall);
  prepareRun(programs.from_pod, own, vpn).run();
  measure('uplink: other', other);
  measure('uplink: answer', answer);
  if (answer.mark() !== HALF_SEEN_MARK || other.mark() !== 0)
    throw new Error('what comes by an uplink is not told apart: the setting is wrong');
  measure('first packet', first, () => {
    port.next = port.next >= 0xffff ? FIRST_SOURCE_PORT : port.next + 1;
    if (port.next === FIRST_SOURCE_PORT) for (const [key] of setting.maps.sfcflow.entries()) setting.maps.sfcflow.delete(key);
    first.frame.writeUInt16BE(port.next, SOURCE_PORT_AT[setting.version]);
  });
}

function expect(prepared: PreparedRun, verdict: number, name: string): void {
  if (prepared.verdict() !== verdict) throw new Error(`${name}: verdict ${prepared.verdict()} instead of ${verdict}: the setting is wrong`);
}

/** Measures in the namespace it finds itself in. Needs root. */
export function measurePackets(runs: number, turns: number, onProgress: (done: number, of: number) => void): PacketFigures {
  const interfaces = buildNode();
  const floor = loadFloor();
  const stages = VERSIONS.flatMap((version) => SELECTOR_COUNTS.map((count) => ({ version, count }))).map(({ version, count }) => {
    const setting = openSetting(interfaces, version);
    select(setting.maps, count, version);
    const samples = Object.fromEntries(['nop', 'add', 'take', ...PACKET_CASES].map((name): [string, number[]] => [name, []])) as Samples;
    return { version, count, setting, samples };
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
  const of = (wanted: Version) =>
    stages
      .filter(({ version }) => version === wanted)
      .map(({ count, samples }) => [count, Object.fromEntries(PACKET_CASES.map((name) => [name, measured(samples[name])]))]);
  const cases = VERSIONS.map((version) => [version, Object.fromEntries(of(version))]);
  const floorOf = (wanted: Version) => {
    const samplesOf = (name: 'add' | 'take') => stages.flatMap(({ version, samples }) => (version === wanted ? samples[name] : []));
    return { add: measured(samplesOf('add')), take: measured(samplesOf('take')) };
  };
  return {
    floor: { 4: floorOf(4), 6: floorOf(6) },
    cases: Object.fromEntries(cases) as PacketFigures['cases'],
    empty,
    runs: runs * turns,
  };
}
