/**
 * A function hangs and its pod stays Ready: real packets from real sockets all the while, on both datapaths. How long
 * until none goes there any more, that the rest goes on, and that it comes back. The figures are printed.
 */

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, pathsOf, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import {
  type Background,
  blueprint,
  buildTestbed,
  type EchoServer,
  inNamespace,
  podNamed,
  startEchoServer,
  startInNamespace,
  type Testbed,
} from '../demo/testbed/index.js';

const PERIOD_MS = 250;
const FAILURES = 3;
const SUCCESSES = 2;
/** From the moment it hangs, with the probe that is just on its way, the wait for the last answer, and the round after it. */
const AT_MOST_MS = FAILURES * PERIOD_MS + 1000;

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });
const POLICY: readonly Manifest[] = [
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: { name: 'firewall' },
    spec: {
      serviceFunctions: [
        {
          name: 'firewall',
          namespace: 'firewall',
          podSelector: labels('app', 'firewall'),
          probe: { periodMilliseconds: PERIOD_MS, failureThreshold: FAILURES, successThreshold: SUCCESSES },
        },
      ],
    },
  },
  {
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name: 'vpn' },
    spec: {
      serviceFunctionChain: 'firewall',
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'vpn'), podSelector: labels('app', 'vpn') } },
      egress: { to: { ipBlock: { cidr: '203.0.113.0/24' } }, ports: [{ allPorts: { protocol: 'UDP' } }] },
    },
  },
];

interface Asked {
  readonly id: number;
  /** ms since 1970. */
  readonly sent: number;
  readonly answered: boolean;
  readonly isOld: boolean;
}

/** Runs in a process of its own: a datagram every 10 ms, each of a flow of its own, and every 40 ms one of four flows that stay. */
function talk(order: { host: string; port: number; from: string }): void {
  const dgram = process.getBuiltinModule('node:dgram');
  const tell = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
  const open = (): import('node:dgram').Socket => {
    const socket = dgram.createSocket('udp4');
    socket.on('message', (message) => tell({ answer: Number(/^reply (\d+) /.exec(message.toString())?.[1]) }));
    socket.on('error', () => undefined);
    socket.bind(0, order.from);
    return socket;
  };
  const old = [open(), open(), open(), open()];
  let id = 0;
  const ask = (socket: import('node:dgram').Socket, isOld: boolean): void => {
    id += 1;
    tell({ id, sent: Date.now(), isOld });
    socket.send(`request ${id} .\n`, order.port, order.host, () => undefined);
  };
  setInterval(() => {
    const socket = open();
    ask(socket, false);
    if (id % 4 === 0) for (const each of old) ask(each, true);
    setTimeout(() => socket.close(), 1000);
  }, 10);
}

/** What the client has asked, and what was answered. */
class Client {
  readonly #program: Background;
  readonly #asked = new Map<number, Asked>();

  constructor(namespace: string, order: Parameters<typeof talk>[0]) {
    this.#program = startInNamespace(namespace, [process.execPath, '-e', `(${talk})(${JSON.stringify(order)})`], { stdout: 'pipe' });
    lines(this.#program, (line) => {
      const said = JSON.parse(line) as { answer: number } | { id: number; sent: number; isOld: boolean };
      if ('id' in said) this.#asked.set(said.id, { ...said, answered: false });
      else {
        const before = this.#asked.get(said.answer);
        if (before !== undefined) this.#asked.set(said.answer, { ...before, answered: true });
      }
    });
  }

  between(from: number, to: number): readonly Asked[] {
    return [...this.#asked.values()].filter(({ sent }) => sent >= from && sent < to);
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

/** When packets of the chain, not probes, went to an instance, as tcpdump sees them. */
class Watch {
  readonly #program: Background;
  /** ms since 1970. */
  readonly times: number[] = [];

  constructor(namespace: string, filter: string) {
    this.#program = startInNamespace(namespace, ['tcpdump', '-i', 'any', '-l', '-nn', '-tt', '--immediate-mode', filter], {
      stdout: 'pipe',
    });
    lines(this.#program, (line) => {
      this.times.push(Number(line.split(' ')[0]) * 1000);
    });
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

function lines(program: Background, take: (line: string) => void): void {
  let rest = '';
  program.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const all = (rest + chunk).split('\n');
    rest = all.pop() ?? '';
    for (const line of all) take(line);
  });
}

describe.each(['kernel', 'userspace'])('a function that hangs, on the %s datapath', (datapath) => {
  const bed = blueprint({
    prefix: `sfcprobe${datapath[0]}${process.pid}`,
    nodes: ['routed', 'bridged', 'routed'],
    pods: [
      { name: 'vpn', podNamespace: 'vpn', role: 'vpn', node: 1 },
      { name: 'firewall-1', podNamespace: 'firewall', role: 'firewall', node: 2 },
      { name: 'firewall-2', podNamespace: 'firewall', role: 'firewall', node: 1 },
      { name: 'firewall-3', podNamespace: 'firewall', role: 'firewall', node: 3 },
      // So that their nodes, too, have somebody to ask from.
      { name: 'other-2', podNamespace: 'other', role: 'plain', node: 2 },
    ],
    clientsBehind: 'vpn',
    serverKnowsClients: true,
  });
  let testbed: Testbed;
  let cluster: Cluster;
  let server: EchoServer;
  let client: Client;
  const watches = new Map<string, Watch>();

  const pod = (name: string) => podNamed(bed, name);
  const failing = async (node = 'node1') => (await cluster.status(node)).probes.failing.map((one) => one.pod);
  const instances = async () => (await cluster.sfc('node1', 'bpf', 'sfcbackend', 'list')).split(/\s+/);

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, { flags: ['--datapath', datapath], policy: POLICY, expected: () => ({ sfcpath: 1 }) });
    await cluster.ready();
    server = await startEchoServer(bed);
    // On their way out of the client's node; behind 8 bytes each of UDP and Geneve, 4 of option and 4 of NSH stands the path.
    const leaving = (to: string) => `udp dst port 7081 and dst host ${to} and udp[24:4] & 0xffffff00 != 0xffffff00`;
    for (const name of ['firewall-1', 'firewall-3']) watches.set(name, new Watch(`${bed.prefix}-node1`, leaving(pod(name).address)));
    // Within the node the packet is unwrapped before tcpdump sees it.
    watches.set('firewall-2', new Watch(pod('firewall-2').namespace, `inbound and udp dst port ${bed.server.port}`));
    const from = bed.client?.addresses[0] ?? '';
    client = new Client(bed.client?.namespace ?? '', { host: bed.server.address, port: bed.server.port, from });
  }, 120_000);

  afterAll(async () => {
    await client?.stop();
    for (const watch of watches.values()) await watch.stop();
    await server?.stop();
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  it('every instance passes probes, of every node', async () => {
    for (const node of ['node1', 'node2', 'node3']) {
      const shows = () => cluster.sfc(node, 'get', 'chain', 'firewall');
      // The firewall on node 3 is alone there: that node has nobody else to ask it from.
      const all = node === 'node3' ? 2 : 3;
      await expect.poll(async () => (await shows()).match(/ passes since /g)?.length, { timeout: 15_000 }).toBe(all);
      expect(await failing(node)).toEqual([]);
    }
    expect(await cluster.sfc('node3', 'get', 'chain', 'firewall')).toContain('pending: this node has no other pod to ask from');
    const { probes, counters } = await cluster.status('node1');
    expect(probes.instances).toBe(3);
    const answered = counters.find(({ reason }) => reason === 'probe-answered');
    expect(answered).toMatchObject({ class: 'consumed', direction: 'to-pod' });
    expect(answered?.packets).toBeGreaterThan(5);
    // Those before the other nodes' agents were up may be among the unanswered; from now on there are no more.
    await sleep(2 * PERIOD_MS);
    const after = (await cluster.status('node1')).probes;
    expect(after.sent).toBeGreaterThan(probes.sent);
    expect(after.unanswered).toBe(probes.unanswered);
    // They are in nobody's way: the pod that they come back to does not see them.
    expect((await cluster.sfc('node1', 'bpf', 'sfcprobe', 'list')).match(/\d+s ago|0s ago/g)).toHaveLength(3);
  }, 60_000);

  const drop = 'table ip hung { chain forward { type filter hook forward priority -10; policy drop; }; }';
  const port = { namespace: bed.fabric.namespace, device: 'to-node3' };
  // What, the instance, how it hangs, how it recovers.
  it.each<readonly [string, string, () => Promise<unknown>, () => Promise<unknown>]>([
    [
      'a pod on another node that does not forward any more',
      'firewall-1',
      () => inNamespace(pod('firewall-1').namespace, ['tee', '/proc/sys/net/ipv4/ip_forward'], { stdin: '0' }),
      () => inNamespace(pod('firewall-1').namespace, ['tee', '/proc/sys/net/ipv4/ip_forward'], { stdin: '1' }),
    ],
    [
      'a pod on the same node that drops everything',
      'firewall-2',
      () => inNamespace(pod('firewall-2').namespace, ['nft', '-f', '-'], { stdin: drop }),
      () => inNamespace(pod('firewall-2').namespace, ['nft', 'delete', 'table', 'ip', 'hung']),
    ],
    [
      'a pod whose node is cut off',
      'firewall-3',
      () => inNamespace(port.namespace, ['ip', 'link', 'set', port.device, 'down']),
      () => inNamespace(port.namespace, ['ip', 'link', 'set', port.device, 'up']),
    ],
  ])(
    '%s: it is out in time, the others go on, and it comes back',
    async (what, name, hang, recover) => {
      const { address } = pod(name);
      const { times = [] } = watches.get(name) ?? {};
      await expect.poll(() => failing(), { timeout: 15_000 }).toEqual([]);
      const began = Date.now();
      await expect.poll(() => times.filter((time) => time > began).length, { timeout: 15_000 }).toBeGreaterThan(10);

      const hung = Date.now();
      await hang();
      await expect.poll(() => failing(), { timeout: 15_000, interval: 50 }).toEqual([`firewall/${name}`]);
      await expect.poll(async () => (await instances()).includes(address), { timeout: 5000 }).toBe(false);
      await sleep(2000); // the second sweep, and some traffic
      const looked = Date.now();
      const outAfter = Math.round(Math.max(...times) - hung);
      expect(outAfter).toBeGreaterThan(0);
      expect(outAfter).toBeLessThan(AT_MOST_MS);

      // Nothing asked after that is lost, of new flows and of those that had been there.
      const later = client.between(hung + outAfter + 50, looked - 500);
      expect(later.filter(({ isOld }) => isOld).length).toBeGreaterThan(20);
      expect(later.filter(({ isOld }) => !isOld).length).toBeGreaterThan(50);
      expect(later.filter(({ answered }) => !answered)).toEqual([]);
      const lost = client.between(hung - 50, hung + outAfter + 50).filter(({ answered }) => !answered).length;

      const shown = await cluster.sfc('node1', 'get', 'chain', 'firewall');
      const row = shown.split('\n').find((line) => line.includes(name)) ?? '';
      expect(row).toMatch(/ yes .* fails probes +fails since \d{4}-.*Z: 3 probes in a row to UDP port 7082 did not come back/);
      expect(shown).toContain('2 of 3 instances ready (1 fails probes)');
      expect(await cluster.sfc('node1', 'status')).toMatch(new RegExp(`firewall/${name} \\(${address}\\) fails since `));
      expect(await readFile(pathsOf(bed, 'node1').log, 'utf8')).toContain(
        `firewall/${name} fails probes and takes no more packets from here`,
      );

      const recovered = Date.now();
      await recover();
      await expect.poll(() => failing(), { timeout: 15_000, interval: 50 }).toEqual([]);
      await expect.poll(() => times.some((time) => time > recovered), { timeout: 15_000 }).toBe(true);
      const backAfter = Math.round((times.find((time) => time > recovered) ?? 0) - recovered);
      const { length } = client.between(hung, looked);
      process.stdout.write(
        `probes, ${datapath}: ${what}: last packet ${outAfter} ms after it hung (at most ${AT_MOST_MS}), ${lost} of ${length} lost, first packet ${backAfter} ms after it recovered\n`,
      );
    },
    90_000,
  );

  it('none left: as with readiness, the chain has no ready instance', async () => {
    await expect.poll(() => failing(), { timeout: 15_000 }).toEqual([]);
    const names = ['firewall-1', 'firewall-2', 'firewall-3'];
    for (const name of names) await inNamespace(pod(name).namespace, ['nft', '-f', '-'], { stdin: drop });
    await expect.poll(async () => (await failing()).sort(), { timeout: 15_000 }).toEqual(names.map((name) => `firewall/${name}`));
    expect(await cluster.sfc('node1', 'get', 'chain', 'firewall')).toContain('3 pods match, 3 ready, all of which fail probes');
    const counted = async () => (await cluster.status('node1')).counters.find(({ reason }) => reason === 'no-backend')?.packets ?? 0;
    await expect.poll(counted, { timeout: 10_000 }).toBeGreaterThan(10);
    for (const name of names) await inNamespace(pod(name).namespace, ['nft', 'delete', 'table', 'ip', 'hung']);
    await expect.poll(() => failing(), { timeout: 15_000 }).toEqual([]);
  }, 60_000);
});
