/**
 * Flows that a change of policy left behind. The datapath keeps a flow on the backend it chose; when
 * that backend is gone, or the endpoint is, nobody but the agent can tell.
 */

import { FLOW_FLAG, FLOW_ROLE, type SfcflowKey, type SfcflowValue, type TypedMaps } from '../../maps/index.js';
import { addressText, type Observed } from './model.js';

export interface Swept {
  readonly deleted: number;
  /** Flows at a function whose next hop is to be chosen again. */
  readonly reopened: number;
}

/**
 * Deletes source flows to a backend that their path no longer has, lets functions choose such next
 * hops anew, and deletes every flow of endpoints that are gone.
 *
 * The datapath writes flows meanwhile: a packet in flight may bring a swept flow back once, and a
 * reopened flow may lose the few packets counted between reading and writing it. The caller sweeps
 * again a second later.
 */
export function sweepFlows(maps: TypedMaps, observed: Observed): Swept {
  const tables = new Map<number, Set<string>>();
  for (const [path, { table }] of observed.paths) tables.set(path, new Set(table.slots.map(addressText)));
  const gone: SfcflowKey[] = [];
  const reopened: [SfcflowKey, SfcflowValue][] = [];
  for (const [key, flow] of maps.sfcflow.entries()) {
    if (observed.endpoints.get(key.ifindex)?.id !== flow.endpoint) {
      gone.push(key);
      continue;
    }
    if ((flow.flags & FLOW_FLAG.nextHop) === 0) continue;
    // Paths outside sfcpath (service index 0, or a chain that is being deleted) have no backends to compare with.
    const backends = tables.get(flow.next_path) ?? (flow.role === FLOW_ROLE.source ? tables.get(flow.path) : undefined);
    if (backends === undefined || backends.has(addressText({ family: flow.next_family, address: flow.next_hop }))) continue;
    if (flow.role === FLOW_ROLE.source) gone.push(key);
    else if (flow.role === FLOW_ROLE.function) {
      const flags = flow.flags & ~(FLOW_FLAG.nextHop | FLOW_FLAG.resolved);
      reopened.push([key, { ...flow, flags, next_hop: new Uint8Array(16), next_family: 0, next_ifindex: 0 }]);
    }
  }
  maps.sfcflow.deleteMany(gone);
  maps.sfcflow.setMany(reopened);
  return { deleted: gone.length, reopened: reopened.length };
}
