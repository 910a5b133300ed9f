/** Pods that send in their first millisecond. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programmed, unsteeredOn } from '../../demo/kube/installed.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { SCHEMES, startEchoServer } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { TOOLS_IMAGE, until } from './index.js';
import { steered } from './shared.js';
import { proxiesOf } from './traffic.js';

const NAMESPACE = 'early';
const COUNT = 30;
/** The shell's own UDP: the container's first process sends before it does anything else. */
const SENDS = (id: string) =>
  `exec 3<>/dev/udp/${SCHEMES[4].server}/9000; printf 'request ${id} .\\n' >&3; head -n 1 <&3; exec sleep infinity`;
const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: ${NAMESPACE}}
---
apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: {name: early-to-firewall}
spec:
  serviceFunctionChain: proxy
  subject:
    pods:
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ${NAMESPACE}}}
      podSelector: {}
  egress:
    to: {ipBlock: {cidr: 0.0.0.0/0}}
    ports: [{allPorts: {protocol: TCP}}, {allPorts: {protocol: UDP}}]
`;

const pod = (index: number) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `early-${index}`, namespace: NAMESPACE, labels: { app: 'early' } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'early', image: TOOLS_IMAGE, imagePullPolicy: 'Never', command: ['bash', '-c', SENDS(`early-${index}`)] }],
  },
});

let walkthrough: KubeWalkthrough;
beforeAll(async () => {
  walkthrough = await steered();
  await walkthrough.cluster.kubectl(['apply', '-f', '-'], { stdin: OBJECTS });
  await programmed(walkthrough.cluster);
}, 1_800_000);

afterAll(async () => {
  await walkthrough?.cluster.kubectl(['delete', '--wait', '-f', '-'], { stdin: OBJECTS, timeout: 180_000 });
}, 200_000);

describe('a pod that is selected', () => {
  it('has its first packet steered, sent in its first millisecond: each of many that start at once', async () => {
    const { kubectl } = walkthrough.cluster;
    const proxies = await proxiesOf(walkthrough);
    const echo = await startEchoServer((await walkthrough.bed()).blueprint);
    try {
      await kubectl(['apply', '-f', '-'], { stdin: Array.from({ length: COUNT }, (_, index) => JSON.stringify(pod(index))).join('\n') });
      await until(
        async () => (new Set(echo.seen.map(({ id }) => id)).size === COUNT ? true : undefined),
        () => new SfcError('COMMAND_FAILED', `of ${COUNT} pods the server has seen ${echo.seen.length}`),
        { withinMs: 180_000 },
      );
      // Each pod sends one datagram and never again: what arrived is the first one.
      for (const { id, peer } of echo.seen) expect([id, proxies.includes(peer) ? 'by a proxy' : peer]).toEqual([id, 'by a proxy']);
    } finally {
      await echo.stop();
    }
    expect(await unsteeredOn(walkthrough.cluster)).toBe(0);
  }, 300_000);
});
