/**
 * The userspace datapath on real interfaces, over the walkthrough's cast: that it steers, and what
 * it leaves behind when it ends, is killed, meets another agent, or is given more than it can move.
 */

import type { ChildProcess } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answersDuring } from '../bench/api-latency.js';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { AGENT_PROGRAM } from '../demo/project.js';
import { buildTestbed, inNamespace, iperf, nodeNamed, podNamed, type Testbed, walkthroughCast } from '../demo/testbed/index.js';
import { observeTraffic, runWalkthrough } from '../demo/walkthrough.js';
import { ERRORS } from '../errors/index.js';
import { meets } from './meets.js';

const bed = walkthroughCast({ prefix: `sfcu${process.pid}` });
let testbed: Testbed;
let cluster: Cluster;

beforeAll(async () => {
  testbed = await buildTestbed(bed);
  cluster = await startCluster(testbed, { flags: ['--datapath', 'userspace'] });
  await cluster.ready();
}, 120_000);

afterAll(async () => {
  await testbed?.teardown();
}, 30_000);

/** Devices of the datapath, and filters on the pods' interfaces, as ip(8) and tc(8) see them on a node. */
async function tracesOn(node: string): Promise<{ devices: string[]; clsact: string[]; filters: number }> {
  const { namespace } = nodeNamed(bed, node);
  const shown = async (...argv: string[]) => JSON.parse((await inNamespace(namespace, argv)).stdout || '[]');
  const links = (await shown('ip', '-j', 'link')) as { ifname: string }[];
  const qdiscs = (await shown('tc', '-j', 'qdisc')) as { kind: string; dev: string }[];
  const clsact = qdiscs.filter(({ kind }) => kind === 'clsact').map(({ dev }) => dev);
  let filters = 0;
  for (const dev of clsact)
    for (const point of ['ingress', 'egress'])
      filters += (await inNamespace(namespace, ['tc', 'filter', 'show', 'dev', dev, point])).stdout.match(/mirred/g)?.length ?? 0;
  return { devices: links.map(({ ifname }) => ifname).filter((name) => /^sfc[rs]?\d+$/.test(name)), clsact, filters };
}

const nothing = { devices: [], clsact: [], filters: 0 };

async function kill(node: string): Promise<void> {
  cluster.agent(node).child.kill('SIGKILL');
  await cluster.agent(node).ended;
}

async function counted(node: string, reason: string): Promise<number> {
  const { counters } = await cluster.status(node);
  return counters.filter((counter) => counter.reason === reason).reduce((sum, { packets }) => sum + packets, 0);
}

/** Runs one more `sfcd` on a node, to its end. */
async function secondAgent(node: string, ...flags: string[]) {
  const directory = join(bed.directory, `second-${node}`);
  const given = { 'node-name': node, manifests: cluster.manifests, 'run-dir': directory, 'state-dir': directory };
  const argv = Object.entries(given).flatMap(([flag, value]) => [`--${flag}`, value]);
  const socket = ['--socket', join(directory, 'sfcd.sock')];
  const accept = [0, ERRORS.ALREADY_RUNNING.exit];
  return inNamespace(nodeNamed(bed, node).namespace, [process.execPath, AGENT_PROGRAM, ...argv, ...socket, ...flags], { accept });
}

/** The agent stands still meanwhile. */
async function whileStopped(child: ChildProcess, does: () => Promise<unknown>): Promise<void> {
  child.kill('SIGSTOP');
  try {
    await does();
  } finally {
    child.kill('SIGCONT');
  }
}

/** Datagrams from a client behind the vpn pod, each handed to the kernel before the next. */
async function flood(count: number): Promise<void> {
  const send = (host: string, port: number, from: string, packets: number) => {
    const socket = process.getBuiltinModule('node:dgram').createSocket('udp4');
    const next = (): void => {
      if (packets-- > 0) socket.send('x', port, host, next);
      else socket.close();
    };
    socket.bind(0, from, next);
  };
  const call = `(${send})('${bed.server.address}', 9, '${bed.client?.addresses[0]}', ${count})`;
  await inNamespace(bed.client?.namespace ?? '', [process.execPath, '-e', call]);
}

describe('the userspace datapath', () => {
  it('steers the walkthrough, every request and every reply, and says that it does', async () => {
    expect((await runWalkthrough(cluster, { requests: 10 })).faults).toEqual([]);
    for (const { name } of bed.nodes)
      expect((await cluster.status(name)).datapath).toMatchObject({ kind: 'userspace', chosen: 'configured' });
    expect(await cluster.sfc('node1', 'status')).toMatch(/^datapath +userspace \(configured\)/m);
  }, 60_000);

  it('catches pods that are selected or were reached by steered packets, and no others', async () => {
    const { devices } = await tracesOn('node1');
    // sfc0, that of all pods' claims, the vpn pod's two (selected), and proxy-1's (a function). firewall pods are elsewhere.
    expect(devices).toHaveLength(5);
    expect(devices).toEqual(expect.arrayContaining(['sfc0', 'sfcs0']));
  });

  it('keeps its descriptors to itself: a child that outlived it would keep its devices', async () => {
    const pid = cluster.agent('node1').pid;
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
    expect(children.length).toBeGreaterThan(0);
    for (const child of children) {
      const links = await Promise.all((await readdir(`/proc/${child}/fd`)).map((fd) => readlink(`/proc/${child}/fd/${fd}`)));
      expect(links.filter((link) => link === '/dev/net/tun')).toEqual([]);
    }
  });

  it('carries a bulk transfer', async () => {
    const from = { namespace: bed.client?.namespace ?? '', address: bed.client?.addresses[0] ?? '' };
    expect((await iperf({ from, to: bed.server, seconds: 2 })).bytes).toBeGreaterThan(1_000_000);
  }, 60_000);

  it('takes every device, filter and qdisc with it when it ends, and comes back', async () => {
    await cluster.stop();
    for (const { name } of bed.nodes) expect(await tracesOn(name)).toEqual(nothing);
    for (const { name } of bed.nodes) cluster.startAgent(name);
    await cluster.ready();
    expect((await runWalkthrough(cluster, { requests: 3 })).faults).toEqual([]);
  }, 60_000);

  it('lets nothing of a selected pod past its functions after it was killed, and the next one cleans up', async () => {
    await kill('node1');
    const dead = await tracesOn('node1');
    expect(dead.devices).toEqual([]);
    expect(dead.filters).toBeGreaterThan(0);
    const unsteered = await observeTraffic(testbed, { requests: 3, timeout: 300 });
    expect(unsteered.totals.udp).toMatchObject({ sent: 3, answered: 0, unsteered: 0 });
    expect(unsteered.totals.tcp).toMatchObject({ sent: 3, answered: 0, unsteered: 0 });
    expect(unsteered.seenAtServer).toEqual([]);
    cluster.startAgent('node1');
    await cluster.ready();
    expect((await runWalkthrough(cluster, { requests: 3 })).faults).toEqual([]);
  }, 60_000);

  it('counts every packet that it is too slow for', async () => {
    const { child } = cluster.agent('node1');
    // While the process is stopped its queues fill, 1000 packets each; what comes on top is dropped by the kernel.
    const floods = () => whileStopped(child, () => flood(3000));
    await meets('overrun', (reason) => counted('node1', reason), floods, 2000);
  }, 60_000);

  it('counts every packet that the kernel does not take back', async () => {
    const { child } = cluster.agent('node1');
    const { address, hostInterface } = podNamed(bed, 'vpn');
    const { namespace } = nodeNamed(bed, 'node1');
    const setMtu = (mtu: number) => inNamespace(namespace, ['ip', 'link', 'set', hostInterface, 'mtu', String(mtu)]);
    const send = (to: string) => {
      const socket = process.getBuiltinModule('node:dgram').createSocket('udp4');
      socket.send(Buffer.alloc(1200), 9, to, () => socket.close());
    };
    // The interface shrinks while a datagram for its pod waits in the datapath's queue.
    const shrinks = () =>
      whileStopped(child, async () => {
        await inNamespace(namespace, [process.execPath, '-e', `(${send})('${address}')`]);
        await setMtu(600);
      });
    await meets('io-failed', (reason) => counted('node1', reason), shrinks);
    await setMtu(bed.mtu.fabric);
    expect(await readFile(cluster.paths('node1').log, 'utf8')).toContain(`could not deliver to ${hostInterface}: EMSGSIZE`);
    expect((await runWalkthrough(cluster, { requests: 3 })).faults).toEqual([]);
  }, 60_000);

  it('answers its API while it is given more than it can move', async () => {
    const from = { namespace: bed.client?.namespace ?? '', address: bed.client?.addresses[0] ?? '' };
    const before = await counted('node1', 'steered-source');
    const flood = iperf({ from, to: bed.server, seconds: 5, transport: 'udp', extra: ['-b', '0', '-l', '64'] });
    // How fast is for `make bench` to say; here that it answers at all, again and again.
    expect((await answersDuring(cluster.paths('node1').socket, flood)).length).toBeGreaterThan(5);
    expect(await counted('node1', 'steered-source')).toBeGreaterThan(before + 10_000);
  }, 60_000);

  it('ends with a name for it when somebody takes its device away, and the next one starts clean', async () => {
    await inNamespace(nodeNamed(bed, 'node1').namespace, ['ip', 'link', 'delete', 'sfc0']);
    expect((await cluster.agent('node1').ended).code).toBe(ERRORS.DATAPATH_LOST.exit);
    expect(await readFile(cluster.paths('node1').log, 'utf8')).toContain('the device sfc0 was removed');
    cluster.startAgent('node1');
    await cluster.ready();
    expect((await runWalkthrough(cluster, { requests: 3 })).faults).toEqual([]);
  }, 60_000);
});

describe('beside another agent', () => {
  it('refuses to start where one moves packets already, and disturbs nothing', async () => {
    const settled = async () =>
      (await inNamespace(nodeNamed(bed, 'node1').namespace, ['nft', 'list', 'set', 'inet', 'sfc_guard', 'settled'])).stdout;
    const before = await settled();
    // Stopped: what the other did to the guard would otherwise be put right at once.
    await whileStopped(cluster.agent('node1').child, async () => {
      const { status, stdout } = await secondAgent('node1', '--datapath', 'userspace');
      expect(status).toBe(ERRORS.ALREADY_RUNNING.exit);
      expect(stdout).toContain('sfc0');
      expect(await settled()).toBe(before);
    });
    const removal = await secondAgent('node1', '--remove');
    expect(removal.status).toBe(ERRORS.ALREADY_RUNNING.exit);
    expect((await observeTraffic(testbed, { requests: 3 })).faults).toEqual([]);
  }, 60_000);

  it('is removed by `sfcd --remove` after it was killed', async () => {
    await kill('node3');
    expect((await tracesOn('node3')).filters).toBeGreaterThan(0);
    expect((await secondAgent('node3', '--remove')).status).toBe(0);
    expect(await tracesOn('node3')).toEqual(nothing);
    cluster.startAgent('node3');
    await cluster.ready();
  }, 60_000);

  it('gives way to the kernel datapath, which removes what a killed one left', async () => {
    for (const { name } of bed.nodes) await kill(name);
    const kernel = await startCluster(testbed, { flags: ['--datapath', 'auto'] });
    await kernel.ready();
    for (const { name } of bed.nodes) {
      expect((await kernel.status(name)).datapath).toMatchObject({ kind: 'kernel', chosen: 'auto: this kernel takes BPF programs' });
      const { devices, filters } = await tracesOn(name);
      expect([devices, filters]).toEqual([[], 0]);
    }
    expect((await runWalkthrough(kernel, { requests: 3 })).faults).toEqual([]);
    await kernel.stop();
  }, 120_000);

  it('does not start under pinned programs of the kernel datapath, unless it may remove them', async () => {
    cluster.startAgent('node1');
    expect((await cluster.agent('node1').ended).code).toBe(ERRORS.PINNED_STATE.exit);
    const again = await startCluster(testbed, { flags: ['--datapath', 'userspace', '--reset-pins'] });
    await again.ready();
    expect((await runWalkthrough(again, { requests: 3 })).faults).toEqual([]);
    await again.stop();
    for (const { name } of bed.nodes) expect(await tracesOn(name)).toEqual(nothing);
  }, 120_000);
});
