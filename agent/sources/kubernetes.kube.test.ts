/** The agent's source at a real API server: what stands in the cluster comes into the maps, and stays there when the server is away. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { PROJECT } from '../../demo/project.js';
import { KubernetesClient, type KubernetesObject, kubeconfigFile, ObjectDigest, RESOURCES, type Resource } from '../../kubernetes/index.js';
import { createMemoryStore } from '../../maps/index.js';
import { type ControlPlane, startControlPlane } from '../../test/kube/index.js';
import { type MemoryAgent, type MemoryAgentOptions, startMemoryAgent } from '../../test/kube/memory-agent.js';
import { type Cast, castOf } from '../../test/kube/objects.js';

const LEASES: Resource = RESOURCES.leases;
/** The controller manager takes a node for gone that does not renew its lease for 12 s. */
const HEARTBEAT_MS = 3000;

let directory: string;
let plane: ControlPlane;
let client: KubernetesClient;
let cast: Cast;
let heartbeat: NodeJS.Timeout;

const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 50_000, interval: 20 });
const running: MemoryAgent[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sfck-'));
  plane = await startControlPlane({ directory, name: `sfcs${process.pid}`, scheduler: false });
  client = new KubernetesClient(kubeconfigFile(plane.kubeconfig), 'test');
  cast = castOf(client);
  await plane.kubectl(['apply', '-k', join(PROJECT, 'deploy/crds')]);
  await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  await cast.node('node1', ['10.244.1.0/24'], {}, '192.168.0.1');
  await cast.node('node2', ['10.244.2.0/24'], { 'topology.kubernetes.io/zone': 'b' }, '192.168.0.2');
  const renew = async (name: string) => {
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: new Date().toISOString().replace('Z', '000Z') };
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec };
    await client.apply(LEASES, lease, { namespace: 'kube-node-lease', fieldManager: 'kubelet' });
  };
  const beat = () => void Promise.all(['node1', 'node2'].map(renew)).catch(() => undefined);
  beat();
  heartbeat = setInterval(beat, HEARTBEAT_MS);

  for (const name of ['vpn', 'firewall']) await cast.namespace(name);
  await cast.pod('vpn', 'vpn', 'node1', ['10.244.1.10'], { labels: { app: 'vpn' } });
  await cast.pod('firewall', 'firewall-1', 'node1', ['10.244.1.20'], { labels: { app: 'firewall' } });
  await cast.pod('firewall', 'firewall-2', 'node2', ['10.244.2.20'], { labels: { app: 'firewall' } });
  const chain = await cast.chain('firewall', 'firewall');
  await cast.service(chain, 'firewall');
  await cast.servicePathId('firewall', 7);
  await cast.selector('vpn-to-firewall', 'firewall', 'vpn');
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.close();
});
afterAll(async () => {
  clearInterval(heartbeat);
  client?.close();
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});

function start(options: Partial<MemoryAgentOptions> = {}): MemoryAgent {
  const one = startMemoryAgent({ node: 'node1', config: kubeconfigFile(plane.kubeconfig), random: () => 0, intervalMs: 50, ...options });
  running.push(one);
  return one;
}

const takers = ({ agent }: MemoryAgent) =>
  agent
    .chains()
    .find(({ name }) => name === 'firewall')
    ?.serviceFunctions[0]?.instances.filter(({ newFlows }) => newFlows === 'yes')
    .map(({ pod, node }) => `${pod} on ${node}`);
const selected = ({ agent }: MemoryAgent) => agent.selectors().find(({ name }) => name === 'vpn-to-firewall')?.pods;
/** All that steers, as the maps have it. */
const contents = ({ maps }: MemoryAgent) =>
  JSON.stringify([maps.sfcselect, maps.sfcpath, maps.endpoint, maps.peer].map((map) => [...map.entries()]));
const ready = (one: MemoryAgent) => eventually(() => expect(one.agent.status()).toMatchObject({ ready: true, notReady: '' }));
const BOTH = ['firewall/firewall-1 on node1', 'firewall/firewall-2 on node2'];

describe('an agent in a cluster', () => {
  it('programs what stands there', async () => {
    const one = start();
    await eventually(() => expect(takers(one)).toEqual(BOTH));
    await ready(one);
    expect(selected(one)).toEqual(['vpn/vpn']);
    expect(one.maps.sfcselect.size()).toBe(1);
    expect(one.maps.sfcpath.get({ path: 7 * 256 + 1 })).toBeDefined();
    const services = JSON.parse(await plane.kubectl(['get', 'svc', '-n', 'firewall', '-o', 'json'])) as {
      items: { spec: { clusterIP: string } }[];
    };
    expect(one.agent.services()).toMatchObject([
      { namespace: 'firewall', chain: 'firewall', clusterIP: services.items[0]?.spec.clusterIP },
    ]);
    expect(one.agent.endpoints().map(({ pod }) => pod)).toEqual(['firewall/firewall-1', 'vpn/vpn']);
    expect(one.agent.status()).toMatchObject({
      source: { kind: 'kubernetes', trouble: '', since: '' },
      counts: { chains: 1, selectors: 1, endpoints: 2, problems: 0 },
    });
    expect(one.agent.status().source.watches.map(({ resource, synced }) => [resource, synced])).toEqual(
      ['servicefunctionchains', 'trafficselectors', 'services', 'endpointslices', 'namespaces', 'nodes', 'pods'].map((name) => [
        name,
        true,
      ]),
    );
  });

  it('follows labels, readiness and ranges', async () => {
    const one = start();
    await eventually(() => expect(takers(one)).toEqual(BOTH));
    await cast.pod('vpn', 'vpn', 'node1', ['10.244.1.10'], { labels: { app: 'idle' } });
    await eventually(() => expect(one.maps.sfcselect.size()).toBe(0));
    await cast.pod('vpn', 'vpn', 'node1', ['10.244.1.10'], { labels: { app: 'vpn' } });
    await eventually(() => expect(one.maps.sfcselect.size()).toBe(1));
    const unready = { conditions: [{ type: 'Ready', status: 'False' }] };
    await cast.pod('firewall', 'firewall-2', 'node2', ['10.244.2.20'], { labels: { app: 'firewall' }, status: unready });
    await eventually(() => expect(takers(one)).toEqual(BOTH.slice(0, 1)));
    await cast.pod('firewall', 'firewall-2', 'node2', ['10.244.2.20'], { labels: { app: 'firewall' } });
    await eventually(() => expect(takers(one)).toEqual(BOTH));
    const peers = one.agent.status().counts.peers;
    await cast.node('node3', ['10.244.3.0/24']);
    await eventually(() => expect(one.agent.status().counts.peers).toBe(peers + 1));
    await cast.node('node4', []);
    await eventually(() => expect(one.agent.problems()).toMatchObject([{ resource: 'Node/node4', severity: 'warning' }]));
    for (const name of ['node3', 'node4']) await cast.remove(RESOURCES.nodes, name);
    await eventually(() => expect([one.agent.status().counts.peers, one.agent.problems()]).toEqual([peers, []]));
  });

  it('takes ranges of pods from the settings where Nodes have none', async () => {
    await cast.node('node4', []);
    const one = start({ podCidrs: ['10.128.0.0/14'] });
    await ready(one);
    expect(one.agent.problems()).toEqual([]);
    expect(
      one.agent
        .entries('peer')
        .map((entry) => JSON.stringify(entry))
        .join(),
    ).toContain('10.128.0.0');
    await cast.remove(RESOURCES.nodes, 'node4');
  });

  it('steers no pod of the host network, none that has ended and none without an address', async () => {
    const one = start();
    await eventually(() => expect(takers(one)).toEqual(BOTH));
    const labels = { app: 'vpn' };
    await cast.pod('vpn', 'on-host', 'node1', ['192.168.0.1'], { labels, spec: { hostNetwork: true } });
    await cast.pod('vpn', 'ended', 'node1', ['10.244.1.11'], { labels, status: { phase: 'Succeeded' } });
    await cast.pod('vpn', 'early', 'node1', [], { labels, status: { phase: 'Pending', podIP: '' } });
    // A function on the host's network cannot be sent to either.
    await cast.pod('firewall', 'on-host', 'node2', ['192.168.0.2'], { labels: { app: 'firewall' }, spec: { hostNetwork: true } });
    await cast.pod('vpn', 'another', 'node1', ['10.244.1.12'], { labels });
    await eventually(() => expect(selected(one)).toEqual(['vpn/another', 'vpn/vpn']));
    expect(takers(one)).toEqual(BOTH);
    await cast.pod('vpn', 'early', 'node1', ['10.244.1.13'], { labels });
    await eventually(() => expect(selected(one)?.toSorted()).toEqual(['vpn/another', 'vpn/early', 'vpn/vpn']));
    for (const name of ['on-host', 'ended', 'early', 'another']) await cast.remove(RESOURCES.pods, name, 'vpn');
    await cast.remove(RESOURCES.pods, 'on-host', 'firewall');
    await eventually(() => expect(selected(one)).toEqual(['vpn/vpn']));
    await ready(one);
  });

  it('weighs instances as the controller says, and gives one that is not weighed yet no new flows', async () => {
    const one = start();
    const functions = (weights: object[]) => [
      {
        name: 'firewall',
        namespace: 'firewall',
        podSelector: { matchLabels: { app: 'firewall' } },
        ...(weights.length > 0 ? { weights } : {}),
      },
    ];
    const chain = await cast.chain('firewall', 'firewall', {
      serviceFunctions: functions([{ podSelector: { matchLabels: { app: 'firewall' } }, weight: 20 }]),
    });
    const annotations = { 'networking.gke.io/weights': JSON.stringify({ 'firewall-1': 20 }) };
    await cast.service(chain, 'firewall', { annotations });
    const weights = () =>
      one.agent.chains()[0]?.serviceFunctions[0]?.instances.map(({ pod, weight, newFlows }) => `${pod} ${weight} ${newFlows}`);
    await eventually(() => expect(weights()).toEqual(['firewall/firewall-1 20 yes', 'firewall/firewall-2 0 weight 0']));
    await cast.chain('firewall', 'firewall');
    await cast.service(chain, 'firewall');
    await eventually(() => expect(weights()).toEqual(['firewall/firewall-1 100 yes', 'firewall/firewall-2 100 yes']));
  });

  it('reports what it has programmed, and writes only when that changes', async () => {
    const one = start();
    type Report = KubernetesObject & {
      readonly status?: { readonly chains: object; readonly selectors: object; readonly failing: object[]; readonly failingTotal: number };
    };
    const report = () => client.get<Report>(RESOURCES.steeringNodes, 'node1').then(({ status }) => status);
    const expected = async (resource: Resource) => {
      const digest = new ObjectDigest();
      for (const object of (await client.list(resource)).items) digest.add(object);
      return { digest: digest.hex, count: digest.count };
    };
    const both = async () => ({ chains: await expected(RESOURCES.chains), selectors: await expected(RESOURCES.selectors) });
    await eventually(async () => expect(await report()).toMatchObject({ ...(await both()), failing: [], failingTotal: 0 }));
    const node = await client.get(RESOURCES.nodes, 'node1');
    const written = await client.get<Report>(RESOURCES.steeringNodes, 'node1');
    expect(written.metadata.ownerReferences).toMatchObject([{ kind: 'Node', name: 'node1', uid: node.metadata.uid }]);

    await cast.selector('to-nowhere', 'nowhere', 'vpn', '10.0.0.0/8');
    const failing = [{ kind: 'TrafficSelector', name: 'to-nowhere' }];
    await eventually(async () => expect(await report()).toMatchObject({ ...(await both()), failing, failingTotal: 1 }));
    await cast.remove(RESOURCES.selectors, 'to-nowhere');
    await eventually(async () => expect(await report()).toMatchObject({ ...(await both()), failingTotal: 0 }));

    // Rounds go by, notes and statuses change; nothing of it is news.
    const { resourceVersion } = (await client.get(RESOURCES.steeringNodes, 'node1')).metadata;
    await client.mergePatch(RESOURCES.selectors, 'vpn-to-firewall', { metadata: { annotations: { note: 'none' } } });
    const generation = one.agent.status().reconcile.generation;
    one.agent.hostChanged();
    await eventually(() => expect(one.agent.status().reconcile.generation).toBeGreaterThan(generation));
    const writes = one.agent.status().source.report?.writes;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(one.agent.status().source.report?.writes).toBe(writes);
    expect((await client.get(RESOURCES.steeringNodes, 'node1')).metadata.resourceVersion).toBe(resourceVersion);
  });

  it('goes on without the API server, says so, and catches up', async () => {
    const one = start();
    await eventually(() => expect(takers(one)).toEqual(BOTH));
    await ready(one);
    const before = contents(one);
    await plane.kill('kube-apiserver');
    await eventually(() => expect(one.agent.status().source.trouble).toContain('KUBERNETES_UNREACHABLE'));
    one.agent.hostChanged();
    const { generation } = one.agent.status().reconcile;
    await eventually(() => expect(one.agent.status().reconcile.generation).toBeGreaterThan(generation));
    expect(contents(one)).toBe(before);
    expect(one.agent.status()).toMatchObject({ ready: true });
    expect(one.agent.status().source.since).not.toBe('');
    expect(one.agent.status().source.watches.every(({ staleSeconds }) => staleSeconds > 0)).toBe(true);
    expect(one.agent.problems()).toMatchObject([{ severity: 'error', message: expect.stringContaining('KUBERNETES_UNREACHABLE') }]);
    // Once, however often it is tried.
    expect(one.logged.filter((message) => message.includes('what was read last stays in force'))).toHaveLength(1);
    await plane.restart('kube-apiserver');
    await eventually(() => expect(one.agent.status().source).toMatchObject({ trouble: '', since: '' }));
    expect(contents(one)).toBe(before);
    await cast.selector('more', 'firewall', 'vpn', '10.9.0.0/16');
    await eventually(() => expect(one.maps.sfcselect.size()).toBe(2));
    await cast.remove(RESOURCES.selectors, 'more');
    await eventually(() => expect(one.maps.sfcselect.size()).toBe(1));
  });

  it('that is killed while the API server is away is followed by one that keeps what it finds', async () => {
    const store = createMemoryStore();
    const first = start({ store });
    await eventually(() => expect(takers(first)).toEqual(BOTH));
    await ready(first);
    await plane.kill('kube-apiserver');
    await first.close();
    running.length = 0;
    const before = contents(first);
    const second = start({ store });
    await eventually(() =>
      expect(second.agent.status()).toMatchObject({ ready: false, notReady: expect.stringContaining('KUBERNETES_UNREACHABLE') }),
    );
    second.agent.hostChanged();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(contents(second)).toBe(before);
    expect(second.logged.join()).toContain('what an earlier agent left in the maps stays');
    await plane.restart('kube-apiserver');
    await ready(second);
    expect(contents(second)).toBe(before);
  });

  it('without a rule of its role says which, and programs nothing by halves', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'sfcd', '--namespace=default']);
    await plane.kubectl([
      'create',
      'clusterrole',
      'sfcd',
      '--verb=list,watch',
      '--resource=servicefunctionchains,trafficselectors,services,namespaces,nodes,pods',
    ]);
    await plane.kubectl(['create', 'clusterrolebinding', 'sfcd', '--clusterrole=sfcd', '--serviceaccount=default:sfcd']);
    const { outside } = await plane.serviceAccount('default', 'sfcd');
    const one = start({ config: kubeconfigFile(outside) });
    const rule = '{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list"]}';
    await eventually(() => expect(one.agent.status().notReady).toContain(rule));
    expect([one.maps.sfcpath.size(), one.maps.sfcselect.size()]).toEqual([0, 0]);
    await plane.kubectl(['create', 'clusterrole', 'slices', '--verb=list,watch', '--resource=endpointslices.discovery.k8s.io']);
    await plane.kubectl(['create', 'clusterrolebinding', 'slices', '--clusterrole=slices', '--serviceaccount=default:sfcd']);
    await eventually(() => expect(takers(one)).toEqual(BOTH));
    await eventually(() =>
      expect(one.agent.status().source.report?.trouble).toContain('"resources":["steeringnodes/status"],"verbs":["patch"]'),
    );
  });
});
