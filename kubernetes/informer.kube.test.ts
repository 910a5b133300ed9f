/** List and watch, at a real API server: what it tells, and what becomes of that when it is away. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Cut, startCut } from '../test/kube/cut.js';
import { type ControlPlane, startControlPlane } from '../test/kube/index.js';
import { type ClusterConfig, Informer, KubernetesClient, type KubernetesObject, kubeconfigFile, type Resource } from './index.js';

const CONFIG_MAPS: Resource = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };
const NAMESPACE = 'default';

let directory: string;
let plane: ControlPlane;
let config: ClusterConfig;
let admin: KubernetesClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sfck-'));
  plane = await startControlPlane({ directory, name: `sfci${process.pid}`, controllerManager: false, scheduler: false });
  config = kubeconfigFile(plane.kubeconfig);
  admin = new KubernetesClient(config, 'test');
});
afterAll(async () => {
  admin?.close();
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

const make = (name: string, labels: Record<string, string> = {}, value = '1') =>
  admin.create<ConfigMap>(CONFIG_MAPS, { metadata: { name, labels }, data: { value } }, { namespace: NAMESPACE });
const change = (name: string, value: string) => admin.mergePatch(CONFIG_MAPS, name, { data: { value } }, { namespace: NAMESPACE });
const remove = (name: string) => admin.delete(CONFIG_MAPS, name, { namespace: NAMESPACE });
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 50_000, interval: 20 });

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** An informer of config maps with a label, and what it told in words. */
function watch(label: string, by: ClusterConfig = config, options: { readonly silenceMs?: number } = {}) {
  const client = new KubernetesClient(by, 'test');
  const told: string[] = [];
  let settled = 0;
  const informer = new Informer<ConfigMap>({
    client,
    resource: CONFIG_MAPS,
    namespace: NAMESPACE,
    labelSelector: `test=${label}`,
    // So that a test need not wait long.
    random: () => 0,
    ...options,
    onChange: ({ type, object }) => told.push(`${type} ${object.metadata.name} ${object.data?.value}`),
    onSettled: () => settled++,
  });
  closing.push(async () => {
    await informer.close();
    client.close();
  });
  const values = () => Object.fromEntries([...informer.objects.values()].map(({ metadata, data }) => [metadata.name, data?.value]));
  return { informer, client, told, values, settled: () => settled };
}

describe('an informer', () => {
  it('tells what is there, then every change, each once', async () => {
    const labels = { test: 'changes' };
    await make('a', labels);
    const { informer, told, settled } = watch('changes');
    await informer.whenSynced();
    await eventually(() => expect(told).toEqual(['added a 1']));
    await eventually(() => expect(settled()).toBeGreaterThan(0));
    await make('b', labels);
    await change('a', '2');
    await make('of-others');
    await remove('b');
    // One that loses its label has left.
    await admin.mergePatch(CONFIG_MAPS, 'a', { metadata: { labels: { test: 'no-more' } } }, { namespace: NAMESPACE });
    await eventually(() => expect(told).toEqual(['added a 1', 'added b 1', 'modified a 2', 'deleted b 1', 'deleted a 2']));
    expect(informer.objects.size).toBe(0);
    expect(informer.state()).toMatchObject({ synced: true, watching: true, lists: 1, staleMs: 0, trouble: '' });
  });

  it('is synced when there is nothing, and says so', async () => {
    const { informer, told, settled } = watch('nothing');
    await informer.whenSynced();
    await eventually(() => expect(settled()).toBe(1));
    expect(told).toEqual([]);
  });

  it('reads a list of several pages as a whole', async () => {
    const names = Array.from({ length: 1100 }, (_, index) => `page-${String(index).padStart(4, '0')}`);
    for (let at = 0; at < names.length; at += 50) await Promise.all(names.slice(at, at + 50).map((name) => make(name, { test: 'pages' })));
    const client = new KubernetesClient(config, 'test');
    closing.push(async () => client.close());
    const { items } = await client.list<ConfigMap>(CONFIG_MAPS, { namespace: NAMESPACE, labelSelector: 'test=pages' });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(names);
    // Three pages, over one connection.
    expect(client.traffic).toMatchObject({ requests: 3, connections: 1 });
    const { informer, told } = watch('pages');
    await eventually(() => expect([...informer.objects.keys()].sort()).toEqual(names.map((name) => `${NAMESPACE}/${name}`)));
    expect(told).toHaveLength(names.length);
    const [one] = informer.objects.values();
    expect(one).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(one?.metadata).not.toHaveProperty('managedFields');
  });

  it('goes on where it was when its connection is cut', async () => {
    const labels = { test: 'cut' };
    await Promise.all(['x', 'y', 'z'].map((name) => make(name, labels)));
    const relay: Cut = await startCut(config.server);
    closing.push(() => relay.close());
    const { informer, told, values } = watch('cut', { ...config, server: relay.url });
    await informer.whenSynced();
    await eventually(() => expect(told).toHaveLength(3));
    await eventually(() => expect(informer.state().watching).toBe(true));
    told.length = 0;
    relay.cut();
    await change('x', '2');
    await remove('y');
    await make('w', labels);
    await eventually(() => expect(informer.trouble?.code).toBe('KUBERNETES_UNREACHABLE'));
    expect(informer.staleFor()).toBeGreaterThan(0);
    expect(values()).toEqual({ x: '1', y: '1', z: '1' });
    relay.mend();
    await eventually(() => expect(told).toEqual(['modified x 2', 'deleted y 1', 'added w 1']));
    // By the watch: the list was not needed again.
    expect(informer.state()).toMatchObject({ lists: 1, trouble: '', staleMs: 0 });
  });

  it('finds only the differences when its version is forgotten', async () => {
    const labels = { test: 'forgotten' };
    await Promise.all(['p', 'q', 'r'].map((name) => make(name, labels)));
    const relay = await startCut(config.server);
    closing.push(() => relay.close());
    const { informer, told, values } = watch('forgotten', { ...config, server: relay.url });
    await eventually(() => expect(told).toHaveLength(3));
    told.length = 0;
    relay.cut();
    await change('p', '2');
    await change('p', '3');
    await remove('q');
    await make('q', labels, 'again');
    // What was before is forgotten by etcd, and by the API server's own cache, which a new process has none of.
    const { metadata } = await make('s', labels);
    const compaction = JSON.stringify({ revision: metadata.resourceVersion, physical: true });
    await plane.machine.run(['curl', '-fsS', '-d', compaction, 'http://127.0.0.1:2379/v3/kv/compaction']);
    await plane.restart('kube-apiserver');
    relay.mend();
    await eventually(() => expect(values()).toEqual({ p: '3', q: 'again', r: '1', s: '1' }));
    expect(told.toSorted()).toEqual(['added q again', 'added s 1', 'deleted q 1', 'modified p 3']);
    expect(informer.state().lists).toBe(2);
    await change('r', '2');
    await eventually(() => expect(told).toContain('modified r 2'));
  });

  it('keeps what it knows while the API server is dead, and loses nothing of what comes after', async () => {
    const labels = { test: 'dead' };
    await make('m', labels);
    const { informer, told, values } = watch('dead');
    await eventually(() => expect(values()).toEqual({ m: '1' }));
    await plane.kill('kube-apiserver');
    await eventually(() => expect(informer.trouble?.code).toBe('KUBERNETES_UNREACHABLE'));
    expect(values()).toEqual({ m: '1' });
    await plane.restart('kube-apiserver');
    await make('n', labels);
    await change('m', '2');
    await eventually(() => expect(values()).toEqual({ m: '2', n: '1' }));
    expect(told.filter((text) => text === 'added n 1')).toHaveLength(1);
    expect(told.filter((text) => text.startsWith('added m'))).toHaveLength(1);
    expect(informer.trouble).toBeUndefined();
  });

  it('finds out that a connection is dead though nobody closed it', { timeout: 120_000 }, async () => {
    await make('f', { test: 'frozen' });
    const relay = await startCut(config.server);
    closing.push(() => relay.close());
    const { informer, values } = watch('frozen', { ...config, server: relay.url });
    await eventually(() => expect(values()).toEqual({ f: '1' }));
    await eventually(() => expect(informer.state().watching).toBe(true));
    relay.freeze();
    await change('f', '2');
    // A ping within 30 s, and 15 s for its answer.
    await vi.waitFor(() => expect(informer.trouble?.code).toBe('KUBERNETES_UNREACHABLE'), { timeout: 60_000, interval: 100 });
    expect(values()).toEqual({ f: '1' });
    relay.mend();
    await eventually(() => expect(values()).toEqual({ f: '2' }));
  });

  it('opens a watch anew that says nothing, takes that for no trouble, and misses nothing', async () => {
    const { informer, told } = watch('silent', config, { silenceMs: 200 });
    await eventually(() => expect(informer.state().watches).toBeGreaterThan(3));
    await make('s-1', { test: 'silent' });
    await eventually(() => expect(told).toEqual(['added s-1 1']));
    const { watches } = informer.state();
    await eventually(() => expect(informer.state().watches).toBeGreaterThan(watches + 2));
    await change('s-1', '2');
    await eventually(() => expect(told).toEqual(['added s-1 1', 'modified s-1 2']));
    expect(informer.state()).toMatchObject({ lists: 1, trouble: '' });
  });

  it('names the rule that its account lacks, and goes on when it is there', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'poor', `--namespace=${NAMESPACE}`]);
    const { outside } = await plane.serviceAccount(NAMESPACE, 'poor');
    const { informer } = watch('rules', kubeconfigFile(outside));
    await eventually(() => expect(informer.trouble?.code).toBe('KUBERNETES_FORBIDDEN'));
    expect(informer.trouble?.message).toContain('{"apiGroups":[""],"resources":["configmaps"],"verbs":["list"]}');
    await plane.kubectl(['create', 'role', 'lists', `--namespace=${NAMESPACE}`, '--verb=list', '--resource=configmaps']);
    await plane.kubectl([
      'create',
      'rolebinding',
      'lists',
      `--namespace=${NAMESPACE}`,
      '--role=lists',
      `--serviceaccount=${NAMESPACE}:poor`,
    ]);
    await eventually(() => expect(informer.trouble?.message).toContain('"verbs":["watch"]'));
    expect(informer.synced).toBe(true);
    await plane.kubectl([
      'patch',
      'role',
      'lists',
      `--namespace=${NAMESPACE}`,
      '--type=json',
      '-p',
      '[{"op":"add","path":"/rules/0/verbs/-","value":"watch"}]',
    ]);
    await eventually(() => expect(informer.state()).toMatchObject({ watching: true, trouble: '' }));
  });

  it('says that a token is not known', async () => {
    const { informer } = watch('token', {
      ...config,
      tls: async () => ({ ...(await config.tls()), cert: undefined, key: undefined }),
      authorization: async () => 'Bearer nobody',
    });
    await eventually(() => expect(informer.trouble?.code).toBe('KUBERNETES_UNAUTHORIZED'));
  });
});

describe('the client', () => {
  it('applies, patches, replaces and deletes', async () => {
    const owner = { fieldManager: 'test', namespace: NAMESPACE };
    const object = (data: Record<string, string>): ConfigMap => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'applied' },
      data,
    });
    expect((await admin.apply(CONFIG_MAPS, object({ a: '1', b: '1' }), owner)).data).toEqual({ a: '1', b: '1' });
    // What was ours and is no longer in it goes.
    expect((await admin.apply(CONFIG_MAPS, object({ a: '2' }), owner)).data).toEqual({ a: '2' });
    const read = await admin.get<ConfigMap>(CONFIG_MAPS, 'applied', { namespace: NAMESPACE });
    await admin.mergePatch(CONFIG_MAPS, 'applied', { data: { c: '3' } }, { namespace: NAMESPACE });
    await expect(admin.replace(CONFIG_MAPS, read, { namespace: NAMESPACE })).rejects.toMatchObject({ code: 'KUBERNETES_CONFLICT' });
    await expect(make('applied')).rejects.toMatchObject({ code: 'KUBERNETES_CONFLICT' });
    await expect(admin.delete(CONFIG_MAPS, 'applied', { namespace: NAMESPACE, uid: 'of-another' })).rejects.toMatchObject({
      code: 'KUBERNETES_CONFLICT',
    });
    expect([await remove('applied'), await remove('applied')]).toEqual([true, false]);
    await expect(admin.get(CONFIG_MAPS, 'applied', { namespace: NAMESPACE })).rejects.toMatchObject({ code: 'KUBERNETES_NOT_FOUND' });
    await expect(admin.apply(CONFIG_MAPS, object({ 'a b': '1' }), owner)).rejects.toMatchObject({ code: 'KUBERNETES_REFUSED' });
  });
});
