/** What the node's connection tracking knows, as conntrack(8) lists it: who opened what. Pure. */

import { parseAddress } from '../../geneve/index.js';
import type { Family } from '../../maps/index.js';

export interface End {
  /** 16 bytes, of IPv4 the first four. */
  readonly address: Uint8Array;
  /** Of ICMP echo the identifier, at both ends. */
  readonly port: number;
}

/** One direction, as its packets look. */
export interface Direction {
  readonly from: End;
  readonly to: End;
}

export interface Tracked {
  readonly family: Family;
  readonly protocol: number;
  /** As whoever opened the flow sends it, before any translation. */
  readonly original: Direction;
  /** As the other end answers, before any translation is undone. */
  readonly reply: Direction;
  /** Of TCP, as the kernel names it; else empty. */
  readonly state: string;
}

const [ICMP, TCP, ICMPV6] = [1, 6, 58];
/** Those that the datapath knows flows of: ICMP, TCP, UDP, ICMPv6, SCTP. */
const PROTOCOLS: readonly number[] = [ICMP, TCP, 17, ICMPV6, 132];

function endsOf(fields: readonly (readonly [string, string])[], at: number): (Direction & { readonly family: Family }) | undefined {
  const value = (name: string) => fields.filter(([key]) => key === name)[at]?.[1];
  const [source, destination] = ['src', 'dst'].map((name) => parseAddress(value(name) ?? ''));
  if (source === undefined || destination === undefined) return undefined;
  const id = value('id');
  const [from, to] = id === undefined ? [value('sport'), value('dport')] : [id, id];
  return {
    family: source.family,
    from: { address: source.bytes, port: Number(from) },
    to: { address: destination.bytes, port: Number(to) },
  };
}

/**
 * Output of `conntrack -L`. Lines that are none of flows that the datapath knows are left out.
 *
 *     tcp      6 431999 ESTABLISHED src=10.244.1.2 dst=192.0.2.9 sport=40000 dport=80 src=192.0.2.9 dst=10.244.1.2 sport=80 dport=40000 [ASSURED] use=1
 */
export function parseConntrack(text: string): Tracked[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const protocol = Number(words[1]);
    if (!PROTOCOLS.includes(protocol)) return [];
    const fields = words.flatMap((word): [string, string][] => {
      const [name = '', value] = word.split('=', 2);
      return value === undefined ? [] : [[name, value]];
    });
    const [original, reply] = [endsOf(fields, 0), endsOf(fields, 1)];
    const ports = [original?.from.port, original?.to.port, reply?.from.port, reply?.to.port];
    if (original === undefined || reply === undefined || !ports.every((port) => Number.isInteger(port))) return [];
    return [{ family: original.family, protocol, original, reply, state: protocol === TCP ? (words[3] ?? '') : '' }];
  });
}
