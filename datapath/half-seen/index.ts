/**
 * Packets of which the node's netfilter sees one direction: requests that leave a chain here while their answers come in elsewhere,
 * and answers to requests that left elsewhere. Conntrack calls most of them invalid, and where kube-proxy runs, what is
 * invalid is dropped (its chain KUBE-FORWARD). The rules take those that the datapath knows from the invalid ones: what conntrack
 * has called invalid, and only that, becomes untracked. What it can follow it follows, and translates as before.
 *
 *     tc: mark ──► conntrack (-200): valid? ─► as it is
 *                                    invalid ─► untracked (-190) ──► forward: no longer invalid
 *
 * The table is the state, and outlives whoever made it, as the programs do. It is made only where the node tracks connections: a rule
 * that asks for a state makes the kernel track them, and put fragments together in front of us.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { HALF_SEEN_MARK } from '../../maps/index.js';
import { nft } from '../nftables.js';
import { NODE_DEVICE } from '../userspace/io/devices.js';

const TABLE = 'inet sfc_half_seen';
/** Behind conntrack (-200), before all that translates or routes by marks (-150 and later). */
const PRIORITY = -190;
const UNTRACK = 'ct state invalid counter name untracked notrack';

/** An empty chain of this name says by which text, and for which pods, the table was made. */
const layoutOf = (asking: readonly string[]) =>
  asking.length === 0 ? 'layout_1' : `layout_1_${createHash('sha256').update(asking.join(' ')).digest('hex').slice(0, 16)}`;

/**
 * Without a program on the node's links nobody marks answers to these pods. They are what can begin no connection, and was called invalid
 * for that: SYN+ACK, RST, and ICMP. What comes behind a SYN+ACK conntrack takes for the middle of a connection.
 */
function answersTo(asking: readonly string[]): readonly string[] {
  const family = (wanted: string, protocols: string, addresses: readonly string[]) =>
    addresses.length === 0
      ? []
      : [`tcp flags & (syn | rst) != 0`, `meta l4proto ${protocols}`].map(
          (what) => `${wanted} daddr { ${addresses.join(', ')} } ${what} ${UNTRACK}`,
        );
  return [
    ...family(
      'ip',
      'icmp',
      asking.filter((address) => !address.includes(':')),
    ),
    ...family(
      'ip6',
      'ipv6-icmp',
      asking.filter((address) => address.includes(':')),
    ),
  ];
}

const rulesFor = (asking: readonly string[]) => `table ${TABLE}
delete table ${TABLE}
table ${TABLE} {
  counter untracked { }
  chain ${layoutOf(asking)} { }
  chain half_seen {
    ${UNTRACK}
    meta mark ${HALF_SEEN_MARK} meta mark set 0
  }
  chain prerouting {
    type filter hook prerouting priority ${PRIORITY}; policy accept;
    meta mark ${HALF_SEEN_MARK} jump half_seen
    iifname "${NODE_DEVICE}" jump half_seen
    ${answersTo(asking).join('\n    ')}
  }
}`;

/** Connections that are tracked in the network namespace of whoever reads it; there is none where nobody asks for states. */
const COUNT = '/proc/sys/net/netfilter/nf_conntrack_count';

function tracksConnections(): boolean {
  try {
    return Number(readFileSync(COUNT, 'latin1')) > 0;
  } catch {
    return false; // no connection tracking in this kernel, or not loaded
  }
}

export interface HalfSeenRules {
  readonly there: boolean;
  /** Why they could not be made; empty when they are there, or not needed so far. */
  readonly trouble: string;
}

/**
 * Makes the rules where they are needed and not there, of another version or for others.
 * @param asking addresses of pods whose answers nobody marks, and ranges behind them: of those that steer on the userspace datapath; in a settled order
 */
export function keepHalfSeenRules(asking: readonly string[]): HalfSeenRules {
  if (!tracksConnections()) return { there: false, trouble: '' };
  try {
    const trouble = nft(`list chain ${TABLE} ${layoutOf(asking)}`).words === '' ? '' : nft(rulesFor(asking)).words;
    return { there: trouble === '', trouble };
  } catch (error) {
    return { there: false, trouble: (error as Error).message };
  }
}

/** Takes them away. What is not there is fine, nftables as a whole included. */
export function removeHalfSeenRules(): void {
  try {
    nft(`table ${TABLE}\ndelete table ${TABLE}`);
  } catch {
    // No nftables, no rules.
  }
}
