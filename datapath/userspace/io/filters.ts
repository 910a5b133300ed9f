/**
 * Catching packets of pods: tc filters (tc-u32(8), tc-mirred(8)) on the host side of a pod's
 * interface, at the two points where the kernel datapath has its programs.
 *
 *     pod ──► ingress: every IPv4 packet but multicast ───────────► its own TUN device
 *     pod ◄── egress:  to the pod's address, all or only steering ─► one TAP device
 *
 * A filter outlives a process that was killed, its device does not: mirred then drops what it would
 * redirect, so nothing slips past its function until the next agent has cleaned up.
 */

import { SfcError } from '../../../errors/index.js';
import { batch, batchLeniently, list } from './commands.js';

/** Priorities of our filters: how they are found again. The order of the egress filters does not matter. */
const PRIORITY = { fromPod: 1528, selected: 1529, steering: 1530 } as const;

/** Unicast destinations, 0.0.0.0 to 223.255.255.255: the address word, and the bits of it that are compared. */
const UNICAST = ['0x00000000 0x80000000', '0x80000000 0xc0000000', '0xc0000000 0xe0000000'];
/** Header lengths: the first byte of an IPv4 header without options, and those with. */
const WITH_OPTIONS = ['0x46 0xfe', '0x48 0xf8'];

const redirect = (device: string) => `action mirred egress redirect dev ${device}`;

/** Interface names that stand in a batch without quoting; the kernel refuses only white space, `/` and `:`. */
function plain(ifname: string): string {
  if (!/^[\w.@-]+$/.test(ifname)) throw new SfcError('COMMAND_FAILED', `tc takes no interface named ${JSON.stringify(ifname)}`);
  return ifname;
}

/** Packets for the pod that carry the steering port, to the device. */
export function catchSteering(ifname: string, address: string, port: number, device: string): void {
  const filter = `filter add dev ${plain(ifname)} egress pref ${PRIORITY.steering} protocol ip u32`;
  const toPod = `match ip dst ${address}/32 match ip protocol 17 0xff`;
  batch('tc', [
    `qdisc replace dev ${ifname} clsact`,
    `${filter} ${toPod} match u8 0x45 0xff at 0 match u16 ${port} 0xffff at 22 ${redirect(device)}`,
    // Behind options u32 does not find the port: all of those, they are rare.
    ...WITH_OPTIONS.map((first) => `${filter} ${toPod} match u8 ${first} at 0 ${redirect(device)}`),
  ]);
}

/** Everything that the pod is about to receive, also for those behind it, to the device. */
export function catchToPod(ifname: string, device: string): void {
  catchUnicast(ifname, 'egress', PRIORITY.selected, device);
}

/** Everything that the pod sends, to the device. */
export function catchFromPod(ifname: string, device: string): void {
  catchUnicast(ifname, 'ingress', PRIORITY.fromPod, device);
}

/** Multicast stays with the interface that it belongs to. */
function catchUnicast(ifname: string, point: 'ingress' | 'egress', priority: number, device: string): void {
  const filter = `filter add dev ${plain(ifname)} ${point} pref ${priority} protocol ip u32`;
  batch('tc', [
    `qdisc replace dev ${ifname} clsact`,
    ...UNICAST.map((destination) => `${filter} match u32 ${destination} at 16 ${redirect(device)}`),
  ]);
}

/** Undoes one of them; what is not there is fine. */
export function release(ifname: string, what: keyof typeof PRIORITY): void {
  const point = what === 'fromPod' ? 'ingress' : 'egress';
  batchLeniently('tc', [`filter del dev ${plain(ifname)} ${point} pref ${PRIORITY[what]}`]);
}

/** Undoes all of them, and removes the clsact qdisc when no filter of anybody is left on it. */
export function releaseAll(ifnames: readonly string[]): void {
  batchLeniently(
    'tc',
    ifnames.flatMap((ifname) => [
      `filter del dev ${plain(ifname)} ingress pref ${PRIORITY.fromPod}`,
      `filter del dev ${ifname} egress pref ${PRIORITY.selected}`,
      `filter del dev ${ifname} egress pref ${PRIORITY.steering}`,
    ]),
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
  const ours = new Set<unknown>(Object.values(PRIORITY));
  const devices = list('tc', ['qdisc', 'show']).flatMap(({ kind, dev }) => (kind === 'clsact' && typeof dev === 'string' ? [dev] : []));
  return devices.filter((device) => filtersOf(device).some(({ pref, kind }) => kind === 'u32' && ours.has(pref)));
}
