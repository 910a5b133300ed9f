/** A chain and a selector with every field, for tests to change one thing of. */

import type { Problem } from '../world.js';
import { parseManifests } from './parse.js';

export const CHAIN = `apiVersion: networking.gke.io/v1
kind: ServiceFunctionChain
metadata:
  name: firewall
  uid: 0b0d2ad4-6f0a-4d5e-8f2b-5a5a5a5a5a5a
  labels:
    team: network
  annotations:
    note: "any text: at all"
  creationTimestamp: null
spec:
  sessionAffinity:
    clientIPNoDestination:
      timeoutSeconds: 3600
  internalTrafficPolicy: Cluster
  serviceFunctions:
    - name: firewall
      namespace: firewall
      podSelector:
        matchLabels:
          app: firewall
status:
  servicePathId: 7
  conditions: []
`;

export const SELECTOR = `apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata:
  name: vpn-to-firewall
spec:
  serviceFunctionChain: firewall
  subject:
    network: default
    pods:
      namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: vpn
      podSelector:
        matchLabels:
          app: vpn
        matchExpressions:
          - key: tier
            operator: NotIn
            values: [test]
  egress:
    to:
      ipBlock:
        cidr: 10.0.0.0/8
    ports:
      - allPorts:
          protocol: UDP
      - portNumber:
          protocol: TCP
          port: 443
`;

export const POD = `apiVersion: v1
kind: Pod
metadata:
  name: vpn
  namespace: vpn
  labels:
    app: vpn
spec:
  nodeName: node-one
  containers: []
status:
  phase: Running
  podIP: 10.1.0.10
  podIPs:
    - ip: 10.1.0.10
    - ip: 2001:db8::10
  conditions:
    - type: PodScheduled
      status: "True"
    - type: Ready
      status: "True"
`;

/** The text with one part replaced, and the line on which that part begins. */
export function changed(text: string, from: string, to: string): { readonly text: string; readonly line: number } {
  const at = text.indexOf(from);
  if (at === -1) throw new RangeError(`the text has no ${JSON.stringify(from)}`);
  return { text: text.slice(0, at) + to + text.slice(at + from.length), line: text.slice(0, at).split('\n').length };
}

export const read = (text: string) => parseManifests([{ file: 'a.yaml', text }]);

/** Problems as a reader sees them, without the hints. */
export function told(problems: readonly Problem[]): string[] {
  return problems.map(({ severity, file, document, line, resource, path, message }) =>
    `${severity} ${file}#${document}:${line} ${resource} ${path}: ${message}`.replaceAll(/ +/g, ' '),
  );
}
