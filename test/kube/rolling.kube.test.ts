/** What operators do to sfc itself, under traffic: agents that are replaced, a controller that dies, an API server that is away. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { StatusView } from '../../agent/view.js';
import { programmed, rolledOut, SYSTEM } from '../../demo/kube/installed.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { CLI_PROGRAM } from '../../demo/project.js';
import { run } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { until } from './index.js';
import { steered } from './shared.js';
import { expectSteered, expectWhole, proxiesOf, underTraffic } from './traffic.js';

let walkthrough: KubeWalkthrough;
let proxies: readonly string[];
beforeAll(async () => {
  walkthrough = await steered();
  proxies = await proxiesOf(walkthrough);
}, 1_800_000);

const chain = (name: string) => `
apiVersion: networking.gke.io/v1
kind: ServiceFunctionChain
metadata: {name: ${name}}
spec:
  serviceFunctions: [{name: firewall, namespace: firewall, podSelector: {matchLabels: {app: firewall}}}]
---
`;

/** Asked over its socket, as somebody on the node does: it is answered while the API server is away. */
async function statusOf(node: string): Promise<StatusView> {
  const socket = walkthrough.cluster.node(node).machine.pathOf('/run/sfc/sfcd.sock');
  return JSON.parse((await run([process.execPath, CLI_PROGRAM, '--socket', socket, 'status', '-o', 'json'])).stdout) as StatusView;
}

describe('a rolling update of the agents', () => {
  it('loses no packet, and lets none pass unsteered', async () => {
    const { kubectl } = walkthrough.cluster;
    const uids = () =>
      kubectl(['-n', SYSTEM, 'get', 'pods', '-l', 'app.kubernetes.io/name=sfcd', '-o', 'jsonpath={.items[*].metadata.uid}']);
    const before = (await uids()).split(' ');
    const steady = await underTraffic(walkthrough, async () => {
      await kubectl(['-n', SYSTEM, 'rollout', 'restart', 'daemonset/sfcd']);
      await rolledOut(walkthrough.cluster);
    });
    for (const uid of (await uids()).split(' ')) expect(before).not.toContain(uid);
    expectWhole(steady.udp, proxies, 500);
    expectWhole(steady.tcp, proxies, 50);
    await expectSteered(walkthrough, steady, proxies);
  }, 400_000);
});

describe('the API server and etcd', () => {
  it('may be away: what is steered goes on, the agents say so, and go on when they are back', async () => {
    const { kubectl, plane } = walkthrough.cluster;
    const steady = await underTraffic(walkthrough, async () => {
      await plane.kill('kube-apiserver');
      await plane.kill('etcd');
      const stale = async () => ((await statusOf('n1')).source.trouble === '' ? undefined : true);
      await until(stale, () => new SfcError('COMMAND_FAILED', 'the agent does not notice'), { withinMs: 90_000 });
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await plane.restart('etcd');
      await plane.restart('kube-apiserver');
    });
    expectWhole(steady.udp, proxies, 500);
    expectWhole(steady.tcp, proxies, 50);
    // What is told now arrives.
    await kubectl(['apply', '-f', '-'], { stdin: chain('after') });
    await programmed(walkthrough.cluster);
    await kubectl(['delete', '-f', '-'], { stdin: chain('after') });
    await expectSteered(walkthrough, steady, proxies);
  }, 400_000);
});

describe('the controller', () => {
  it('may be killed at any point while chains come and go: ids stay each chain’s own, Services are as they should be', async () => {
    const { kubectl } = walkthrough.cluster;
    const names = Array.from({ length: 12 }, (_, index) => `churn-${index}`);
    const kill = () =>
      kubectl(['-n', SYSTEM, 'delete', 'pod', '-l', 'app.kubernetes.io/name=sfc-controller', '--force', '--grace-period=0']);
    const idsBefore = await kubectl([
      'get',
      'servicefunctionchains',
      'firewall',
      'proxy',
      '-o',
      'jsonpath={.items[*].status.servicePathId}',
    ]);
    const steady = await underTraffic(walkthrough, async () => {
      for (const [index, name] of names.entries()) {
        await kubectl(['apply', '-f', '-'], { stdin: chain(name) });
        if (index % 3 === 1) await kill();
        if (index % 4 === 3) await kubectl(['delete', 'servicefunctionchain', names[index - 2] ?? '']);
      }
      await rolledOut(walkthrough.cluster);
      await programmed(walkthrough.cluster);
    });
    const all = (await kubectl(['get', 'servicefunctionchains', '-o', 'jsonpath={.items[*].status.servicePathId}'])).split(' ');
    expect(all).toHaveLength(2 + 12 - 3);
    expect(new Set(all).size).toBe(all.length);
    expect(await kubectl(['get', 'servicefunctionchains', 'firewall', 'proxy', '-o', 'jsonpath={.items[*].status.servicePathId}'])).toBe(
      idsBefore,
    );
    const services = async () =>
      (await kubectl(['-n', 'firewall', 'get', 'svc', '-l', 'networking.gke.io/managed-by', '-o', 'name'])).trim().split('\n').length;
    await until(
      async () => ((await services()) === all.length - 1 ? true : undefined),
      () => new SfcError('COMMAND_FAILED', 'as many Services of firewalls as chains with one'),
    );
    await kubectl(['delete', 'servicefunctionchain', ...names, '--ignore-not-found']);
    expectWhole(steady.udp, proxies, 500);
    await expectSteered(walkthrough, steady, proxies);
  }, 600_000);
});
