/** The whole cluster: its network, its control plane, its nodes, and a machine outside of it. */

import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { component } from './components.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';
import { toolsImage } from './images.js';
import { type Machine, startMachine } from './machine.js';
import { makeNetwork, type NetworkOptions, namespaceOf, nodeName, plugInNode, unplugNode } from './network.js';
import { type Node, startNode } from './node.js';
import type { Cni } from './node-files.js';
import { type IpFamilies, numbersOf } from './numbers.js';
import { phase, type Say, silent } from './progress.js';
import { claim, type Swept, sweep } from './sweep.js';

export interface ClusterOptions {
  /** Begins the names of namespaces and cgroups. Two clusters with two names and directories do not meet. */
  readonly name: string;
  /** Absolute, on a disk (not tmpfs) and short: paths of sockets lie in it. What an earlier cluster left there is swept away, unless its harness still runs. */
  readonly directory: string;
  /** How many, from `n1` on. Default 3. */
  readonly nodes?: number;
  readonly cni?: Cni;
  readonly families?: IpFamilies;
  /** Pods that leave the cluster do so with their node's address. Default: with their own, which the outside has routes to. */
  readonly masquerade?: boolean;
  /** Archives of images, beside the one of tools, that every node has before its first pod. */
  readonly images?: readonly string[];
  /** A start that fails leaves everything as it is, to be looked at. Default: it takes all away. */
  readonly keep?: boolean;
  readonly say?: Say;
}

export interface Cluster {
  readonly name: string;
  readonly directory: string;
  readonly plane: ControlPlane;
  readonly kubectl: ControlPlane['kubectl'];
  /** By name. A node that was stopped is here until it is started anew. */
  node(name: string): Node;
  readonly nodes: readonly Node[];
  /** A machine beside the nodes that is none, their way out, with addresses outside (`SCHEMES[family].server`). */
  readonly outside: Machine;
  /** Brings an image to every node. */
  importImage(archive: string): Promise<void>;
  /** Takes the power from a node: it is gone with all its pods, its disk stays. */
  stopNode(name: string): Promise<void>;
  startNode(name: string): Promise<void>;
  /** Waits until these nodes (default: all) are Ready. */
  nodesReady(names?: readonly string[]): Promise<void>;
  /** Takes all of it away. Idempotent. */
  stop(): Promise<Swept>;
}

/** Starts a cluster; its nodes are Ready when this returns. Throws `COMMAND_FAILED`, and then leaves nothing behind unless told to. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const {
    name,
    directory,
    nodes: count = 3,
    cni = 'bridge',
    families = '4',
    masquerade = false,
    images = [],
    keep = false,
    say = silent,
  } = options;
  const numbers = numbersOf(families);
  const order = Array.from({ length: count }, (_, index) => index + 1);
  const network: NetworkOptions = { name, numbers, nodes: order, routed: cni !== 'flannel' };
  for (const program of ['kubelet', 'kube-proxy', ...(cni === 'flannel' ? (['flannel'] as const) : [])] as const)
    await component(program, say);
  const archives = [await toolsImage(say), ...images];
  await sweep(name, directory);
  try {
    await claim(directory);
    await phase(say, 'made the network', () => makeNetwork(network));
    const plane = await startControlPlane({ directory, name, families, networked: true, say });
    const outside = await startMachine({
      name: `${name}-outside`,
      namespace: namespaceOf(name, 'outside'),
      directory: join(directory, 'outside'),
      kind: 'plain',
    });
    const { kubectl } = plane;
    await kubectl(['create', '-f', '-'], {
      stdin: order.map((node) => JSON.stringify(nodeObject(node, numbers.podCidrs(node)))).join('\n'),
    });

    const start = (number: number, withImages: readonly string[]) =>
      startNode({ number, name, directory, numbers, cni, masquerade, plane, images: withImages });
    const running = new Map<string, Node>();
    await phase(say, `started ${count} nodes`, async () => {
      const started = await Promise.all(order.map((number) => start(number, archives)));
      for (const node of started) running.set(node.name, node);
    });
    const node = (wanted: string) => {
      const found = running.get(wanted);
      if (found === undefined) throw new SfcError('NOT_FOUND', `no node ${wanted}`);
      return found;
    };
    const numberOf = (wanted: string) => order.find((number) => nodeName(number) === wanted) ?? 0;
    const nodesReady = async (names: readonly string[] = order.map(nodeName)) => {
      await kubectl(['wait', '--for=condition=Ready', '--timeout=120s', ...names.map((one) => `node/${one}`)], { timeout: 130_000 });
    };
    await phase(say, 'nodes are Ready', () => nodesReady());
    return {
      name,
      directory,
      plane,
      kubectl,
      node,
      get nodes() {
        return [...running.values()];
      },
      outside,
      async importImage(archive) {
        await Promise.all([...running.values()].map((one) => one.importImage(archive)));
      },
      async stopNode(wanted) {
        await node(wanted).stop();
        await unplugNode(network, numberOf(wanted));
      },
      async startNode(wanted) {
        await plugInNode(network, numberOf(wanted));
        running.set(wanted, await start(numberOf(wanted), []));
      },
      nodesReady,
      stop: () => sweep(name, directory),
    };
  } catch (error) {
    if (!keep) await sweep(name, directory);
    throw error;
  }
}

/** Made before its kubelet registers it, so that the range of its pods follows from its number. */
const nodeObject = (number: number, podCIDRs: readonly string[]) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: nodeName(number) },
  spec: { podCIDR: podCIDRs[0], podCIDRs },
});
