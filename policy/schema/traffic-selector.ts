/** TrafficSelector, networking.gke.io/v1: which packets of which pods are sent into which chain. */

import { type Static, Type } from '@sinclair/typebox';
import { labelSelector } from './label-selector.js';
import { clusterMetadata } from './metadata.js';
import { choice, cidr, dnsSubdomain, typeFields } from './strings.js';

const portProtocol = Type.Optional(
  choice(['TCP', 'UDP', 'SCTP'], { title: 'protocol', default: 'TCP', description: 'Transport protocol; TCP where it is absent.' }),
);

const anyProtocol = Type.Optional(
  choice(['TCP', 'UDP', 'SCTP', 'ICMP', 'Any'], {
    title: 'protocol',
    default: 'TCP',
    description: 'IP protocol; TCP where it is absent. ICMP is that of either address family, Any is every protocol.',
  }),
);

const port = Type.Object(
  {
    allPorts: Type.Optional(
      Type.Object({ protocol: anyProtocol }, { additionalProperties: false, description: 'Every port of the protocol, or all of it.' }),
    ),
    portNumber: Type.Optional(
      Type.Object(
        {
          protocol: portProtocol,
          port: Type.Integer({
            title: 'port',
            minimum: 1,
            maximum: 65_535,
            description: 'Destination port, or the first of several. For every port, use allPorts.',
          }),
          endPort: Type.Optional(
            Type.Integer({
              title: 'port',
              minimum: 1,
              maximum: 65_535,
              description: 'Last port of a range that begins with `port`, inclusive. Absent: the one port.',
            }),
          ),
        },
        { additionalProperties: false, description: 'One port of the protocol, or a range.' },
      ),
    ),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
);

const ports = Type.Array(port, { minItems: 1, maxItems: 10, description: 'Protocols and destination ports of the packets.' });

/** The other ends of one direction. */
function peers(options: { readonly whose: string; readonly description: string }) {
  return Type.Optional(
    Type.Object(
      {
        ipBlock: Type.Object(
          {
            cidr: cidr({ description: `IPv4 or IPv6 prefix of the ${options.whose}.` }),
            except: Type.Optional(
              Type.Array(cidr({ description: 'A prefix within `cidr`.' }), {
                minItems: 0,
                maxItems: 100,
                description: 'Parts of `cidr` that are not meant. Absent: none.',
              }),
            ),
          },
          { additionalProperties: false, description: `${options.whose[0]?.toUpperCase()}${options.whose.slice(1)} by address.` },
        ),
      },
      { additionalProperties: false, description: options.description },
    ),
  );
}

export const trafficSelectorSchema = Type.Object(
  {
    ...typeFields('networking.gke.io/v1', 'TrafficSelector'),
    metadata: clusterMetadata('TrafficSelector', dnsSubdomain({ title: 'name', description: 'Name of the selector.' })),
    spec: Type.Object(
      {
        serviceFunctionChain: dnsSubdomain({
          title: 'chain name',
          description: 'Name of the ServiceFunctionChain into which the packets are sent.',
        }),
        subject: Type.Object(
          {
            network: Type.Optional(
              choice(['default'], { title: 'network', description: 'Pod network of the subject. Only the default network is steered.' }),
            ),
            pods: Type.Object(
              {
                // The API asks for both; what is absent is read as Kubernetes reads an empty selector, with a warning.
                namespaceSelector: Type.Optional(labelSelector({ description: 'Namespaces of the pods. Empty or absent: all of them.' })),
                podSelector: Type.Optional(labelSelector({ description: 'Pods in those namespaces. Empty or absent: all of them.' })),
              },
              { additionalProperties: false, description: 'Pods by their labels and those of their namespaces.' },
            ),
          },
          { additionalProperties: false, description: 'Whose packets are meant.' },
        ),
        // At least one of the two: a rule between fields (`manifests/rules.ts`).
        egress: Type.Optional(
          Type.Object(
            {
              to: peers({ whose: 'destinations', description: 'Where the packets go. Absent: to every destination, IPv4 and IPv6.' }),
              ports,
            },
            { additionalProperties: false, description: 'Which packets that leave the subject are meant. Absent: none.' },
          ),
        ),
        ingress: Type.Optional(
          Type.Object(
            {
              from: peers({ whose: 'sources', description: 'Where the packets come from. Absent: from every source, IPv4 and IPv6.' }),
              ports,
            },
            { additionalProperties: false, description: 'Which packets that reach the subject are meant. Absent: none.' },
          ),
        ),
      },
      {
        additionalProperties: false,
        description: 'What is wanted.',
      },
    ),
    status: Type.Optional(Type.Object({}, { description: 'What was observed. Kept and not judged.' })),
  },
  { additionalProperties: false },
);

export type TrafficSelector = Static<typeof trafficSelectorSchema>;
