/**
 * Pods that come and go under an agent: each sends from its first moment on to a server outside, by a chain of one proxy
 * that hides the source. So the server tells by the source alone what has passed the chain: nftables counts there
 * what came from the pods' own range, and what came from the proxies.
 *
 *     pods of node1 (coming, going) ═► proxies on node2 ─► server
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stringify } from 'yaml';
import { type Cluster, startCluster } from './cluster.js';
import { type Manifest, podManifest } from './manifests.js';
import {
  type Arrived,
  type Attachment,
  type Background,
  type Blueprint,
  blueprint,
  buildTestbed,
  inNamespace,
  type NodeBlueprint,
  nodeNamed,
  run,
  SCHEMES,
  script,
  startInNamespace,
  type TalkChange,
  type Talked,
  type Testbed,
} from './testbed/index.js';

export interface StartsOptions {
  readonly prefix: string;
  readonly attachment: Attachment;
  /** Of both agents. */
  readonly flags?: readonly string[];
}

/** What became of a pod that has ended. */
export interface Story {
  readonly id: number;
  /** Datagrams it sent in all, and before the first that arrived: all of them, when none did. */
  readonly sent: number;
  readonly held: number;
  /** From its first datagram to the first that arrived; undefined when none did. */
  readonly heldMs: number | undefined;
}

export type Choice = 'a' | 'b';

/** A chain of the given name through the proxies of a set, and the selector of everything that the pods send. */
export function policyOf(chain: string, proxies: Choice | 'both', selector = 'starts'): readonly Manifest[] {
  const podSelector = { matchLabels: proxies === 'both' ? { app: 'proxy' } : { set: proxies } };
  return [
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name: chain },
      spec: { serviceFunctions: [{ name: 'proxy', namespace: 'proxy', podSelector }] },
    },
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name: selector },
      spec: {
        serviceFunctionChain: chain,
        subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'start' } } } },
        egress: { to: { ipBlock: { cidr: '0.0.0.0/0' } }, ports: [{ allPorts: { protocol: 'TCP' } }, { allPorts: { protocol: 'UDP' } }] },
      },
    },
  ];
}

/** Counts at the server, before anything else sees the packets. */
function judge(node: NodeBlueprint, proxies: readonly string[]): string {
  return `
table ip judge {
  counter unsteered { }
  counter steered { }
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    ip saddr ${node.podCidr} counter name unsteered
    ip saddr { ${proxies.join(', ')} } counter name steered
  }
}
`;
}

/** Addresses .50 to .249 of the node's range, in turn. */
const ADDRESSES = 200;

export class Starts {
  readonly bed: Blueprint;
  readonly cluster: Cluster;
  readonly #testbed: Testbed;
  readonly #node: NodeBlueprint;
  readonly #talker: ChildProcess;
  readonly #listener: Background;
  readonly #arrived = new Map<number, Arrived>();
  readonly #talked = new Map<number, (talked: Talked) => void>();
  #talkerFailure: Error | undefined;

  private constructor(testbed: Testbed, cluster: Cluster, talker: ChildProcess, listener: Background) {
    this.#testbed = testbed;
    this.bed = testbed.blueprint;
    this.cluster = cluster;
    this.#node = nodeNamed(this.bed, 'node1');
    this.#talker = talker;
    this.#listener = listener;
    talker.on('close', (code) => {
      this.#talkerFailure = new Error(`the talker ended (${code})`);
    });
  }

  /** Builds the testbed, starts agents, talker and listener. */
  static async open({ prefix, attachment, flags = [] }: StartsOptions): Promise<Starts> {
    const proxy = (name: string, node: number, set: Choice) =>
      ({ name, podNamespace: 'proxy', role: 'proxy', node, labels: { app: 'proxy', set } }) as const;
    const bed = blueprint({
      prefix,
      nodes: [attachment, 'routed'],
      pods: [proxy('proxy-1', 2, 'a'), proxy('proxy-2', 2, 'b')],
    });
    const testbed = await buildTestbed(bed);
    try {
      const cluster = await startCluster(testbed, { flags, policy: policyOf('starts', 'both'), expected: () => ({ sfcpath: 1 }) });
      await cluster.ready();
      const proxies = bed.pods.map(({ address }) => address);
      await inNamespace(bed.server.namespace, ['nft', '-f', '-'], { stdin: judge(nodeNamed(bed, 'node1'), proxies) });
      const order = JSON.stringify({ server: bed.server.address, port: bed.server.port });
      const listener = startInNamespace(bed.server.namespace, [process.execPath, script('listener'), order], { stdout: 'pipe' });
      const talker = spawn(process.execPath, [script('talker'), order], { stdio: ['pipe', 'pipe', 'inherit'] });
      const starts = new Starts(testbed, cluster, talker, listener);
      await Promise.all([starts.#hear(listener.child), starts.#hear(talker)]);
      return starts;
    } catch (error) {
      await testbed.teardown();
      throw error;
    }
  }

  /** Reads what a program says from now on; resolves when it is ready. */
  #hear(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      child.on('close', (code) => reject(new Error(`it ended (${code})`)));
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on('line', (line) => {
        const value = JSON.parse(line) as Arrived | Talked | { readonly ready: true };
        if ('ready' in value) resolve();
        else if ('sequence' in value) this.#arrived.set(value.id, value);
        else this.#talked.get(value.id)?.(value);
      });
    });
  }

  #tell(change: TalkChange): void {
    if (this.#talkerFailure !== undefined) throw this.#talkerFailure;
    this.#talker.stdin?.write(`${JSON.stringify(change)}\n`);
  }

  #namespace(id: number): string {
    return `${this.bed.prefix}-s${id}`;
  }

  #address(id: number): string {
    return this.#node.podCidr.replace(/0\/24$/, String(50 + (id % ADDRESSES)));
  }

  /** Writes manifests in one step, under a name; none: the file goes. */
  async place(name: string, manifests: readonly Manifest[]): Promise<void> {
    const file = join(this.cluster.manifests, `${name}.yaml`);
    if (manifests.length === 0) return rm(file, { force: true });
    const draft = join(this.cluster.manifests, `.${name}.draft`);
    await writeFile(draft, manifests.map((manifest) => stringify(manifest)).join('---\n'));
    await rename(draft, file);
  }

  /** Kubernetes tells of the pod. */
  announce(id: number): Promise<void> {
    const pod = {
      name: `start-${id}`,
      podNamespace: 'starts',
      labels: { app: 'start' },
      node: this.#node.name,
      address: this.#address(id),
      addresses: [this.#address(id)],
    };
    return this.place(`start-${id}`, [podManifest({ ...pod, role: 'plain' })]);
  }

  /** And no longer. */
  withdraw(id: number): Promise<void> {
    return this.place(`start-${id}`, []);
  }

  /** The pod's network namespace, without an interface; returns its name. */
  async prepare(id: number): Promise<string> {
    await run(['ip', 'netns', 'add', this.#namespace(id)]);
    return this.#namespace(id);
  }

  /** The pod sends from now on, as soon as it can. */
  begin(id: number): void {
    this.#tell({ begin: id, namespace: this.#namespace(id) });
  }

  /** The pod's namespace and interface, as a CNI plugin makes them; it sends as soon as it can. */
  async create(id: number): Promise<void> {
    const { bed } = this;
    const [address, host] = [this.#address(id), `s${id}`];
    const namespace = await this.prepare(id);
    this.begin(id);
    const bridged = this.#node.attachment === 'bridged';
    const link = `link add ${host} mtu ${bed.mtu.fabric} type veth peer name eth0 mtu ${bed.mtu.pod} netns ${namespace}`;
    const outside = bridged
      ? [link, `link set ${host} master cni0 up`]
      : [
          link,
          `addr add ${SCHEMES[4].routedGateway}/32 dev ${host} scope link`,
          `link set ${host} up`,
          `route replace ${address}/32 dev ${host} src ${this.#node.address}`,
        ];
    const inside = bridged
      ? [`addr add ${address}/24 dev eth0`, 'link set eth0 up', `route add default via ${this.#node.gateway}`]
      : [
          `addr add ${address}/32 dev eth0`,
          'link set eth0 up',
          `route add ${SCHEMES[4].routedGateway} dev eth0 scope link`,
          `route add default via ${SCHEMES[4].routedGateway} dev eth0`,
        ];
    const batch = (at: string, lines: readonly string[]) => run(['ip', '-n', at, '-batch', '-'], { stdin: `${lines.join('\n')}\n` });
    await batch(this.#node.namespace, outside);
    await batch(namespace, inside);
  }

  /** The pod and its interface are gone. */
  async destroy(id: number): Promise<Story> {
    const talked = await new Promise<Talked>((resolve) => {
      this.#talked.set(id, resolve);
      this.#tell({ end: id });
    });
    this.#talked.delete(id);
    await run(['ip', 'netns', 'delete', this.#namespace(id)]);
    const arrived = this.#arrived.get(id);
    if (arrived === undefined) return { id, sent: talked.sent, held: talked.sent, heldMs: undefined };
    return { id, sent: talked.sent, held: arrived.sequence, heldMs: arrived.sentAt - talked.firstAt };
  }

  /** The first of the pod's datagrams that arrived, counted from 0; undefined when none did. */
  firstArrived(id: number): number | undefined {
    return this.#arrived.get(id)?.sequence;
  }

  /** Has a datagram of the pod arrived? */
  hasArrived(id: number): boolean {
    return this.#arrived.has(id);
  }

  /** Packets at the server so far, by what they came from. */
  async judged(): Promise<{ readonly steered: number; readonly unsteered: number }> {
    const { stdout } = await inNamespace(this.bed.server.namespace, ['nft', '-j', 'list', 'counters', 'table', 'ip', 'judge']);
    const { nftables } = JSON.parse(stdout) as { nftables: readonly { counter?: { name: string; packets: number } }[] };
    const packets = (name: string) => nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? Number.NaN;
    return { steered: packets('steered'), unsteered: packets('unsteered') };
  }

  async close(): Promise<void> {
    this.#talker.kill();
    await this.#listener.stop();
    await this.cluster.stop();
    await this.#testbed.teardown();
  }
}
