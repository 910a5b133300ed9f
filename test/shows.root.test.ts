/**
 * What `make demo DEMO=chain`, `reply` and `twice` show, asserted on both datapaths: chains of several functions,
 * stateful firewalls among them that refuse what they saw only half of, and replies from a server outside
 * that knows the clients themselves.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import { recordTraffic } from '../demo/record.js';
import { expectedOf, runShow, SHOWS } from '../demo/shows.js';
import { buildTestbed, type FamilyForm, inFamily, inNamespace, iperf, type Testbed } from '../demo/testbed/index.js';
import { judgeWay } from '../demo/way.js';

describe.each<[keyof typeof SHOWS, 'kernel' | 'userspace', FamilyForm]>([
  ['chain', 'kernel', '6'],
  ['chain', 'userspace', '4'],
  ['reply', 'kernel', 'dual'],
  ['reply', 'userspace', '6'],
  ['twice', 'kernel', '6-in-4'],
  ['twice', 'userspace', 'dual'],
  ['reply', 'userspace', '4-in-6'],
])('the show %s on the %s datapath, of form %s', (name, datapath, family) => {
  const show = SHOWS[name];
  const bed = show.bed(`sfcs${process.pid}`, family);
  let testbed: Testbed;
  let cluster: Cluster;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed, { flags: ['--datapath', datapath], policy: show.policy(bed), expected: expectedOf(show, bed) });
    await cluster.ready();
  }, 120_000);

  afterAll(async () => {
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  it('takes every request through every function, and every reply through the same instances in reverse', async () => {
    const { faults, byFamily } = await runShow(show, cluster, { requests: 20 });
    expect(faults).toEqual([]);
    expect(byFamily.map((one) => one.family)).toEqual(bed.families.traffic);
    for (const { totals } of byFamily)
      for (const transport of ['tcp', 'udp'] as const)
        expect(totals[transport]).toEqual({ sent: 20, answered: 20, inOrder: 20, inReverse: 20, unsteered: 0 });
  }, 60_000);

  it.each(bed.families.traffic)(
    'carries bulk TCP both ways, over IPv%i',
    async (family) => {
      const { namespace = '', addressing = [] } = bed.client ?? {};
      const from = { namespace, address: inFamily(addressing, family).addresses[1] ?? '' };
      const to = { namespace: bed.server.namespace, address: inFamily(bed.server.addressing, family).address };
      for (const extra of [[], ['-R']]) expect((await iperf({ from, to, seconds: 1, extra })).bytes).toBeGreaterThan(1_000_000);
    },
    60_000,
  );

  it('is refused nothing by its firewalls: they saw both directions of everything', async () => {
    for (const firewall of bed.pods.filter(({ role }) => role === 'firewall')) {
      const { stdout } = await inNamespace(firewall.namespace, ['nft', '-j', 'list', 'counter', 'inet', 'firewall', 'refused']);
      expect(stdout).toMatch(/"packets": ?0\b/);
    }
  });
});

describe('the show reply without an agent', () => {
  const show = SHOWS.reply;
  const bed = show.bed(`sfcn${process.pid}`);
  let testbed: Testbed;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
  }, 60_000);

  afterAll(() => testbed?.teardown(), 60_000);

  it('proves nothing: everything is answered, and nothing passed a function', async () => {
    const { points, results } = await recordTraffic(testbed, { requests: 3 });
    const { totals } = judgeWay(points, results, show.chain);
    expect(totals.udp).toEqual({ sent: 3, answered: 3, inOrder: 0, inReverse: 0, unsteered: 3 });
    expect(totals.tcp).toEqual({ sent: 3, answered: 3, inOrder: 0, inReverse: 0, unsteered: 3 });
  }, 60_000);
});
