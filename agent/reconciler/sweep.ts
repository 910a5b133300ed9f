/**
 * What a change of policy left behind: flows, and clients that are remembered. The datapath keeps a
 * flow on the instance that it chose, and a client on the one that it had; when that instance is gone,
 * or the endpoint is, nobody but the agent can tell.
 */

import { FLOW_FLAG, FLOW_ROLE, PATH_FLAG, type SfcflowKey, type SfcflowValue, type TypedMaps } from '../../maps/index.js';
import { addressText, type Observed, type Target } from './model.js';

const TCP = 6;

export interface Swept {
  readonly deleted: number;
  /** Flows at a function whose next hop is to be chosen again. */
  readonly reopened: number;
  /** Flows that their next packet ends. */
  readonly reset: number;
  /** Clients that get another instance at their next flow. */
  readonly clients: number;
}

type Instances = ReadonlyMap<number, ReadonlySet<string>>;

/**
 * By path, instances that are not gone: those that `keeps` names, and those of the table in the map,
 * should it have had no room for the new one. Paths that are in neither are left out.
 */
function staying(observed: Observed, target: Target, keeps: 'keepFlows' | 'keepClients'): Instances {
  const found = new Map<number, Set<string>>();
  for (const [path, wanted] of target.paths) found.set(path, new Set(wanted[keeps]));
  for (const [path, { table }] of observed.paths) {
    const instances = found.get(path) ?? new Set();
    for (const slot of new Set(table.slots)) instances.add(addressText(slot));
    found.set(path, instances);
  }
  return found;
}

function sweepClients(maps: TypedMaps, observed: Observed, target: Target): number {
  const instances = staying(observed, target, 'keepClients');
  const gone = [...maps.sfcaffinity.entries()].filter(([{ path }, { backend, backend_family }]) => {
    const hasAffinity = ((observed.paths.get(path)?.value.flags ?? 0) & PATH_FLAG.affinity) !== 0;
    return !hasAffinity || instances.get(path)?.has(addressText({ address: backend, family: backend_family })) !== true;
  });
  maps.sfcaffinity.deleteMany(gone.map(([key]) => key));
  return gone.length;
}

/**
 * Forgets which instance a client had when that is gone or takes no new flows any more. Then, as the
 * flow's chain says: deletes flows that begin here (of the pod's egress and ingress) to an instance that
 * is gone and lets functions choose such next hops anew; leaves all alone; or marks those of TCP, for the
 * datapath to reset them. And deletes every flow of endpoints that are gone.
 *
 * Clients before flows: a flow that begins meanwhile where its client was is then among those swept.
 *
 * The datapath writes both meanwhile: a packet in flight may bring one of them back once, and a
 * flow that is written may lose the few packets counted since it was read. The caller sweeps again
 * a second later.
 */
export function sweep(maps: TypedMaps, observed: Observed, target: Target): Swept {
  const clients = sweepClients(maps, observed, target);
  const instances = staying(observed, target, 'keepFlows');
  const gone: SfcflowKey[] = [];
  const reopened: [SfcflowKey, SfcflowValue][] = [];
  const reset: [SfcflowKey, SfcflowValue][] = [];
  for (const [key, flow] of maps.sfcflow.entries()) {
    if (observed.endpoints.get(key.ifindex)?.id !== flow.endpoint) {
      gone.push(key);
      continue;
    }
    if ((flow.flags & FLOW_FLAG.nextHop) === 0) continue;
    // Paths outside sfcpath (service index 0, or a chain that is being deleted) have no instances to compare with.
    const path = !instances.has(flow.next_path) && flow.role === FLOW_ROLE.source ? flow.path : flow.next_path;
    const present = instances.get(path);
    if (present === undefined || present.has(addressText({ family: flow.next_family, address: flow.next_hop }))) continue;
    const onInstanceLoss = target.paths.get(path)?.onInstanceLoss ?? 'Move';
    if (onInstanceLoss === 'Stay' || (flow.flags & FLOW_FLAG.reset) !== 0) continue;
    if (onInstanceLoss === 'Reset' && key.protocol === TCP) {
      // Not resolved: so its next packet leaves the straight way, on which nothing asks about this flag.
      reset.push([key, { ...flow, flags: (flow.flags & ~FLOW_FLAG.resolved) | FLOW_FLAG.reset }]);
    } else if (flow.role === FLOW_ROLE.source || flow.role === FLOW_ROLE.ingress) gone.push(key);
    else if (flow.role === FLOW_ROLE.function) {
      const flags = flow.flags & ~(FLOW_FLAG.nextHop | FLOW_FLAG.resolved);
      reopened.push([key, { ...flow, flags, next_hop: new Uint8Array(16), next_family: 0, next_ifindex: 0 }]);
    }
  }
  maps.sfcflow.deleteMany(gone);
  maps.sfcflow.setMany([...reopened, ...reset]);
  return { deleted: gone.length, reopened: reopened.length, reset: reset.length, clients };
}
