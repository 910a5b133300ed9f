/** Where the fields of map entries stand, for code that reads and writes them in place. */

import { MAPS, offsetsOf } from '../../maps/index.js';

export const FLOW_KEY = offsetsOf(MAPS.sfcflow.key, 'ifindex', 'family', 'visit', 'address_a', 'address_b', 'port_a');
export const FLOW = offsetsOf(
  MAPS.sfcflow.value,
  'path',
  'next_path',
  'previous_hop',
  'next_hop',
  'previous_local',
  'next_local',
  'endpoint',
  'role',
  'flags',
  'previous_family',
  'next_family',
  'ttl',
  'generation',
  'epoch',
  'tcp_state',
  'last_seen',
  'next_path_mtu',
  'previous_path_mtu',
  'arrival_ttl',
  'reply_ttl',
  'latest',
  'packets',
  'bytes',
  'reply_packets',
  'reply_bytes',
);
export const PATH = offsetsOf(MAPS.sfcpath.value, 'flags', 'failure_policy', 'affinity_timeout', 'backend_base', 'backend_slots');
export const AFFINITY_KEY = offsetsOf(MAPS.sfcaffinity.key, 'path', 'family', 'client');
export const AFFINITY = offsetsOf(MAPS.sfcaffinity.value, 'last_seen', 'backend', 'backend_family');
export const BACKEND = offsetsOf(MAPS.sfcbackend.value, 'address', 'family');
export const ENDPOINT = offsetsOf(MAPS.endpoint.value, 'id', 'flags', 'generation', 'ipv4', 'ipv6');
export const FRAGMENT_KEY = offsetsOf(MAPS.sfcfragment.key, 'ifindex', 'slot');
export const FRAGMENT_VALUE = offsetsOf(
  MAPS.sfcfragment.value,
  'source',
  'destination',
  'id',
  'source_port',
  'destination_port',
  'family',
  'protocol',
  'last_seen',
);
export const QUOTA = offsetsOf(MAPS.sfcquota.value, 'limit', 'flows', 'counted_at');
export const PROBE_KEY = offsetsOf(MAPS.sfcprobe.key, 'address', 'family', 'port');
export const PROBE = offsetsOf(MAPS.sfcprobe.value, 'answered', 'sequence');
export const METRICS = offsetsOf(MAPS.metrics.value, 'packets', 'bytes');

/** Adds to a 64-bit counter in the machine's order, without BigInt. `amount` is below 2^32. */
export function add64(view: DataView, at: number, amount: number, little: boolean): void {
  const low = little ? at : at + 4;
  const sum = view.getUint32(low, little) + amount;
  view.setUint32(low, sum >>> 0, little);
  if (sum > 0xffff_ffff) {
    const high = little ? at + 4 : at;
    view.setUint32(high, view.getUint32(high, little) + 1, little);
  }
}

/** Reads a 64-bit time, ns. A plain number is exact to 2^53 ns, 104 days. */
export function time64(view: DataView, at: number, little: boolean): number {
  return view.getUint32(little ? at + 4 : at, little) * 2 ** 32 + view.getUint32(little ? at : at + 4, little);
}

/** Writes one. */
export function setTime64(view: DataView, at: number, time: number, little: boolean): void {
  view.setUint32(little ? at : at + 4, time % 2 ** 32, little);
  view.setUint32(little ? at + 4 : at, Math.floor(time / 2 ** 32), little);
}
