/**
 * A dual-stack cluster whose pods have routed point-to-point links, with a chain of two functions: the nftables firewall,
 * and haproxy as a transparent proxy, which ends connections and begins them anew with the client's own address and port. So
 * answers come from outside straight to the client's node, whose kube-proxy would drop what conntrack has not seen begin.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookAt } from '../../demo/kube/bed.js';
import { commandOf, FUNCTIONS_IMAGE, FUNCTIONS_TAG, type FunctionRole } from '../../demo/kube/images.js';
import { programmed, unsteeredOn } from '../../demo/kube/installed.js';
import { PodNamespaces, type RunningPod, runningPods } from '../../demo/kube/pods.js';
import { type KubeWalkthrough, placeOf } from '../../demo/kube/walkthrough.js';
import { familyOf, inNamespace, SCHEMES, sendRequests, startEchoServer } from '../../demo/testbed/index.js';
import { TOOLS_IMAGE } from './index.js';
import { startSteered } from './shared.js';

const deployment = (name: FunctionRole, replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: ${name}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers: [{name: ${name}, image: "${FUNCTIONS_IMAGE}:${FUNCTIONS_TAG}", command: ["${commandOf(name)}"], imagePullPolicy: Never, securityContext: {privileged: true}}]
---
`;
const namespace = (name: string) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${name}}
---
`;
const selector = (family: 4 | 6) => `
apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: {name: till-ipv${family}}
spec:
  serviceFunctionChain: inspected
  subject:
    pods:
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
      podSelector: {matchLabels: {app: till}}
  egress:
    to: {ipBlock: {cidr: "${SCHEMES[family].outside}"}}
    ports: [{allPorts: {protocol: TCP}}, {allPorts: {protocol: UDP}}]
---
`;
const OBJECTS = `
${['shop', 'firewall', 'transparent-proxy'].map(namespace).join('')}
${deployment('firewall', 2)}
${deployment('transparent-proxy', 2)}
apiVersion: v1
kind: Pod
metadata: {name: till, namespace: shop, labels: {app: till}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: till, image: "${TOOLS_IMAGE}", imagePullPolicy: Never}]
---
apiVersion: networking.gke.io/v1
kind: ServiceFunctionChain
metadata: {name: inspected}
spec:
  sessionAffinity: {clientIPNoDestination: {}}
  serviceFunctions:
    - {name: firewall, namespace: firewall, podSelector: {matchLabels: {app: firewall}}}
    - {name: transparent-proxy, namespace: transparent-proxy, podSelector: {matchLabels: {app: transparent-proxy}}}
---
${selector(4)}
${selector(6)}
`;
const REQUESTS = 20;

let walkthrough: KubeWalkthrough;
let namespaces: PodNamespaces;
beforeAll(async () => {
  walkthrough = await startSteered({ name: 'sfcd2', directory: '/var/tmp/sfcd2', cni: 'ptp', families: 'dual' });
  namespaces = new PodNamespaces('sfcd2');
  const { kubectl } = walkthrough.cluster;
  await kubectl(['apply', '-f', '-'], { stdin: OBJECTS });
  await kubectl(['-n', 'shop', 'wait', '--for=condition=Ready', 'pod/till', '--timeout=120s'], { timeout: 130_000 });
  for (const name of ['firewall', 'transparent-proxy'])
    await kubectl(['-n', name, 'rollout', 'status', `deployment/${name}`, '--timeout=120s'], { timeout: 130_000 });
  await programmed(walkthrough.cluster);
}, 1_800_000);

afterAll(async () => {
  await namespaces?.release();
  await walkthrough?.cluster.stop();
}, 200_000);

/** Packets that a counter of a function's rules has counted, in all of its instances. */
async function counted(pods: readonly RunningPod[], table: string, counter: string): Promise<number> {
  let sum = 0;
  for (const pod of pods) {
    const { stdout } = await inNamespace(await namespaces.nameOf(pod), ['nft', 'list', 'counter', 'inet', table, counter]);
    sum += Number(/packets (\d+)/.exec(stdout)?.[1]);
  }
  return sum;
}

describe('a chain of a firewall and a transparent proxy, in both families', () => {
  it.each([4, 6] as const)(
    'IPv%d: every request is answered, by way of both, and the server sees the client itself',
    async (family) => {
      const { kubectl } = walkthrough.cluster;
      const [firewalls, proxies, [till]] = [
        await runningPods(kubectl, 'firewall'),
        await runningPods(kubectl, 'transparent-proxy'),
        await runningPods(kubectl, 'shop'),
      ];
      if (till === undefined) throw new Error('no pod');
      const bed = (await lookAt(placeOf(walkthrough.cluster, 'dual'), namespaces, {})).blueprint;
      const echo = await startEchoServer(bed);
      const look = async () => [await counted(firewalls, 'firewall', 'opened'), await counted(proxies, 'transparent', 'taken')] as const;
      try {
        const [opened, taken] = await look();
        const own = till.addresses.find((address) => familyOf(address) === family) ?? '';
        const from = { namespace: await namespaces.nameOf(till), addresses: [own] };
        const to = { address: SCHEMES[family].server, port: bed.server.port };
        for (const transport of ['tcp', 'udp'] as const) {
          const ids = Array.from({ length: REQUESTS }, (_, index) => `${transport}${family}-${index}`);
          const results = await sendRequests(bed, { transport, ids, from, to });
          expect(results.map(({ answered, seenAs, error }) => [answered, seenAs, error])).toEqual(ids.map(() => [true, own, '']));
        }
        const after = await look();
        // Of each connection and each flow the firewall has seen one first packet; the proxy has taken the TCP ones.
        expect(after[0] - opened).toBe(2 * REQUESTS);
        expect(after[1] - taken).toBeGreaterThanOrEqual(REQUESTS);
      } finally {
        await echo.stop();
      }
      expect(await unsteeredOn(walkthrough.cluster)).toBe(0);
    },
    180_000,
  );
});
