/** Kubernetes' own kinds, as far as steering reads them. Fields that are not here pass unjudged. */

import { type Static, Type } from '@sinclair/typebox';
import { metadata } from './metadata.js';
import { choice, cidr, dnsLabel, dnsSubdomain, ip } from './strings.js';

const apiVersion = choice(['v1'], { title: 'apiVersion' });

export const podSchema = Type.Object({
  apiVersion,
  kind: choice(['Pod'], { title: 'kind' }),
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
  apiVersion,
  kind: choice(['Namespace'], { title: 'kind' }),
  metadata: metadata(dnsLabel({ title: 'name' })),
});

export const nodeSchema = Type.Object({
  apiVersion,
  kind: choice(['Node'], { title: 'kind' }),
  metadata: metadata(dnsSubdomain({ title: 'name' })),
  spec: Type.Optional(
    Type.Object({
      podCIDR: Type.Optional(cidr({ description: "First prefix of the node's pods." })),
      podCIDRs: Type.Optional(Type.Array(cidr({ description: "A prefix of the node's pods." }))),
    }),
  ),
});

export const serviceSchema = Type.Object({
  apiVersion,
  kind: choice(['Service'], { title: 'kind' }),
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
