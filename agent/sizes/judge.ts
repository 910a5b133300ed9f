/**
 * Does what steering adds fit everywhere? Pure: tables in, what does not fit out.
 *
 *     pod ── its MTU ──► host side ──► [+ 48 or 68] ──► link ─ ─ ► link ──► [bridge] ──► host side ──► [- 48 or 68] ──► pod
 *                                                       └ here            └ here, for what comes to this node's pods
 *
 * A packet crosses the host side of its receiver still wrapped: the program that unwraps it comes after the kernel has
 * compared it with that MTU. Pods of one node have no link between them, but they do have that.
 */

import { overheadOver } from '../../geneve/index.js';
import { FAMILY, type Family } from '../../maps/index.js';
import type { Link, Route } from '../discovery/index.js';
import type { SizeView } from '../view.js';
import type { Destination } from './destinations.js';
import { devicesTo } from './routes.js';
import { sizeView } from './words.js';

/** A pod of this node whose interface is known. */
export interface SizedPod {
  readonly pod: string;
  readonly ifindex: number;
  /** Inside the pod, bytes. */
  readonly mtu: number;
  /** Families of its addresses. */
  readonly families: readonly Family[];
}

export interface SizeInput {
  readonly pods: readonly SizedPod[];
  /** Families of outer headers that there can be. */
  readonly families: ReadonlySet<Family>;
  readonly destinations: readonly Destination[];
  /** By ifindex. */
  readonly links: ReadonlyMap<number, Link>;
  readonly routes: readonly Route[];
}

/** A device on the way of wrapped packets, with the larger of the families that cross it. */
interface Narrow {
  readonly kind: SizeView['kind'];
  readonly link: Link;
  readonly family: Family;
  readonly towards: readonly string[];
}

const larger = (families: readonly Family[]): Family => (families.includes(FAMILY.ipv6) ? FAMILY.ipv6 : FAMILY.ipv4);

/** Host sides of the pods' interfaces, and bridges that they are ports of. */
function interfaces({ pods, families, links }: SizeInput): Narrow[] {
  const byName = new Map([...links.values()].map((link) => [link.ifname, link]));
  const crossed = new Map<Link, Family[]>();
  for (const { ifindex, families: own } of pods) {
    const outer = own.filter((family) => families.has(family));
    const host = links.get(ifindex);
    if (host === undefined || outer.length === 0) continue;
    const bridge = byName.get(host.master);
    for (const link of bridge?.kind === 'bridge' ? [host, bridge] : [host]) crossed.set(link, [...(crossed.get(link) ?? []), ...outer]);
  }
  return [...crossed].map(([link, outer]) => ({ kind: 'interface', link, family: larger(outer), towards: [] }));
}

/** Links that routes to other nodes' pods use. */
function waysOut({ destinations, links, routes }: SizeInput, notOut: ReadonlySet<Link>): Narrow[] {
  const byName = new Map([...links.values()].map((link) => [link.ifname, link]));
  const used = new Map<Link, { readonly families: Set<Family>; readonly nodes: Set<string> }>();
  const ways = devicesTo(destinations, routes);
  destinations.forEach(({ family, node }, index) => {
    for (const name of ways[index] ?? []) {
      const link = byName.get(name);
      if (link === undefined || link.kind === 'loopback' || notOut.has(link)) continue;
      const use = used.get(link) ?? { families: new Set(), nodes: new Set() };
      used.set(link, use);
      use.families.add(family);
      use.nodes.add(node);
    }
  });
  return [...used].map(([link, { families, nodes }]) => ({
    kind: 'link',
    link,
    family: larger([...families]),
    towards: [...nodes].sort(),
  }));
}

/** What does not fit, links with the same fault together. */
export function judgeSizes(input: SizeInput): SizeView[] {
  const podMtu = Math.max(0, ...input.pods.map(({ mtu }) => mtu));
  const own = interfaces(input);
  const all = [...waysOut(input, new Set(own.map(({ link }) => link))), ...own];
  const narrow = all.filter(({ link, family }) => podMtu + overheadOver(family) > link.mtu);
  const groups = new Map<string, Narrow[]>();
  for (const one of narrow) {
    // A way out is shown by itself: it leads to nodes of its own.
    const key = one.kind === 'link' ? `link ${one.link.ifname}` : `interface ${one.link.mtu} ${one.family}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].map((group) => {
    const { kind, link, family, towards } = group[0] as Narrow;
    const names = group.map((one) => one.link.ifname).sort();
    return sizeView({ kind, links: names, mtu: link.mtu, podMtu, outer: family, towards });
  });
}
