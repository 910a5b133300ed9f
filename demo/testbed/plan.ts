/**
 * From a blueprint to the commands that build it, still plain data. Order matters within a
 * namespace only: a namespace's settings come before its interfaces, which inherit them.
 */

import type { Blueprint, ClientBlueprint, NodeBlueprint, PodBlueprint } from './blueprint.js';
import { nodeNamed, podNamed } from './blueprint.js';
import { rulesetOf } from './ruleset.js';

export interface Step {
  /** The namespace it runs in; undefined: the machine's own (only to make a namespace). */
  readonly namespace: string | undefined;
  readonly argv: readonly string[];
  readonly stdin?: string;
}

export interface Stage {
  /** What people are told while it runs. */
  readonly title: string;
  readonly steps: readonly Step[];
}

/** Link-local gateway of routed pods: every pod has the same, it lives on the host side of its own veth. */
export const ROUTED_GATEWAY = '169.254.1.1';

/** All stages, in order. */
export function planOf(bed: Blueprint): readonly Stage[] {
  return [
    { title: 'fabric and server', steps: [...fabric(bed), ...server(bed)] },
    ...bed.nodes.map((node) => ({
      title: `${node.name} (${node.attachment} pods)`,
      steps: [
        ...nodeSteps(bed, node),
        ...bed.pods.filter((pod) => pod.node === node.name).flatMap((pod) => podSteps(bed, pod, nodeNamed(bed, pod.node))),
      ],
    })),
    ...(bed.client === undefined ? [] : [{ title: 'clients behind the vpn pod', steps: clients(bed, bed.client) }]),
  ];
}

/** Every namespace of the blueprint. */
export function namespacesOf(bed: Blueprint): readonly string[] {
  return [
    bed.fabric.namespace,
    bed.server.namespace,
    ...bed.nodes.map((node) => node.namespace),
    ...bed.pods.map((pod) => pod.namespace),
    ...(bed.client === undefined ? [] : [bed.client.namespace]),
  ];
}

const ip = (namespace: string, ...args: string[]): Step => ({ namespace, argv: ['ip', ...args] });

/**
 * A namespace with its settings. Forwarding on or off; reverse path filtering off, because steered
 * packets arrive where their source is not routed to; no redirects, because a function sends a
 * packet out of the interface it came in by; no IPv6, so that captures hold nothing but the traffic.
 */
function namespace(name: string, forwards: boolean): Step[] {
  const conf = (setting: string) => [`/proc/sys/net/ipv4/conf/all/${setting}`, `/proc/sys/net/ipv4/conf/default/${setting}`];
  const off = [
    ...conf('rp_filter'),
    ...conf('send_redirects'),
    ...conf('accept_redirects'),
    ...(forwards ? [] : ['/proc/sys/net/ipv4/ip_forward']),
  ];
  const on = ['all', 'default'].map((which) => `/proc/sys/net/ipv6/conf/${which}/disable_ipv6`);
  return [
    { namespace: undefined, argv: ['ip', 'netns', 'add', name] },
    // tee and not sysctl(8): it is there on the barest machine. /proc/sys/net follows the namespace.
    ...(forwards ? [{ namespace: name, argv: ['tee', '/proc/sys/net/ipv4/ip_forward'], stdin: '1' }] : []),
    { namespace: name, argv: ['tee', ...off], stdin: '0' },
    { namespace: name, argv: ['tee', ...on], stdin: '1' },
    ip(name, 'link', 'set', 'lo', 'up'),
  ];
}

function fabric({ fabric: { namespace: name, bridge }, mtu }: Blueprint): Step[] {
  return [
    ...namespace(name, false),
    ip(name, 'link', 'add', bridge, 'mtu', String(mtu.fabric), 'type', 'bridge', 'stp_state', '0'),
    ip(name, 'link', 'set', bridge, 'up'),
  ];
}

/** A veth from `eth0` in `name` to a port of the fabric. */
function fabricLink(bed: Blueprint, name: string, port: string, address: string): Step[] {
  const { namespace: at, bridge } = bed.fabric;
  const mtu = String(bed.mtu.fabric);
  return [
    ip(name, 'link', 'add', 'eth0', 'mtu', mtu, 'type', 'veth', 'peer', 'name', port, 'mtu', mtu, 'netns', at),
    ip(at, 'link', 'set', port, 'master', bridge, 'up'),
    ip(name, 'addr', 'add', `${address}/24`, 'dev', 'eth0'),
    ip(name, 'link', 'set', 'eth0', 'up'),
  ];
}

/** The node of the pod with clients behind it, where the server has a way to them; undefined where it has none. */
function wayToClients(
  bed: Blueprint,
): { readonly client: ClientBlueprint; readonly pod: PodBlueprint; readonly node: NodeBlueprint } | undefined {
  if (bed.client === undefined || !bed.server.knowsClients) return undefined;
  const pod = podNamed(bed, bed.client.pod);
  return { client: bed.client, pod, node: nodeNamed(bed, pod.node) };
}

/** The server knows the pod ranges; a client's own address has a way back only where the blueprint says so. */
function server(bed: Blueprint): Step[] {
  const { namespace: name, address, fabricAddress } = bed.server;
  const way = wayToClients(bed);
  return [
    ...namespace(name, false),
    ...fabricLink(bed, name, 'to-server', fabricAddress),
    ip(name, 'addr', 'add', `${address}/32`, 'dev', 'lo'),
    ...bed.nodes.map((node) => ip(name, 'route', 'add', node.podCidr, 'via', node.address, 'src', address)),
    ...(way === undefined ? [] : [ip(name, 'route', 'add', way.client.network, 'via', way.node.address, 'src', address)]),
  ];
}

function nodeSteps(bed: Blueprint, node: NodeBlueprint): Step[] {
  const name = node.namespace;
  return [
    ...namespace(name, true),
    ...fabricLink(bed, name, `to-${node.name}`, node.address),
    ...bed.nodes.filter((other) => other !== node).map((other) => ip(name, 'route', 'add', other.podCidr, 'via', other.address)),
    ip(name, 'route', 'add', bed.server.network, 'via', bed.server.fabricAddress),
    ...(node.attachment === 'bridged'
      ? [
          ip(name, 'link', 'add', 'cni0', 'mtu', String(bed.mtu.fabric), 'type', 'bridge', 'stp_state', '0'),
          ip(name, 'addr', 'add', `${node.gateway}/24`, 'dev', 'cni0'),
          ip(name, 'link', 'set', 'cni0', 'up'),
        ]
      : []),
  ];
}

function podSteps(bed: Blueprint, pod: PodBlueprint, node: NodeBlueprint): Step[] {
  const { namespace: name, hostInterface: host, address } = pod;
  const mtu = { pod: String(bed.mtu.pod), host: String(bed.mtu.fabric) };
  const rules = rulesetOf(pod);
  const way = wayToClients(bed);
  return [
    ...namespace(name, pod.role !== 'plain'),
    ip(name, 'link', 'add', 'eth0', 'mtu', mtu.pod, 'type', 'veth', 'peer', 'name', host, 'mtu', mtu.host, 'netns', node.namespace),
    ...(node.attachment === 'bridged'
      ? [
          ip(node.namespace, 'link', 'set', host, 'master', 'cni0', 'up'),
          ip(name, 'addr', 'add', `${address}/24`, 'dev', 'eth0'),
          ip(name, 'link', 'set', 'eth0', 'up'),
          ip(name, 'route', 'add', 'default', 'via', node.gateway),
        ]
      : [
          ip(node.namespace, 'addr', 'add', `${ROUTED_GATEWAY}/32`, 'dev', host, 'scope', 'link'),
          ip(node.namespace, 'link', 'set', host, 'up'),
          ip(node.namespace, 'route', 'add', `${address}/32`, 'dev', host, 'src', node.address),
          ip(name, 'addr', 'add', `${address}/32`, 'dev', 'eth0'),
          ip(name, 'link', 'set', 'eth0', 'up'),
          ip(name, 'route', 'add', ROUTED_GATEWAY, 'dev', 'eth0', 'scope', 'link'),
          ip(name, 'route', 'add', 'default', 'via', ROUTED_GATEWAY, 'dev', 'eth0'),
        ]),
    ...(way?.pod === pod
      ? [
          ip(
            node.namespace,
            'route',
            'add',
            way.client.network,
            'via',
            address,
            'dev',
            node.attachment === 'bridged' ? 'cni0' : host,
            'onlink',
          ),
        ]
      : []),
    ...(rules === undefined ? [] : [{ namespace: name, argv: ['nft', '-f', '-'], stdin: rules }]),
  ];
}

function clients(bed: Blueprint, client: ClientBlueprint): Step[] {
  const { namespace: name } = client;
  const vpn = podNamed(bed, client.pod).namespace;
  const mtu = String(bed.mtu.pod);
  return [
    ...namespace(name, false),
    ip(name, 'link', 'add', 'eth0', 'mtu', mtu, 'type', 'veth', 'peer', 'name', 'clients', 'mtu', mtu, 'netns', vpn),
    ip(vpn, 'addr', 'add', `${client.gateway}/24`, 'dev', 'clients'),
    ip(vpn, 'link', 'set', 'clients', 'up'),
    ...client.addresses.map((address) => ip(name, 'addr', 'add', `${address}/24`, 'dev', 'eth0')),
    ip(name, 'link', 'set', 'eth0', 'up'),
    ip(name, 'route', 'add', 'default', 'via', client.gateway),
  ];
}
