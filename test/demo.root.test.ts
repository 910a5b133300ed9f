/**
 * What the demo shows, asserted: the walkthrough on real namespaces, with real agents and the real
 * datapath.
 */

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { PROJECT } from '../demo/project.js';
import { buildTestbed, iperf, run, type Testbed, walkthroughCast } from '../demo/testbed/index.js';
import { observeTraffic, runWalkthrough, type WalkthroughResult } from '../demo/walkthrough.js';

const prefix = `sfcd${process.pid}`;

describe('without an agent', () => {
  let testbed: Testbed;

  beforeAll(async () => {
    testbed = await buildTestbed(walkthroughCast({ prefix: `${prefix}-bare`, clients: 2 }));
  }, 60_000);

  afterAll(async () => {
    await testbed?.teardown();
  });

  it('the proof fails: every datagram arrives unsteered, with its own address, and nothing is answered', async () => {
    const seen = await observeTraffic(testbed, { requests: 3, timeout: 300 });
    expect(seen.totals.udp).toMatchObject({ sent: 3, answered: 0, requestsThroughFirewall: 0, requestsThroughProxy: 0, unsteered: 3 });
    expect(seen.totals.tcp).toMatchObject({ sent: 3, answered: 0 });
    expect(seen.totals.tcp.strayPackets).toBeGreaterThan(0);
    expect(seen.seenAtServer).toEqual(['192.168.77.10', '192.168.77.11']);
    expect(seen.encapsulated).toBe(0);
    expect(seen.faults).toContain('the server saw 192.168.77.10, which is no proxy');
  }, 60_000);
});

describe('the walkthrough', () => {
  const bed = walkthroughCast({ prefix: `${prefix}-walk` });
  let testbed: Testbed;
  let cluster: Cluster;
  let result: WalkthroughResult;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed);
    await cluster.ready();
    result = await runWalkthrough(cluster, { requests: 20 });
  }, 120_000);

  afterAll(async () => {
    await testbed?.teardown();
  }, 30_000);

  it('steers every request and every reply through a firewall and then a proxy, and back the same way', () => {
    expect(result.faults).toEqual([]);
    for (const transport of ['tcp', 'udp'] as const) {
      expect(result.totals[transport]).toEqual({
        sent: 20,
        answered: 20,
        requestsThroughFirewall: 20,
        requestsThroughProxy: 20,
        repliesThroughFirewall: 20,
        repliesThroughProxy: 20,
        unsteered: 0,
        strayPackets: 0,
      });
    }
  });

  it('shows the server nothing but proxy addresses', () => {
    const proxies = bed.pods.filter(({ role }) => role === 'proxy').map(({ address }) => address);
    expect(result.seenAtServer.length).toBeGreaterThan(0);
    for (const address of result.seenAtServer) expect(proxies).toContain(address);
  });

  it('keeps each client with one firewall, whatever it asks', () => {
    const used = new Map<string, Set<string>>();
    result.journeys.forEach(({ request }, index) => {
      const source = result.results[index]?.source ?? '';
      used.set(source, (used.get(source) ?? new Set()).add(request.firewalls.join()));
    });
    expect(used.size).toBe(bed.client?.addresses.length);
    for (const firewalls of used.values()) expect(firewalls.size).toBe(1);
  });

  it('drops nothing', () => {
    expect(result.drops).toEqual([]);
  });

  it('shows each troubleshooting step as operators know it', () => {
    const step = (title: string) => result.steps.find((shown) => shown.title.startsWith(title))?.output ?? '';
    expect(step('1.')).toMatch(/servicePathId: \d+/);
    expect(step('2.')).toMatch(/firewall[\s\S]*proxy|proxy[\s\S]*firewall/);
    expect(step('3.')).toMatch(/^PATH\s+SERVICE FUNCTION ADDRESS\n\(1, 1\)\s+\d+\.\d+\.\d+\.\d+\n\(2, 1\)\s+\d+\.\d+\.\d+\.\d+\n/);
    expect(step('4.')).toMatch(/^SELECTOR\s+PATH\n/);
    expect(step('4.')).toMatch(/^\d+, egress, 0\/TCP, 0\.0\.0\.0\/0\s+\/0 \(1, 1\)$/m);
    expect(step('4.')).toMatch(/^\d+, egress, 0\/UDP, 0\.0\.0\.0\/0\s+\/0 \(1, 1\)$/m);
    expect(step('5.')).toMatch(/ > 10\.244\.\d\.\d+\.7081: UDP/);
  });

  it('finishes a transfer while every sfcd is killed, and a new sfcd adopts what is pinned', async () => {
    const transfer = iperf({
      from: { namespace: bed.client?.namespace ?? '', address: bed.client?.addresses[0] ?? '' },
      to: bed.server,
      seconds: 4,
      extra: ['-i', '0'],
    });
    let finished = false;
    const finish = transfer.then((outcome) => {
      finished = true;
      return outcome;
    });
    // It is under way when its flow is in the map, not after some time.
    const underWay = async () => (await cluster.sfc('node1', 'bpf', 'sfcflow', 'list')).includes('5201');
    let seen = await underWay();
    while (!seen && !finished) seen = await underWay();
    expect(seen).toBe(true);
    const ended = bed.nodes.map(({ name }) => {
      cluster.agent(name).child.kill('SIGKILL');
      return cluster.agent(name).ended;
    });
    for (const { signal } of await Promise.all(ended)) expect(signal).toBe('SIGKILL');
    expect(finished).toBe(false);
    expect((await finish).bytes).toBeGreaterThan(1_000_000);
    for (const { name } of bed.nodes) cluster.startAgent(name);
    await cluster.ready();
    for (const { name } of bed.nodes) expect((await cluster.status(name)).datapath.adopted).not.toEqual([]);
    expect((await runWalkthrough(cluster, { requests: 5 })).faults).toEqual([]);
  }, 120_000);

  it('loses and doubles nothing while agents are killed and started again under traffic', async () => {
    let over = false;
    const traffic = observeTraffic(testbed, { requests: 400 }).finally(() => {
      over = true;
    });
    let rounds = 0;
    for (; !over || rounds === 0; rounds++) {
      for (const { name } of bed.nodes) {
        cluster.agent(name).child.kill('SIGKILL');
        await cluster.agent(name).ended;
        cluster.startAgent(name);
      }
      await cluster.ready();
    }
    const seen = await traffic;
    expect(seen.faults).toEqual([]);
    expect(seen.totals.udp).toMatchObject({ sent: 400, answered: 400, unsteered: 0, strayPackets: 0 });
  }, 180_000);
});

describe('the demo as a program', () => {
  const program = [process.execPath, join(PROJECT, 'dist/demo/main.js'), '--prefix', `${prefix}-main`];
  const left = () => readdirSync('/run/netns').filter((name) => name.startsWith(`${prefix}-main-`));

  afterAll(async () => {
    await run([...program, '--clean']);
  });

  it('runs after a run that was killed half-way, ends with exit 0 and a table, and leaves nothing', async () => {
    const [node = '', ...args] = program;
    const killed = spawn(node, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve) => {
      killed.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        if (chunk.includes('starting sfcd')) resolve();
      });
      killed.once('close', () => resolve());
    });
    killed.kill('SIGKILL');
    expect(left()).not.toEqual([]);
    const { stdout } = await run([...program, '--requests', '4', '--family', 'dual'], { timeout: 120_000 });
    for (const series of ['IPv4 TCP', 'IPv4 UDP', 'IPv6 TCP', 'IPv6 UDP'])
      expect(stdout).toMatch(new RegExp(`${series} requests +4 +4 +4 +4 +0\\n`));
    expect(stdout).not.toContain('\u001b[');
    expect(left()).toEqual([]);
  }, 180_000);

  it('cleans up when it is interrupted', async () => {
    const [node = '', ...args] = program;
    const demo = spawn(node, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const closed = new Promise<number | null>((resolve) => demo.once('close', resolve));
    await new Promise<void>((resolve) => {
      demo.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        if (chunk.includes('building node2')) resolve();
      });
      void closed.then(() => resolve());
    });
    demo.kill('SIGINT');
    expect(await closed).toBe(130);
    expect(left()).toEqual([]);
  }, 60_000);

  it('runs on the userspace datapath as root of nothing but a user namespace', async () => {
    const { stdout } = await run(['unshare', '-Urn', ...program, '--requests', '4', '--family', 'dual'], { timeout: 120_000 });
    expect(stdout).toContain('this is the unprivileged demo');
    for (const series of ['IPv4 TCP', 'IPv4 UDP', 'IPv6 TCP', 'IPv6 UDP'])
      expect(stdout).toMatch(new RegExp(`${series} requests +4 +4 +4 +4 +0\\n`));
    expect(left()).toEqual([]);
  }, 120_000);

  it('runs for somebody who is not root, and says what it does', async () => {
    // A /dev/net/tun for everybody, as distributions have it, seen by this demo alone.
    const device = `/run/${prefix}-tun`;
    const prepare = `mknod -m 666 ${device} c 10 200 && mount --bind ${device} /dev/net/tun && rm ${device}`;
    const unprivileged = ['setpriv', '--reuid=12345', '--regid=12345', '--clear-groups', ...program, '--requests', '4', '--family', '6'];
    const { stdout } = await run(['unshare', '--mount', 'sh', '-c', `${prepare} && exec "$@"`, 'sh', ...unprivileged], {
      timeout: 120_000,
    });
    expect(stdout).toContain('You are not root: this is the unprivileged demo, on the userspace datapath');
    expect(stdout).toMatch(/TCP requests +4 +4 +4 +4 +0\n/);
    expect(stdout).toMatch(/UDP requests +4 +4 +4 +4 +0\n/);
  }, 120_000);
});
