/**
 * The testbed as plain data: which namespaces, addresses and links there are. The same on every
 * machine; `plan.ts` turns it into commands, `build.ts` runs them.
 *
 * MTU: a pod's own interface has `mtu.pod`; everything a steered packet crosses while it carries the
 * outer headers (the host side of a pod's veth, the node's bridge, the fabric) has `mtu.fabric`, which must
 * be larger by 48 bytes at least, over IPv6 by 68, or full-sized packets of steered pods do not fit.
 *
 * What has addresses has them in `addressing`, one entry a family; the fields of the first stand beside it.
 */

import { SCHEMES } from './addresses.js';
import { type Families, type Family, type FamilyForm, familiesOf, inFamily } from './family.js';

export type Attachment = 'routed' | 'bridged';
/**
 * `vpn` forwards for clients, `firewall` is stateful, `inspector` passes everything on as it is, `proxy`
 * hides the source address; `plain` forwards nothing.
 */
export type Role = 'vpn' | 'firewall' | 'inspector' | 'proxy' | 'plain';

export interface NodeAddressing {
  readonly family: Family;
  /** On the fabric. */
  readonly address: string;
  readonly podCidr: string;
  /** First address of the pod range: the gateway of bridged pods. */
  readonly gateway: string;
}

export interface NodeBlueprint extends NodeAddressing {
  readonly name: string;
  readonly number: number;
  readonly namespace: string;
  readonly addressing: readonly NodeAddressing[];
  /** `routed`: a host route per pod, as ptp and Calico do; `bridged`: one bridge `cni0`, as the bridge plugin does. */
  readonly attachment: Attachment;
}

export interface PodBlueprint {
  readonly name: string;
  /** Kubernetes namespace. */
  readonly podNamespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: string;
  readonly role: Role;
  /** Network namespace; its interface is `eth0`. */
  readonly namespace: string;
  /** The primary one. */
  readonly address: string;
  /** All that its interface has, the primary one first. */
  readonly addresses: readonly string[];
  readonly addressing: readonly { readonly family: Family; readonly address: string }[];
  /** The host side of the veth, in the node's namespace. */
  readonly hostInterface: string;
}

export interface ClientAddressing {
  readonly family: Family;
  readonly network: string;
  readonly gateway: string;
  /** Several clients, so that address affinity spreads them over the functions. */
  readonly addresses: readonly string[];
}

export interface ClientBlueprint extends ClientAddressing {
  readonly namespace: string;
  /** The vpn pod that forwards for these clients. */
  readonly pod: string;
  readonly addressing: readonly ClientAddressing[];
}

export interface ServerAddressing {
  readonly family: Family;
  /** Outside the cluster. */
  readonly address: string;
  readonly network: string;
  /** Where the nodes reach it on the fabric. */
  readonly fabricAddress: string;
}

export interface ServerBlueprint extends ServerAddressing {
  readonly namespace: string;
  readonly addresses: readonly string[];
  readonly addressing: readonly ServerAddressing[];
  /** The echo servers' port, TCP and UDP. */
  readonly port: number;
  /** There is a plain way from the server to the clients' own addresses. */
  readonly knowsClients: boolean;
}

export interface Blueprint {
  /** Every namespace is named `<prefix>-…` and every file stands below `directory`. */
  readonly prefix: string;
  readonly directory: string;
  readonly family: FamilyForm;
  readonly families: Families;
  /** Bytes. */
  readonly mtu: { readonly pod: number; readonly fabric: number };
  readonly fabric: { readonly namespace: string; readonly bridge: string; readonly networks: readonly string[] };
  readonly nodes: readonly NodeBlueprint[];
  readonly pods: readonly PodBlueprint[];
  readonly client: ClientBlueprint | undefined;
  readonly server: ServerBlueprint;
}

export interface PodDraft {
  readonly name: string;
  readonly podNamespace: string;
  readonly role: Role;
  /** Node number, 1-based. */
  readonly node: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface BlueprintOptions {
  /** Lower-case letters, digits and dashes; at most 40. */
  readonly prefix: string;
  /** One attachment a node; its length is the number of nodes (1..9). */
  readonly nodes: readonly Attachment[];
  readonly pods: readonly PodDraft[];
  /** Default: IPv4 everywhere. */
  readonly family?: FamilyForm;
  /** Name of the vpn pod with clients behind it; undefined: no clients. */
  readonly clientsBehind?: string;
  /** Number of client addresses, 1..200; default 8. */
  readonly clients?: number;
  readonly mtu?: { readonly pod: number; readonly fabric: number };
  /** A plain way from the server to the clients' own addresses; default: none. */
  readonly serverKnowsClients?: boolean;
}

const PREFIX = /^[a-z][a-z0-9-]{1,39}$/;

/** Lays out a testbed. Throws `RangeError` when the options contradict themselves: a mistake of the caller. */
export function blueprint(options: BlueprintOptions): Blueprint {
  const { prefix } = options;
  if (!PREFIX.test(prefix)) throw new RangeError(`prefix ${JSON.stringify(prefix)}: lower-case letters, digits and dashes, 2 to 40`);
  if (options.nodes.length < 1 || options.nodes.length > 9) throw new RangeError('1 to 9 nodes');
  const families = familiesOf(options.family ?? '4');
  const nodes = options.nodes.map((attachment, index): NodeBlueprint => {
    const number = index + 1;
    const addressing = withFirst(families.pods, (family): NodeAddressing => {
      const { fabricHost, podCidr, podHost } = SCHEMES[family];
      return { family, address: fabricHost(number), podCidr: podCidr(number), gateway: podHost(number, 1) };
    });
    return { name: `node${number}`, number, namespace: `${prefix}-node${number}`, attachment, ...addressing };
  });
  const pods = options.pods.map((draft, index): PodBlueprint => {
    const node = nodes[draft.node - 1];
    if (node === undefined) throw new RangeError(`pod ${draft.name}: there is no node ${draft.node}`);
    const { address, addressing } = withFirst(families.pods, (family) => ({
      family,
      address: SCHEMES[family].podHost(node.number, 10 + index),
    }));
    return {
      name: draft.name,
      podNamespace: draft.podNamespace,
      labels: draft.labels ?? { app: draft.role },
      node: node.name,
      role: draft.role,
      namespace: `${prefix}-${draft.name}`,
      address,
      addresses: addressing.map((one) => one.address),
      addressing,
      // IFNAMSIZ is 16 with the closing zero.
      hostInterface: `v-${draft.name}`.slice(0, 15),
    };
  });
  if (new Set(pods.map((pod) => pod.hostInterface)).size !== pods.length) throw new RangeError('pod names differ only after 13 characters');
  const clientPod = pods.find((pod) => pod.name === options.clientsBehind);
  if (options.clientsBehind !== undefined && clientPod?.role !== 'vpn') throw new RangeError(`${options.clientsBehind} is no vpn pod`);
  const clients = options.clients ?? 8;
  if (clients < 1 || clients > 200) throw new RangeError('1 to 200 clients');
  return {
    prefix,
    directory: `/run/${prefix}`,
    family: options.family ?? '4',
    families,
    mtu: options.mtu ?? { pod: 1500, fabric: 1600 },
    fabric: { namespace: `${prefix}-fabric`, bridge: 'fabric0', networks: families.pods.map((family) => SCHEMES[family].fabric) },
    nodes,
    pods,
    client:
      clientPod === undefined
        ? undefined
        : {
            namespace: `${prefix}-clients`,
            pod: clientPod.name,
            ...withFirst(families.traffic, (family) => ({
              family,
              network: SCHEMES[family].clients,
              gateway: SCHEMES[family].client(1),
              addresses: Array.from({ length: clients }, (_, index) => SCHEMES[family].client(10 + index)),
            })),
          },
    server: serverOf(prefix, families, options.serverKnowsClients ?? false),
  };
}

/** What has addresses, by family, with the fields of the first beside them. */
function withFirst<T>(families: readonly Family[], of: (family: Family) => T): T & { readonly addressing: readonly T[] } {
  const addressing = families.map(of);
  return { ...(addressing[0] as T), addressing };
}

/** On the fabric the server stands behind every node. */
const SERVER_NUMBER = 250;

function serverOf(prefix: string, families: Families, knowsClients: boolean): ServerBlueprint {
  const addressing = withFirst(families.traffic, (family): ServerAddressing => {
    const { server: address, outside: network, fabricHost } = SCHEMES[family];
    return { family, address, network, fabricAddress: fabricHost(SERVER_NUMBER) };
  });
  const addresses = addressing.addressing.map(({ address }) => address);
  return { namespace: `${prefix}-server`, port: 9000, knowsClients, addresses, ...addressing };
}

/** The pod of that name. Throws `RangeError` when the blueprint has none. */
export function podNamed(plan: Blueprint, name: string): PodBlueprint {
  const pod = plan.pods.find((candidate) => candidate.name === name);
  if (pod === undefined) throw new RangeError(`the blueprint has no pod ${name}`);
  return pod;
}

/** The node of that name. Throws `RangeError` when the blueprint has none. */
export function nodeNamed(plan: Blueprint, name: string): NodeBlueprint {
  const node = plan.nodes.find((candidate) => candidate.name === name);
  if (node === undefined) throw new RangeError(`the blueprint has no node ${name}`);
  return node;
}

/** The pod's address of a family. Throws `RangeError` when it has none. */
export function addressIn({ addressing }: Pick<PodBlueprint, 'addressing'>, family: Family): string {
  return inFamily(addressing, family).address;
}
