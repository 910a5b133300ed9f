/** What makes a pod a firewall or a proxy: its nftables rules. */

import type { PodBlueprint } from './blueprint.js';

/**
 * A stateful firewall. It forwards TCP that it saw open and UDP, with their replies; what it never
 * saw the start of (`ct state invalid`, a TCP segment without its SYN) is dropped and counted. A
 * reply that came another way than its request would be such a packet.
 */
const FIREWALL = `
table ip firewall {
  counter established { }
  counter opened { }
  counter refused { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related counter name established accept
    ct state new tcp flags & (fin|syn|rst|ack) == syn counter name opened accept
    ct state new meta l4proto udp counter name opened accept
    counter name refused
  }
}
`;

/** Passes everything on as it is, and counts it. */
const INSPECTOR = `
table ip inspector {
  counter seen { }
  chain forward {
    type filter hook forward priority filter; policy accept;
    counter name seen
  }
}
`;

/** A proxy that hides the source: what it forwards leaves with its own address. */
const proxy = (address: string): string => `
table ip proxy {
  counter masked { }
  counter refused { }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state invalid counter name refused drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr != ${address} oifname "eth0" counter name masked snat to ${address}
  }
}
`;

/** The pod's rules as nft reads them; undefined: none. */
export function rulesetOf(pod: PodBlueprint): string | undefined {
  if (pod.role === 'firewall') return FIREWALL;
  if (pod.role === 'inspector') return INSPECTOR;
  if (pod.role === 'proxy') return proxy(pod.address);
  return undefined;
}
