/** Functions whose instances come and go under traffic, and a node that does. */

import { beforeAll, describe, expect, it } from 'vitest';
import { rolledOut } from '../../demo/kube/installed.js';
import { runningPods } from '../../demo/kube/pods.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import type { Steady } from '../../demo/testbed/index.js';
import { steered } from './shared.js';
import { expectSteered, proxiesOf, underTraffic } from './traffic.js';

let walkthrough: KubeWalkthrough;
let kubectl: KubeWalkthrough['cluster']['kubectl'];
beforeAll(async () => {
  walkthrough = await steered();
  kubectl = walkthrough.cluster.kubectl;
}, 1_800_000);

/**
 * No datagram is lost and nothing passes unsteered. A TCP connection that is moved to another firewall is refused by
 * it, which has not seen its start; so of those that were open when an instance went, and only of those, some end.
 */
async function expectNoLoss({ udp, tcp }: Steady, proxies: readonly string[], moved: number): Promise<void> {
  expect({ lost: udp.lost, errors: udp.errors }).toEqual({ lost: [], errors: {} });
  expect(tcp.sent).toBeGreaterThan(50);
  expect(tcp.sent - tcp.answered).toBeLessThanOrEqual(moved);
  await expectSteered(walkthrough, { udp, tcp }, proxies);
}

describe('firewalls', () => {
  it('are scaled out and in', async () => {
    const proxies = await proxiesOf(walkthrough);
    const scale = async (replicas: number) => {
      await kubectl(['-n', 'firewall', 'scale', 'deployment/firewall', `--replicas=${replicas}`]);
      await kubectl(['-n', 'firewall', 'rollout', 'status', 'deployment/firewall', '--timeout=120s'], { timeout: 130_000 });
    };
    const steady = await underTraffic(walkthrough, async () => {
      await scale(5);
      await scale(2);
      await gone('firewall', 2);
      await scale(3);
    });
    await expectNoLoss(steady, proxies, 16);
    expect((await walkthrough.observe({ requests: 10 })).faults).toEqual([]);
  }, 400_000);

  it('are evicted one by one', async () => {
    const proxies = await proxiesOf(walkthrough);
    const [victim] = await runningPods(kubectl, 'firewall');
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: victim?.name, namespace: 'firewall' } };
    const steady = await underTraffic(walkthrough, async () => {
      const path = `/api/v1/namespaces/firewall/pods/${victim?.name}/eviction`;
      await kubectl(['create', '--raw', path, '-f', '-'], { stdin: JSON.stringify(eviction) });
      await gone('firewall', 3, victim?.name);
    });
    await expectNoLoss(steady, proxies, 16);
  }, 400_000);

  it('leave a node that is drained, and may come back to it', async () => {
    const proxies = await proxiesOf(walkthrough);
    const node = await otherNode();
    const steady = await underTraffic(walkthrough, async () => {
      await kubectl(['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=120s'], { timeout: 130_000 });
      await walkthrough.podsReady();
    });
    await kubectl(['uncordon', node]);
    await rolledOut(walkthrough.cluster);
    await expectNoLoss(steady, proxies, 16);
    expect((await walkthrough.observe({ requests: 10 })).faults).toEqual([]);
  }, 400_000);
});

describe('a node', () => {
  it('loses its power and comes back: others take its flows as soon as Kubernetes knows, nothing leaves unsteered', async () => {
    const node = await otherNode();
    const before = await proxiesOf(walkthrough);
    const steady = await underTraffic(walkthrough, async () => {
      await walkthrough.cluster.stopNode(node);
      await kubectl(['wait', '--for=condition=Ready=Unknown', `node/${node}`, '--timeout=120s'], { timeout: 130_000 });
      await walkthrough.cluster.startNode(node);
      await walkthrough.cluster.nodesReady();
      await rolledOut(walkthrough.cluster);
      await walkthrough.podsReady();
    });
    // What was sent to it before Kubernetes said that it is gone is lost; from then on nothing is.
    expect(steady.udp.answered).toBeGreaterThan(steady.udp.sent / 4);
    const proxies = [...before, ...(await proxiesOf(walkthrough))];
    await expectSteered(walkthrough, steady, proxies);
    await walkthrough.settled();
    const after = await walkthrough.observe({ requests: 20 });
    expect(after.faults).toEqual([]);
  }, 600_000);
});

/** A node that is not that of the vpn pod. */
async function otherNode(): Promise<string> {
  const vpn = await kubectl(['-n', 'vpn', 'get', 'pod', 'vpn', '-o', 'jsonpath={.spec.nodeName}']);
  return walkthrough.cluster.nodes.find(({ name }) => name !== vpn)?.name ?? '';
}

/** Waits until so many pods are left, without this one. */
async function gone(namespace: string, left: number, name = ''): Promise<void> {
  if (name !== '') await kubectl(['-n', namespace, 'wait', '--for=delete', `pod/${name}`, '--timeout=60s'], { timeout: 70_000 });
  const items = async () => (await kubectl(['-n', namespace, 'get', 'pods', '-o', 'name'])).trim().split('\n').length;
  while ((await items()) > left) await new Promise((resolve) => setTimeout(resolve, 200));
}
