/** The walkthrough, word by word, in a cluster. */

import { beforeAll, describe, expect, it } from 'vitest';
import { agentOf, SYSTEM, sfcOn, unsteeredOn } from '../../demo/kube/installed.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { steered } from './shared.js';
import { underTraffic } from './traffic.js';

let walkthrough: KubeWalkthrough;
beforeAll(async () => {
  walkthrough = await steered();
}, 1_800_000);

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message: string;
}

async function conditionsOf(kind: string, name: string): Promise<Readonly<Record<string, Condition>>> {
  const { conditions } = JSON.parse(await walkthrough.cluster.kubectl(['get', kind, name, '-o', 'jsonpath={.status}'])) as {
    readonly conditions: readonly Condition[];
  };
  return Object.fromEntries(conditions.map((one) => [one.type, one]));
}

describe('the walkthrough', () => {
  it('steers every request through firewall and proxy, and every reply back', async () => {
    const seen = await walkthrough.observe({ requests: 20 });
    expect(seen.faults).toEqual([]);
    expect(seen.totals.tcp).toMatchObject({ sent: 20, answered: 20, unsteered: 0, strayPackets: 0 });
    expect(seen.totals.udp).toMatchObject({ sent: 20, answered: 20, unsteered: 0, strayPackets: 0 });
    expect(seen.encapsulated).toBeGreaterThan(0);
    expect(await unsteeredOn(walkthrough.cluster)).toBe(0);
  }, 180_000);

  it('1. sets a servicePathId on each chain, each another', async () => {
    const { kubectl } = walkthrough.cluster;
    const ids = (await kubectl(['get', 'servicefunctionchains', '-o', 'jsonpath={.items[*].status.servicePathId}'])).split(' ');
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(Number(id)).toBeGreaterThan(0);
  });

  it('2. makes a ClusterIP Service for each function, found by the label', async () => {
    const label = 'networking.gke.io/managed-by=service-steering-controller.gke.io';
    const { items } = JSON.parse(await walkthrough.cluster.kubectl(['get', 'svc', '-A', '-l', label, '-o', 'json'])) as {
      readonly items: readonly {
        readonly metadata: { readonly name: string; readonly namespace: string };
        readonly spec: Readonly<Record<string, unknown>>;
      }[];
    };
    expect(items.map(({ metadata }) => [metadata.namespace, metadata.name.replace(/-[0-9a-f]{8}$/, '')]).sort()).toEqual([
      ['firewall', 'sf-firewall'],
      ['proxy', 'sf-proxy'],
    ]);
    const affinity = (seconds: number) => ({ clientIP: { timeoutSeconds: seconds } });
    for (const { metadata, spec } of items)
      expect(spec).toMatchObject({
        type: 'ClusterIP',
        ports: [{ name: 'service-steering', port: 7081, protocol: 'UDP' }],
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: affinity(metadata.namespace === 'firewall' ? 3600 : 10_800),
      });
  });

  it('3. and 4. shows paths and selected pods in the pod of the agent, with the commands of the walkthrough', async () => {
    const { cluster } = walkthrough;
    const node = await cluster.kubectl(['-n', 'vpn', 'get', 'pod', 'vpn', '-o', 'jsonpath={.spec.nodeName}']);
    const [addresses, paths, selects] = await Promise.all([
      cluster.kubectl(['get', 'svc', '-A', '-l', 'networking.gke.io/managed-by', '-o', 'jsonpath={.items[*].spec.clusterIP}']),
      sfcOn(cluster, node, 'bpf', 'sfcpath', 'list'),
      sfcOn(cluster, node, 'bpf', 'sfcselect', 'list'),
    ]);
    for (const address of addresses.split(' ')) expect(paths).toContain(address);
    expect(selects).toMatch(/egress, 0\/TCP, 0\.0\.0\.0\/0/);
    expect(selects).toMatch(/egress, 0\/UDP, 0\.0\.0\.0\/0/);
  });

  it('5. has a tcpdump in the pod of the agent, which sees port 7081', async () => {
    const { cluster } = walkthrough;
    const node = await cluster.kubectl(['-n', 'vpn', 'get', 'pod', 'vpn', '-o', 'jsonpath={.spec.nodeName}']);
    const capture = ['timeout', '60', 'tcpdump', '--immediate-mode', '-nn', '-i', 'any', '-c', '3', 'udp', 'port', '7081'];
    const inAgent = ['-n', SYSTEM, 'exec', await agentOf(cluster, node), '-c', 'sfcd', '--'];
    let captured = '';
    await underTraffic(walkthrough, async () => {
      captured = await cluster.kubectl([...inAgent, ...capture], { timeout: 90_000 });
    });
    expect(captured).toMatch(/ > [\d.]+\.7081: UDP, length \d+/);
  }, 180_000);

  it('says of chains and selectors that they are accepted, programmed on all nodes and in no conflict', async () => {
    for (const name of ['firewall', 'proxy']) {
      const conditions = await conditionsOf('servicefunctionchain', name);
      expect(conditions).toMatchObject({ Accepted: { status: 'True' }, Programmed: { status: 'True' }, Ready: { status: 'True' } });
      expect(conditions.Programmed?.message).toContain('3 of 3 nodes');
    }
    for (const name of ['vpn-to-firewall', 'firewall-to-proxy'])
      expect(await conditionsOf('trafficselector', name)).toMatchObject({
        Accepted: { status: 'True' },
        Programmed: { status: 'True' },
        Conflicted: { status: 'False' },
      });
  });
});
