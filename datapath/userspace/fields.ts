/** Where the fields of map entries stand, for code that reads and writes them in place. */

import { MAPS, offsetsOf } from '../../maps/index.js';

export const FLOW_KEY = offsetsOf(MAPS.sfcflow.key, 'ifindex', 'family', 'visit', 'address_a', 'address_b', 'port_a');
export const FLOW = offsetsOf(
  MAPS.sfcflow.value,
  'path',
  'next_path',
  'previous_hop',
  'next_hop',
  'local',
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
  'local_family',
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
export const ENDPOINT = offsetsOf(MAPS.endpoint.value, 'id', 'flags', 'generation', 'ipv4');
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
