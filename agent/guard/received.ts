/** What the kernel has received on each interface of this network namespace. */

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

export function readReceived(): ReadonlyMap<string, number> {
  return parseReceived(readFileSync('/proc/thread-self/net/dev', 'utf8'));
}
