/** Kubernetes' own kinds, as far as steering reads them. Fields that are not here pass unjudged. */

import { type Static, Type } from '@sinclair/typebox';
import { metadata } from './metadata.js';
import { cidr, dnsLabel, dnsSubdomain, ip, typeFields } from './strings.js';

export const podSchema = Type.Object({
  ...typeFields('v1', 'Pod'),
  metadata: metadata(dnsSubdomain({ title: 'name' })),
  spec: Type.Optional(
    Type.Object({
      nodeName: Type.Optional(Type.String({ title: 'node name', description: 'Node on which the pod is placed.' })),
      hostNetwork: Type.Optional(Type.Boolean({ description: "The pod shares its node's network and is not steered." })),
    }),
  ),
  status: Type.Optional(
    Type.Object({
      phase: Type.Optional(Type.String({ title: 'phase' })),
      podIP: Type.Optional(ip({ description: 'First address of the pod.' })),
      podIPs: Type.Optional(Type.Array(Type.Object({ ip: Type.Optional(ip({ description: 'An address of the pod.' })) }))),
      conditions: Type.Optional(Type.Array(Type.Object({ type: Type.String(), status: Type.String() }))),
    }),
  ),
});

export const namespaceSchema = Type.Object({
  ...typeFields('v1', 'Namespace'),
  metadata: metadata(dnsLabel({ title: 'name' })),
});

export const nodeSchema = Type.Object({
  ...typeFields('v1', 'Node'),
  metadata: metadata(dnsSubdomain({ title: 'name' })),
  spec: Type.Optional(
    Type.Object({
      podCIDR: Type.Optional(cidr({ description: "First prefix of the node's pods." })),
      podCIDRs: Type.Optional(Type.Array(cidr({ description: "A prefix of the node's pods." }))),
    }),
  ),
});

export const serviceSchema = Type.Object({
  ...typeFields('v1', 'Service'),
  metadata: metadata(dnsLabel({ title: 'name' })),
  spec: Type.Optional(
    Type.Object({
      clusterIP: Type.Optional(
        Type.String({
          title: 'cluster address',
          format: 'cluster-ip',
          expected: 'an IPv4 or IPv6 address, or None',
          description: 'Address of the Service.',
        }),
      ),
    }),
  ),
});

export type PodResource = Static<typeof podSchema>;
export type NamespaceResource = Static<typeof namespaceSchema>;
export type NodeResource = Static<typeof nodeSchema>;
export type ServiceResource = Static<typeof serviceSchema>;
