import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AttachedInterface, Datapath, TroubledInterface, UplinkInterface } from '../datapath/index.js';
import { SfcError } from '../errors/index.js';
import { parseAddress, parseCidr } from '../geneve/index.js';
import { createMemoryStore, EMPTY_FLOW, ENDPOINT_FLAG, FLOW_FLAG, type MapStore, PATH_FLAG, typedMaps } from '../maps/index.js';
import { type Chain, EMPTY_WORLD, type Pod, type Problem, SELECT_EVERYTHING, type Selector, type World } from '../policy/index.js';
import { Agent, type AgentOptions } from './agent.js';
import { type Allocations, allocate, emptyState } from './allocation/index.js';
import type { Discovery, Location } from './discovery/index.js';
import { GuardKeeper } from './guard/index.js';
import { Sandboxes, type SandboxRecord } from './sandboxes/index.js';
import { type DirectoryContent, ManifestSource } from './sources/index.js';

const labelled = (app: string) => ({ requirements: [{ key: 'app', operator: 'In' as const, values: [app] }] });

function address(text: string) {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

const pod = (namespace: string, name: string, nodeName: string, ip: string, ready = true): Pod => ({
  namespace,
  name,
  nodeName,
  ready,
  labels: { app: namespace },
  addresses: [address(ip)],
  hostNetwork: false,
  phase: 'Running',
  terminating: false,
});

const chain = (name: string): Chain => ({
  name,
  uid: undefined,
  serviceFunctions: [{ name, namespace: name, podSelector: labelled(name), weights: [] }],
  affinityTimeout: 3600,
  locality: 'None',
  onInstanceLoss: 'Move',
  failurePolicy: 'Drop',
  servicePathId: undefined,
  resource: { kind: 'ServiceFunctionChain', metadata: { name } },
});

const selector = (name: string, from: string, chainName: string): Selector => ({
  name,
  chain: chainName,
  namespaceSelector: SELECT_EVERYTHING,
  podSelector: labelled(from),
  rules: [
    {
      direction: 'egress',
      cidr: parseCidr('0.0.0.0/0'),
      except: [],
      ports: [
        { protocol: 6, port: 0, lastPort: 0 },
        { protocol: 17, port: 0, lastPort: 0 },
      ],
    },
  ],
  resource: { kind: 'TrafficSelector', metadata: { name } },
});

/** The walkthrough: the vpn pod and one firewall pod are here, two firewall pods are on node two. */
const walkthrough: World = {
  ...EMPTY_WORLD,
  chains: [chain('firewall'), chain('proxy')],
  selectors: [selector('vpn-to-firewall', 'vpn', 'firewall'), selector('firewall-to-proxy', 'firewall', 'proxy')],
  pods: [
    pod('vpn', 'vpn', 'node-one', '10.1.0.10'),
    pod('firewall', 'firewall-0', 'node-one', '10.1.0.20'),
    pod('firewall', 'firewall-1', 'node-two', '10.2.0.20'),
    pod('firewall', 'firewall-2', 'node-two', '10.2.0.21', false),
    pod('proxy', 'proxy-one', 'node-one', '10.1.0.30'),
  ],
  nodes: [{ name: 'node-two', zone: undefined, podCidrs: [parseCidr('10.2.0.0/24')].filter((cidr) => cidr !== undefined) }],
};

class FakeDatapath implements Datapath {
  readonly kind = 'kernel';
  readonly adopted: readonly string[] = [];
  readonly steps: string[] = [];
  readonly interfaces = new Map<number, AttachedInterface>();
  refuses = '';

  constructor(readonly store: MapStore) {}

  attach(ifindex: number, ifname: string): AttachedInterface {
    if (this.refuses === ifname) throw new SfcError('BPF_ATTACH', `${ifname}: ENODEV`);
    const known = typedMaps(this.store).endpoint.get({ ifindex }) !== undefined;
    if (!this.interfaces.has(ifindex)) this.steps.push(`attach ${ifname}${known ? '' : ' before its entry'}`);
    const attached: AttachedInterface = { ifindex, ifname, method: 'tcx' };
    this.interfaces.set(ifindex, attached);
    return attached;
  }
  detach(ifindex: number): void {
    this.steps.push(`detach ${ifindex}`);
    this.interfaces.delete(ifindex);
  }
  attached = () => [...this.interfaces.values()];
  troubles: TroubledInterface[] = [];
  troubled = () => this.troubles;
  restore(ifindex: number): void {
    this.steps.push(`restore ${ifindex}`);
    this.troubles = this.troubles.filter((one) => one.ifindex !== ifindex);
  }
  uplinks: readonly string[] = [];
  setUplinks(links: readonly UplinkInterface[]): readonly TroubledInterface[] {
    this.uplinks = links.map(({ ifname }) => ifname);
    return [];
  }
  policyChanged(): void {
    this.steps.push('policy changed');
  }
  close(): void {}
  remove(): void {}
}

const NO_TABLES = { read: () => undefined, install: () => undefined, change: () => undefined };

const content: DirectoryContent = { files: [], skipped: [], hash: '' };
const running: Agent[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((agent) => agent.close()));
});

function cluster(store: MapStore = createMemoryStore()) {
  const datapath = new FakeDatapath(store);
  const places: Record<string, Location> = {
    '10.1.0.10': { kind: 'found', ifindex: 7, ifname: 'veth-vpn', mtu: 1500 },
    '10.1.0.20': { kind: 'found', ifindex: 8, ifname: 'veth-fw', mtu: 1500 },
    '10.1.0.30': { kind: 'found', ifindex: 9, ifname: 'veth-px', mtu: 1500 },
  };
  const logged: string[] = [];
  const log = {
    debug: () => undefined,
    info: (_: object, message: string) => logged.push(message),
    warn: (_: object, message: string) => logged.push(message),
    error: (_: object, message: string) => logged.push(message),
  };
  const discovery: Discovery = {
    locateAll: async () => ({ locations: new Map(Object.entries(places)), links: new Map(), routes: [] }),
    insideMtus: async () => new Map(),
  };
  let state = emptyState();
  const allocations: Allocations = {
    async allocate(request) {
      const { allocation, next } = allocate(state, request, '10.96.0.0/16');
      state = next;
      return allocation;
    },
  };
  let world: World = EMPTY_WORLD;
  const kept = new Map<string, SandboxRecord>();
  const files = {
    load: () => [...kept.values()],
    put: (one: SandboxRecord) => void kept.set(one.id, one),
    delete: (id: string) => void kept.delete(id),
  };
  const sandboxes = new Sandboxes({ store: files, interfaceNumber: () => 0, now: () => new Date(0), log });
  const sources = new Map<Agent, ManifestSource>();
  const start = (replaced: Partial<Pick<AgentOptions, 'allocations' | 'sendIp' | 'flowsPerEndpoint' | 'sourceCheck'>> = {}) => {
    const reader = { read: () => ({ world, problems: [], documents: 9, locate: (problem: Problem) => problem }) };
    const source = new ManifestSource({ directory: '/manifests', reader, log, wall: () => new Date(0) });
    const agent = new Agent({
      version: '0.0.0',
      node: 'node-one',
      pid: 1,
      port: 7081,
      chosen: 'test',
      intervalMs: 20,
      datapath,
      discovery,
      keepHalfSeen: () => ({ there: true, trouble: '' }),
      conntrack: async () => '',
      guard: new GuardKeeper({ mode: 'off', tables: NO_TABLES, received: () => new Map(), wait: async () => undefined, log }),
      guardExcept: [],
      markGuard: () => undefined,
      sandboxes,
      allocations,
      source,
      log,
      sendIp: () => '',
      nodeAddress: () => undefined,
      timeouts: { established: 21_600, halfOpen: 60, closed: 10, udp: 60 },
      flowsPerEndpoint: 0,
      sourceCheck: false,
      clock: { wall: () => new Date(0), monotonic: () => performance.now(), flows: () => Number(process.hrtime.bigint()) },
      ...replaced,
    });
    running.push(agent);
    sources.set(agent, source);
    return agent;
  };
  const tell = (agent: Agent, next: World) => {
    world = next;
    sources.get(agent)?.changed(content);
  };
  const trouble = (agent: Agent, message: string) => sources.get(agent)?.troubled(message);
  return { datapath, places, logged, start, tell, trouble, maps: typedMaps(store) };
}

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

describe('the agent', () => {
  it('is not ready, and deletes nothing, before the manifests have been read', async () => {
    const { start, maps, datapath } = cluster();
    maps.sfcpath.set(
      { path: 257 },
      {
        service_address: new Uint8Array(16),
        family: 1,
        flags: 0,
        failure_policy: 0,
        affinity_timeout: 0,
        backend_base: 0,
        backend_slots: 0,
      },
    );
    const agent = start();
    agent.hostChanged();
    await agent.close();
    expect(agent.status()).toMatchObject({ ready: false, notReady: 'the manifests have not been read yet' });
    expect(maps.sfcpath.size()).toBe(1);
    expect(datapath.steps).toEqual([]);
  });

  it('programs the walkthrough, attaching each pod after its entry', async () => {
    const { start, tell, datapath, maps } = cluster();
    const agent = start();
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status()).toMatchObject({ ready: true, notReady: '', reconcile: { error: '' } }));
    expect(datapath.steps).toEqual(['policy changed', 'attach veth-vpn', 'attach veth-fw', 'attach veth-px']);
    expect(agent.status()).toMatchObject({
      counts: { chains: 2, selectors: 2, endpoints: 3, peers: 1, conflicts: 0, problems: 0 },
      source: { documents: 9 },
    });
    expect(agent.entries('sfcpath')).toMatchObject([
      { path: '(1, 1)', service_address: '10.96.0.2' },
      { path: '(2, 1)', service_address: '10.96.0.3' },
    ]);
    expect(maps.sfcselect.size()).toBe(4);
  });

  it('shows chains, selectors, endpoints and services as an operator knows them', async () => {
    const { start, tell } = cluster();
    const agent = start();
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().ready).toBe(true));
    const [firewall] = agent.chains();
    expect(firewall).toMatchObject({
      name: 'firewall',
      servicePathId: 1,
      resource: { kind: 'ServiceFunctionChain', status: { servicePathId: 1 } },
    });
    expect(firewall?.conditions.map(({ type, status }) => `${type}=${status}`)).toEqual(['Accepted=True', 'Programmed=True', 'Ready=True']);
    expect(firewall?.conditions[2]?.message).toBe('2 of 3 instances ready');
    expect(agent.selectors()[0]).toMatchObject({ name: 'vpn-to-firewall', pods: ['vpn/vpn'], entries: 2 });
    expect(agent.endpoints()[0]).toMatchObject({ pod: 'vpn/vpn', interface: 'veth-vpn', ifindex: 7, attached: 'tcx', problem: '' });
    expect(agent.services()[0]).toMatchObject({ namespace: 'firewall', clusterIP: '10.96.0.2', chain: 'firewall', port: '7081/UDP' });
  });

  it('programs and lists a chain of 255 functions, and marks positions that share their pods', async () => {
    const { start, tell, maps } = cluster();
    const agent = start();
    const serviceFunctions = Array.from({ length: 255 }, (_, position) => {
      const namespace = position % 2 === 0 ? 'firewall' : 'proxy';
      return { name: `${namespace}-${position}`, namespace, podSelector: labelled(namespace), weights: [] };
    });
    tell(agent, { ...walkthrough, chains: [{ ...chain('firewall'), affinityTimeout: undefined, serviceFunctions }], selectors: [] });
    await eventually(() => expect(agent.status().ready).toBe(true));
    const [long] = agent.chains();
    expect(long?.conditions.map(({ type, status }) => `${type}=${status}`)).toEqual(['Accepted=True', 'Programmed=True', 'Ready=True']);
    expect(long?.serviceFunctions.map(({ path }) => path)).toEqual(Array.from({ length: 255 }, (_, n) => `(1, ${255 - n})`));
    const paths = [...maps.sfcpath.entries()]
      .map(([{ path }, { flags }]) => [path, flags])
      .sort(([one], [other]) => (one ?? 0) - (other ?? 0));
    expect(paths).toEqual(Array.from({ length: 255 }, (_, n) => [256 + n + 1, PATH_FLAG.revisits]));
  });

  it('says which instances take new flows from here, and where it has to go further than the chain prefers', async () => {
    const { start, tell } = cluster();
    const agent = start();
    const near = (name: string, weight: number): Chain => ({
      ...chain(name),
      locality: 'PreferNode',
      serviceFunctions: [{ name, namespace: name, podSelector: labelled(name), weights: [{ podSelector: labelled(name), weight }] }],
    });
    tell(agent, { ...walkthrough, chains: [near('firewall', 50), near('proxy', 0)] });
    await eventually(() => expect(agent.status().ready).toBe(true));
    const [firewall, proxy] = agent.chains();
    expect(firewall?.serviceFunctions[0]?.instances).toMatchObject([
      { pod: 'firewall/firewall-0', weight: 50, newFlows: 'yes' },
      { pod: 'firewall/firewall-1', weight: 50, newFlows: 'others are nearer' },
      { pod: 'firewall/firewall-2', weight: 50, newFlows: 'not ready' },
    ]);
    expect(firewall?.conditions[3]).toMatchObject({ type: 'Near', status: 'True' });
    expect(proxy?.serviceFunctions[0]?.instances).toMatchObject([{ ready: true, weight: 0, newFlows: 'weight 0' }]);
    expect(proxy?.conditions[2]).toMatchObject({ type: 'Ready', status: 'False', reason: 'NoInstanceTakesFlows' });
    expect(proxy?.conditions[3]).toMatchObject({ status: 'False', message: 'proxy: no instance on node-one takes new flows' });
  });

  it('says which function has no instance, what becomes of its packets, and when that is over', async () => {
    const { start, tell, maps, logged } = cluster();
    const agent = start();
    const policies = (failurePolicy: Chain['failurePolicy']) => walkthrough.chains.map((one) => ({ ...one, failurePolicy }));
    const unready = walkthrough.pods.map((one) => (one.namespace === 'firewall' ? { ...one, ready: false } : one));
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().ready).toBe(true));
    expect(agent.status().outages).toEqual([]);
    expect(maps.sfcpath.get({ path: 257 })?.failure_policy).toBe(0);

    tell(agent, { ...walkthrough, pods: unready, chains: policies('Bypass') });
    const outage = { chain: 'firewall', serviceFunction: 'firewall/firewall', path: '(1, 1)', pods: 3, ready: 0, failurePolicy: 'Bypass' };
    await eventually(() => expect(agent.status().outages).toMatchObject([outage]));
    expect(agent.status()).toMatchObject({ ready: true, counts: { problems: 1 } });
    const message = '3 pods match, none is ready: packets that need one go on unsteered (bypassed)';
    expect(agent.status().outages[0]).toMatchObject({ reason: 'NoReadyInstance', message, since: '1970-01-01T00:00:00.000Z' });
    expect(agent.chains()[0]).toMatchObject({ failurePolicy: 'Bypass' });
    expect(agent.chains()[0]?.conditions[2]).toMatchObject({ status: 'False', message: `firewall: ${message}` });
    expect(agent.problems()).toMatchObject([{ severity: 'warning', resource: 'ServiceFunctionChain/firewall' }]);
    expect(maps.sfcpath.get({ path: 257 })).toMatchObject({ failure_policy: 1, backend_slots: 0 });

    tell(agent, { ...walkthrough, pods: unready.filter(({ namespace }) => namespace !== 'firewall'), chains: policies('Reject') });
    await eventually(() => expect(agent.status().outages).toMatchObject([{ pods: 0, failurePolicy: 'Reject' }]));
    expect(maps.sfcpath.get({ path: 257 })?.failure_policy).toBe(2);

    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().outages).toEqual([]));
    expect(agent.problems()).toEqual([]);
    expect(logged.filter((text) => text.startsWith('firewall/firewall at (1, 1)'))).toEqual([
      `firewall/firewall at (1, 1): ${message}`,
      'firewall/firewall at (1, 1): no pod matches: packets that need one are refused (TCP by RST, others by ICMP administratively prohibited)',
      'firewall/firewall at (1, 1): has an instance again',
    ]);
  });

  it('takes an instance that fails probes out of the tables, says which, why and since when, and puts it back', async () => {
    const { start, tell, maps, logged } = cluster();
    const hung = new Set<string>();
    const asked = new Set<string>();
    // As the datapath would, when the probe has come back: the sequence number are the last four bytes.
    const sendIp = (packet: Uint8Array) => {
      const instance = packet.subarray(16, 20).join('.');
      asked.add(instance);
      const key = { address: address(instance).bytes, family: 1, port: 7082 };
      if (!hung.has(instance)) maps.sfcprobe.set(key, { answered: 1, sequence: Buffer.from(packet).readUInt32BE(packet.length - 4) });
      return '';
    };
    const agent = start({ sendIp });
    const probe = { periodMs: 100, failureThreshold: 2, successThreshold: 1, port: 7082 };
    const described = chain('firewall');
    const probed = { ...described, serviceFunctions: described.serviceFunctions.map((one) => ({ ...one, probe })) };
    tell(agent, { ...walkthrough, chains: [probed, chain('proxy')] });
    const instances = () => agent.chains()[0]?.serviceFunctions[0]?.instances;
    await eventually(() => expect(instances()?.map((one) => one.probe.result)).toEqual(['passes', 'passes', 'pending']));
    expect(asked).toEqual(new Set(['10.1.0.20', '10.2.0.20']));
    expect(instances()?.[2]?.probe).toEqual({ result: 'pending', since: '', detail: 'the pod is not ready' });
    expect(agent.chains()[1]?.serviceFunctions[0]?.instances[0]?.probe.result).toBe('off');

    hung.add('10.2.0.20');
    const detail = '2 probes in a row to UDP port 7082 did not come back';
    const failing = { pod: 'firewall/firewall-1', address: '10.2.0.20', since: new Date(0).toISOString(), detail };
    await eventually(() => expect(agent.status().probes).toMatchObject({ instances: 2, failing: [failing] }));
    await eventually(() => expect(instances()?.map(({ newFlows }) => newFlows)).toEqual(['yes', 'fails probes', 'not ready']));
    expect(instances()?.[1]).toMatchObject({ ready: true, probe: { result: 'fails', since: failing.since, detail } });
    expect(agent.chains()[0]?.conditions[2]).toMatchObject({ status: 'True', message: '1 of 3 instances ready (1 fails probes)' });
    const takers = () => {
      const { backend_base, backend_slots } = maps.sfcpath.get({ path: 257 }) ?? { backend_base: 0, backend_slots: 0 };
      const slots = Array.from({ length: backend_slots }, (_, slot) => maps.sfcbackend.get({ slot: backend_base + slot }));
      return [...new Set(slots.map((slot) => slot?.address.subarray(0, 4).join('.')))].sort();
    };
    expect(takers()).toEqual(['10.1.0.20']);
    expect(logged).toContain(`firewall/firewall-1 fails probes and takes no more packets from here: ${detail}`);

    hung.add('10.1.0.20');
    await eventually(() => expect(agent.chains()[0]?.conditions[2]).toMatchObject({ status: 'False', reason: 'NoReadyInstance' }));
    expect(takers()).toEqual([]);
    hung.clear();
    await eventually(() => expect(instances()?.map(({ newFlows }) => newFlows)).toEqual(['yes', 'yes', 'not ready']));
    expect(takers()).toEqual(['10.1.0.20', '10.2.0.20']);
    expect(agent.status().probes.failing).toEqual([]);
  });

  it('holds pods to their own address where it is told to, but not functions, nor pods that say that they forward', async () => {
    const { start, tell, maps } = cluster();
    const heldTo = () => [7, 8, 9].map((ifindex) => ((maps.endpoint.get({ ifindex })?.flags ?? 0) & ENDPOINT_FLAG.ownSource) !== 0);
    const agent = start({ sourceCheck: true });
    tell(agent, walkthrough);
    await eventually(() => expect(heldTo()).toEqual([true, false, false]));
    const forwards = { 'networking.gke.io/forwards': 'true' };
    tell(agent, { ...walkthrough, pods: walkthrough.pods.map((pod) => ({ ...pod, labels: { ...pod.labels, ...forwards } })) });
    await eventually(() => expect(heldTo()).toEqual([false, false, false]));
  });

  it('sees clients in the flows that they have open', async () => {
    const { start, tell, maps } = cluster();
    const agent = start();
    tell(agent, { ...walkthrough, chains: [{ ...chain('firewall'), affinityTimeout: 1 }] });
    await eventually(() => expect(agent.status().ready).toBe(true));
    const [client, server, firewall] = ['192.168.77.5', '203.0.113.10', '10.1.0.20'].map((text) => address(text).bytes);
    if (client === undefined || server === undefined || firewall === undefined) throw new Error('no addresses');
    const key = { path: 257, family: 1, client };
    maps.sfcaffinity.set(key, { last_seen: 1, backend: firewall, backend_family: 1 });
    const flags = FLOW_FLAG.forwardAToB | FLOW_FLAG.nextHop | FLOW_FLAG.resolved;
    // Recent: the clock counts from the machine's start, and idle flows are forgotten.
    const last_seen = Number(process.hrtime.bigint());
    const flow = { ...EMPTY_FLOW, role: 1, path: 257, next_path: 257, next_hop: firewall, next_family: 1, flags, last_seen };
    maps.sfcflow.set(
      { ifindex: 7, family: 1, protocol: 6, visit: 0, address_a: client, address_b: server, port_a: 4000, port_b: 80 },
      flow,
    );
    await eventually(() => expect(maps.sfcaffinity.get(key)?.last_seen).toBe(last_seen));
  });

  it('holds each pod to its share of the flow table: before its programs are there, and until it is gone', async () => {
    const { start, tell, maps, datapath, logged } = cluster();
    const limitAtStart: (number | undefined)[] = [];
    const attach = datapath.attach.bind(datapath);
    datapath.attach = (ifindex, ifname) => {
      if (!datapath.interfaces.has(ifindex)) limitAtStart.push(maps.sfcquota.get({ ifindex })?.limit);
      return attach(ifindex, ifname);
    };
    const agent = start({ flowsPerEndpoint: 2 });
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().ready).toBe(true));
    expect(limitAtStart).toEqual([2, 2, 2]);
    const zero = new Uint8Array(16);
    for (const port_a of [1, 2]) {
      const key = { ifindex: 7, family: 1, protocol: 6, visit: 0, address_a: zero, address_b: zero, port_a, port_b: 80 };
      maps.sfcflow.set(key, {
        ...EMPTY_FLOW,
        role: 1,
        endpoint: agent.endpoints()[0]?.id ?? 0,
        last_seen: Number(process.hrtime.bigint()),
      });
    }
    await eventually(() => expect(agent.status().flows).toMatchObject({ limit: 2, limited: [{ pod: 'vpn/vpn', flows: 2 }] }));
    expect(maps.sfcquota.get({ ifindex: 7 })).toMatchObject({ limit: 2, flows: 2 });
    expect(agent.endpoints().map(({ flows, flowLimit }) => [flows, flowLimit])).toEqual([
      [2, 2],
      [0, 2],
      [0, 2],
    ]);
    await eventually(() =>
      expect(logged.filter((text) => text.includes('limit'))).toEqual([
        'vpn/vpn has reached its limit of 2 flows: new ones are refused (flow-limit)',
      ]),
    );
    tell(agent, { ...walkthrough, pods: walkthrough.pods.slice(1) });
    await eventually(() => expect([...maps.sfcquota.entries()].map(([{ ifindex }]) => ifindex).sort()).toEqual([8, 9]));
  });

  it('lets no pod have more flows than the table holds', async () => {
    const { start, tell, maps } = cluster(createMemoryStore({ sfcflow: 64 }));
    const agent = start({ flowsPerEndpoint: 1000 });
    tell(agent, walkthrough);
    await eventually(() => expect(maps.sfcquota.get({ ifindex: 7 })?.limit).toBe(64));
    expect(agent.status().flows.limit).toBe(64);
  });

  it('waits for a pod without an interface, says so, and goes on by itself when there is one', async () => {
    const { start, tell, places, logged } = cluster();
    const found = places['10.1.0.10'] as Location;
    places['10.1.0.10'] = { kind: 'none', problem: 'no route to 10.1.0.10' };
    const agent = start();
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().notReady).toBe('vpn/vpn: no route to 10.1.0.10'));
    expect(agent.selectors()[0]?.conditions[1]).toMatchObject({ status: 'False', reason: 'InterfaceNotFound' });
    places['10.1.0.10'] = found;
    await eventually(() => expect(agent.status().ready).toBe(true));
    expect(logged.filter((message) => message.includes('no route'))).toHaveLength(1);
  });

  it('tries again to attach what could not be attached', async () => {
    const { start, tell, datapath } = cluster();
    datapath.refuses = 'veth-fw';
    const agent = start();
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().notReady).toBe('firewall/firewall-0: veth-fw: ENODEV'));
    datapath.refuses = '';
    await eventually(() => expect(agent.status().ready).toBe(true));
  });

  it('detaches a pod that is gone and forgets its entries', async () => {
    const { start, tell, datapath, maps } = cluster();
    const agent = start();
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().ready).toBe(true));
    tell(agent, { ...walkthrough, pods: walkthrough.pods.slice(1) });
    await eventually(() => expect(datapath.steps).toContain('detach 7'));
    expect([maps.endpoint.size(), maps.sfcselect.size()]).toEqual([2, 2]);
  });

  it('adopts after a restart: same endpoint ids, nothing rewritten, what went meanwhile detached', async () => {
    const store = createMemoryStore();
    const first = cluster(store);
    const before = first.start();
    first.tell(before, walkthrough);
    await eventually(() => expect(before.status().ready).toBe(true));
    const ids = before.endpoints().map(({ id }) => id);
    await before.close();

    const second = cluster(store);
    const after = second.start();
    second.tell(after, walkthrough);
    await eventually(() => expect(after.status()).toMatchObject({ ready: true, reconcile: { changes: 0 } }));
    expect(after.endpoints().map(({ id }) => id)).toEqual(ids);
    await after.close();

    const third = cluster(store);
    const last = third.start();
    third.tell(last, { ...walkthrough, pods: walkthrough.pods.slice(1) });
    await eventually(() => expect(third.datapath.steps).toContain('detach 7'));
  });

  it('keeps a selector that exceeds the capacity out, whole, and says where', async () => {
    const { start, tell, maps, logged } = cluster(createMemoryStore({ sfcselect: 16 }));
    const agent = start();
    const ports = Array.from({ length: 15 }, (_, index) => ({ protocol: 6, port: index + 1, lastPort: index + 1 }));
    const rules = [{ direction: 'egress' as const, cidr: parseCidr('0.0.0.0/0'), except: [], ports }];
    const big = { ...selector('many', 'proxy', 'firewall'), rules };
    tell(agent, { ...walkthrough, selectors: [...walkthrough.selectors, big] });
    await eventually(() => expect(agent.status().reconcile.error).toContain('selector many: sfcselect is full'));
    expect(agent.selectors().map(({ entries, conditions }) => [entries, conditions[1]?.reason])).toEqual([
      [2, 'Programmed'],
      [2, 'Programmed'],
      [0, 'OverCapacity'],
    ]);
    expect(maps.sfcselect.size()).toBe(4);
    expect(logged.some((message) => message.startsWith('selector many'))).toBe(true);
  });

  it('names a conflict on both selectors', async () => {
    const { start, tell } = cluster();
    const agent = start();
    tell(agent, { ...walkthrough, selectors: [...walkthrough.selectors, selector('rival', 'vpn', 'proxy')] });
    await eventually(() => expect(agent.status().counts.conflicts).toBe(2));
    const rival = agent.selectors().find(({ name }) => name === 'rival');
    expect(rival?.conditions[2]).toMatchObject({
      type: 'Conflicted',
      status: 'True',
      reason: 'LostToOther',
      message: expect.stringContaining('vpn-to-firewall wins'),
    });
    const winner = agent.selectors().find(({ name }) => name === 'vpn-to-firewall');
    expect(winner?.conditions[2]).toMatchObject({
      type: 'Conflicted',
      status: 'True',
      reason: 'WonOverOther',
      message: expect.stringContaining('wins over rival'),
    });
  });

  it('gives one servicePathId to one chain only, and tells the other', async () => {
    const { start, tell } = cluster();
    const agent = start();
    const chains = walkthrough.chains.map((one) => ({ ...one, servicePathId: 5 as Chain['servicePathId'] }));
    tell(agent, { ...walkthrough, chains });
    await eventually(() => expect(agent.chains()).toHaveLength(2));
    expect(agent.chains()[1]?.conditions[0]).toMatchObject({
      status: 'False',
      message: expect.stringContaining('already belongs to ServiceFunctionChain firewall'),
    });
    expect(agent.entries('sfcpath')).toHaveLength(1);
  });

  it('leaves the maps alone while allocations fail, and goes on when they work again', async () => {
    const { start, tell, maps } = cluster();
    let broken = true;
    const allocations: Allocations = {
      async allocate(request) {
        if (broken) throw new SfcError('ALLOCATION_STATE', 'allocations.json is not JSON');
        return allocate(emptyState(), request, '10.96.0.0/16').allocation;
      },
    };
    const agent = start({ allocations });
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().notReady).toBe('allocations.json is not JSON'));
    expect(maps.sfcpath.size()).toBe(0);
    broken = false;
    await eventually(() => expect(agent.status().ready).toBe(true));
  });

  it('tells of a manifest directory that cannot be read, and keeps what was read', async () => {
    const { start, tell, trouble } = cluster();
    const agent = start();
    tell(agent, walkthrough);
    await eventually(() => expect(agent.status().ready).toBe(true));
    trouble(agent, 'manifest directory /manifests does not exist; waiting for it');
    expect(agent.problems()).toMatchObject([{ severity: 'error', file: '/manifests' }]);
    expect(agent.chains()).toHaveLength(2);
    trouble(agent, '');
    expect(agent.problems()).toEqual([]);
  });
});
