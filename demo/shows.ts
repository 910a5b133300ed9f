/** What `make demo DEMO=…` can show beside the walkthrough: a cast, a policy, and the way that packets take. */

import type { Cluster } from './cluster.js';
import { type JudgedByFamily, judgeEach } from './families.js';
import type { Manifest } from './manifests.js';
import { type RecordOptions, recordTraffic } from './record.js';
import {
  type Blueprint,
  type BlueprintOptions,
  blueprint,
  commandLine,
  type Family,
  type FamilyForm,
  type Role,
  run,
  TERMS,
} from './testbed/index.js';
import { dropsBetween, type ShownStep, statuses, type WalkthroughResult } from './walkthrough.js';
import { judgeWay, type WayJourney, type WayTotals } from './way.js';

export interface Show {
  readonly title: string;
  /** The way of a request, in one line. */
  readonly route: string;
  readonly bed: (prefix: string, family?: FamilyForm) => Blueprint;
  /** Roles of the functions, in the chain's order. */
  readonly chain: readonly Role[];
  readonly policy: (bed: Blueprint) => readonly Manifest[];
}

const CHAIN = 'web-gateway';

/** Every destination of the families that the clients speak. */
function destinations(families: readonly Family[]): Manifest {
  const [family, ...others] = families;
  return family === undefined || others.length > 0 ? {} : { to: { ipBlock: { cidr: TERMS[family].any } } };
}

const policyOf =
  (chain: readonly Role[]) =>
  ({ families }: Blueprint): readonly Manifest[] => [
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name: CHAIN },
      spec: { serviceFunctions: chain.map((role) => ({ name: role, namespace: role, podSelector: { matchLabels: { app: role } } })) },
    },
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name: `vpn-to-${CHAIN}` },
      spec: {
        serviceFunctionChain: CHAIN,
        subject: {
          pods: {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'vpn' } },
            podSelector: { matchLabels: { app: 'vpn' } },
          },
        },
        egress: { ...destinations(families.traffic), ports: [{ allPorts: { protocol: 'UDP' } }, { allPorts: { protocol: 'TCP' } }] },
      },
    },
  ];

const pod = (role: Exclude<Role, 'plain'>, name: string, node: number) => ({ name, podNamespace: role, role, node });

/** Three nodes with these pods, and clients behind the one of the name `vpn`. */
const bedOf =
  (pods: BlueprintOptions['pods'], more: Pick<BlueprintOptions, 'serverKnowsClients'> = {}) =>
  (prefix: string, family: FamilyForm = '4'): Blueprint =>
    blueprint({ prefix, family, nodes: ['routed', 'bridged', 'routed'], pods, clientsBehind: 'vpn', ...more });

export const SHOWS: Readonly<Record<'chain' | 'reply' | 'twice', Show>> = {
  chain: {
    title: 'three functions in one chain: each reply passes the same three instances, in reverse',
    route: 'client ─► vpn ═(1,3)═► firewall ═(1,2)═► inspector ═(1,1)═► proxy ─► server      ═► Geneve + NSH, UDP 7081   ─► plain',
    chain: ['firewall', 'inspector', 'proxy'],
    policy: policyOf(['firewall', 'inspector', 'proxy']),
    bed: bedOf([
      pod('vpn', 'vpn', 1),
      pod('firewall', 'firewall-1', 2),
      pod('firewall', 'firewall-2', 3),
      pod('inspector', 'inspector-1', 3),
      pod('inspector', 'inspector-2', 2),
      pod('proxy', 'proxy-1', 1),
      pod('proxy', 'proxy-2', 3),
    ]),
  },
  reply: {
    title: 'a server outside, nobody translates addresses: replies come plain to the source’s node and go back through the chain',
    route:
      'client ─► vpn ═► firewall ═► inspector ─► server; the server answers the client itself: ─► vpn’s node ═► inspector ═► firewall ═► vpn',
    chain: ['firewall', 'inspector'],
    policy: policyOf(['firewall', 'inspector']),
    bed: bedOf(
      [
        pod('vpn', 'vpn', 1),
        pod('firewall', 'firewall-1', 2),
        pod('firewall', 'firewall-2', 3),
        pod('firewall', 'firewall-3', 1),
        pod('inspector', 'inspector-1', 3),
        pod('inspector', 'inspector-2', 2),
      ],
      { serverKnowsClients: true },
    ),
  },
  twice: {
    title: 'one firewall before and behind an inspector: the same pod at two positions of the chain, for each packet of a flow',
    route:
      'client ─► vpn ═(1,3)═► firewall ═(1,2)═► inspector ═(1,1)═► the same firewall ─► server; replies come past the chain and go back through it',
    chain: ['firewall', 'inspector', 'firewall'],
    policy: policyOf(['firewall', 'inspector', 'firewall']),
    bed: bedOf([pod('vpn', 'vpn', 1), pod('firewall', 'firewall-1', 2), pod('inspector', 'inspector-1', 3)], { serverKnowsClients: true }),
  },
};

/** Entries that a node of this show must have when everything is programmed. */
export function expectedOf({ chain }: Show, bed: Blueprint): (node: string) => Readonly<Record<string, number>> {
  return (node) => {
    const pods = bed.pods.filter((one) => one.node === node);
    const selected = pods.filter(({ role }) => role === 'vpn').length;
    return { sfcselect: 2 * selected * bed.families.traffic.length, sfcpath: chain.length, endpoint: pods.length };
  };
}

export interface ShowResult extends JudgedByFamily<WayJourney, WayTotals> {
  readonly encapsulated: number;
  readonly drops: WalkthroughResult['drops'];
  readonly steps: readonly ShownStep[];
}

/** Sends the requests on a cluster that is ready, and judges what was captured. Throws `COMMAND_FAILED`, `CAPTURE_INVALID`. */
export async function runShow(show: Show, cluster: Cluster, options: RecordOptions): Promise<ShowResult> {
  const before = await statuses(cluster);
  const recording = await recordTraffic(cluster.testbed, options);
  const drops = dropsBetween(before, await statuses(cluster));
  options.signal?.throwIfAborted();
  const { traffic } = cluster.testbed.blueprint.families;
  const verdict = judgeEach(traffic, recording.points, recording.results, (points, results) => judgeWay(points, results, show.chain));
  const encapsulated = recording.captures.fabric?.captured ?? 0;
  const faults = [
    ...verdict.faults,
    ...recording.faults,
    ...drops.map(({ node, reason, packets }) => `${node} dropped ${packets} packets: ${reason}`),
    ...(encapsulated === 0 ? ['no steering packet was seen on the fabric'] : []),
  ];
  return { ...verdict, faults, encapsulated, drops, steps: await shownSteps(cluster, recording.directory) };
}

/** The chain with its instances, the paths of each function, and counters where the source is. */
async function shownSteps(cluster: Cluster, directory: string): Promise<readonly ShownStep[]> {
  const node = cluster.testbed.blueprint.pods.find(({ role }) => role === 'vpn')?.node ?? 'node1';
  const sfc = async (title: string, ...args: readonly string[]): Promise<ShownStep> => ({
    title,
    node,
    command: `sfc --socket ${cluster.paths(node).socket} ${commandLine(args)}`,
    output: await cluster.sfc(node, ...args),
  });
  const argv = ['tcpdump', '-nn', '-r', `${directory}/fabric.pcap`, '-c', '6'];
  return [
    await sfc('The chain and its instances', 'get', 'chain', CHAIN),
    await sfc('Its paths: one service index a function', 'bpf', 'sfcpath', 'list'),
    await sfc('What the datapath counted on the source’s node', 'bpf', 'metrics', 'list'),
    { title: 'On the wire', node: 'fabric', command: commandLine(argv), output: (await run(argv)).stdout },
  ];
}
