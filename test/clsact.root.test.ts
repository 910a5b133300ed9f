/**
 * The walkthrough on clsact filters, as kernels before 6.6 have it, and the change of an attached
 * node from one method to the other while it runs.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { buildTestbed, inNamespace, nodeNamed, type Testbed, walkthroughCast } from '../demo/testbed/index.js';
import { observeTraffic, runWalkthrough } from '../demo/walkthrough.js';

describe('attached by clsact', () => {
  const bed = walkthroughCast({ prefix: `sfcc${process.pid}` });
  let testbed: Testbed;
  let cluster: Cluster;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, { flags: ['--attach', 'clsact'] });
    await cluster.ready();
  }, 120_000);

  afterAll(async () => {
    await testbed?.teardown();
  }, 30_000);

  it('hangs as a filter of the interface and steers', async () => {
    const { stdout } = await inNamespace(nodeNamed(bed, 'node1').namespace, ['tc', 'filter', 'show', 'dev', 'v-vpn', 'ingress']);
    expect(stdout).toMatch(/direct-action/);
    expect((await runWalkthrough(cluster, { requests: 5 })).faults).toEqual([]);
  }, 60_000);

  it('goes on steering, new flows too, when every agent is dead', async () => {
    const ended = bed.nodes.map(({ name }) => {
      cluster.agent(name).child.kill('SIGKILL');
      return cluster.agent(name).ended;
    });
    await Promise.all(ended);
    expect((await observeTraffic(testbed, { requests: 5 })).faults).toEqual([]);
  }, 60_000);

  it('is taken over by agents that use TCX, with no packet meeting two programs', async () => {
    const again = await startCluster(testbed, { flags: ['--attach', 'tcx'] });
    await again.ready();
    const { stdout } = await inNamespace(nodeNamed(bed, 'node1').namespace, ['tc', 'filter', 'show', 'dev', 'v-vpn', 'ingress']);
    expect(stdout).toBe('');
    expect((await runWalkthrough(again, { requests: 5 })).faults).toEqual([]);
    await again.stop();
  }, 60_000);
});
