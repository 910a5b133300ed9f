/** TrafficSelector, networking.gke.io/v1: which packets of which pods are sent into which chain. */

import { type Static, Type } from '@sinclair/typebox';
import { labelSelector } from './label-selector.js';
import { clusterMetadata } from './metadata.js';
import { choice, cidr, dnsSubdomain, typeFields } from './strings.js';

const protocol = Type.Optional(
  choice(['TCP', 'UDP'], { title: 'protocol', default: 'TCP', description: 'Transport protocol; TCP where it is absent.' }),
);

const port = Type.Object(
  {
    allPorts: Type.Optional(Type.Object({ protocol }, { additionalProperties: false, description: 'Every port of the protocol.' })),
    portNumber: Type.Optional(
      Type.Object(
        {
          protocol,
          port: Type.Integer({
            title: 'port',
            minimum: 1,
            maximum: 65_535,
            description: 'Destination port. For every port, use allPorts.',
          }),
        },
        { additionalProperties: false, description: 'One port of the protocol.' },
      ),
    ),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
);

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
        egress: Type.Object(
          {
            to: Type.Optional(
              Type.Object(
                {
                  ipBlock: Type.Object(
                    { cidr: cidr({ description: 'IPv4 or IPv6 prefix of the destinations.' }) },
                    { additionalProperties: false, description: 'Destinations by address.' },
                  ),
                },
                { additionalProperties: false, description: 'Where the packets go. Absent: to every destination, IPv4 and IPv6.' },
              ),
            ),
            ports: Type.Array(port, { minItems: 1, maxItems: 10, description: 'Protocols and ports of the packets.' }),
          },
          { additionalProperties: false, description: 'Which packets that leave the subject are meant.' },
        ),
      },
      {
        additionalProperties: false,
        refuses: { ingress: 'only packets that leave a pod are steered; use egress' },
        description: 'What is wanted.',
      },
    ),
    status: Type.Optional(Type.Object({}, { description: 'What was observed. Kept and not judged.' })),
  },
  { additionalProperties: false },
);

export type TrafficSelector = Static<typeof trafficSelectorSchema>;
