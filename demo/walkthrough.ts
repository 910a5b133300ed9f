/**
 * The walkthrough, run and judged: traffic through the steered cluster with captures everywhere,
 * then each step of the troubleshooting section as an operator would take it. Returns plain data;
 * the demo prints it, the test asserts it.
 */

import { join } from 'node:path';
import type { StatusView } from '../agent/view.js';
import type { CaptureStatistics } from '../capture/index.js';
import type { Cluster } from './cluster.js';
import { type JudgedByFamily, judgeEach } from './families.js';
import { type Journey, judge, type Totals } from './proof.js';
import { type RecordOptions, recordTraffic } from './record.js';
import { commandLine, inFamily, podNamed, type RequestResult, run, type Testbed } from './testbed/index.js';

/** A step of the troubleshooting section: what was typed and what came out. */
export interface ShownStep {
  readonly title: string;
  readonly node: string;
  readonly command: string;
  readonly output: string;
}

export interface WalkthroughResult extends Observation {
  readonly steps: readonly ShownStep[];
  /** Packets that the datapath dropped during the run, by node and reason; empty when none. */
  readonly drops: readonly { readonly node: string; readonly reason: string; readonly packets: number }[];
}

/** Traffic, observed everywhere and judged. */
export interface Observation extends JudgedByFamily<Journey, Totals> {
  readonly results: readonly RequestResult[];
  /** Steering packets seen on the fabric. */
  readonly encapsulated: number;
  /** What each tcpdump counted, by where it listened. */
  readonly captures: Readonly<Record<string, CaptureStatistics>>;
  /** Where the capture files are: `<name>.pcap`. */
  readonly directory: string;
}

/**
 * Runs it on a cluster that is ready. Throws `COMMAND_FAILED` or `CAPTURE_INVALID` when it cannot be
 * run or seen; what is wrong with the steering is in `faults`.
 */
export async function runWalkthrough(cluster: Cluster, options: RecordOptions): Promise<WalkthroughResult> {
  const before = await statuses(cluster);
  const observation = await observeTraffic(cluster.testbed, options);
  const drops = dropsBetween(before, await statuses(cluster));
  options.signal?.throwIfAborted();
  options.onPhase?.("the walkthrough's troubleshooting steps");
  const steps = await troubleshooting(cluster, join(observation.directory, 'fabric.pcap'));
  const faults = [...observation.faults, ...drops.map(({ node, reason, packets }) => `${node} dropped ${packets} packets: ${reason}`)];
  if (observation.encapsulated === 0) faults.push('no steering packet was seen on the fabric');
  return { ...observation, faults, steps, drops };
}

/** Sends the requests with a tcpdump at every station, and judges what was captured. Needs no agent. */
export async function observeTraffic(testbed: Testbed, options: RecordOptions): Promise<Observation> {
  const { points, results, captures, directory, faults } = await recordTraffic(testbed, options);
  const { families, server } = testbed.blueprint;
  const verdict = judgeEach(families.traffic, points, results, (seen, sent, family) =>
    judge(seen, sent, { port: server.port, address: inFamily(server.addressing, family).address }),
  );
  return { ...verdict, faults: [...verdict.faults, ...faults], results, encapsulated: captures.fabric?.captured ?? 0, captures, directory };
}

export type Statuses = ReadonlyMap<string, StatusView>;

export async function statuses(cluster: Cluster): Promise<Statuses> {
  const { nodes } = cluster.testbed.blueprint;
  return new Map(await Promise.all(nodes.map(async ({ name }) => [name, await cluster.status(name)] as const)));
}

export function dropsBetween(before: Statuses, after: Statuses): WalkthroughResult['drops'] {
  return [...after].flatMap(([node, status]) =>
    status.counters
      .filter((counter) => counter.class === 'dropped')
      .map((counter) => {
        const earlier = before
          .get(node)
          ?.counters.find(({ reason, direction }) => reason === counter.reason && direction === counter.direction);
        return { node, reason: `${counter.reason} (${counter.direction})`, packets: counter.packets - (earlier?.packets ?? 0) };
      })
      .filter(({ packets }) => packets > 0),
  );
}

/** Flows shown: enough to see the kinds there are. */
const MOST_LINES = 12;

function shortened(step: ShownStep): ShownStep {
  const lines = step.output.trimEnd().split('\n');
  if (lines.length <= MOST_LINES) return step;
  return { ...step, output: [...lines.slice(0, MOST_LINES), `… and ${lines.length - MOST_LINES} more`].join('\n') };
}

/** The walkthrough's five steps, on the nodes where each has most to show. */
async function troubleshooting(cluster: Cluster, fabric: string): Promise<readonly ShownStep[]> {
  const bed = cluster.testbed.blueprint;
  const vpn = bed.pods.find(({ role }) => role === 'vpn')?.node ?? 'node1';
  const firewall = podNamed(bed, 'firewall-1').node;
  const sfc = async (title: string, node: string, ...args: readonly string[]): Promise<ShownStep> => ({
    title,
    node,
    command: `sfc --socket ${cluster.paths(node).socket} ${commandLine(args)}`,
    output: await cluster.sfc(node, ...args),
  });
  const dump = async (title: string, ...args: readonly string[]): Promise<ShownStep> => {
    const argv = ['tcpdump', '-nn', '-r', fabric, ...args];
    return { title, node: 'fabric', command: commandLine(argv), output: (await run(argv)).stdout };
  };
  return [
    await sfc('1. servicePathId is set on the chain', vpn, 'get', 'chain', 'firewall', '-o', 'yaml'),
    await sfc('2. a Service for each service function', vpn, 'get', 'services'),
    await sfc("3. the service functions' addresses in sfcpath", vpn, 'bpf', 'sfcpath', 'list'),
    await sfc('4. the selected pod in sfcselect: vpn', vpn, 'bpf', 'sfcselect', 'list'),
    await sfc('   and on a node of the firewalls', firewall, 'bpf', 'sfcselect', 'list'),
    await dump('5. Geneve on UDP 7081, between the nodes', '-c', '8'),
    await dump('   one of them in full: outer IP and UDP, Geneve, NSH, the inner packet', '-x', '-c', '1', 'greater', '120'),
    shortened(await sfc('   the flows of that node, each with its hops', vpn, 'bpf', 'sfcflow', 'list')),
  ];
}
