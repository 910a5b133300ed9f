/**
 * The walkthrough, run and judged: traffic through the steered cluster with captures everywhere,
 * then each step of the troubleshooting section as an operator would take it. Returns plain data;
 * the demo prints it, the test asserts it.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StatusView } from '../agent/view.js';
import { type CaptureStatistics, decodeFrame, type LiveCapture, liveCapture, readCapture } from '../capture/index.js';
import type { Cluster } from './cluster.js';
import { judge, type Point, type Verdict } from './proof.js';
import {
  type Blueprint,
  commandLine,
  inNamespace,
  podNamed,
  type RequestResult,
  run,
  sendRequests,
  startEchoServer,
  type Testbed,
} from './testbed/index.js';

export interface WalkthroughOptions {
  /** Requests over TCP and as many over UDP. */
  readonly requests: number;
  /** Told of each phase before it begins. */
  readonly onPhase?: (title: string) => void;
  readonly signal?: AbortSignal;
}

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
export interface Observation extends Verdict {
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
export async function runWalkthrough(cluster: Cluster, options: WalkthroughOptions): Promise<WalkthroughResult> {
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

/** Longer than any packet of the walkthrough, so none is cut. */
const SNAP_LENGTH = 2048;

/** Sends the requests with a tcpdump at every station, and judges what was captured. Needs no agent. */
export async function observeTraffic(testbed: Testbed, options: WalkthroughOptions & { readonly timeout?: number }): Promise<Observation> {
  const bed = testbed.blueprint;
  const phase = (title: string): void => {
    options.signal?.throwIfAborted();
    options.onPhase?.(title);
  };
  const directory = join(bed.directory, 'captures');
  await mkdir(directory, { recursive: true });
  const echo = await startEchoServer(bed);
  const captures = new Map<string, LiveCapture>();
  const results: RequestResult[] = [];
  const statistics: Record<string, CaptureStatistics> = {};
  try {
    phase('tcpdump at every function pod, the vpn pod, the server and on the fabric');
    for (const [name, namespace, link, filter] of capturePoints(bed)) {
      captures.set(
        name,
        await liveCapture({ namespace, interface: link, filter, file: join(directory, `${name}.pcap`), snapLength: SNAP_LENGTH }),
      );
    }
    for (const transport of ['tcp', 'udp'] as const) {
      phase(`${options.requests} ${transport.toUpperCase()} requests from the clients behind the vpn pod to ${bed.server.address}`);
      const ids = Array.from({ length: options.requests }, (_, index) => `${transport}-${index + 1}`);
      const timeout = options.timeout === undefined ? {} : { timeout: options.timeout };
      results.push(...(await sendRequests(bed, { transport, ids, ...timeout })));
    }
    phase('reading the captures');
    for (const [name, capture] of captures) statistics[name] = await capture.stop();
  } finally {
    await Promise.allSettled([...captures.values()].map((capture) => capture.stop()));
    await echo.stop();
  }
  const verdict = judge(await pointsOf(bed, directory), results, bed.server);
  const lossy = Object.entries(statistics).filter(([, { dropped }]) => dropped > 0);
  const faults = [
    ...verdict.faults,
    ...lossy.map(([name, { dropped }]) => `tcpdump at ${name} lost ${dropped} packets: the proof has holes`),
  ];
  return { ...verdict, faults, results, encapsulated: statistics.fabric?.captured ?? 0, captures: statistics, directory };
}

/**
 * In the order in which they are stopped: where packets end comes first, so that the last packets of
 * a connection are never seen at an end and missed at a function.
 */
function capturePoints(bed: Blueprint): readonly (readonly [name: string, namespace: string, link: string, filter: string])[] {
  const traffic = `host ${bed.server.address} and (tcp or udp)`;
  const pods = (ends: boolean) =>
    bed.pods
      .filter(({ role }) => role !== 'plain' && (role === 'vpn') === ends)
      .map(({ name, namespace }) => [name, namespace, 'eth0', traffic] as const);
  return [
    ['server', bed.server.namespace, 'eth0', 'tcp or udp'],
    ...pods(true),
    ...pods(false),
    ['fabric', bed.fabric.namespace, bed.fabric.bridge, 'udp dst port 7081'],
  ];
}

async function pointsOf(bed: Blueprint, directory: string): Promise<readonly Point[]> {
  const places = [
    ...bed.pods.flatMap(({ name, role, namespace, address }) => (role === 'plain' ? [] : [{ name, role, namespace, address }])),
    { name: 'server', role: 'server' as const, namespace: bed.server.namespace, address: bed.server.address },
  ];
  return await Promise.all(
    places.map(async ({ name, role, namespace, address }): Promise<Point> => {
      const { stdout } = await inNamespace(namespace, ['ip', '-json', 'link', 'show', 'dev', 'eth0']);
      const [link] = JSON.parse(stdout) as { readonly address: string }[];
      const packets = (await readCapture(join(directory, `${name}.pcap`))).flatMap((packet) => {
        const frame = decodeFrame(packet);
        return frame === undefined ? [] : [{ timestamp: packet.timestamp, frame }];
      });
      return { name, role, mac: link?.address ?? '', address, packets };
    }),
  );
}

type Statuses = ReadonlyMap<string, StatusView>;

async function statuses(cluster: Cluster): Promise<Statuses> {
  const { nodes } = cluster.testbed.blueprint;
  return new Map(await Promise.all(nodes.map(async ({ name }) => [name, await cluster.status(name)] as const)));
}

function dropsBetween(before: Statuses, after: Statuses): WalkthroughResult['drops'] {
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
    await dump('   one of them in full: outer IPv4 and UDP, Geneve, NSH, the inner packet', '-x', '-c', '1', 'greater', '120'),
    shortened(await sfc('   the flows of that node, each with its hops', vpn, 'bpf', 'sfcflow', 'list')),
  ];
}
