/** What makes a pod a firewall or a proxy: its nftables rules. */

import type { PodBlueprint } from './blueprint.js';
import type { Family } from './family.js';

/**
 * A stateful firewall. It forwards TCP that it saw open, UDP and ping, with their replies and errors; what it never
 * saw the start of (`ct state invalid`, a TCP segment without its SYN) is dropped and counted. A
 * reply that came another way than its request would be such a packet.
 */
const FIREWALL = `
table inet firewall {
  counter established { }
  counter opened { }
  counter refused { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related counter name established accept
    ct state new tcp flags & (fin|syn|rst|ack) == syn counter name opened accept
    ct state new meta l4proto udp counter name opened accept
    ct state new icmp type echo-request counter name opened accept
    ct state new icmpv6 type echo-request counter name opened accept
    counter name refused
  }
}
`;

/** Passes everything on as it is, and counts it. */
const INSPECTOR = `
table inet inspector {
  counter seen { }
  chain forward {
    type filter hook forward priority filter; policy accept;
    counter name seen
  }
}
`;

/** The source that a proxy puts in place of others; what is between neighbours (RFC 4861) keeps its own. */
const MASK: Readonly<Record<Family, (address: string) => string>> = {
  4: (address) => `ip saddr != ${address} oifname "eth0" counter name masked snat ip to ${address}`,
  6: (address) => `ip6 saddr != { fe80::/10, ${address} } oifname "eth0" counter name masked snat ip6 to ${address}`,
};

/** A proxy that hides the source: what it forwards leaves with its own address. */
const proxy = ({ addressing }: PodBlueprint): string => `
table inet proxy {
  counter masked { }
  counter refused { }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state invalid counter name refused drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${addressing.map(({ family, address }) => MASK[family](address)).join('\n    ')}
  }
}
`;

/** The pod's rules as nft reads them; undefined: none. */
export function rulesetOf(pod: PodBlueprint): string | undefined {
  if (pod.role === 'firewall') return FIREWALL;
  if (pod.role === 'inspector') return INSPECTOR;
  if (pod.role === 'proxy') return proxy(pod);
  return undefined;
}
