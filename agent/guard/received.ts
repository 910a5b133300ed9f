/** What the kernel has received on an interface of this network namespace. */

import { readFileSync } from 'node:fs';

/** Packets by interface name: the second figure of the receiving half of /proc/net/dev. Pure. */
export function parseReceived(text: string): ReadonlyMap<string, number> {
  const received = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, figures] = /^\s*([^\s:]+):(.*)$/.exec(line) ?? [];
    if (name !== undefined) received.set(name, Number(figures?.trim().split(/\s+/)[1] ?? 0));
  }
  return received;
}

/** IPv6 packets that ended before any hook, of /proc/net/dev_snmp6/NAME: of a pod with IPv6 on a node without. Pure. */
export function parseDiscarded(text: string): number {
  return Number(/^Ip6InDiscards\s+(\d+)$/m.exec(text)?.[1] ?? 0);
}

function discarded(ifname: string): number {
  try {
    return parseDiscarded(readFileSync(`/proc/thread-self/net/dev_snmp6/${ifname}`, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0; // a kernel without IPv6, or the interface is gone
    throw error;
  }
}

/** Packets by name of the interfaces that are asked for, without what the kernel threw away unseen. */
export function readReceived(ifnames: readonly string[]): ReadonlyMap<string, number> {
  const received = parseReceived(readFileSync('/proc/thread-self/net/dev', 'utf8'));
  return new Map(ifnames.map((ifname) => [ifname, Math.max(0, (received.get(ifname) ?? 0) - discarded(ifname))]));
}
