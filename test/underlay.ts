/** The links of a testbed, made smaller and larger, and a router put between them. */

import { addressIn, type Blueprint, inFamily, inNamespace, nodeNamed, SCHEMES } from '../demo/testbed/index.js';

const ip = (namespace: string, ...args: readonly string[]) => inNamespace(namespace, ['ip', ...args]);

export const setMtu = (namespace: string, device: string, mtu: number) => ip(namespace, 'link', 'set', device, 'mtu', String(mtu));

/** One run of ip(8) in each of these namespaces, all at once. */
async function batches(lines: readonly (readonly [namespace: string, line: string])[]): Promise<void> {
  const namespaces = new Set(lines.map(([namespace]) => namespace));
  const run = (namespace: string) => {
    const own = lines.filter(([one]) => one === namespace).map(([, line]) => `${line}\n`);
    return inNamespace(namespace, ['ip', '-batch', '-'], { stdin: own.join('') });
  };
  await Promise.all([...namespaces].map(run));
}

const mtuOf = (namespace: string, device: string, mtu: number) => [namespace, `link set ${device} mtu ${mtu}`] as const;

/** The links between nodes. */
export async function setFabric(bed: Blueprint, mtu: number): Promise<void> {
  const { namespace, bridge } = bed.fabric;
  await batches([
    ...bed.nodes.flatMap((node) => [mtuOf(namespace, `to-${node.name}`, mtu), mtuOf(node.namespace, 'eth0', mtu)]),
    mtuOf(namespace, bridge, mtu),
  ]);
}

export interface Sizes {
  readonly fabric: number;
  /** Of pods, and the bridges that they are ports of. */
  readonly hostSides: number;
  /** Inside the pods. */
  readonly pods: number;
}

export async function setSizes(bed: Blueprint, { fabric, hostSides, pods }: Sizes): Promise<void> {
  await setFabric(bed, fabric);
  await batches([
    ...bed.pods.map((pod) => mtuOf(nodeNamed(bed, pod.node).namespace, pod.hostInterface, hostSides)),
    ...bed.pods.map(({ namespace }) => mtuOf(namespace, 'eth0', pods)),
    // Last: a bridge may not be larger than its ports.
    ...bed.nodes.flatMap(({ attachment, namespace }) => (attachment === 'bridged' ? [mtuOf(namespace, 'cni0', hostSides)] : [])),
  ]);
}

/** The MTU that a namespace has learned of the path to there; undefined: none. */
export async function learnedMtu(namespace: string, to: string): Promise<number | undefined> {
  const { stdout } = await ip(namespace, '-json', 'route', 'get', to);
  const [route] = JSON.parse(stdout) as { readonly metrics?: readonly { readonly mtu?: number }[] }[];
  return route?.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu;
}

/**
 * How many segments an end gives to its interface in one piece. Of several in one the datapath makes each smaller by itself;
 * those that come one by one it has to answer.
 */
export const setPieces = (namespace: string, segments: number) => ip(namespace, 'link', 'set', 'eth0', 'gso_max_segs', String(segments));

/** Clients and server know the MTU of no path any more. */
export async function forgetPaths(bed: Blueprint): Promise<void> {
  const ends = [bed.server.namespace, ...(bed.client === undefined ? [] : [bed.client.namespace])];
  await Promise.all(
    ends.flatMap((namespace) => bed.families.traffic.map((family) => ip(namespace, `-${family}`, 'route', 'flush', 'cache'))),
  );
}

/** Numbers of the router on the fabric: towards the others, and towards its node. */
const [OUTER, INNER] = [254, 253];

/**
 * Takes a node off the fabric's bridge and puts the fabric itself as a router before it, which answers what does not fit: into
 * the link to this node, or, as if it were one of many on the way, into the path between this node's pods and the others'.
 */
export async function putRouterBefore(bed: Blueprint, name: string, path: number): Promise<void> {
  const mtu = ['mtu', 'lock', String(path)];
  const { namespace, bridge } = bed.fabric;
  const port = `to-${name}`;
  const behind = nodeNamed(bed, name);
  const others = bed.nodes.filter((node) => node !== behind);
  await ip(namespace, 'link', 'set', port, 'nomaster');
  const off = ['all', 'default', bridge, port].map((link) => `/proc/sys/net/ipv4/conf/${link}/rp_filter`);
  await inNamespace(namespace, ['tee', ...off], { stdin: '0' });
  const forwarding = bed.families.pods.map((family) => (family === 6 ? 'ipv6/conf/all/forwarding' : 'ipv4/ip_forward'));
  await inNamespace(namespace, ['tee', ...forwarding.map((setting) => `/proc/sys/net/${setting}`)], { stdin: '1' });
  for (const family of bed.families.pods) {
    const { fabricHost } = SCHEMES[family];
    const [outer, inner, bits] = [fabricHost(OUTER), fabricHost(INNER), family === 6 ? [64, 128] : [24, 32]];
    const { address, podCidr } = inFamily(behind.addressing, family);
    await ip(namespace, 'addr', 'add', `${outer}/${bits[0]}`, 'dev', bridge);
    await ip(namespace, 'addr', 'add', `${inner}/${bits[1]}`, 'dev', port);
    await ip(namespace, 'route', 'add', `${address}/${bits[1]}`, 'dev', port);
    await ip(namespace, 'route', 'add', podCidr, 'via', address, ...mtu);
    for (const other of others) {
      const there = inFamily(other.addressing, family);
      await ip(namespace, 'route', 'add', there.podCidr, 'via', there.address, ...mtu);
      await ip(behind.namespace, 'route', 'replace', there.podCidr, 'via', inner);
      await ip(other.namespace, 'route', 'replace', podCidr, 'via', outer);
    }
    const server = bed.server.addressing.find((one) => one.family === family);
    if (server === undefined) continue;
    await ip(namespace, 'route', 'add', server.network, 'via', server.fabricAddress);
    await ip(behind.namespace, 'route', 'replace', server.network, 'via', inner);
    await ip(bed.server.namespace, 'route', 'replace', podCidr, 'via', outer, 'src', addressIn(bed.server, family));
  }
}
