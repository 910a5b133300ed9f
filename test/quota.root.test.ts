/**
 * A pod opens connections until the table of flows would be full, were it alone on the node. It is held to its own share: with
 * real agents and real connections, on both datapaths, the pod beside it notices nothing.
 */

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EndpointView } from '../agent/view.js';
import { type Cluster, pathsOf, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import {
  type Background,
  blueprint,
  buildTestbed,
  type EchoServer,
  podNamed,
  sendRequests,
  startEchoServer,
  startInNamespace,
  type Testbed,
} from '../demo/testbed/index.js';

const LIMIT = 20;
const TRIED = 2 * LIMIT;
/** Seconds for which a closed connection is remembered. */
const CLOSED_SECONDS = 1;

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });
const POLICY: readonly Manifest[] = [
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: { name: 'out' },
    spec: { serviceFunctions: [{ name: 'inspector', namespace: 'inspector', podSelector: labels('app', 'inspector') }] },
  },
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name: 'shops' },
    spec: {
      serviceFunctionChain: 'out',
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'shop'), podSelector: labels('app', 'shop') } },
      egress: { to: { ipBlock: { cidr: '203.0.113.0/24' } }, ports: ['TCP', 'UDP'].map((protocol) => ({ allPorts: { protocol } })) },
    },
  },
];

/** Runs in a process of its own: opens so many connections and keeps them; tells of each that is open. */
function hoard(order: { host: string; port: number; many: number }): void {
  const net = process.getBuiltinModule('node:net');
  for (let n = 0; n < order.many; n++) {
    const socket = net.connect({ host: order.host, port: order.port });
    socket.on('connect', () => process.stdout.write('open\n'));
    socket.on('error', () => undefined);
  }
}

describe.each(['kernel', 'userspace'])('a pod that opens ever more flows, on the %s datapath', (datapath) => {
  const bed = blueprint({
    prefix: `sfcq${datapath[0]}${process.pid}`,
    nodes: ['routed'],
    pods: [
      { name: 'greedy', podNamespace: 'shop', role: 'plain', node: 1, labels: { app: 'shop' } },
      { name: 'modest', podNamespace: 'shop', role: 'plain', node: 1, labels: { app: 'shop' } },
      { name: 'inspector', podNamespace: 'inspector', role: 'inspector', node: 1, labels: { app: 'inspector' } },
    ],
  });
  const greedy = podNamed(bed, 'greedy');
  const modest = podNamed(bed, 'modest');
  let testbed: Testbed;
  let cluster: Cluster;
  let server: EchoServer;
  let hoarder: Background;
  let opened = 0;

  async function refused(): Promise<number> {
    const { counters } = await cluster.status('node1');
    return counters.find(({ reason }) => reason === 'flow-limit')?.packets ?? 0;
  }

  async function endpoint(pod: string): Promise<EndpointView> {
    return JSON.parse(await cluster.sfc('node1', 'get', 'endpoint', pod, '-o', 'json')) as EndpointView;
  }

  let requests = 0;
  /** How many of some requests, each a flow of its own, are answered. */
  async function answered(pod: typeof greedy, many: number, timeout = 5000): Promise<number> {
    const ids = Array.from({ length: many }, () => `request-${requests++}`);
    const results = await sendRequests(bed, { transport: 'udp', ids, from: pod, timeout });
    return results.filter((one) => one.answered).length;
  }

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, {
      policy: POLICY,
      flags: ['--datapath', datapath, '--limits-flows-per-endpoint', `${LIMIT}`, '--timeouts-closed', `${CLOSED_SECONDS}`],
      expected: () => ({ sfcpath: 1, sfcselect: 4, sfcquota: 3 }),
    });
    await cluster.ready();
    server = await startEchoServer(bed);
  }, 120_000);

  afterAll(async () => {
    await hoarder?.stop();
    await server?.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  it('has its limit and no more', async () => {
    const order = { host: bed.server.address, port: bed.server.port, many: TRIED };
    hoarder = startInNamespace(greedy.namespace, [process.execPath, '-e', `(${hoard})(${JSON.stringify(order)})`], { stdout: 'pipe' });
    hoarder.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      opened += text.split('\n').length - 1;
    });
    await expect.poll(() => opened, { timeout: 20_000 }).toBe(LIMIT);
    await expect.poll(refused, { timeout: 20_000 }).toBeGreaterThanOrEqual(TRIED - LIMIT);
    await expect.poll(async () => (await endpoint('greedy')).flows, { timeout: 20_000 }).toBe(LIMIT);
    expect(await answered(greedy, 2, 500)).toBe(0);
    expect(opened).toBe(LIMIT);
  }, 60_000);

  it('takes nothing from the pod beside it, nor from the function that all of them pass', async () => {
    expect(await answered(modest, LIMIT / 2)).toBe(LIMIT / 2);
    expect((await endpoint('inspector')).flows).toBe(0);
  }, 30_000);

  it('is named by every way of asking, and by the log once', async () => {
    const words = `shop/greedy has reached its limit of ${LIMIT} flows`;
    expect(await cluster.sfc('node1', 'status')).toMatch(new RegExp(`^ +${words}: new ones are refused \\(flow-limit\\)$`, 'm'));
    expect((await cluster.status('node1')).flows).toMatchObject({ limit: LIMIT, limited: [{ pod: 'shop/greedy', flows: LIMIT }] });
    expect(await cluster.sfc('node1', 'get', 'endpoints')).toMatch(new RegExp(`shop/greedy .* ${LIMIT} +${LIMIT} `));
    const { ifindex } = await endpoint('greedy');
    expect(await cluster.sfc('node1', 'bpf', 'sfcquota', 'list')).toMatch(new RegExp(`^${ifindex} +${LIMIT} +${LIMIT}$`, 'm'));
    const log = await readFile(pathsOf(bed, 'node1').log, 'utf8');
    expect(log.split(words)).toHaveLength(2);
  }, 30_000);

  // The flows of the userspace datapath end with its agent.
  if (datapath === 'kernel')
    it('is held to it while no agent runs, for half a minute, and by the next one', async () => {
      await cluster.agent('node1').stop();
      expect(await answered(greedy, 1, 500)).toBe(0);
      cluster.startAgent('node1');
      await cluster.ready();
      await expect.poll(async () => (await endpoint('greedy')).flows, { timeout: 20_000 }).toBe(LIMIT);
      expect(await answered(greedy, 1, 500)).toBe(0);
      expect(opened).toBe(LIMIT);
    }, 60_000);

  it('may open others when its flows are over', async () => {
    await hoarder.stop();
    await expect.poll(() => answered(greedy, 1, 500), { timeout: 30_000 }).toBe(1);
    await expect.poll(async () => (await cluster.status('node1')).flows.limited, { timeout: 20_000 }).toEqual([]);
    expect(await cluster.sfc('node1', 'status')).not.toContain('has reached its limit');
  }, 60_000);
});
