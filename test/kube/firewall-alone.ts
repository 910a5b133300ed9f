/**
 * A chain of a firewall alone, which keeps the client's address, beside kube-proxy as it comes: what conntrack has seen half of is not
 * dropped. A client on every node and two firewalls, so that they are on the client's node and elsewhere; a pod that is reached
 * through its chain, by its own address, by its Service from another pod, and by a port of every node.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandOf, FUNCTIONS_IMAGE, FUNCTIONS_TAG } from '../../demo/kube/images.js';
import { programmed, unsteeredOn } from '../../demo/kube/installed.js';
import { PodNamespaces, type RunningPod, runningPods } from '../../demo/kube/pods.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { type Blueprint, type EchoServer, inNamespace, SCHEMES, sendRequests, startEchoServer } from '../../demo/testbed/index.js';
import { TOOLS_IMAGE } from './index.js';

const NAMESPACE = 'kiosk';
const NODE_PORT = 30_909;
const PORT = 9000;
const PROTOCOLS = '[{allPorts: {protocol: TCP}}, {allPorts: {protocol: UDP}}, {allPorts: {protocol: ICMP}}]';
const subject = (app: string) => `
  subject:
    pods:
      namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ${NAMESPACE}}}
      podSelector: {matchLabels: {app: ${app}}}`;
const tools = `containers: [{name: tools, image: "${TOOLS_IMAGE}", imagePullPolicy: Never}]`;
const pod = (name: string) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${NAMESPACE}, labels: {app: ${name}}}
spec:
  terminationGracePeriodSeconds: 1
  ${tools}
---
`;
const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: ${NAMESPACE}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: client, namespace: ${NAMESPACE}}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata: {labels: {app: client}}
    spec:
      terminationGracePeriodSeconds: 1
      ${tools}
---
${pod('desk')}${pod('visitor')}apiVersion: v1
kind: Service
metadata: {name: desk, namespace: ${NAMESPACE}}
spec:
  type: NodePort
  selector: {app: desk}
  ports: [{name: tcp, port: ${PORT}, protocol: TCP, nodePort: ${NODE_PORT}}, {name: udp, port: ${PORT}, protocol: UDP, nodePort: ${NODE_PORT}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: wall, namespace: ${NAMESPACE}}
spec:
  replicas: 2
  selector: {matchLabels: {app: wall}}
  template:
    metadata: {labels: {app: wall}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: wall}}}]
      containers: [{name: wall, image: "${FUNCTIONS_IMAGE}:${FUNCTIONS_TAG}", command: ["${commandOf('firewall')}"], imagePullPolicy: Never, securityContext: {privileged: true}}]
---
apiVersion: networking.gke.io/v1
kind: ServiceFunctionChain
metadata: {name: wall}
spec:
  serviceFunctions: [{name: wall, namespace: ${NAMESPACE}, podSelector: {matchLabels: {app: wall}}}]
---
apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: {name: client-out}
spec:
  serviceFunctionChain: wall${subject('client')}
  egress:
    to: {ipBlock: {cidr: "${SCHEMES[4].outside}"}}
    ports: ${PROTOCOLS}
---
apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: {name: desk-in}
spec:
  serviceFunctionChain: wall${subject('desk')}
  ingress:
    ports: [{portNumber: {protocol: TCP, port: ${PORT}}}, {portNumber: {protocol: UDP, port: ${PORT}}}]
`;
const REQUESTS = 10;
const TRANSPORTS = ['tcp', 'udp'] as const;

/** Declares the tests, for the cluster that `open` gives; it is left as it was. */
export function firewallAlone(open: () => Promise<KubeWalkthrough>): void {
  describe('a chain of a firewall alone, beside kube-proxy', () => {
    let walkthrough: KubeWalkthrough;
    let namespaces: PodNamespaces;
    let bed: Blueprint;
    const servers: EchoServer[] = [];
    const pods = new Map<string, readonly RunningPod[]>();
    const podsOf = (app: string) => pods.get(app) ?? [];

    beforeAll(async () => {
      walkthrough = await open();
      namespaces = new PodNamespaces(`${walkthrough.cluster.name}-wall`);
      const { kubectl } = walkthrough.cluster;
      await kubectl(['apply', '-f', '-'], { stdin: OBJECTS });
      for (const what of ['daemonset/client', 'deployment/wall'])
        await kubectl(['-n', NAMESPACE, 'rollout', 'status', what, '--timeout=120s'], { timeout: 130_000 });
      await kubectl(['-n', NAMESPACE, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=120s'], { timeout: 130_000 });
      await programmed(walkthrough.cluster);
      for (const app of ['client', 'desk', 'visitor', 'wall']) pods.set(app, await runningPods(kubectl, NAMESPACE, `app=${app}`));
      bed = (await walkthrough.bed()).blueprint;
      const [desk] = podsOf('desk');
      if (desk === undefined) throw new Error('no pod');
      servers.push(await startEchoServer(bed));
      servers.push(await startEchoServer(bed, { namespace: await namespaces.nameOf(desk), addresses: desk.addresses, port: PORT }));
    }, 1_800_000);

    afterAll(async () => {
      for (const server of servers) await server.stop();
      await namespaces?.release();
      await walkthrough?.cluster.kubectl(['delete', '--wait', '-f', '-'], { stdin: OBJECTS, timeout: 120_000 });
    }, 180_000);

    /** First packets that the firewalls have let through. */
    async function opened(): Promise<number> {
      let sum = 0;
      for (const wall of podsOf('wall')) {
        const { stdout } = await inNamespace(await namespaces.nameOf(wall), ['nft', 'list', 'counter', 'inet', 'firewall', 'opened']);
        sum += Number(/packets (\d+)/.exec(stdout)?.[1]);
      }
      return sum;
    }

    interface From {
      readonly namespace: string;
      readonly addresses: readonly string[];
    }

    /** All are answered, and each was a flow of a firewall's. */
    async function throughTheWall(name: string, from: From, to: { readonly address: string; readonly port: number }): Promise<void> {
      for (const transport of TRANSPORTS) {
        const before = await opened();
        const ids = Array.from({ length: REQUESTS }, (_, index) => `${name}-${transport}-${index}`);
        const results = await sendRequests(bed, { transport, ids, from, to });
        expect(results.filter(({ answered }) => !answered)).toEqual([]);
        expect((await opened()) - before).toBe(REQUESTS);
      }
    }

    const at = async (pod: RunningPod): Promise<From> => ({ namespace: await namespaces.nameOf(pod), addresses: pod.addresses });
    const outside = (): From => ({ namespace: bed.server.namespace, addresses: bed.server.addresses });

    it('takes every client’s requests outside and brings the answers back, wherever its firewall is', async () => {
      expect(new Set(podsOf('client').map(({ node }) => node)).size).toBe(3);
      expect(new Set(podsOf('wall').map(({ node }) => node)).size).toBe(2);
      for (const client of podsOf('client')) {
        const from = await at(client);
        await throughTheWall(client.name, from, bed.server);
        const ping = await inNamespace(from.namespace, ['ping', '-c', '5', '-i', '0.2', '-W', '5', bed.server.address]);
        expect(ping.stdout).toContain(' 5 received');
      }
      expect(await unsteeredOn(walkthrough.cluster)).toBe(0);
    }, 240_000);

    it('is passed into a pod, by its own address and by its Service', async () => {
      const [visitor] = podsOf('visitor');
      const [desk] = podsOf('desk');
      if (visitor === undefined || desk === undefined) throw new Error('no pod');
      const service = await walkthrough.cluster.kubectl(['-n', NAMESPACE, 'get', 'svc', 'desk', '-o', 'jsonpath={.spec.clusterIP}']);
      await throughTheWall('own-address', await at(visitor), { address: desk.addresses[0] ?? '', port: PORT });
      await throughTheWall('service', await at(visitor), { address: service, port: PORT });
      await throughTheWall('outside', outside(), { address: desk.addresses[0] ?? '', port: PORT });
    }, 180_000);

    it('is passed into a pod by a port of every node', async () => {
      const { kubectl } = walkthrough.cluster;
      const addresses = await kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}']);
      expect(addresses.split(' ')).toHaveLength(3);
      for (const address of addresses.split(' '))
        await throughTheWall(`node-port-${address.replaceAll('.', '-')}`, outside(), { address, port: NODE_PORT });
    }, 180_000);
  });
}
