/** What chains and selectors tell, on a real API server; nodes report as agents do, pods are written as kubelets write them. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KubernetesObject, RESOURCES } from '../kubernetes/index.js';
import { serviceName } from '../policy/index.js';
import { Cast, chainOf, condition, eventually, type Process, selectorOf } from './cast.js';

let cast: Cast;
let leader: Process;

beforeAll(async () => {
  cast = await Cast.start();
  await cast.namespaces('functions', 'clients');
  // Without the controller that makes them, namespaces have no account for pods.
  for (const namespace of ['functions', 'clients'])
    await cast.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } });
  leader = await cast.leader('--resync-seconds=600');
});
afterAll(() => cast?.stop());

let address = 1;

/** A pod as it is when its kubelet has started it. */
async function pod(namespace: string, name: string, labels: Record<string, string>, ready = true): Promise<void> {
  const spec = { nodeName: 'node-one', terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: 'none' }] };
  await cast.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec });
  const podIP = `10.244.1.${address++}`;
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
  const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions };
  await cast.client.mergePatch(RESOURCES.pods, name, { status }, { namespace, subresource: 'status' });
}

const chainSays = (name: string, type: string, text: string) =>
  eventually(async () => expect(condition(await cast.chain(name), type), leader.log()).toBe(text));
const selectorSays = (name: string, type: string, text: string) =>
  eventually(async () => expect(condition(await cast.selector(name), type), leader.log()).toBe(text));

interface EventObject extends KubernetesObject {
  readonly reason: string;
  readonly note: string;
  readonly type: string;
  readonly regarding: { readonly name: string };
  readonly series?: { readonly count: number };
}

const eventsOf = async (name: string) => (await cast.all<EventObject>(RESOURCES.events)).filter(({ regarding }) => regarding.name === name);

describe('Ready', () => {
  it('counts the instances of each function', async () => {
    await cast.apply(chainOf('ready', [{ name: 'fw' }, { name: 'px' }]), selectorOf('ready', 'ready', 'vpn'));
    await chainSays('ready', 'Ready', 'False NoReadyInstance: instances ready: fw 0 of 0, px 0 of 0');
    await pod('functions', 'fw-1', { app: 'fw' });
    await pod('functions', 'fw-2', { app: 'fw' }, false);
    await pod('functions', 'px-1', { app: 'px' });
    await chainSays('ready', 'Ready', 'True InstancesReady: instances ready: fw 1 of 2, px 1 of 1');
    const { status } = await cast.chain('ready');
    expect(status?.functions).toMatchObject([
      { name: 'fw', namespace: 'functions', instances: 2, readyInstances: 1 },
      { name: 'px', instances: 1, readyInstances: 1 },
    ]);
    await selectorSays('ready', 'Ready', 'True ChainReady: chain ready: instances ready: fw 1 of 2, px 1 of 1');
    const since = status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
    await cast.client.delete(RESOURCES.pods, 'fw-2', { namespace: 'functions' });
    await chainSays('ready', 'Ready', 'True InstancesReady: instances ready: fw 1 of 1, px 1 of 1');
    expect((await cast.chain('ready')).status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime).toBe(since);
  });

  it('of a selector is told where its chain is missing, comes and goes', async () => {
    await cast.apply(selectorOf('lone', 'nowhere', 'lone'));
    await selectorSays('lone', 'Ready', 'False ChainMissing: there is no ServiceFunctionChain nowhere');
    await selectorSays('lone', 'Programmed', 'False ChainMissing: there is no ServiceFunctionChain nowhere');
    await cast.apply(chainOf('nowhere', [{ name: 'fw' }]));
    await selectorSays('lone', 'Ready', 'True ChainReady: chain nowhere: instances ready: fw 1 of 1');
    await cast.client.delete(RESOURCES.chains, 'nowhere');
    await selectorSays('lone', 'Ready', 'False ChainMissing: there is no ServiceFunctionChain nowhere');
  });
});

describe('weights', () => {
  it('of all pods of a function stand on its Service, those that have no address yet among them', async () => {
    const weights = [{ podSelector: { matchLabels: { track: 'canary' } }, weight: 5 }];
    await cast.apply(chainOf('canary', [{ name: 'canary', weights }]));
    await pod('functions', 'canary-1', { app: 'canary', track: 'canary' });
    const spec = { containers: [{ name: 'main', image: 'none' }] };
    await cast.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'canary-2', namespace: 'functions', labels: { app: 'canary' } },
      spec,
    });
    const { metadata } = await cast.chain('canary');
    const told = async () => {
      const service = await cast.service('functions', serviceName('canary', metadata.uid ?? ''));
      return service.metadata.annotations?.['networking.gke.io/weights'];
    };
    await eventually(async () => expect(await told()).toBe('{"canary-1":5,"canary-2":100}'));
    await cast.client.mergePatch(RESOURCES.pods, 'canary-2', { metadata: { labels: { track: 'canary' } } }, { namespace: 'functions' });
    await eventually(async () => expect(await told()).toBe('{"canary-1":5,"canary-2":5}'));
    await cast.apply(chainOf('canary', [{ name: 'canary' }]));
    await eventually(async () => expect(await told()).toBeUndefined());
  });
});

describe('Accepted', () => {
  it('says how a selector without matchLabels is read', async () => {
    const bare = selectorOf('bare', 'ready', 'x');
    const subject = { pods: { namespaceSelector: { 'kubernetes.io/metadata.name': 'clients' }, podSelector: { app: 'x' } } };
    await cast.apply({ ...bare, spec: { ...bare.spec, subject } });
    await eventually(async () => {
      const told = condition(await cast.selector('bare'), 'Accepted');
      expect(told).toContain(
        'True AcceptedWithWarnings: spec.subject.pods.namespaceSelector: labels stand directly under namespaceSelector',
      );
    });
    await eventually(async () => expect((await eventsOf('bare')).map(({ reason }) => reason)).toContain('AcceptedWithWarnings'));
  });
});

describe('Conflicted', () => {
  it('names the other selector of the same packets, and who has them', async () => {
    await cast.apply(chainOf('early', [{ name: 'fw' }]));
    await eventually(async () => expect((await cast.chain('early')).status?.servicePathId).toBeDefined());
    await cast.apply(chainOf('late', [{ name: 'px' }]), selectorOf('one', 'early', 'a'), selectorOf('two', 'late', 'b'));
    await selectorSays('one', 'Conflicted', 'False NoConflict: none');
    // One pod with the labels of both makes them rivals.
    await cast.apply({
      ...selectorOf('two', 'late', 'b'),
      spec: { ...selectorOf('two', 'late', 'b').spec, subject: subjectOf('tier', 'b') },
    });
    await pod('clients', 'both', { app: 'a', tier: 'b' });
    const what = '(egress, 0/TCP, 10.0.0.0/8 of clients/both)';
    await selectorSays(
      'one',
      'Conflicted',
      `True SamePackets: TrafficSelector two, to chain late, claims the same packets ${what}; this one has them: the lower servicePathId`,
    );
    await selectorSays(
      'two',
      'Conflicted',
      `True SamePackets: TrafficSelector one, to chain early, claims the same packets ${what}, and has them: the lower servicePathId`,
    );
    await cast.client.delete(RESOURCES.pods, 'both', { namespace: 'clients' });
    await selectorSays('one', 'Conflicted', 'False NoConflict: none');
    await eventually(async () =>
      expect((await eventsOf('one')).map(({ type, reason }) => `${type} ${reason}`)).toEqual(
        expect.arrayContaining(['Warning SamePackets', 'Normal NoConflict']),
      ),
    );
  });

  it('names the chains of a ring', async () => {
    const ring = (name: string, chain: string, app: string) => {
      const selector = selectorOf(name, chain, app);
      const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'functions' } };
      const subject = { pods: { namespaceSelector, podSelector: { matchLabels: { app } } } };
      return { ...selector, spec: { ...selector.spec, subject } };
    };
    await cast.apply(chainOf('r1', [{ name: 'fw' }]), chainOf('r2', [{ name: 'px' }]), ring('r1', 'r1', 'px'), ring('r2', 'r2', 'fw'));
    await chainSays(
      'r1',
      'Conflicted',
      'True Ring: chains lead in a ring: r1 -> r2 -> r1; packets would go round until their NSH TTL ends',
    );
    await cast.client.delete(RESOURCES.selectors, 'r2');
    await chainSays('r1', 'Conflicted', 'False NoConflict: none');
  });
});

function subjectOf(key: string, value: string) {
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'clients' } };
  return { pods: { namespaceSelector, podSelector: { matchLabels: { [key]: value } } } };
}

describe('Programmed', () => {
  it('counts the nodes that have this very generation, and names those that have not', async () => {
    await cast.apply(chainOf('p', [{ name: 'fw' }]), selectorOf('p', 'p', 'p'));
    await chainSays('p', 'Programmed', 'Unknown NoNodes: no node has an agent');
    await cast.report('node-one');
    await cast.report('node-two');
    await chainSays('p', 'Programmed', 'True Programmed: on 2 of 2 nodes');
    await selectorSays('p', 'Programmed', 'True Programmed: on 2 of 2 nodes');
    await cast.apply(chainOf('p', [{ name: 'fw' }, { name: 'px' }]));
    await cast.report('node-two');
    await chainSays('p', 'Programmed', 'False Pending: on 1 of 2 nodes; waiting for node-one');
    expect((await cast.chain('p')).status?.nodes).toEqual({ programmed: 1, total: 2 });
    await selectorSays('p', 'Programmed', 'True Programmed: on 2 of 2 nodes');
    await cast.report('node-one', { failing: [{ kind: 'ServiceFunctionChain', name: 'p', message: 'the map is full' }], failingTotal: 1 });
    await chainSays('p', 'Programmed', 'False Failing: on 1 of 2 nodes; fails on node-one (the map is full)');
    await eventually(async () =>
      expect((await eventsOf('p')).map(({ reason }) => reason)).toEqual(expect.arrayContaining(['Programmed', 'Failing'])),
    );
    await cast.report('node-one');
    await chainSays('p', 'Programmed', 'True Programmed: on 2 of 2 nodes');
  });

  it('does not change when the controller starts anew and a node is in a state that it has not seen', async () => {
    await cast.report('node-one', { chains: { digest: 'f'.repeat(32), count: 99 } });
    const before = (await cast.chain('p')).metadata.resourceVersion;
    await leader.end();
    leader = await cast.leader('--resync-seconds=1');
    const looks = () => leader.metric('sfc_controller_looks_total{kind="chain",result="done"}');
    await eventually(async () => expect(await looks()).toBeGreaterThan(20));
    expect((await cast.chain('p')).metadata.resourceVersion).toBe(before);
    // What is new is not programmed there.
    await cast.apply(chainOf('q', [{ name: 'fw' }]));
    await cast.report('node-two');
    await chainSays('q', 'Programmed', 'False Pending: on 1 of 2 nodes; waiting for node-one');
  });

  it('waits for a node whose agent has not reported yet', async () => {
    await cast.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'sfc-system' } });
    await cast.report('node-one');
    await chainSays('q', 'Programmed', 'True Programmed: on 2 of 2 nodes');
    const spec = { nodeName: 'node-three', containers: [{ name: 'main', image: 'none' }] };
    const labels = { 'app.kubernetes.io/name': 'sfcd' };
    await cast.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'sfcd-3', namespace: 'sfc-system', labels }, spec });
    await chainSays('q', 'Programmed', 'False Pending: on 2 of 3 nodes; waiting for node-three');
    await cast.report('node-three');
    await chainSays('q', 'Programmed', 'True Programmed: on 3 of 3 nodes');
  });
});

describe('events', () => {
  it('that are told again are counted in the one that is there', async () => {
    await cast.apply(selectorOf('again', 'gone', 'again'));
    await selectorSays('again', 'Ready', 'False ChainMissing: there is no ServiceFunctionChain gone');
    for (let round = 0; round < 2; round++) {
      await cast.apply(chainOf('gone', [{ name: 'fw' }]));
      await selectorSays('again', 'Ready', 'True ChainReady: chain gone: instances ready: fw 1 of 1');
      await cast.client.delete(RESOURCES.chains, 'gone');
      await selectorSays('again', 'Ready', 'False ChainMissing: there is no ServiceFunctionChain gone');
    }
    await eventually(async () => {
      const missing = (await eventsOf('again')).filter(({ reason, note }) => reason === 'ChainMissing' && note.startsWith('Ready'));
      expect(missing.map(({ series }) => series?.count)).toEqual([3]);
    });
  });
});
