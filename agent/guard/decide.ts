/**
 * Whose an interface is: a pod's, none of a pod's, or not known yet. Pure.
 *
 *     named in guardExcept ───────────────────────────► settle
 *     leads to a known pod ── everything of it is there ► settle, after its programs
 *                          └─ something is missing ────► keep
 *     leads to pods' addresses, and no pod is known there ► hold
 *     leads to other addresses, by a route ────────────► settle
 *     leads nowhere (yet) ─────────────────────────────► keep
 *
 * An interface that is being made passes through "nowhere": nothing is concluded from what is not there.
 * `keep` is what the guard does already: hold what is new.
 */

import ipaddr from 'ipaddr.js';
import { isPodKind } from '../../datapath/index.js';
import type { Link, Route } from '../discovery/index.js';

export interface Decision {
  readonly link: Link;
  readonly action: 'settle' | 'hold' | 'keep';
  /** Why its packets are held, where they are. */
  readonly why: string;
}

export interface HostFacts {
  readonly links: readonly Link[];
  /** Of both families, table main. */
  readonly routes: readonly Route[];
  /** Pod ranges of the cluster's nodes, `address/length`. */
  readonly ranges: readonly string[];
  /** By interface that leads to a known pod: what is still missing of it, in words; empty when nothing is. */
  readonly endpoints: ReadonlyMap<number, string>;
  /** Names of interfaces, or of what they are ports of, that are none of pods; `*` stands for any letters. */
  readonly except: readonly string[];
}

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** 169.254/16 and fe80::/10: every interface has them, or may have. */
const LINK_LOCAL: readonly Range[] = [ipaddr.parseCIDR('169.254.0.0/16'), ipaddr.parseCIDR('fe80::/10')];
const MULTICAST: Range = ipaddr.parseCIDR('ff00::/8');

function matches(name: string, pattern: string): boolean {
  const words = pattern.split('*').map((word) => word.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${words.join('.*')}$`).test(name);
}

const within = (address: Range[0], length: number, [network, size]: Range) =>
  address.kind() === network.kind() && length >= size && address.match(network, size);

function rangeOf({ network, prefixLength }: Route): Range | undefined {
  return ipaddr.isValid(network) ? [ipaddr.parse(network), prefixLength] : undefined;
}

const bitsOf = (address: Range[0]) => (address.kind() === 'ipv4' ? 32 : 128);

/**
 * Does the route lead to addresses of pods, as far as the ranges tell? `port`: it leads to a bridge. `exits`: gateways
 * of default routes.
 */
function leadsToPods(route: Route, ranges: readonly Range[], port: boolean, exits: ReadonlySet<string>): boolean {
  if (route.gateway !== '') {
    if (!ipaddr.isValid(route.gateway)) return false;
    const gateway = ipaddr.parse(route.gateway);
    return ranges.some((range) => within(gateway, bitsOf(gateway), range));
  }
  const [network, length] = rangeOf(route) ?? [];
  if (network === undefined || length === undefined) return false;
  // A pod that is routed to has a route to its address alone, and so have few others.
  if (!port && length === bitsOf(network) && !exits.has(route.network)) return true;
  if (ranges.some((range) => within(network, length, range))) return true;
  // A bridge may span more than the pods' range. An interface by itself that does is a way out of the node.
  return port && (ranges.length === 0 || ranges.some(([address, size]) => within(address, size, [network, length])));
}

/** Is the route an answer to the question where an interface leads? */
function tells(route: Route): boolean {
  const range = rangeOf(route);
  if (route.type !== 'unicast' || range === undefined) return false;
  return route.gateway !== '' || ![...LINK_LOCAL, MULTICAST].some((local) => within(...range, local));
}

const shown = ({ network, prefixLength, gateway }: Route) => `${network}/${prefixLength}${gateway === '' ? '' : ` by ${gateway}`}`;

interface Surroundings extends HostFacts {
  readonly podRanges: readonly Range[];
  readonly bridges: ReadonlySet<string>;
  readonly exits: ReadonlySet<string>;
}

function decideOne(link: Link, facts: Surroundings): Omit<Decision, 'link'> {
  const { ifname, master } = link;
  if (facts.except.some((pattern) => matches(ifname, pattern) || (master !== '' && matches(master, pattern))))
    return { action: 'settle', why: '' };
  const missing = facts.endpoints.get(link.ifindex);
  if (missing !== undefined) return missing === '' ? { action: 'settle', why: '' } : { action: 'keep', why: missing };
  if (master !== '' && !facts.bridges.has(master)) return { action: 'keep', why: `it is a port of ${master}, which is no bridge` };
  const dev = master === '' ? ifname : master;
  const routes = facts.routes.filter((route) => route.dev === dev && tells(route));
  const pods = routes.find((route) => leadsToPods(route, facts.podRanges, master !== '', facts.exits));
  const by = master === '' ? 'it' : `its bridge ${master}`;
  if (pods !== undefined) return { action: 'hold', why: `${by} leads to ${shown(pods)}, and no pod is known at it` };
  if (routes.length === 0) return { action: 'keep', why: `no route leads to ${by}` };
  return { action: 'settle', why: '' };
}

/** A decision for each interface of a pod's kind. */
export function decide(facts: HostFacts): readonly Decision[] {
  const podRanges = facts.ranges.map((text) => ipaddr.parseCIDR(text));
  const bridges = new Set(facts.links.flatMap(({ kind, ifname }) => (kind === 'bridge' ? [ifname] : [])));
  const exits = new Set(facts.routes.flatMap(({ prefixLength, gateway }) => (prefixLength === 0 ? [gateway] : [])));
  const surroundings = { ...facts, podRanges, bridges, exits };
  return facts.links.filter(({ kind }) => isPodKind(kind)).map((link) => ({ link, ...decideOne(link, surroundings) }));
}
