/**
 * The guard as nftables text. Pure.
 *
 *     pod ──► veth ─ tc ingress (steered here) ─► prerouting: settled? ──► the node's routing, or the bridge
 *     pod ◄── veth ◄─ tc egress ◄─ postrouting: settled? ◄── the node's routing, or the bridge
 *
 * One rule each way: what comes from, or goes to, an interface of a pod's kind that is not in the set
 * `settled` is dropped and counted. `inet` has pods that are routed to; `bridge` those that are ports of
 * a bridge, where `iif` is the port. Both hold the same set. What finds neighbours passes: ARP never meets
 * an `inet` hook, IPv6's messages are named, and cannot leave the link (hop limit 255 or 1).
 *
 * `met` counts per interface what came from it before it was settled; `arp` has such a set for what
 * `inet` does not see. Together they tell whether anything came from an interface that the guard did not see.
 */

import { POD_KINDS } from '../pod-kinds.js';

/** Of each of the three families. */
export const GUARD_TABLE = 'sfc_guard';
/** An empty chain of this name says by which text the tables were made. */
export const LAYOUT_CHAIN = 'layout_1';
export const GUARD_FAMILIES = ['inet', 'bridge', 'arp'] as const;
export type GuardFamily = (typeof GUARD_FAMILIES)[number];
/** Families whose hooks hold packets. */
export const HOLDING = ['inet', 'bridge'] as const satisfies readonly GuardFamily[];

/** Before connection tracking (-200 in `inet`) and before anything that translates addresses. */
const PRIORITY = -300;

const kinds = POD_KINDS.map((kind) => `"${kind}"`).join(', ');
/** Interfaces, by number. Numbers are not used again, names are. */
const INTERFACES = 'type iface_index;';
const MET = `set met { ${INTERFACES} size 65535; flags dynamic; }`;

/** RFC 4861 neighbour discovery (7.1: hop limit 255) and RFC 3810 listener reports (5: hop limit 1). */
const NEIGHBOURS = [
  'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept',
  'icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } ip6 hoplimit 1 accept',
];

function elements(set: string, ifindexes: readonly number[]): string {
  return ifindexes.length === 0 ? `set ${set} { ${INTERFACES} }` : `set ${set} { ${INTERFACES} elements = { ${ifindexes.join(', ')} } }`;
}

function holdingTable(family: (typeof HOLDING)[number], settled: readonly number[], begun: readonly number[]): string {
  const passing = family === 'bridge' ? ['ether type arp accept', ...NEIGHBOURS] : NEIGHBOURS;
  const held = (counter: string) => `chain hold_${counter} {\n    ${[...passing, `counter name ${counter} drop`].join('\n    ')}\n  }`;
  return `table ${family} ${GUARD_TABLE} {
  ${elements('settled', settled)}
  ${elements('begun', begun)}
  ${MET}
  counter from_pod { }
  counter to_pod { }
  chain ${LAYOUT_CHAIN} { }
  ${held('from_pod')}
  ${held('to_pod')}
  chain prerouting {
    type filter hook prerouting priority ${PRIORITY}; policy accept;
    meta iifkind { ${kinds} } iif != @settled update @met { iif counter } jump hold_from_pod
  }
  chain postrouting {
    type filter hook postrouting priority ${PRIORITY}; policy accept;
    meta oifkind { ${kinds} } oif != @settled jump hold_to_pod
  }
}`;
}

/** Makes the tables anew, in one transaction, whatever stood there under their names. */
export function installText(settled: readonly number[], begun: readonly number[]): string {
  return [
    ...GUARD_FAMILIES.map((family) => `table ${family} ${GUARD_TABLE}\ndelete table ${family} ${GUARD_TABLE}`),
    ...HOLDING.map((family) => holdingTable(family, settled, begun)),
    `table arp ${GUARD_TABLE} {
  ${MET}
  chain ${LAYOUT_CHAIN} { }
  chain input {
    type filter hook input priority ${PRIORITY}; policy accept;
    meta iifkind { ${kinds} } update @met { iif counter }
  }
}`,
  ].join('\n');
}

/** Takes all of it away; tables that are not there are fine. */
export function removeText(): string {
  return GUARD_FAMILIES.map((family) => `table ${family} ${GUARD_TABLE}\ndelete table ${family} ${GUARD_TABLE}`).join('\n');
}

export interface GuardChange {
  /** Their packets pass from now on. */
  readonly settle?: readonly number[];
  /** Their packets pass no more. */
  readonly hold?: readonly number[];
  /** Their programs have been attached once. */
  readonly begin?: readonly number[];
  /** They are gone: nothing is kept of them. */
  readonly forget?: readonly number[];
}

/** One transaction over all families; empty when nothing changes. */
export function changeText({ settle = [], hold = [], begin = [], forget = [] }: GuardChange): string {
  const lines: string[] = [];
  const add = (family: GuardFamily, set: string, ifindexes: readonly number[]) => {
    if (ifindexes.length > 0) lines.push(`add element ${family} ${GUARD_TABLE} ${set} { ${ifindexes.join(', ')} }`);
  };
  // nft 1.0.6 has no `destroy`: what may be missing is added first, and never seen. To take one twice is an error.
  const take = (family: GuardFamily, set: string, ...lists: readonly (readonly number[])[]) => {
    const ifindexes = [...new Set(lists.flat())];
    add(family, set, ifindexes);
    if (ifindexes.length > 0) lines.push(`delete element ${family} ${GUARD_TABLE} ${set} { ${ifindexes.join(', ')} }`);
  };
  for (const family of HOLDING) {
    take(family, 'settled', hold, forget);
    take(family, 'begun', forget);
    add(family, 'begun', begin);
    add(family, 'settled', settle);
  }
  for (const family of GUARD_FAMILIES) take(family, 'met', forget);
  return lines.join('\n');
}
