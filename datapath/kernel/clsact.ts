/**
 * Filters of an interface's clsact qdisc, for kernels without TCX: run by priority, those of one priority newest first. A
 * filter that answers TC_ACT_UNSPEC lets the next one have the packet; any other answer is the last word.
 */

import { KernelError } from '../libc.js';
import { listFilters } from './filter-list.js';
import { checked, libbpf } from './libbpf.js';
import { type AttachOrder, type ProgramName, programId } from './program.js';

/** enum bpf_tc_attach_point. */
const POINT: Readonly<Record<ProgramName, number>> = { from_pod: 1, to_pod: 2, from_uplink: 1 };
const BOTH_POINTS = 3;
const BPF_TC_F_REPLACE = 1;
/** Ours among the filters of an interface: fixed, so that a later agent finds them. Two: a new one hangs before the old one goes. */
const HANDLES = [0x5fc, 0x5fd] as const;
/** The first that there is: 0 means any. Others take 1 too (Cilium), or what the kernel gives from 0xc000 down (Calico). */
const PRIORITY: Readonly<Record<AttachOrder, number>> = { first: 1, last: 0xfff0 };
/** Of versions that knew no order. */
const EARLIER_PRIORITY = 0x5fc;
const PRIORITIES: readonly number[] = [...Object.values(PRIORITY), EARLIER_PRIORITY];
const [ENOENT, EEXIST, EINVAL, ENODEV] = [2, 17, 22, 19];

interface Place {
  readonly handle: number;
  readonly priority: number;
}

/** struct bpf_tc_hook: size_t sz, int ifindex, enum attach_point, u32 parent, padded. */
function hookOf(ifindex: number, point: number): Buffer {
  const hook = Buffer.alloc(24);
  hook.writeBigUInt64LE(24n, 0);
  hook.writeInt32LE(ifindex, 8);
  hook.writeUInt32LE(point, 12);
  return hook;
}

/** struct bpf_tc_opts: size_t sz, int prog_fd, u32 flags, prog_id, handle, priority, padded. */
function optionsOf({ handle, priority }: Place, programFd = 0, flags = 0): Buffer {
  const options = Buffer.alloc(32);
  options.writeBigUInt64LE(32n, 0);
  options.writeInt32LE(programFd, 8);
  options.writeUInt32LE(flags, 12);
  options.writeUInt32LE(handle, 20);
  options.writeUInt32LE(priority, 24);
  return options;
}

const isOurs = ({ handle, priority }: Place) => HANDLES.some((one) => one === handle) && PRIORITIES.includes(priority);
const isSame = (one: Place | undefined, other: Place) => one?.handle === other.handle && one.priority === other.priority;

/** Ours that stands where it should, if it does. */
function inPlace(filters: readonly Place[], order: AttachOrder): Place | undefined {
  const found = order === 'first' ? filters[0] : filters.at(-1);
  return found !== undefined && isOurs(found) && found.priority === PRIORITY[order] ? found : undefined;
}

/** Adds the qdisc where there is none, and the filter; what of ours stands elsewhere goes afterwards. Throws KernelError. */
export function attachClsact(programFd: number, ifindex: number, program: ProgramName, order: AttachOrder): void {
  const created = Number(libbpf().tcHookCreate(hookOf(ifindex, BOTH_POINTS)));
  if (created < 0 && created !== -EEXIST) throw new KernelError(`add clsact to interface ${ifindex}`, created);
  const ours = listFilters(ifindex, program).filter(isOurs);
  const free = HANDLES.find((handle) => !ours.some((one) => one.handle === handle && one.priority === PRIORITY[order])) ?? HANDLES[0];
  const place = inPlace(listFilters(ifindex, program), order) ?? { handle: free, priority: PRIORITY[order] };
  const hook = hookOf(ifindex, POINT[program]);
  checked(`attach ${program} to interface ${ifindex}`, libbpf().tcAttach(hook, optionsOf(place, programFd, BPF_TC_F_REPLACE)));
  for (const one of ours) if (!isSame(one, place)) libbpf().tcDetach(hook, optionsOf(one));
}

/** Removes our filters; an interface, a qdisc or a filter that is not there is fine. */
export function detachClsact(ifindex: number, program: ProgramName): void {
  for (const one of listFilters(ifindex, program).filter(isOurs)) libbpf().tcDetach(hookOf(ifindex, POINT[program]), optionsOf(one));
}

/** What is wrong with our filter there, in words; empty when nothing is, or the interface is gone. */
export function troubleOfClsact(programFd: number, ifindex: number, program: ProgramName, order: AttachOrder): string {
  const filters = listFilters(ifindex, program);
  const found = inPlace(filters, order);
  if (found === undefined && filters.some(isOurs)) return `somebody's filter stands ${order === 'first' ? 'before' : 'behind'} ${program}`;
  const place = found ?? { handle: HANDLES[0], priority: PRIORITY[order] };
  const options = optionsOf(place);
  const answer = Number(libbpf().tcQuery(hookOf(ifindex, POINT[program]), options));
  if (answer === -ENODEV) return '';
  if (answer === -ENOENT || answer === -EINVAL) return `somebody has taken ${program} away`;
  checked(`look at ${program} on interface ${ifindex}`, answer);
  return options.readUInt32LE(16) === programId(programFd) ? '' : `somebody has replaced ${program}`;
}
