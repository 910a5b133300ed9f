/**
 * Catching packets of pods: tc filters (tc-u32(8), tc-mirred(8)) on the host side of a pod's
 * interface, at the two points where the kernel datapath has its programs.
 *
 *     pod ──► ingress: every IP packet but those that stay ────────► its own TUN device
 *                      else: what may claim to be steering traffic ► one TUN device
 *     pod ◄── egress:  to the pod's address, all or only steering ─► one TAP device
 *
 * A filter outlives a process that was killed, its device does not: mirred then drops what it would
 * redirect, so nothing slips past its function until the next agent has cleaned up.
 */

import { SfcError } from '../../../errors/index.js';
import { batch, batchLeniently, list } from './commands.js';

export type Version = 4 | 6;
export const VERSIONS: readonly Version[] = [4, 6];
export type Caught = 'fromPod' | 'claims' | 'selected' | 'steering';

/**
 * Priorities of our filters: how they are found again. One has filters of one IP version only. Their order matters on the way
 * in: `claims` sees what `fromPod` has left.
 */
const PRIORITY: Readonly<Record<Version, Readonly<Record<Caught, number>>>> = {
  4: { fromPod: 1528, selected: 1529, steering: 1530, claims: 1534 },
  6: { fromPod: 1531, selected: 1532, steering: 1533, claims: 1535 },
};
const POINT = { fromPod: 'ingress', claims: 'ingress', selected: 'egress', steering: 'egress' } as const;
const PROTOCOL = { 4: 'ip', 6: 'ipv6' } as const;

/** What u32 compares is given as value, mask and place in the IP header. */
const UDP = { 4: 'match ip protocol 17 0xff', 6: 'match ip6 protocol 17 0xff' } as const;
/** Unicast destinations, 0.0.0.0 to 223.255.255.255: the address word, and the bits of it that are compared. */
const UNICAST = ['0x00000000 0x80000000', '0x80000000 0xc0000000', '0xc0000000 0xe0000000'];
/** Header lengths: the first byte of an IPv4 header without options, and those with. */
const WITH_OPTIONS = ['0x46 0xfe', '0x48 0xf8'];
/** Next headers behind which IPv6 goes on: hop-by-hop options, routing, fragment, authentication, destination options. */
const EXTENSIONS = [0, 43, 44, 51, 60];

/**
 * IPv6 that is between neighbours and stays with the interface that it belongs to: to a multicast address (ff00::/8),
 * to or from a link-local one (fe80::/10), and neighbour discovery (ICMPv6 133 to 137), which asks for global addresses too.
 */
const STAYS = [
  'match u32 0xff000000 0xff000000 at 24',
  'match u32 0xfe800000 0xffc00000 at 24',
  'match u32 0xfe800000 0xffc00000 at 8',
  ...['133 0xff', '134 0xfe', '136 0xfe'].map((type) => `match u8 58 0xff at 6 match u8 ${type} at 40`),
];
/** A filter without an action ends the search, and the packet goes on. u32 takes it for one by its flowid. */
const LET_GO = 'flowid 1:1';

const redirect = (device: string) => `action mirred egress redirect dev ${device}`;

/** Interface names that stand in a batch without quoting; the kernel refuses only white space, `/` and `:`. */
function plain(ifname: string): string {
  if (!/^[\w.@-]+$/.test(ifname)) throw new SfcError('COMMAND_FAILED', `tc takes no interface named ${JSON.stringify(ifname)}`);
  return ifname;
}

const filterAdd = (ifname: string, version: Version, what: Caught): string =>
  `filter add dev ${plain(ifname)} ${POINT[what]} pref ${PRIORITY[version][what]} protocol ${PROTOCOL[version]} u32`;
const withClsact = (ifname: string, filters: readonly string[]) => [`qdisc replace dev ${plain(ifname)} clsact`, ...filters];

/** ICMP errors to the pod, which may be about the tunnel and are then not for it: unreachable (fragmentation needed), too big. */
const ERRORS = {
  4: ['match ip protocol 1 0xff match u8 0x45 0xff at 0 match u8 3 0xff at 20'],
  6: ['match u8 58 0xff at 6 match u8 1 0xff at 40', 'match u8 58 0xff at 6 match u8 2 0xff at 40'],
} as const;

/** UDP to the port. Behind options and extension headers u32 does not find that: all of those, they are rare. */
function maySteer(version: Version, port: number): readonly string[] {
  return version === 4
    ? [
        `${UDP[4]} match u8 0x45 0xff at 0 match u16 ${port} 0xffff at 22`,
        ...WITH_OPTIONS.map((first) => `${UDP[4]} match u8 ${first} at 0`),
      ]
    : [`${UDP[6]} match u16 ${port} 0xffff at 42`, ...EXTENSIONS.map((next) => `match u8 ${next} 0xff at 6`)];
}

/** Packets for the pod that carry the steering port, or may be about such packets, to the device. */
export function catchSteering(ifname: string, version: Version, address: string, port: number, device: string): void {
  const filter = filterAdd(ifname, version, 'steering');
  const to = version === 4 ? `match ip dst ${address}/32` : `match ip6 dst ${address}/128`;
  batch(
    'tc',
    withClsact(
      ifname,
      [...maySteer(version, port), ...ERRORS[version]].map((match) => `${filter} ${to} ${match} ${redirect(device)}`),
    ),
  );
}

/** What the pod sends and may claim to be steering traffic, to the device. */
export function catchClaims(ifname: string, port: number, device: string): void {
  const [filter4, filter6] = [filterAdd(ifname, 4, 'claims'), filterAdd(ifname, 6, 'claims')];
  batch(
    'tc',
    withClsact(ifname, [
      ...maySteer(4, port).map((match) => `${filter4} ${match} ${redirect(device)}`),
      ...STAYS.map((match) => `${filter6} ${match} ${LET_GO}`),
      ...maySteer(6, port).map((match) => `${filter6} ${match} ${redirect(device)}`),
    ]),
  );
}

/** Everything that the pod is about to receive, also for those behind it, to the device. */
export function catchToPod(ifname: string, device: string): void {
  catchUnicast(ifname, 'selected', device);
}

/** Everything that the pod sends, to the device. */
export function catchFromPod(ifname: string, device: string): void {
  catchUnicast(ifname, 'fromPod', device);
}

function catchUnicast(ifname: string, what: Caught, device: string): void {
  const [filter4, filter6] = [filterAdd(ifname, 4, what), filterAdd(ifname, 6, what)];
  batch(
    'tc',
    withClsact(ifname, [
      ...UNICAST.map((destination) => `${filter4} match u32 ${destination} at 16 ${redirect(device)}`),
      // In the order in which they are added.
      ...STAYS.map((match) => `${filter6} ${match} ${LET_GO}`),
      `${filter6} match u32 0 0 ${redirect(device)}`,
    ]),
  );
}

/** Undoes one of them, of both versions or of one; what is not there is fine. */
export function release(ifname: string, what: Caught, versions = VERSIONS): void {
  batchLeniently(
    'tc',
    versions.map((version) => `filter del dev ${plain(ifname)} ${POINT[what]} pref ${PRIORITY[version][what]}`),
  );
}

/** Undoes all of them, and removes the clsact qdisc when no filter of anybody is left on it. */
export function releaseAll(ifnames: readonly string[]): void {
  const caught = Object.keys(POINT) as Caught[];
  batchLeniently(
    'tc',
    ifnames.flatMap((ifname) =>
      VERSIONS.flatMap((version) => caught.map((what) => `filter del dev ${plain(ifname)} ${POINT[what]} pref ${PRIORITY[version][what]}`)),
    ),
  );
  const empty = ifnames.filter((ifname) => filtersOf(ifname).length === 0);
  batchLeniently(
    'tc',
    empty.map((ifname) => `qdisc del dev ${ifname} clsact`),
  );
}

function filtersOf(ifname: string): readonly Readonly<Record<string, unknown>>[] {
  return ['ingress', 'egress'].flatMap((point) => list('tc', ['filter', 'show', 'dev', ifname, point]));
}

/** Interfaces that still have filters of an agent that was killed. */
export function leftoverInterfaces(): readonly string[] {
  const ours = new Set<unknown>(VERSIONS.flatMap((version) => Object.values(PRIORITY[version])));
  const devices = list('tc', ['qdisc', 'show']).flatMap(({ kind, dev }) => (kind === 'clsact' && typeof dev === 'string' ? [dev] : []));
  return devices.filter((device) => filtersOf(device).some(({ pref, kind }) => kind === 'u32' && ours.has(pref)));
}
