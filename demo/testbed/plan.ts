/**
 * From a blueprint to the commands that build it, still plain data. Order matters within a
 * namespace only: a namespace's settings come before its interfaces, which inherit them.
 */

import { SCHEMES } from './addresses.js';
import type { Blueprint, ClientBlueprint, NodeBlueprint, PodBlueprint } from './blueprint.js';
import { addressIn, nodeNamed, podNamed } from './blueprint.js';
import { type Family, inFamily, TERMS } from './family.js';
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
// tee and not sysctl(8): it is there on the barest machine. /proc/sys/net follows the namespace.
const set = (namespace: string, value: '0' | '1', settings: readonly string[]): Step => ({
  namespace,
  argv: ['tee', ...settings.map((setting) => `/proc/sys/net/${setting}`)],
  stdin: value,
});
const conf = (settings: readonly string[]): string[] =>
  settings.flatMap((setting) => {
    const [family, name] = setting.split('/');
    return ['all', 'default'].map((which) => `${family}/conf/${which}/${name}`);
  });
const subnet = (address: string, family: Family): string => `${address}/${TERMS[family].subnetBits}`;
/** Duplicate address detection is off, but what it does not look at is usable only a moment later; with `nodad`, at once. */
const atOnce = (family: Family): string[] => (family === 6 ? ['nodad'] : []);
const host = (address: string, family: Family): string => `${address}/${TERMS[family].bits}`;

/**
 * A namespace with its settings. Forwarding on or off; reverse path filtering off, because steered
 * packets arrive where their source is not routed to; no redirects, because a function sends a
 * packet out of the interface it came in by. IPv6 is off where the testbed does not speak it, so that captures
 * hold nothing but the traffic; where it does, nobody waits for duplicates of an address or for a router.
 */
function namespace({ families }: Blueprint, name: string, forwards: boolean): Step[] {
  const ipv6 = families.pods.includes(6);
  const off = [
    ...conf(['ipv4/rp_filter', 'ipv4/send_redirects', 'ipv4/accept_redirects']),
    ...(ipv6 ? conf(['ipv6/disable_ipv6', 'ipv6/accept_dad', 'ipv6/accept_ra', 'ipv6/accept_redirects']) : []),
    ...(forwards ? [] : ['ipv4/ip_forward']),
  ];
  const on = [
    ...(ipv6 ? [] : conf(['ipv6/disable_ipv6'])),
    ...(forwards ? ['ipv4/ip_forward'] : []),
    ...(forwards && ipv6 ? ['ipv6/conf/all/forwarding'] : []),
  ];
  return [
    { namespace: undefined, argv: ['ip', 'netns', 'add', name] },
    ...(on.length === 0 ? [] : [set(name, '1', on)]),
    set(name, '0', off),
    ip(name, 'link', 'set', 'lo', 'up'),
  ];
}

/** A bridge that asks nobody anything: no spanning tree, and multicast to every port. */
function bridge(name: string, link: string, mtu: number): Step {
  return ip(name, 'link', 'add', link, 'mtu', String(mtu), 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0');
}

function fabric(bed: Blueprint): Step[] {
  const { namespace: name, bridge: link } = bed.fabric;
  return [...namespace(bed, name, false), bridge(name, link, bed.mtu.fabric), ip(name, 'link', 'set', link, 'up')];
}

/** A veth from `eth0` in `name` to a port of the fabric. */
function fabricLink(
  bed: Blueprint,
  name: string,
  port: string,
  addresses: readonly { readonly family: Family; readonly address: string }[],
): Step[] {
  const { namespace: at, bridge } = bed.fabric;
  const mtu = String(bed.mtu.fabric);
  return [
    ip(name, 'link', 'add', 'eth0', 'mtu', mtu, 'type', 'veth', 'peer', 'name', port, 'mtu', mtu, 'netns', at),
    ip(at, 'link', 'set', port, 'master', bridge, 'up'),
    ...addresses.map(({ family, address }) => ip(name, 'addr', 'add', subnet(address, family), 'dev', 'eth0', ...atOnce(family))),
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
  const { namespace: name, addressing } = bed.server;
  const way = wayToClients(bed);
  const fabricAddresses = addressing.map(({ family, fabricAddress }) => ({ family, address: fabricAddress }));
  return [
    ...namespace(bed, name, false),
    ...fabricLink(bed, name, 'to-server', fabricAddresses),
    ...addressing.flatMap(({ family, address }) => {
      const to = (network: string, node: NodeBlueprint) =>
        ip(name, 'route', 'add', network, 'via', inFamily(node.addressing, family).address, 'src', address);
      return [
        ip(name, 'addr', 'add', host(address, family), 'dev', 'lo', ...atOnce(family)),
        ...bed.nodes.map((node) => to(inFamily(node.addressing, family).podCidr, node)),
        ...(way === undefined ? [] : [to(inFamily(way.client.addressing, family).network, way.node)]),
      ];
    }),
  ];
}

function nodeSteps(bed: Blueprint, node: NodeBlueprint): Step[] {
  const name = node.namespace;
  const others = bed.nodes.filter((other) => other !== node);
  return [
    ...namespace(bed, name, true),
    ...fabricLink(bed, name, `to-${node.name}`, node.addressing),
    ...others.flatMap(({ addressing }) => addressing.map(({ podCidr, address }) => ip(name, 'route', 'add', podCidr, 'via', address))),
    ...bed.server.addressing.map(({ network, fabricAddress }) => ip(name, 'route', 'add', network, 'via', fabricAddress)),
    ...(node.attachment === 'bridged'
      ? [
          bridge(name, 'cni0', bed.mtu.fabric),
          ...node.addressing.map(({ family, gateway }) =>
            ip(name, 'addr', 'add', subnet(gateway, family), 'dev', 'cni0', ...atOnce(family)),
          ),
          ip(name, 'link', 'set', 'cni0', 'up'),
        ]
      : []),
  ];
}

function podSteps(bed: Blueprint, pod: PodBlueprint, node: NodeBlueprint): Step[] {
  const { namespace: name, hostInterface: link, addressing } = pod;
  const mtu = { pod: String(bed.mtu.pod), host: String(bed.mtu.fabric) };
  const rules = rulesetOf(pod);
  const way = wayToClients(bed);
  return [
    ...namespace(bed, name, pod.role !== 'plain'),
    ip(name, 'link', 'add', 'eth0', 'mtu', mtu.pod, 'type', 'veth', 'peer', 'name', link, 'mtu', mtu.host, 'netns', node.namespace),
    ...(node.attachment === 'bridged'
      ? [ip(node.namespace, 'link', 'set', link, 'master', 'cni0', 'up')]
      : [ip(node.namespace, 'link', 'set', link, 'up')]),
    ip(name, 'link', 'set', 'eth0', 'up'),
    ...addressing.flatMap(({ family, address }) => (node.attachment === 'bridged' ? bridged : routed)(pod, node, family, address)),
    ...(way?.pod === pod
      ? way.client.addressing.map(({ family, network }) =>
          ip(
            ...[node.namespace, 'route', 'add', network, 'via', addressIn(pod, family)],
            ...['dev', node.attachment === 'bridged' ? 'cni0' : link, 'onlink'],
          ),
        )
      : []),
    ...(rules === undefined ? [] : [{ namespace: name, argv: ['nft', '-f', '-'], stdin: rules }]),
  ];
}

/** One family of a pod on the node's bridge. */
function bridged(pod: PodBlueprint, node: NodeBlueprint, family: Family, address: string): Step[] {
  return [
    ip(pod.namespace, 'addr', 'add', subnet(address, family), 'dev', 'eth0', ...atOnce(family)),
    ip(pod.namespace, 'route', 'add', 'default', 'via', inFamily(node.addressing, family).gateway),
  ];
}

/** One family of a pod that the node has a host route to. */
function routed({ namespace: name, hostInterface: link }: PodBlueprint, node: NodeBlueprint, family: Family, address: string): Step[] {
  const gateway = SCHEMES[family].routedGateway;
  return [
    ip(node.namespace, 'addr', 'add', host(gateway, family), 'dev', link, 'scope', 'link', ...atOnce(family)),
    ip(node.namespace, 'route', 'add', host(address, family), 'dev', link, 'src', inFamily(node.addressing, family).address),
    ip(name, 'addr', 'add', host(address, family), 'dev', 'eth0', ...atOnce(family)),
    ip(name, 'route', 'add', gateway, 'dev', 'eth0', 'scope', 'link'),
    ip(name, 'route', 'add', 'default', 'via', gateway, 'dev', 'eth0'),
  ];
}

function clients(bed: Blueprint, client: ClientBlueprint): Step[] {
  const { namespace: name, addressing } = client;
  const vpn = podNamed(bed, client.pod).namespace;
  const mtu = String(bed.mtu.pod);
  return [
    ...namespace(bed, name, false),
    ip(name, 'link', 'add', 'eth0', 'mtu', mtu, 'type', 'veth', 'peer', 'name', 'clients', 'mtu', mtu, 'netns', vpn),
    ip(vpn, 'link', 'set', 'clients', 'up'),
    ip(name, 'link', 'set', 'eth0', 'up'),
    ...addressing.flatMap(({ family, gateway, addresses }) => [
      ip(vpn, 'addr', 'add', subnet(gateway, family), 'dev', 'clients', ...atOnce(family)),
      ...addresses.map((address) => ip(name, 'addr', 'add', subnet(address, family), 'dev', 'eth0', ...atOnce(family))),
      ip(name, 'route', 'add', 'default', 'via', gateway),
    ]),
  ];
}
