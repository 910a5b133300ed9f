/** The named cast: the walkthrough's pods, in the roles they always play. */

import { type Attachment, type Blueprint, blueprint } from './blueprint.js';
import type { FamilyForm } from './family.js';

export interface CastOptions {
  readonly prefix: string;
  /** Default: node1 and node3 routed, node2 bridged, so that one run shows both. */
  readonly nodes?: readonly [Attachment, Attachment, Attachment];
  /** Default: IPv4 everywhere. */
  readonly family?: FamilyForm;
  readonly clients?: number;
  readonly mtu?: { readonly pod: number; readonly fabric: number };
}

/**
 * The walkthrough's world: the vpn pod on node1, three firewalls on node2, node3 and node2, a proxy
 * on every node, clients behind the vpn pod, and a server outside the cluster.
 */
export function walkthroughCast(options: CastOptions): Blueprint {
  return blueprint({
    prefix: options.prefix,
    nodes: options.nodes ?? ['routed', 'bridged', 'routed'],
    pods: [
      { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
      { name: 'firewall-1', podNamespace: 'firewall', role: 'firewall', node: 2 },
      { name: 'firewall-2', podNamespace: 'firewall', role: 'firewall', node: 3 },
      { name: 'firewall-3', podNamespace: 'firewall', role: 'firewall', node: 2 },
      { name: 'proxy-1', podNamespace: 'proxy', role: 'proxy', node: 1 },
      { name: 'proxy-2', podNamespace: 'proxy', role: 'proxy', node: 2 },
      { name: 'proxy-3', podNamespace: 'proxy', role: 'proxy', node: 3 },
    ],
    clientsBehind: 'vpn',
    ...(options.family === undefined ? {} : { family: options.family }),
    ...(options.clients === undefined ? {} : { clients: options.clients }),
    ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
  });
}
