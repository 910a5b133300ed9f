/** Selection by labels that change while traffic runs. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentOf, programmed, SYSTEM, unsteeredOn } from '../../demo/kube/installed.js';
import { PodNamespaces, runningPods } from '../../demo/kube/pods.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { SCHEMES, startEchoServer, startSteady } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { TOOLS_IMAGE, until } from './index.js';
import { steered } from './shared.js';

const NAMESPACE = 'shop';
const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: ${NAMESPACE}}
---
apiVersion: v1
kind: Pod
metadata: {name: till, namespace: ${NAMESPACE}, labels: {app: till}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: till, image: ${TOOLS_IMAGE}, imagePullPolicy: Never}]
---
apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: {name: watched-to-proxy}
spec:
  serviceFunctionChain: proxy
  subject:
    pods:
      namespaceSelector: {matchLabels: {audited: "yes"}}
      podSelector: {matchLabels: {watched: "yes"}}
  egress:
    to: {ipBlock: {cidr: ${SCHEMES[4].outside}}}
    ports: [{allPorts: {protocol: TCP}}, {allPorts: {protocol: UDP}}]
`;

let walkthrough: KubeWalkthrough;
let namespaces: PodNamespaces;
beforeAll(async () => {
  walkthrough = await steered();
  namespaces = new PodNamespaces('sfct-labels');
  const { kubectl } = walkthrough.cluster;
  await kubectl(['apply', '-f', '-'], { stdin: OBJECTS });
  await kubectl(['-n', NAMESPACE, 'wait', '--for=condition=Ready', 'pod/till', '--timeout=60s']);
  await programmed(walkthrough.cluster);
}, 1_800_000);

afterAll(async () => {
  await namespaces?.release();
  await walkthrough?.cluster.kubectl(['delete', '--wait', '-f', '-'], { stdin: OBJECTS });
}, 120_000);

describe('labels that change under traffic', () => {
  it('of the pod, and of its namespace: from then on its packets take the chain, and no longer; none is lost', async () => {
    const { kubectl } = walkthrough.cluster;
    const bed = (await walkthrough.bed()).blueprint;
    const [till] = await runningPods(kubectl, NAMESPACE);
    if (till === undefined) throw new Error('no pod');
    const own = till.addresses[0] ?? '';
    const echo = await startEchoServer(bed);
    // Of what is open when a pod becomes selected the datapath cannot know who began it: each request is a flow of its own.
    const to = { server: bed.server.address, port: bed.server.port, eachAlone: true };
    const sender = await startSteady(await namespaces.nameOf(till), to);
    const proxies = bed.pods.filter(({ role }) => role === 'proxy').map(({ address }) => address);
    const now = (peers: readonly string[], what: string) => {
      const from = echo.seen.length;
      return until(
        async () => (echo.seen.length > from + 100 && echo.seen.slice(-50).every(({ peer }) => peers.includes(peer)) ? true : undefined),
        () => new SfcError('COMMAND_FAILED', `${what}: the server sees ${JSON.stringify(echo.seen.at(-1))}`),
      );
    };
    try {
      await now([own], 'unlabelled');
      await kubectl(['label', 'namespace', NAMESPACE, 'audited=yes']);
      await kubectl(['-n', NAMESPACE, 'label', 'pod', 'till', 'watched=yes']);
      await now(proxies, 'both labels');
      await kubectl(['label', 'namespace', NAMESPACE, 'audited-']);
      await now([own], 'the label of the namespace is gone');
      await kubectl(['label', 'namespace', NAMESPACE, 'audited=yes']);
      await now(proxies, 'it is back');
      await kubectl(['-n', NAMESPACE, 'label', 'pod', 'till', 'watched-']);
      await now([own], 'the label of the pod is gone');
    } finally {
      const { udp, tcp } = await sender.end();
      await echo.stop();
      expect({ lost: udp.lost, errors: udp.errors }).toEqual({ lost: [], errors: {} });
      // A connection that is open while the way changes may be cut: the proxy has not seen it begin.
      expect(tcp.sent - tcp.answered).toBeLessThanOrEqual(8);
      expect(tcp.sent).toBeGreaterThan(50);
    }
    expect(await unsteeredOn(walkthrough.cluster)).toBe(0);
    // What the pod had open, the agent has asked the node's connection tracking.
    const said = await kubectl(['-n', SYSTEM, 'logs', await agentOf(walkthrough.cluster, till.node), '-c', 'sfcd']);
    expect(said).toContain('flows that were open when their pods became selected');
    expect(said).not.toContain('what is open at pods that become selected is not known');
  }, 240_000);
});
