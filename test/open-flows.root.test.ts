/**
 * Flows that are open when a pod becomes selected, with their packets under way all the time: what others have opened to it
 * goes on as it was, what it has opened itself goes through the functions from then on. Nobody tells the agent which is which
 * but the node's connection tracking.
 */

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import {
  type Background,
  blueprint,
  buildTestbed,
  inNamespace,
  type PodBlueprint,
  podNamed,
  startInNamespace,
  type Testbed,
} from '../demo/testbed/index.js';
import { FLOW_ROLE } from '../maps/index.js';
import { placeManifests } from './cast.js';

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });
const CHAIN: Manifest = {
  apiVersion: 'networking.gke.io/v1',
  kind: 'ServiceFunctionChain',
  metadata: { name: 'inspected' },
  spec: { serviceFunctions: [{ name: 'inspector', namespace: 'inspector', podSelector: labels('app', 'inspector') }] },
};
const SELECTOR: Manifest = {
  apiVersion: 'networking.gke.io/v1',
  kind: 'TrafficSelector',
  metadata: { name: 'till' },
  spec: {
    serviceFunctionChain: 'inspected',
    subject: { pods: { namespaceSelector: {}, podSelector: labels('app', 'till') } },
    egress: { ports: [{ allPorts: { protocol: 'TCP' } }, { allPorts: { protocol: 'UDP' } }] },
  },
};
/** Any rule that asks for a state makes the node track connections, as kube-proxy's do. */
const TRACKING = 'table inet kube { chain forward { type filter hook forward priority filter; ct state invalid counter; }; }';

/** Answers every datagram and every line. */
const ECHO = `
const [port, address] = [Number(process.argv[1]), process.argv[2]];
const udp = require('node:dgram').createSocket('udp4');
udp.on('message', (text, { address, port }) => udp.send(text, port, address));
udp.bind(port, address, () => require('node:net').createServer((one) => one.pipe(one)).listen(port, address, () => console.log('ready')));
`;
/** One UDP flow and one connection, a word every 5 ms on each; at the end: what was sent, and what came back. */
const TALK = `
const [port, address] = [Number(process.argv[1]), process.argv[2]];
const count = { udp: [0, 0], tcp: [0, 0] };
const udp = require('node:dgram').createSocket('udp4');
udp.on('message', () => count.udp[1]++);
const tcp = require('node:net').connect(port, address);
tcp.setNoDelay(true);
tcp.on('data', (text) => { count.tcp[1] += text.length; });
tcp.on('error', () => undefined);
const timer = setInterval(() => {
  udp.send('x', port, address);
  count.udp[0]++;
  tcp.write('x');
  count.tcp[0]++;
}, 5);
tcp.on('connect', () => console.log('ready'));
process.on('SIGUSR2', () => {
  clearInterval(timer);
  setTimeout(() => { console.log(JSON.stringify(count)); process.exit(0); }, 500);
});
`;

type Count = Readonly<Record<'udp' | 'tcp', readonly [sent: number, answered: number]>>;

describe.each(['kernel', 'userspace'])('flows that are open when a pod becomes selected, on the %s datapath', (datapath) => {
  const bed = blueprint({
    prefix: `sfcof${datapath[0]}${process.pid}`,
    nodes: ['routed', 'bridged'],
    pods: [
      { name: 'till', podNamespace: 'shop', role: 'plain', node: 1, labels: { app: 'till' } },
      { name: 'inspector', podNamespace: 'inspector', role: 'inspector', node: 2 },
    ],
  });
  const till: PodBlueprint = podNamed(bed, 'till');
  const { server } = bed;
  const [IN, OUT] = [7001, 7002];
  let testbed: Testbed;
  let cluster: Cluster;
  const running: Background[] = [];

  async function start(namespace: string, program: string, port: number, address: string): Promise<() => Promise<Count>> {
    const sender = startInNamespace(namespace, [process.execPath, '-e', program, String(port), address], {
      stdout: 'pipe',
    });
    running.push(sender);
    let said = '';
    sender.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await vi.waitFor(() => expect(said).toContain('ready'), { timeout: 20_000, interval: 20 });
    return async () => {
      sender.child.kill('SIGUSR2');
      await vi.waitFor(() => expect(said).toContain('udp'), { timeout: 20_000, interval: 20 });
      return JSON.parse(said.split('\n').find((line) => line.startsWith('{')) ?? '{}') as Count;
    };
  }

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    for (const { namespace } of bed.nodes) await inNamespace(namespace, ['nft', '-f', '-'], { stdin: TRACKING });
    cluster = await startCluster(testbed, {
      policy: [CHAIN],
      flags: ['--datapath', datapath],
      expected: () => ({ sfcpath: 1, sfcselect: 0 }),
    });
    await cluster.ready();
    await start(till.namespace, ECHO, IN, till.address);
    await start(server.namespace, ECHO, OUT, server.address);
  }, 120_000);

  afterAll(async () => {
    for (const one of running) await one.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  const flows = async () => {
    const list = JSON.parse(await cluster.sfc(till.node, 'bpf', 'sfcflow', 'list', '-o', 'json')) as readonly {
      readonly role: number;
      readonly protocol: number;
      readonly port_a: number;
      readonly port_b: number;
    }[];
    const ports = [IN, OUT];
    return list
      .map(({ role, protocol, port_a, port_b }) => [ports.find((port) => port === port_a || port === port_b), protocol, role])
      .sort();
  };
  const inspected = async () => {
    const { stdout } = await inNamespace(podNamed(bed, 'inspector').namespace, ['nft', 'list', 'counter', 'inet', 'inspector', 'seen']);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  };

  it('are told apart: what was opened to the pod goes on as it was, what it opened goes through the function', async () => {
    const [theirs, own] = [await start(server.namespace, TALK, IN, till.address), await start(till.namespace, TALK, OUT, server.address)];
    await placeManifests(cluster, 'policy.yaml', [CHAIN, SELECTOR]);
    await expect.poll(inspected, { timeout: 30_000, interval: 50 }).toBeGreaterThan(100);
    expect(await flows()).toEqual([
      [IN, 17, FLOW_ROLE.inbound],
      [IN, 6, FLOW_ROLE.inbound],
      [OUT, 17, FLOW_ROLE.source],
      [OUT, 6, FLOW_ROLE.source],
    ]);
    for (const { udp, tcp } of [await theirs(), await own()]) {
      expect(udp[0]).toBeGreaterThan(100);
      expect([udp[1], tcp[1]]).toEqual([udp[0], tcp[0]]);
    }
  }, 120_000);
});
