/**
 * Pods that the real CNI plugins make, with `sfc-cni` behind them. As in Kubernetes the source knows the pod from the start, and
 * its address only once it runs: what steers its first packet is what the plugin told. The server judges, by the source of
 * what reaches it (`demo/starts.ts`).
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxesBody } from '../agent/view.js';
import { apiClient } from '../cli/client.js';
import { Starts } from '../demo/starts.js';
import { type Attachment, inNamespace, nodeNamed, run } from '../demo/testbed/index.js';
import { type CniFailure, type CniPod, type CniResult, CniRuntime, type PluginConfig } from './cni-runtime.js';

const NODE = 'node1';

/** The plugin that makes the interface: addresses .50 to .250 of the node's range. */
function maker(starts: Starts, attachment: Attachment): PluginConfig {
  const { podCidr, gateway } = nodeNamed(starts.bed, NODE);
  const address = (last: number) => podCidr.replace(/0\/24$/, String(last));
  const ipam = {
    type: 'host-local',
    dataDir: join(starts.bed.directory, 'ipam'),
    ranges: [[{ subnet: podCidr, rangeStart: address(50), rangeEnd: address(250), ...(attachment === 'bridged' ? { gateway } : {}) }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return attachment === 'bridged' ? { type: 'bridge', bridge: 'cni0', ipam } : { type: 'ptp', ipam };
}

/** The node's runtime, pods in the source, and what `sfc-cni` is told to do. */
class Scene {
  readonly starts: Starts;
  readonly #attachment: Attachment;

  constructor(starts: Starts, attachment: Attachment) {
    this.starts = starts;
    this.#attachment = attachment;
  }

  get settings(): PluginConfig {
    return { type: 'sfc-cni', socket: this.starts.cluster.paths(NODE).socket };
  }

  runtime(settings: Readonly<Record<string, unknown>> = {}): CniRuntime {
    const { namespace } = nodeNamed(this.starts.bed, NODE);
    return new CniRuntime(namespace, [maker(this.starts, this.#attachment), { ...this.settings, ...settings }]);
  }

  /** The chain as it is without `sfc-cni`. */
  bare(): CniRuntime {
    return new CniRuntime(nodeNamed(this.starts.bed, NODE).namespace, [maker(this.starts, this.#attachment)]);
  }

  async pod(id: number): Promise<CniPod> {
    const uid = `uid-${id}`;
    return { id: `container-${id}`, namespace: await this.starts.prepare(id), pod: { namespace: 'starts', name: `start-${id}`, uid } };
  }

  /** The source knows of the pod, as kubelet does before it starts it, or with its addresses, as kubelet reports them afterwards. */
  known(id: number, addresses: readonly string[] = [], uid = `uid-${id}`): Promise<void> {
    const status = addresses.length === 0 ? { phase: 'Pending' } : { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) };
    return this.starts.place(`start-${id}`, [
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `start-${id}`, namespace: 'starts', uid, labels: { app: 'start' } },
        spec: { nodeName: NODE },
        status,
      },
    ]);
  }

  /** Every trace of the pod. */
  async end(id: number, runtime: CniRuntime, pod: CniPod): Promise<void> {
    await runtime.del(pod);
    await this.starts.destroy(id);
    await this.starts.withdraw(id);
  }

  sandboxes(): Promise<SandboxesBody> {
    return apiClient(this.starts.cluster.paths(NODE).socket).get<SandboxesBody>('/v1/sandboxes');
  }

  async unsteered(): Promise<number> {
    const [{ unsteered }, { guard }] = await Promise.all([this.starts.judged(), this.starts.cluster.status(NODE)]);
    return unsteered + guard.unsteered;
  }
}

const addressesOf = (result: CniResult | CniFailure) => {
  if ('code' in result) throw new Error(`${result.code}: ${result.msg}`);
  return result.ips.map(({ address }) => address.replace(/\/\d+$/, ''));
};
const soon = { timeout: 20_000 };

describe.each<['kernel' | 'userspace', Attachment]>([
  ['kernel', 'routed'],
  ['kernel', 'bridged'],
  ['userspace', 'routed'],
])('on the %s datapath, pods of the plugin for %s pods', (datapath, attachment) => {
  let scene: Scene;

  beforeAll(async () => {
    const prefix = `sfcn${datapath[0]}${attachment[0]}${process.pid}`;
    scene = new Scene(await Starts.open({ prefix, attachment, flags: ['--datapath', datapath] }), attachment);
  }, 120_000);

  afterAll(async () => {
    await scene?.starts.close();
  }, 60_000);

  it('send nothing past their chain, though they send before the plugin has returned', async () => {
    const { starts } = scene;
    const runtime = scene.runtime();
    const pods: [number, CniPod][] = [];
    for (const id of [1, 2, 3]) {
      const pod = await scene.pod(id);
      pods.push([id, pod]);
      await scene.known(id);
      starts.begin(id); // it sends in the millisecond in which it can
    }
    const results = await Promise.all(pods.map(([, pod]) => runtime.add(pod)));
    for (const [id] of pods) await expect.poll(() => starts.hasArrived(id), soon).toBe(true);
    // As kubelet reports them now: nothing changes.
    for (const [index, [id]] of pods.entries()) await scene.known(id, addressesOf(results[index] as CniResult));
    const { steered } = await starts.judged();
    await expect.poll(async () => (await starts.judged()).steered, soon).toBeGreaterThan(steered + 20);
    expect(await scene.unsteered()).toBe(0);
    expect((await scene.sandboxes()).items.map(({ pod, missing }) => [pod.name, missing]).sort()).toEqual([
      ['start-1', ''],
      ['start-2', ''],
      ['start-3', ''],
    ]);
    for (const [id, pod] of pods) await scene.end(id, runtime, pod);
    expect(await scene.sandboxes()).toEqual({ items: [] });
    expect(await scene.unsteered()).toBe(0);
  }, 60_000);
});

describe('without the guard', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = new Scene(await Starts.open({ prefix: `sfcno${process.pid}`, attachment: 'routed', flags: ['--guard', 'off'] }), 'routed');
  }, 120_000);

  afterAll(async () => {
    await scene?.starts.close();
  }, 60_000);

  it('the first packet of a pod that starts after the plugin has returned is steered', async () => {
    const { starts } = scene;
    const runtime = scene.runtime();
    for (const id of [1, 2, 3]) {
      const pod = await scene.pod(id);
      await scene.known(id);
      addressesOf(await runtime.add(pod));
      starts.begin(id);
      await expect.poll(() => starts.firstArrived(id), soon).toBe(0);
      await scene.end(id, runtime, pod);
    }
    // The agent's own count has what the kernel sends of its own accord for a new interface.
    expect((await starts.judged()).unsteered).toBe(0);
  }, 60_000);

  it('and without the plugin it is not', async () => {
    const { starts } = scene;
    const runtime = scene.bare();
    const pod = await scene.pod(9);
    await scene.known(9);
    const addresses = addressesOf(await runtime.add(pod));
    starts.begin(9);
    await expect.poll(async () => (await starts.judged()).unsteered, soon).toBeGreaterThan(0);
    await scene.known(9, addresses);
    await scene.end(9, runtime, pod);
  }, 60_000);
});

describe('the plugin', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = new Scene(await Starts.open({ prefix: `sfcnp${process.pid}`, attachment: 'routed' }), 'routed');
  }, 120_000);

  afterAll(async () => {
    await scene?.starts.close();
  }, 60_000);

  const restarted = async () => {
    scene.starts.cluster.startAgent(NODE);
    await scene.starts.cluster.ready();
  };
  const stopped = () => scene.starts.cluster.agent(NODE).stop();

  it('gives the result of the plugins before it unchanged', async () => {
    const { namespace } = nodeNamed(scene.starts.bed, NODE);
    const pod = await scene.pod(1);
    await scene.known(1);
    const [ptp, own] = [maker(scene.starts, 'routed'), scene.settings];
    const bare = scene.bare();
    const made = (await bare.add(pod)) as CniResult;
    const { stdout } = await bare.call(own, 'ADD', pod, { prevResult: made });
    expect(JSON.parse(stdout)).toEqual(made);
    expect((await bare.call(own, 'CHECK', pod, { prevResult: made })).status).toBe(0);
    const runtime = new CniRuntime(namespace, [ptp, own]);
    await runtime.del(pod, made);
    await runtime.del(pod, made); // once more: nothing is there
    const checked = await bare.call(own, 'CHECK', pod, { prevResult: made });
    expect(JSON.parse(checked.stdout)).toMatchObject({ code: 3, cniVersion: '1.0.0' });
    await run(['ip', 'netns', 'delete', pod.namespace]);
    await scene.starts.withdraw(1);
  }, 60_000);

  it('waits for a pod that the source does not know yet, and for the one of that UID', async () => {
    const runtime = scene.runtime({ timeoutSeconds: 20 });
    const pod = await scene.pod(2);
    await scene.known(2, [], 'uid-of-the-one-before');
    const adding = runtime.add(pod);
    await expect
      .poll(async () => (await scene.sandboxes()).items[0]?.missing, soon)
      .toBe('no pod starts/start-2 of UID uid-2 is known yet');
    await scene.known(2);
    addressesOf(await adding);
    await runtime.del(pod);
    await run(['ip', 'netns', 'delete', pod.namespace]);
    await scene.starts.withdraw(2);
  }, 60_000);

  it('says after its time what is missing, and the runtime tries again', async () => {
    const runtime = scene.runtime({ timeoutSeconds: 0.5 });
    const pod = await scene.pod(3);
    const refused = (await runtime.add(pod)) as CniFailure;
    expect(refused).toMatchObject({
      code: 11,
      msg: expect.stringContaining('SANDBOX_PENDING: not in place after 0.5 s: no pod starts/start-3'),
    });
    await runtime.del(pod);
    addressesOf(await scene.runtime({ timeoutSeconds: 0.5, whenAway: 'allow' }).add(pod));
    await runtime.del(pod);
    await run(['ip', 'netns', 'delete', pod.namespace]);
  }, 60_000);

  it('lets a pod start while the agent is away where the guard holds its packets, until it is back', async () => {
    const { starts } = scene;
    const runtime = scene.runtime({ awaySeconds: 0 });
    await stopped();
    const pod = await scene.pod(4);
    await scene.known(4);
    starts.begin(4);
    const addresses = addressesOf(await runtime.add(pod));
    expect(starts.hasArrived(4)).toBe(false);
    await scene.known(4, addresses);
    await restarted();
    await expect.poll(() => starts.hasArrived(4), soon).toBe(true);
    expect(await scene.unsteered()).toBe(0);
    await stopped();
    await scene.end(4, runtime, pod); // DEL succeeds without an agent
    await restarted();
  }, 60_000);

  it('lets none start while the agent is away where nothing would hold it, nor where it shall fail', async () => {
    const { namespace } = nodeNamed(scene.starts.bed, NODE);
    await stopped();
    const pod = await scene.pod(5);
    const away = { code: 11, msg: expect.stringContaining('sfcd is away') };
    expect(await scene.runtime({ awaySeconds: 0, whenAway: 'fail' }).add(pod)).toMatchObject(away);
    const unguarded = { awaySeconds: 0, guardMark: '/nowhere/guard' };
    expect(await scene.runtime(unguarded).add(pod)).toMatchObject(away);
    addressesOf(await scene.runtime({ ...unguarded, whenAway: 'allow' }).add(pod));
    await scene.runtime().del(pod);
    const status = (settings: object) => new CniRuntime(namespace, [], '1.1.0').call({ ...scene.settings, ...settings }, 'STATUS');
    expect((await status({})).status).toBe(0);
    expect(JSON.parse((await status(unguarded)).stdout)).toMatchObject({ code: 50 });
    await restarted();
    expect((await status(unguarded)).status).toBe(0);
    await run(['ip', 'netns', 'delete', pod.namespace]);
  }, 60_000);

  it('has told an agent that starts again: addresses that the source has not yet are known', async () => {
    const { starts } = scene;
    const runtime = scene.runtime();
    const pod = await scene.pod(6);
    await scene.known(6);
    addressesOf(await runtime.add(pod));
    await stopped();
    await restarted();
    starts.begin(6);
    await expect.poll(() => starts.firstArrived(6), soon).toBe(0);
    // The runtime loses the sandbox, and nobody tells: it goes with its interface.
    await starts.destroy(6);
    await expect.poll(async () => (await scene.sandboxes()).items, soon).toEqual([]);
    expect(await readdir(join(starts.cluster.paths(NODE).runDirectory, 'sandboxes'))).toEqual([]);
    await runtime.del(pod);
    await starts.withdraw(6);
  }, 60_000);

  it('forgets what the runtime no longer counts among the valid', async () => {
    const runtime = scene.runtime();
    const pods = [await scene.pod(7), await scene.pod(8)] as const;
    for (const [index, pod] of pods.entries()) {
      await scene.known(7 + index);
      addressesOf(await runtime.add(pod));
    }
    const newest = new CniRuntime(nodeNamed(scene.starts.bed, NODE).namespace, [], '1.1.0');
    const valid = [{ containerID: pods[1].id, ifname: 'eth0' }];
    expect((await newest.call(scene.settings, 'GC', undefined, { 'cni.dev/valid-attachments': valid })).status).toBe(0);
    expect((await scene.sandboxes()).items.map(({ id }) => id)).toEqual([pods[1].id]);
    for (const [index, pod] of pods.entries()) {
      await runtime.del(pod);
      await run(['ip', 'netns', 'delete', pod.namespace]);
      await scene.starts.withdraw(7 + index);
    }
  }, 60_000);

  it('is nobody’s business where the sandbox is no pod’s', async () => {
    const { namespace } = nodeNamed(scene.starts.bed, NODE);
    const made = { cniVersion: '1.0.0', interfaces: [], ips: [] };
    const call = [
      'env',
      'CNI_COMMAND=ADD',
      'CNI_CONTAINERID=x',
      'CNI_NETNS=/x',
      'CNI_IFNAME=eth0',
      process.execPath,
      'dist/cni/sfc-cni.cjs',
    ];
    const stdin = JSON.stringify({ cniVersion: '1.0.0', name: 'podman', ...scene.settings, prevResult: made });
    expect(JSON.parse((await inNamespace(namespace, call, { stdin })).stdout)).toEqual(made);
    expect((await readFile(scene.starts.cluster.paths(NODE).log, 'utf8')).includes('a request failed')).toBe(false);
  });
});
