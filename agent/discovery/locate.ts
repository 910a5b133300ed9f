/**
 * Which host interface leads to a pod. Pure: tables in, answer out.
 *
 *     address ── longest prefix ──► route ──► device
 *                                              ├─ veth ─────────────────────────► found
 *                                              └─ bridge ─► neighbour ─► fdb ─► port (veth) ─► found
 */

import ipaddr from 'ipaddr.js';
import { isPodKind } from '../../datapath/index.js';
import type { HostTables, Link, Route } from './tables.js';

export type Location =
  | { readonly kind: 'found'; readonly ifindex: number; readonly ifname: string; readonly mtu: number }
  /** The bridge must first learn where the address is: ask for its neighbour, then look again. */
  | { readonly kind: 'unresolved'; readonly bridge: string; readonly missing: 'neighbour' | 'fdb'; readonly problem: string }
  | { readonly kind: 'none'; readonly problem: string };

/** The route with the longest prefix over `address`; the first of equals, as the kernel lists them. */
export function longestPrefix(address: string, routes: readonly Route[]): Route | undefined {
  const target = ipaddr.parse(address);
  let best: Route | undefined;
  for (const route of routes) {
    if (best !== undefined && route.prefixLength <= best.prefixLength) continue;
    if (!ipaddr.isValid(route.network)) continue;
    const network = ipaddr.parse(route.network);
    if (network.kind() === target.kind() && target.match(network, route.prefixLength)) best = route;
  }
  return best;
}

function found(link: Link): Location {
  return { kind: 'found', ifindex: link.ifindex, ifname: link.ifname, mtu: link.mtu };
}

function none(problem: string): Location {
  return { kind: 'none', problem };
}

/** @param address canonical text of the pod's address */
export function locate(address: string, tables: HostTables): Location {
  const route = longestPrefix(address, tables.routes);
  if (route === undefined) return none(`no route to ${address}`);
  if (route.type !== 'unicast') return none(`the route to ${address} is ${route.type}`);
  // A pod of this node is on one of its links; a gateway means that the address is elsewhere.
  if (route.gateway !== '') return none(`no route to ${address} on this node: it goes through ${route.gateway} on ${route.dev}`);
  const link = tables.links.find((candidate) => candidate.ifname === route.dev);
  if (link === undefined) return none(`the route to ${address} names ${route.dev}, which is gone`);
  if (isPodKind(link.kind)) return found(link);
  if (link.kind !== 'bridge') return none(`${link.ifname}, which leads to ${address}, is not a veth (${link.kind})`);

  const canonical = ipaddr.parse(address).toString();
  const neighbour = tables.neighbours.find(
    (candidate) =>
      candidate.dev === link.ifname && ipaddr.isValid(candidate.address) && ipaddr.parse(candidate.address).toString() === canonical,
  );
  if (neighbour === undefined || neighbour.lladdr === '') {
    const problem = `neighbour ${address} on bridge ${link.ifname} is unresolved: nothing has answered there yet`;
    return { kind: 'unresolved', bridge: link.ifname, missing: 'neighbour', problem };
  }
  const learned = tables.fdb.find((entry) => entry.bridge === link.ifname && entry.mac === neighbour.lladdr);
  if (learned === undefined) {
    const problem = `bridge ${link.ifname} has not learned which port ${neighbour.lladdr} (${address}) is on`;
    return { kind: 'unresolved', bridge: link.ifname, missing: 'fdb', problem };
  }
  const port = tables.links.find((candidate) => candidate.ifname === learned.port);
  if (port === undefined) return none(`port ${learned.port} of bridge ${link.ifname} is gone`);
  if (!isPodKind(port.kind)) return none(`port ${port.ifname} of ${link.ifname}, which leads to ${address}, is not a veth (${port.kind})`);
  return found(port);
}
