/**
 * The network between the machines of a cluster: a bridge in a namespace of its own, and a link from it to each machine's
 * namespace, where it is `eth0`. Nothing of it is reachable from the host's own network, nor the other way round.
 */

import { inNamespace, run, SCHEMES } from '../../demo/testbed/index.js';
import { CONTROL_PLANE, type Numbers, nodeHost, OUTSIDE } from './numbers.js';

export interface NetworkOptions {
  /** Begins the names of all namespaces. */
  readonly name: string;
  readonly numbers: Numbers;
  /** Numbers of the nodes. */
  readonly nodes: readonly number[];
  /** The nodes reach each other's pods by routes; false: whatever makes the pods' network does that. */
  readonly routed: boolean;
}

/** What a machine of the network is: its namespace ends with `-<short>`. */
interface Port {
  readonly short: string;
  readonly number: number;
  readonly kind: 'node' | 'control' | 'outside';
}

const BRIDGE = 'fabric';
export const nodeName = (node: number): string => `n${node}`;
const portOf = (node: number): Port => ({ short: nodeName(node), number: nodeHost(node), kind: 'node' });
export const namespaceOf = (name: string, short: string): string => `${name}-${short}`;

/** Makes the bridge and the namespaces of all machines. */
export async function makeNetwork(options: NetworkOptions): Promise<void> {
  const { name, nodes } = options;
  const fabric = namespaceOf(name, 'fabric');
  await run(['ip', 'netns', 'add', fabric]);
  await batch(fabric, ['link set lo up', `link add ${BRIDGE} type bridge`, `link set ${BRIDGE} up`]);
  const ports: Port[] = [
    { short: 'control', number: CONTROL_PLANE, kind: 'control' },
    { short: 'outside', number: OUTSIDE, kind: 'outside' },
  ];
  for (const port of [...ports, ...nodes.map(portOf)]) await plugIn(options, port);
}

/** Makes the namespace of a node that was unplugged. */
export const plugInNode = (options: NetworkOptions, node: number): Promise<void> => plugIn(options, portOf(node));

/** Takes the namespace of a node away, with its interfaces, routes and rules. */
export async function unplugNode({ name }: NetworkOptions, node: number): Promise<void> {
  await run(['ip', 'netns', 'delete', namespaceOf(name, nodeName(node))]);
}

async function plugIn({ name, numbers, nodes, routed }: NetworkOptions, { short, number, kind }: Port): Promise<void> {
  const namespace = namespaceOf(name, short);
  const fabric = namespaceOf(name, 'fabric');
  await run(['ip', 'netns', 'add', namespace]);
  await inNamespace(fabric, ['ip', 'link', 'add', `to-${short}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
  await inNamespace(fabric, ['ip', 'link', 'set', `to-${short}`, 'master', BRIDGE, 'up']);
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  // What passes a bridge meets kube-proxy's rules too, so that an answer between two pods of one bridge is translated back.
  const bridged = ['net.bridge.bridge-nf-call-iptables=1', 'net.bridge.bridge-nf-call-ip6tables=1'];
  if (kind !== 'control') await inNamespace(namespace, ['sysctl', '-qw', ...forwarding, ...(kind === 'node' ? bridged : [])]);
  const lines = ['link set lo up', 'link set eth0 up'];
  for (const family of numbers.families) {
    const scheme = SCHEMES[family];
    const [bits, whole, nodad] = family === 6 ? [64, 128, ' nodad'] : [24, 32, ''];
    lines.push(`addr add ${numbers.hostOf(family, number)}/${bits} dev eth0${nodad}`);
    if (kind === 'outside') lines.push(`addr add ${scheme.server}/${whole} dev lo${nodad}`);
    else lines.push(`route add default via ${numbers.hostOf(family, OUTSIDE)}`);
    if (kind !== 'node' || routed)
      for (const node of nodes)
        if (nodeHost(node) !== number) lines.push(`route add ${scheme.podCidr(node)} via ${numbers.hostOf(family, nodeHost(node))}`);
  }
  await batch(namespace, lines);
}

const batch = (namespace: string, lines: readonly string[]) =>
  inNamespace(namespace, ['ip', '-batch', '-'], { stdin: lines.map((line) => `${line}\n`).join('') });
