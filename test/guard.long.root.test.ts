/**
 * No packet of a selected pod passes by its chain: while pods come and go, while policy changes all the time, and while
 * the agent is away. The server judges, by the source of what reaches it (`demo/starts.ts`).
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comeAndGo } from '../demo/churn.js';
import { type Choice, policyOf, Starts } from '../demo/starts.js';
import { type Attachment, inNamespace, nodeNamed } from '../demo/testbed/index.js';

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

describe.each<['kernel' | 'userspace', Attachment]>([
  ['kernel', 'routed'],
  ['kernel', 'bridged'],
  ['userspace', 'routed'],
])('on the %s datapath, %s pods', (datapath, attachment) => {
  let starts: Starts;

  beforeAll(async () => {
    const prefix = `sfcg${datapath[0]}${attachment[0]}${process.pid}`;
    starts = await Starts.open({ prefix, attachment, flags: ['--datapath', datapath] });
  }, 120_000);

  afterAll(async () => {
    await starts?.close();
  }, 60_000);

  /** Packets that the guard of the pods' node has held so far, as nft(8) says. */
  async function held(): Promise<number> {
    const { namespace } = nodeNamed(starts.bed, 'node1');
    const counters = async (family: string) =>
      (await inNamespace(namespace, ['nft', 'list', 'counter', family, 'sfc_guard', 'from_pod'])).stdout;
    const texts = [await counters('inet'), await counters('bridge')];
    return texts.reduce((sum, text) => sum + Number(/packets (\d+)/.exec(text)?.[1]), 0);
  }

  async function nothingPassed(): Promise<void> {
    expect((await starts.judged()).unsteered).toBe(0);
  }

  /** Packets that are sent from now on reach the server again. */
  async function steersAgain(): Promise<void> {
    const { steered } = await starts.judged();
    await expect.poll(async () => (await starts.judged()).steered, { timeout: 20_000 }).toBeGreaterThan(steered + 20);
  }

  it('nothing passes while pods come and go, and every one of them gets through', async () => {
    const stories = await comeAndGo(starts, { ids: numbers(0, 20), parallel: 3, lifeMs: 100 });
    expect(stories.filter(({ heldMs }) => heldMs === undefined)).toEqual([]);
    await nothingPassed();
    expect((await starts.judged()).steered).toBeGreaterThan(100);
    const { guard } = await starts.cluster.status('node1');
    expect(guard).toMatchObject({ state: 'on', why: '', unsteered: 0 });
    expect(guard.held.fromPod).toBeGreaterThan(100);
  }, 60_000);

  it('nor while chains, selectors and functions are replaced all the time', async () => {
    const staying = [100, 101];
    for (const id of staying) await Promise.all([starts.announce(id), starts.create(id)]);
    let changing = true;
    const sets = ['a', 'b', 'both'] as const satisfies readonly (Choice | 'both')[];
    const changes = (async () => {
      let count = 0;
      for (; changing; count++) {
        await starts.place('policy', policyOf(`chain-${count % 4}`, sets[count % 3] ?? 'both', `selector-${count % 2}`));
        await sleep(60);
      }
      return count;
    })();
    try {
      const stories = await comeAndGo(starts, { ids: numbers(110, 9), parallel: 3, lifeMs: 200 });
      expect(stories.filter(({ heldMs }) => heldMs === undefined)).toEqual([]);
    } finally {
      changing = false;
    }
    expect(await changes).toBeGreaterThan(10);
    for (const id of staying) {
      expect((await starts.destroy(id)).heldMs).toBeDefined();
      await starts.withdraw(id);
    }
    await starts.place('policy', policyOf('starts', 'both'));
    await nothingPassed();
  }, 60_000);

  it('nor of a pod whose manifest has gone, for as long as it sends', async () => {
    await Promise.all([starts.announce(200), starts.create(200)]);
    await expect.poll(() => starts.hasArrived(200), { timeout: 20_000 }).toBe(true);
    await starts.withdraw(200);
    const before = await held();
    await expect.poll(held, { timeout: 20_000 }).toBeGreaterThan(before + 20);
    const { holding } = (await starts.cluster.status('node1')).guard;
    expect(holding.map((one) => one.interface)).toContain('s200');
    await starts.announce(200);
    await steersAgain();
    await starts.destroy(200);
    await starts.withdraw(200);
    await nothingPassed();
  }, 60_000);

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'nor while the agent is away after %s, and pods start meanwhile',
    async (signal) => {
      const first = signal === 'SIGKILL' ? 300 : 310;
      const [living, ...starting] = numbers(first, 4) as [number, ...number[]];
      await Promise.all([starts.announce(living), starts.create(living)]);
      await expect.poll(() => starts.hasArrived(living), { timeout: 20_000 }).toBe(true);
      const agent = starts.cluster.agent('node1');
      agent.child.kill(signal);
      await agent.ended;
      const before = await held();
      for (const id of starting) await Promise.all([starts.announce(id), starts.create(id)]);
      await expect.poll(held, { timeout: 20_000 }).toBeGreaterThan(before + 50);
      expect(starting.filter((id) => starts.hasArrived(id))).toEqual([]);
      starts.cluster.startAgent('node1');
      await expect.poll(() => starting.filter((id) => !starts.hasArrived(id)), { timeout: 30_000 }).toEqual([]);
      await steersAgain();
      await nothingPassed();
      expect((await starts.cluster.status('node1')).guard).toMatchObject({ state: 'on', unsteered: 0 });
      for (const id of [living, ...starting]) {
        await starts.destroy(id);
        await starts.withdraw(id);
      }
    },
    60_000,
  );
});
