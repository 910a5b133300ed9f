/**
 * What do a thousand agents cost the API server, and how long does a change take to all of them?
 *
 * A real API server and etcd; real agents but for their maps, which are in memory, and their kubelets, which are not there:
 * Nodes, Pods, Services and EndpointSlices are written once by hand. Each node has one pod, which a tenth of the selectors
 * select. All agents share this machine's processors with the API server: on a cluster each has its own, so that the time to
 * the last agent is mostly what this machine takes to compute a thousand rounds. The time of one round tells the rest.
 */

import { fork } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PROJECT } from '../demo/project.js';
import {
  apiVersionOf,
  Informer,
  KubernetesClient,
  type KubernetesObject,
  kubeconfigFile,
  ObjectDigest,
  RESOURCES,
} from '../kubernetes/index.js';
import { type ControlPlane, startControlPlane } from '../test/kube/index.js';
import { castOf } from '../test/kube/objects.js';
import { median, quantile } from './statistics.js';
import { type AgentsOrder, type Answered, type Asked, type Figures, nodeName } from './watch-orders.js';

export interface WatchOptions {
  readonly agents: number;
  /** At least as many. */
  readonly nodes: number;
  readonly selectors: number;
  readonly chains: number;
  readonly processes: number;
  /** Selectors that are changed, one after the other. */
  readonly changes: number;
  readonly restMs: number;
}

const GROUPS = 10;
/** Objects that are written at one time. */
const AT_ONCE = 32;
/** /proc counts processor time in these. */
const TICKS = 100;

async function each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = [...items];
  const one = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const podRange = (node: number) => `10.${128 + (node >> 8)}.${node & 255}`;

async function furnish(client: KubernetesClient, { nodes, selectors, chains }: WatchOptions): Promise<void> {
  const cast = castOf(client);
  for (const name of ['clients', 'firewall']) await cast.namespace(name);
  await each(numbers(nodes), async (node) => {
    await cast.node(nodeName(node), [`${podRange(node)}.0/24`], {}, `192.168.${node >> 8}.${node & 255}`);
    await cast.pod('clients', `client-${node}`, nodeName(node), [`${podRange(node)}.10`], { labels: { app: `group-${node % GROUPS}` } });
  });
  const instances = numbers(3).map((node) => ({ name: `firewall-${node}`, node: nodeName(node), address: `${podRange(node)}.20` }));
  for (const { name, node, address } of instances) await cast.pod('firewall', name, node, [address], { labels: { app: 'firewall' } });
  await each(numbers(chains), async (number) => {
    const chain = await cast.chain(`chain-${number}`, 'firewall');
    await cast.servicePathId(`chain-${number}`, number + 1);
    const service = await cast.service(chain, 'firewall');
    await client.apply(RESOURCES.endpointSlices, slice(service, instances), { namespace: 'firewall', fieldManager: 'bench' });
  });
  await each(numbers(selectors), (number) =>
    cast.selector(`selector-${number}`, `chain-${number % chains}`, `group-${number % GROUPS}`, selectorRange(number)),
  );
}

const selectorRange = (number: number, change = 0) => `${20 + change}.${number >> 8}.${number & 255}.0/24`;

/** As Kubernetes' own controller makes it. */
function slice(service: KubernetesObject, instances: readonly { name: string; node: string; address: string }[]): KubernetesObject {
  const { name, uid = '', labels = {} } = service.metadata;
  const resource = RESOURCES.endpointSlices;
  const owner = { apiVersion: 'v1', kind: 'Service', name, uid };
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: { name, labels: { ...labels, 'kubernetes.io/service-name': name }, ownerReferences: [owner] },
    ...{ addressType: 'IPv4', ports: [{ name: 'service-steering', port: 7081, protocol: 'UDP' }] },
    ...{
      endpoints: instances.map(({ name, node, address }) => ({
        addresses: [address],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: node,
        targetRef: { kind: 'Pod', namespace: 'firewall', name },
      })),
    },
  };
}

/** Processor time (s) and resident bytes of the API server of this control plane. */
function serverLoad(plane: ControlPlane): { readonly cpu: number; readonly resident: number } {
  const home = readlinkSync(`/proc/${plane.machine.pid}/ns/net`);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'kube-apiserver' || readlinkSync(`/proc/${pid}/ns/net`) !== home) continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
      return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS, resident };
    } catch {
      // Of a process that has ended meanwhile.
    }
  }
  throw new Error('the API server is not there');
}

interface Child {
  ask(asked: Asked): void;
  next<What extends Answered['what']>(what: What): Promise<Extract<Answered, { what: What }>>;
  end(): void;
}

function startChild(order: AgentsOrder, onReady: (count: number) => void): Child {
  const program = fileURLToPath(new URL('./watch-agents.js', import.meta.url));
  const child = fork(program, [JSON.stringify(order)], { execArgv: ['--expose-gc', '--max-old-space-size=8192'] });
  const heard: Answered[] = [];
  let look: () => void = () => {};
  let fail: (error: Error) => void = () => {};
  child.on('message', (message: Answered) => {
    if (message.what === 'ready') onReady(message.count);
    else heard.push(message);
    look();
  });
  child.on('exit', (code, signal) => fail(new Error(`agents ${order.from} to ${order.to} ended: ${signal ?? code}`)));
  return {
    ask: (asked) => void child.send(asked),
    next: (what) =>
      new Promise((resolve, reject) => {
        fail = reject;
        look = () => {
          const at = heard.findIndex((message) => message.what === what);
          if (at !== -1) resolve(heard.splice(at, 1)[0] as never);
        };
        look();
      }),
    end: () => child.disconnect(),
  };
}

type Report = KubernetesObject & { readonly status?: { readonly selectors?: { readonly digest: string } } };

const seconds = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(0));
const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(bytes < 100 * 2 ** 20 ? 1 : 0);

export async function watchReport(options: WatchOptions, progress: (title: string, done: number, of: number) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sfcw-'));
  const children: Child[] = [];
  const closing: (() => unknown)[] = [];
  let plane: ControlPlane | undefined;
  // The control plane's processes outlive this one, and so do not keep it.
  const awake = setInterval(() => {}, 1000);
  try {
    plane = await startControlPlane({ directory, name: `sfcw${process.pid}`, controllerManager: false, scheduler: false });
    return await measure(options, plane, children, closing, progress);
  } finally {
    for (const child of children) child.end();
    for (const close of closing) await close();
    await plane?.stop();
    await rm(directory, { recursive: true, force: true });
    clearInterval(awake);
  }
}

async function measure(
  options: WatchOptions,
  plane: ControlPlane,
  children: Child[],
  closing: (() => unknown)[],
  progress: (title: string, done: number, of: number) => void,
): Promise<string> {
  const { agents, processes, changes, restMs } = options;
  const client = new KubernetesClient(kubeconfigFile(plane.kubeconfig), 'bench');
  closing.push(() => client.close());
  await plane.kubectl(['apply', '-k', join(PROJECT, 'deploy/crds')]);
  await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  for (const file of ['namespace.yaml', 'agent-rbac.yaml']) await plane.kubectl(['apply', '-f', join(PROJECT, 'deploy/base', file)]);
  await furnish(client, options);
  const { outside: kubeconfig } = await plane.serviceAccount('sfc-system', 'sfcd');
  const idle = serverLoad(plane);

  // Agents begin, all at once as far as they can.
  const counts = new Map<number, number>();
  const began = performance.now();
  const per = Math.ceil(agents / processes);
  await new Promise<void>((resolve) => {
    for (const index of numbers(processes)) {
      const order = { kubeconfig, from: index * per, to: Math.min(agents, (index + 1) * per) };
      children.push(
        startChild(order, (count) => {
          counts.set(index, count);
          const done = [...counts.values()].reduce((sum, one) => sum + one, 0);
          progress('watch: agent', done, agents);
          if (done === agents) resolve();
        }),
      );
    }
  });
  const started = { seconds: (performance.now() - began) / 1000, load: serverLoad(plane), figures: await figuresOf(children) };

  await sleep(restMs);
  const rested = { load: serverLoad(plane), figures: await figuresOf(children) };

  const reports = new Informer<Report>({ client, resource: RESOURCES.steeringNodes });
  closing.unshift(() => reports.close());
  await reports.whenSynced();
  const toLast: number[] = [];
  const toHalf: number[] = [];
  const toKnown: number[] = [];
  for (const change of numbers(changes)) {
    const armed = children.map((child) => child.next('armed'));
    for (const child of children) child.ask({ what: 'arm' });
    await Promise.all(armed);
    const all = children.map((child) => child.next('programmed'));
    const at = Date.now();
    const number = change % options.selectors;
    await castOf(client).selector(`selector-${number}`, 'chain-0', `group-${number % GROUPS}`, selectorRange(number, change + 1));
    const digest = new ObjectDigest();
    for (const object of (await client.list(RESOURCES.selectors)).items) digest.add(object);
    const times = (await Promise.all(all)).flatMap((answer) => answer.at).map((time) => time - at);
    toLast.push(Math.max(...times));
    toHalf.push(quantile(times, 0.5));
    while ([...reports.objects.values()].filter(({ status }) => status?.selectors?.digest === digest.hex).length < agents) await sleep(20);
    toKnown.push(Date.now() - at);
    progress('watch: change', change + 1, changes);
  }
  const changed = { load: serverLoad(plane), figures: await figuresOf(children) };

  const line = (name: string, text: string) => `  ${name.padEnd(26)}${text}`;
  const perAgent = (bytes: number) => `${mebibytes(bytes / agents)} MiB an agent`;
  const between = (one: { figures: Figures; load: { cpu: number } }, other: { figures: Figures; load: { cpu: number } }) => ({
    requests: other.figures.requests - one.figures.requests,
    received: other.figures.received - one.figures.received,
    watches: other.figures.watches - one.figures.watches,
    lists: other.figures.lists - one.figures.lists,
    connections: other.figures.connections - one.figures.connections,
    cpu: other.load.cpu - one.load.cpu,
    agentCpu: other.figures.cpu - one.figures.cpu,
  });
  const start = between(
    { figures: { ...started.figures, requests: 0, received: 0, watches: 0, lists: 0, connections: 0, cpu: 0 }, load: idle },
    started,
  );
  const rest = between(started, rested);
  const work = between(rested, changed);
  const ms = (values: readonly number[]) => `${seconds(median(values) / 1000)} s`;
  const { figures } = changed;
  const anew = between(rested, changed);
  return [
    `${agents} agents with in-memory maps, ${options.nodes} nodes, ${options.selectors} selectors, ${options.chains} chains: load of a real API server`,
    line('entries on a node', `${median(figures.entries)} selected, one pod`),
    line(
      'all agents started',
      `${seconds(started.seconds)} s: ${start.requests} requests, ${mebibytes(start.received)} MiB (${mebibytes(start.received / agents)} an agent), over ${started.figures.connections} connections`,
    ),
    line('', `API server ${seconds(start.cpu)} s of processor, agents ${seconds(start.agentCpu / agents)} s each`),
    line(
      'API server, resident',
      `${mebibytes(idle.resident)} MiB before, ${mebibytes(started.load.resident)} MiB with all agents, ${mebibytes(changed.load.resident)} MiB at the end`,
    ),
    line(
      `at rest for ${restMs / 1000} s`,
      `${rest.requests} requests, ${mebibytes(rest.received)} MiB; API server ${seconds(rest.cpu)} s of processor, agents ${seconds((rest.agentCpu / agents / restMs) * 1e6)} ms each a second; ${rest.watches} watches, ${rest.lists} lists and ${rest.connections} connections anew`,
    ),
    line(
      `${changes} changes of a selector`,
      `${work.requests / changes} requests, ${mebibytes(work.received / changes)} MiB, API server ${seconds(work.cpu / changes)} s, agents ${seconds((work.agentCpu / changes / agents) * 1000)} ms each, a change`,
    ),
    line('programmed on half', `after ${ms(toHalf)}`),
    line('programmed on all', `after ${ms(toLast)}`),
    line('and known to be', `after ${ms(toKnown)} (all ${agents} reports)`),
    line('a round of one agent', `${median(figures.rounds).toFixed(1)} ms, the longest ${Math.max(...figures.rounds).toFixed(1)} ms`),
    line(
      'meanwhile',
      `${anew.watches} watches, ${anew.lists} lists and ${anew.connections} connections anew; ${figures.troubled} agents without the API server`,
    ),
    line('memory', `${perAgent(figures.heap)} of heap and maps; ${mebibytes(figures.resident)} MiB resident in ${processes} processes`),
  ].join('\n');
}

async function figuresOf(children: readonly Child[]): Promise<Figures> {
  const answers = children.map((child) => child.next('figures'));
  for (const child of children) child.ask({ what: 'figures' });
  const all = await Promise.all(answers);
  const sum = (of: (one: Figures) => number) => all.reduce((total, one) => total + of(one), 0);
  return {
    requests: sum(({ requests }) => requests),
    received: sum(({ received }) => received),
    connections: sum(({ connections }) => connections),
    reports: sum(({ reports }) => reports),
    watches: sum(({ watches }) => watches),
    lists: sum(({ lists }) => lists),
    troubled: sum(({ troubled }) => troubled),
    resident: sum(({ resident }) => resident),
    heap: sum(({ heap }) => heap),
    cpu: sum(({ cpu }) => cpu),
    rounds: all.flatMap(({ rounds }) => rounds),
    entries: all.flatMap(({ entries }) => entries),
  };
}
