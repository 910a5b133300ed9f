/**
 * The place where attacks happen: two nodes with agents, a chain of a firewall and a proxy, clients who use it all the while,
 * and those who mean harm. An attack is refused when it is counted under its reason and nothing else is, no flow
 * of the stranger's is known anywhere, and every request of the clients is answered.
 */

import { afterAll, beforeAll, expect } from 'vitest';
import { apiClient } from '../../cli/client.js';
import { type Cluster, startCluster } from '../../demo/cluster.js';
import type { Manifest } from '../../demo/manifests.js';
import {
  type Blueprint,
  blueprint,
  buildTestbed,
  type EchoServer,
  type FamilyForm,
  podNamed,
  type RequestResult,
  SCHEMES,
  sendRaw,
  sendRequests,
  startEchoServer,
  TERMS,
  type Testbed,
  type Transport,
} from '../../demo/testbed/index.js';
import type { ReasonName } from '../../maps/index.js';
import { destinationOf } from './packets.js';

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });
const FUNCTIONS = ['firewall', 'proxy'] as const;
export type Datapath = 'kernel' | 'userspace';
/** Flows that a node may know, and of those one pod. */
const FLOWS = 4096;
export const FLOWS_OF_ONE = 500;
const LIMITS = ['--maps-sfcflow', String(FLOWS), '--limits-flows-per-endpoint', String(FLOWS_OF_ONE)];
/** Requests of each transport during an attack. */
const REQUESTS = 6;

const policyOf = ({ families: { traffic } }: Blueprint): readonly Manifest[] => [
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: { name: 'out' },
    spec: { serviceFunctions: FUNCTIONS.map((name) => ({ name, namespace: name, podSelector: labels('app', name) })) },
  },
  ...['vpn', 'rival'].map((name) => ({
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name },
    spec: {
      serviceFunctionChain: 'out',
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', name), podSelector: labels('app', name) } },
      egress: {
        to: { ipBlock: { cidr: TERMS[traffic[0] ?? 4].any } },
        ports: [{ allPorts: { protocol: 'TCP' } }, { allPorts: { protocol: 'UDP' } }],
      },
    },
  })),
];

/** An entry of `sfcflow` as the API shows it. */
export type FlowEntry = Readonly<Record<string, string | number>>;

export interface SceneOptions {
  readonly family: FamilyForm;
  readonly datapath: Datapath;
}

export class Scene {
  readonly bed: Blueprint;
  readonly datapath: Datapath;
  /** An address that no client has: whatever is known of it was learned from an attack. */
  readonly stranger: string;
  /** One more, of packets that are sent to see that they would have come through. */
  readonly known: string;
  testbed!: Testbed;
  cluster!: Cluster;
  server!: EchoServer;
  #asked = 0;

  private constructor({ family, datapath }: SceneOptions) {
    this.datapath = datapath;
    this.bed = blueprint({
      prefix: `sfcat${datapath[0]}${family}${process.pid}`,
      family,
      nodes: ['routed', 'bridged'],
      pods: [
        { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
        { name: 'rival', podNamespace: 'rival', role: 'plain', node: 1, labels: { app: 'rival' } },
        { name: 'mallory', podNamespace: 'mallory', role: 'plain', node: 1, labels: { app: 'mallory' } },
        { name: 'firewall', podNamespace: 'firewall', role: 'firewall', node: 2 },
        { name: 'proxy', podNamespace: 'proxy', role: 'proxy', node: 1 },
        { name: 'shop', podNamespace: 'shop', role: 'plain', node: 2, labels: { app: 'shop' } },
      ],
      clientsBehind: 'vpn',
    });
    const scheme = SCHEMES[this.bed.server.family];
    this.stranger = scheme.client(99);
    this.known = scheme.client(98);
  }

  /** Builds it before the tests of the suite that is being declared, and takes it away behind them. */
  static before(options: SceneOptions): Scene {
    const scene = new Scene(options);
    beforeAll(async () => {
      scene.testbed = await buildTestbed(scene.bed);
      scene.cluster = await startCluster(scene.testbed, {
        policy: policyOf(scene.bed),
        flags: ['--datapath', options.datapath, ...LIMITS],
        expected: (node) => ({ sfcpath: FUNCTIONS.length, sfcselect: node === 'node1' ? 4 : 0 }),
      });
      await scene.cluster.ready();
      scene.server = await startEchoServer(scene.bed);
      expect(await scene.unanswered()).toEqual([]);
    }, 120_000);
    afterAll(async () => {
      await scene.server?.stop();
      await scene.cluster?.stop();
      await scene.testbed?.teardown();
    }, 60_000);
    return scene;
  }

  address(pod: string): string {
    return podNamed(this.bed, pod).address;
  }

  /** Sends packets to where they are addressed, from a pod, a node or one of the bed's other namespaces. */
  async sends(who: string, packets: readonly Uint8Array[]): Promise<void> {
    await sendRaw(
      `${this.bed.prefix}-${who}`,
      packets.map((bytes) => ({ destination: destinationOf(bytes), bytes })),
    );
  }

  /** Asks the server as a client does; what was not answered. */
  async unanswered(): Promise<readonly RequestResult[]> {
    const ask = async (transport: Transport) => {
      const ids = Array.from({ length: REQUESTS }, () => `ordinary-${this.#asked++}`);
      return (await sendRequests(this.bed, { transport, ids })).filter(({ answered }) => !answered);
    };
    return (await Promise.all([ask('tcp'), ask('udp')])).flat();
  }

  /** The flows that a node's agent knows. */
  async flows(node: string): Promise<readonly FlowEntry[]> {
    return (await this.ask<{ entries: readonly FlowEntry[] }>(node, '/v1/maps/sfcflow')).entries;
  }

  ask<Body>(node: string, path: string): Promise<Body> {
    return apiClient(this.cluster.paths(node).socket).get<Body>(path);
  }

  /** Packets counted on the nodes, by `<node> <reason>`: all drops, and of the rest those that are asked for. */
  async counted(also?: ReasonName): Promise<Readonly<Record<string, number>>> {
    const sums: Record<string, number> = {};
    for (const { name } of this.bed.nodes) {
      const { counters } = await this.ask<{ counters: { reason: string; class: string; packets: number }[] }>(name, '/v1/status');
      for (const { reason, class: kind, packets } of counters)
        if (kind === 'dropped' || reason === also) sums[`${name} ${reason}`] = (sums[`${name} ${reason}`] ?? 0) + packets;
    }
    return sums;
  }

  /** An attack is refused: so many packets are counted on this node under these reasons, no other drop anywhere, and nothing is learned. */
  async refuses(at: string, drops: Partial<Record<ReasonName, number>>, attack: () => Promise<void>): Promise<void> {
    const before = await this.counted();
    const more = async () => difference(await this.counted(), before);
    const expected = Object.fromEntries(Object.entries(drops).map(([reason, count]) => [`${at} ${reason}`, count]));
    const ordinary = this.unanswered();
    await attack();
    await expect.poll(more, { timeout: 10_000 }).toEqual(expected);
    expect(await ordinary).toEqual([]);
    expect(await more()).toEqual(expected);
    expect(await this.learned(this.stranger)).toEqual([]);
  }

  /** The flows of an address, on all nodes. */
  async learned(address: string): Promise<readonly FlowEntry[]> {
    const all = await Promise.all(this.bed.nodes.map(({ name }) => this.flows(name)));
    return all.flat().filter(({ address_a, address_b }) => address_a === address || address_b === address);
  }
}

function difference(after: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>): Record<string, number> {
  const entries = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, count]) => count !== 0));
}
