/** The filters of an interface in the order in which they run: rtnetlink(7), which libbpf asks only for filters that one knows. */

import { addressOf, closeFd, KernelError, openSocket, readAt, writeAt } from '../libc.js';
import type { ProgramName } from './program.js';

const [AF_NETLINK, SOCK_RAW, NETLINK_ROUTE] = [16, 3, 0];
const RTM_GETTFILTER = 46;
/** NLM_F_REQUEST | NLM_F_DUMP. */
const DUMP = 0x301;
const [NLMSG_ERROR, NLMSG_DONE] = [2, 3];
/** TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), and of egress. */
const PARENT: Readonly<Record<ProgramName, number>> = { from_pod: 0xfffffff2, to_pod: 0xfffffff3, from_uplink: 0xfffffff2 };
/** struct nlmsghdr, and struct tcmsg behind it: family, padded, ifindex, handle, parent, info. */
const [HEADER, MESSAGE] = [16, 20];
const ROOM = new Uint8Array(65_536);

export interface Filter {
  readonly handle: number;
  readonly priority: number;
}

/** Messages of one reading; `done` with the last of them. Throws KernelError. */
function parse(bytes: DataView): { readonly filters: readonly Filter[]; readonly done: boolean } {
  const filters: Filter[] = [];
  for (let at = 0; at + HEADER <= bytes.byteLength; ) {
    const length = bytes.getUint32(at, true);
    const type = bytes.getUint16(at + 4, true);
    if (type === NLMSG_DONE || length < HEADER) return { filters, done: true };
    if (type === NLMSG_ERROR) throw new KernelError('list the filters', bytes.getInt32(at + HEADER, true));
    if (length >= HEADER + MESSAGE) {
      const handle = bytes.getUint32(at + HEADER + 8, true);
      // Of a priority as such the handle is 0.
      if (handle !== 0) filters.push({ handle, priority: bytes.getUint32(at + HEADER + 16, true) >>> 16 });
    }
    at += (length + 3) & ~3;
  }
  return { filters, done: false };
}

/** None where there is no such interface, or no qdisc. Throws KernelError. */
export function listFilters(ifindex: number, program: ProgramName): readonly Filter[] {
  const request = new Uint8Array(HEADER + MESSAGE);
  const view = new DataView(request.buffer);
  view.setUint32(0, request.length, true);
  view.setUint16(4, RTM_GETTFILTER, true);
  view.setUint16(6, DUMP, true);
  view.setInt32(HEADER + 4, ifindex, true);
  view.setUint32(HEADER + 12, PARENT[program], true);
  const socket = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 'open a netlink socket');
  try {
    const sent = writeAt(socket, addressOf(request), request.length);
    if (sent < 0) throw new KernelError('list the filters', sent);
    const filters: Filter[] = [];
    for (let done = false; !done; ) {
      const length = readAt(socket, addressOf(ROOM), ROOM.length);
      if (length < 0) throw new KernelError('list the filters', length);
      const read = parse(new DataView(ROOM.buffer, 0, length));
      filters.push(...read.filters);
      done = read.done;
    }
    return filters;
  } finally {
    closeFd(socket);
  }
}
