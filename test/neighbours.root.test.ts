/**
 * What others do to the programs of a node that steers: taken away while a pod sends. The server judges what has passed by the
 * chain meanwhile, and the agent says what it has put back.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Starts } from '../demo/starts.js';
import { inNamespace, nodeNamed, run } from '../demo/testbed/index.js';

describe.each(['tcx', 'clsact'] as const)('programs attached by %s and taken away', (method) => {
  let starts: Starts;

  beforeAll(async () => {
    starts = await Starts.open({ prefix: `sfcx${method[0]}${process.pid}`, attachment: 'routed', flags: ['--attach', method] });
  }, 120_000);

  afterAll(async () => {
    await starts?.close();
  }, 60_000);

  const node = () => nodeNamed(starts.bed, 'node1').namespace;

  async function take(): Promise<void> {
    if (method === 'clsact') return void (await inNamespace(node(), ['tc', 'qdisc', 'del', 'dev', 's1', 'clsact']));
    const { stdout } = await inNamespace(node(), ['ip', '-j', 'link', 'show', 'dev', 's1']);
    const ifindex = (JSON.parse(stdout) as { ifindex: number }[])[0]?.ifindex;
    const pins = join(starts.cluster.paths('node1').runDirectory, 'bpf');
    const layout = readdirSync(pins).find((name) => /^v\d+$/.test(name)) ?? '';
    await run(['bpftool', 'link', 'detach', 'pinned', join(pins, layout, 'links', `${ifindex}-from_pod`)]);
  }

  it('are back within seconds, and everything is steered again', async () => {
    await Promise.all([starts.announce(1), starts.create(1)]);
    await expect.poll(() => starts.hasArrived(1), { timeout: 20_000 }).toBe(true);
    expect((await starts.judged()).unsteered).toBe(0);
    for (const count of [1, 2, 3]) {
      await take();
      await expect.poll(async () => (await starts.cluster.status('node1')).datapath.restored, { timeout: 20_000 }).toBe(count);
    }
    const { steered, unsteered } = await starts.judged();
    await expect.poll(async () => (await starts.judged()).steered, { timeout: 20_000 }).toBeGreaterThan(steered + 20);
    expect((await starts.judged()).unsteered).toBe(unsteered);
    expect(await starts.cluster.sfc('node1', 'status')).toMatch(/programs put back 3 times/);
    expect((await starts.cluster.status('node1')).guard.holding).toEqual([]);
    await starts.destroy(1);
  }, 90_000);
});
