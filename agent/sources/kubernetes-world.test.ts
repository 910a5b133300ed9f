import { describe, expect, it } from 'vitest';
import { parseCidr } from '../../geneve/index.js';
import type { KubernetesObject } from '../../kubernetes/index.js';
import { ObjectStore } from '../../kubernetes/index.js';
import { chainUid, compileNode, type Spi, serviceKey, serviceName } from '../../policy/index.js';
import { ClusterWorld, type WatchedKind } from './kubernetes-world.js';

const STEERING = 'networking.gke.io/v1';
const UID = '0f8fad5b-d9cb-469f-a165-70867728950e';
const chain = (timeoutSeconds: number, resourceVersion: string, generation = 1, status: object = { servicePathId: 7 }): KubernetesObject =>
  ({
    apiVersion: STEERING,
    kind: 'ServiceFunctionChain',
    metadata: { name: 'firewall', uid: UID, resourceVersion, generation },
    spec: {
      sessionAffinity: { clientIPNoDestination: { timeoutSeconds } },
      serviceFunctions: [{ name: 'firewall', namespace: 'firewall', podSelector: { matchLabels: { app: 'firewall' } } }],
    },
    status,
  }) as KubernetesObject;
const selector = (namespaceSelector: object, podSelector: object): KubernetesObject =>
  ({
    apiVersion: STEERING,
    kind: 'TrafficSelector',
    metadata: { name: 'vpn-to-firewall', uid: 'u2', resourceVersion: '1', generation: 1 },
    spec: {
      serviceFunctionChain: 'firewall',
      subject: { pods: { namespaceSelector, podSelector } },
      egress: { to: { ipBlock: { cidr: '0.0.0.0/0' } }, ports: [{ allPorts: { protocol: 'TCP' } }] },
    },
  }) as KubernetesObject;
const node = (name: string, podCIDRs: readonly string[], resourceVersion = '1'): KubernetesObject =>
  ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion },
    spec: { podCIDRs },
    status: { addresses: [] },
  }) as KubernetesObject;

/** A world that is told whole objects, as an informer would tell the differences. */
function cluster(podCidrs: readonly string[] = []) {
  const world = new ClusterWorld(podCidrs.flatMap((text) => parseCidr(text) ?? []));
  const stores = new Map<WatchedKind, ObjectStore<KubernetesObject>>();
  const storeOf = (kind: WatchedKind) => {
    const store = stores.get(kind) ?? new ObjectStore<KubernetesObject>();
    stores.set(kind, store);
    return store;
  };
  return {
    world,
    put: (kind: WatchedKind, object: KubernetesObject) => {
      for (const change of storeOf(kind).set(object)) world.apply(kind, change);
    },
    remove: (kind: WatchedKind, object: KubernetesObject) => {
      for (const change of storeOf(kind).remove(object)) world.apply(kind, change);
    },
  };
}

describe('the world of a cluster', () => {
  it('is read by the rules of manifests, and problems are told of the object', () => {
    const { world, put } = cluster();
    put('chains', chain(0, '1'));
    const { problems, documents, world: read } = world.read();
    expect(problems).toMatchObject([
      {
        severity: 'error',
        file: 'cluster',
        line: 0,
        resource: 'ServiceFunctionChain/firewall',
        message: expect.stringContaining('0 is not a timeout'),
      },
    ]);
    expect([documents, read.chains]).toEqual([1, []]);
  });

  it('keeps the last good version of an object that turns bad, while it is there', () => {
    const { world, put, remove } = cluster();
    put('chains', chain(60, '1'));
    put('chains', chain(0, '2', 2));
    const reading = world.read();
    expect(reading.world.chains.map(({ affinityTimeout }) => affinityTimeout)).toEqual([60]);
    expect(reading.problems[0]?.message).toContain('(the last good version stays in force)');
    remove('chains', chain(0, '2', 2));
    expect(world.read().world.chains).toEqual([]);
  });

  it('reads labels that stand bare as they are meant, and warns', () => {
    const { world, put } = cluster();
    put('selectors', selector({ 'kubernetes.io/metadata.name': 'vpn' }, { app: 'vpn' }));
    const { world: read, problems } = world.read();
    expect(read.selectors[0]?.podSelector.requirements).toEqual([{ key: 'app', operator: 'In', values: ['vpn'] }]);
    expect(problems.map(({ severity, message }) => [severity, message])).toEqual([
      ['warning', 'labels stand directly under namespaceSelector; read as matchLabels'],
      ['warning', 'labels stand directly under podSelector; read as matchLabels'],
    ]);
  });

  it('is new only when something that steers is: not with a status, a heartbeat, a note', () => {
    const { world, put } = cluster();
    put('chains', chain(60, '1'));
    put('nodes', node('node1', ['10.1.0.0/24']));
    world.read();
    expect(world.dirty).toBe(false);
    put('chains', chain(60, '2', 1, { servicePathId: 7, conditions: [{ type: 'Programmed' }] }));
    put('nodes', node('node1', ['10.1.0.0/24'], '2'));
    expect(world.dirty).toBe(false);
    put('chains', chain(60, '3', 1, { servicePathId: 8 }));
    expect(world.dirty).toBe(true);
    world.read();
    // A new generation is to be reported though it means the same.
    put('chains', chain(60, '4', 2, { servicePathId: 8 }));
    expect(world.dirty).toBe(true);
    world.read();
    put('nodes', node('node1', ['10.1.0.0/24', 'fd44:1::/64'], '3'));
    expect(world.dirty).toBe(true);
  });

  it('gives functions the instances of their Services, whose names the chain’s UID ends', () => {
    const { world, put } = cluster();
    put('chains', chain(60, '1'));
    const name = serviceName('firewall', UID);
    put('services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'firewall', name, uid: 's' },
      spec: { clusterIP: '10.96.0.9' },
    } as KubernetesObject);
    put('endpointSlices', {
      metadata: { namespace: 'firewall', name: 'a', uid: 'e', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['10.2.0.1'], nodeName: 'node2', targetRef: { kind: 'Pod', name: 'firewall-1' }, conditions: { ready: true } },
      ],
    } as KubernetesObject);
    const { world: read } = world.read();
    const [firewall] = read.chains;
    if (firewall === undefined) throw new Error('no chain');
    expect([...(read.instances?.keys() ?? [])]).toEqual([serviceKey(firewall, { name: 'firewall', namespace: 'firewall' })]);
    expect(chainUid(firewall)).toBe(UID);
    const service = read.services[0]?.clusterIP;
    const allocations = { spiOf: () => firewall.servicePathId as Spi, serviceAddressOf: () => service };
    const { paths } = compileNode({ world: read, node: 'node1', endpoints: new Map(), allocations });
    expect(paths).toMatchObject([
      { spi: 7, serviceAddress: { text: '10.96.0.9' }, backends: [{ pod: 'firewall/firewall-1', node: 'node2' }] },
    ]);
  });

  it('misses pod ranges, unless the settings name them', () => {
    const { world, put } = cluster();
    for (const name of ['node1', 'node2']) put('nodes', node(name, []));
    expect(world.read().problems).toMatchObject([
      { severity: 'warning', resource: 'Node/node1', message: expect.stringContaining('node1, node2') },
    ]);
    const given = cluster(['10.128.0.0/14']);
    given.put('nodes', node('node1', []));
    const { problems, world: read } = given.world.read();
    expect([problems, read.nodes.flatMap(({ podCidrs }) => podCidrs.map(({ text }) => text))]).toEqual([[], ['10.128.0.0/14']]);
  });

  it('counts objects into digests, whatever is wrong with them', () => {
    const { world, put, remove } = cluster();
    const none = world.read().chains;
    put('chains', chain(0, '1'));
    const one = world.read().chains;
    expect([none.count, one.count, one.digest === none.digest]).toEqual([0, 1, false]);
    remove('chains', chain(0, '1'));
    expect(world.read().chains).toEqual(none);
  });
});
