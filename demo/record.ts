/** Traffic through the testbed with a capture at every station. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CaptureStatistics, decodeFrame, type LiveCapture, liveCapture, readCapture } from '../capture/index.js';
import type { Point } from './proof.js';
import { type Blueprint, familyOf, inNamespace, type RequestResult, sendRequests, startEchoServer, type Testbed } from './testbed/index.js';

export interface RecordOptions {
  /** Requests over TCP and as many over UDP, of each family that the server speaks. */
  readonly requests: number;
  /** Of the server; by default the blueprint's. */
  readonly port?: number;
  /** Milliseconds that a request waits for its answer. */
  readonly timeout?: number;
  /** Told of each phase before it begins. */
  readonly onPhase?: (title: string) => void;
  readonly signal?: AbortSignal;
}

export interface Recording {
  readonly points: readonly Point[];
  readonly results: readonly RequestResult[];
  /** What each tcpdump counted, by where it listened. */
  readonly captures: Readonly<Record<string, CaptureStatistics>>;
  /** Where the capture files are: `<name>.pcap`. */
  readonly directory: string;
  /** Captures that lost packets, and steering packets of another family than the pods' primary one, in words. */
  readonly faults: readonly string[];
}

/** Longer than any packet of the walkthrough, so none is cut. */
const SNAP_LENGTH = 2048;

/** Sends the requests with a tcpdump at every station. Throws `COMMAND_FAILED`, `CAPTURE_INVALID`. */
export async function recordTraffic(testbed: Testbed, options: RecordOptions): Promise<Recording> {
  const bed = testbed.blueprint;
  const phase = (title: string): void => {
    options.signal?.throwIfAborted();
    options.onPhase?.(title);
  };
  const directory = join(bed.directory, 'captures');
  await mkdir(directory, { recursive: true });
  const server = { ...bed.server, port: options.port ?? bed.server.port };
  const echo = await startEchoServer(bed, server);
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
    for (const address of server.addresses) {
      for (const transport of ['tcp', 'udp'] as const) {
        phase(`${options.requests} ${transport.toUpperCase()} requests from the clients behind the vpn pod to ${address}`);
        const series = server.addresses.length === 1 ? transport : `${transport}${familyOf(address)}`;
        const ids = Array.from({ length: options.requests }, (_, index) => `${series}-${index + 1}`);
        const timeout = options.timeout === undefined ? {} : { timeout: options.timeout };
        results.push(...(await sendRequests(bed, { transport, ids, to: { address, port: server.port }, ...timeout })));
      }
    }
    phase('reading the captures');
    for (const [name, capture] of captures) statistics[name] = await capture.stop();
  } finally {
    await Promise.allSettled([...captures.values()].map((capture) => capture.stop()));
    await echo.stop();
  }
  const lossy = Object.entries(statistics).filter(([, { dropped }]) => dropped > 0);
  const faults = lossy.map(([name, { dropped }]) => `tcpdump at ${name} lost ${dropped} packets: the proof has holes`);
  for (const family of new Set((await framesOf(directory, 'fabric')).map(({ frame }) => frame.family)))
    if (family !== bed.families.pods[0]) faults.push(`steering packets over IPv${family}, where the pods' primary addresses are others`);
  return { points: await pointsOf(bed, directory), results, captures: statistics, directory, faults };
}

/**
 * In the order in which they are stopped: where packets end comes first, so that the last packets of
 * a connection are never seen at an end and missed at a function.
 */
function capturePoints(bed: Blueprint): readonly (readonly [name: string, namespace: string, link: string, filter: string])[] {
  const traffic = `(${bed.server.addresses.map((address) => `host ${address}`).join(' or ')}) and (tcp or udp)`;
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

async function framesOf(directory: string, name: string): Promise<Point['packets']> {
  return (await readCapture(join(directory, `${name}.pcap`))).flatMap((packet) => {
    const frame = decodeFrame(packet);
    return frame === undefined ? [] : [{ timestamp: packet.timestamp, frame }];
  });
}

async function pointsOf(bed: Blueprint, directory: string): Promise<readonly Point[]> {
  const places = [
    ...bed.pods.flatMap(({ name, role, namespace, addresses }) => (role === 'plain' ? [] : [{ name, role, namespace, addresses }])),
    { name: 'server', role: 'server' as const, namespace: bed.server.namespace, addresses: bed.server.addresses },
  ];
  return await Promise.all(
    places.map(async ({ name, role, namespace, addresses }): Promise<Point> => {
      const { stdout } = await inNamespace(namespace, ['ip', '-json', 'link', 'show', 'dev', 'eth0']);
      const [link] = JSON.parse(stdout) as { readonly address: string }[];
      return { name, role, mac: link?.address ?? '', addresses, packets: await framesOf(directory, name) };
    }),
  );
}
