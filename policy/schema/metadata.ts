/** metadata: strict where it is of our kinds, as far as we use it where it is of Kubernetes' own. */

import { type TString, Type } from '@sinclair/typebox';
import { dnsLabel, labelMap } from './strings.js';

const labels = Type.Optional(labelMap({ description: 'Labels of the resource.' }));

/** What the API server keeps there; nothing of it steers, so nothing of it is judged. */
const kept = Type.Optional(Type.Unknown());

/** metadata of a kind without namespaces. */
export function clusterMetadata(kind: string, name: TString) {
  return Type.Object(
    {
      name,
      labels,
      annotations: Type.Optional(
        Type.Unsafe<Record<string, string>>({
          type: 'object',
          additionalProperties: { type: 'string', title: 'annotation', expected: 'a string' },
          description: 'Notes that nothing is selected by.',
        }),
      ),
      uid: Type.Optional(
        Type.String({
          title: 'UID',
          minLength: 1,
          expected: 'a string that is not empty',
          description: "The API server's identity of the resource.",
        }),
      ),
      generateName: kept,
      selfLink: kept,
      resourceVersion: kept,
      generation: kept,
      creationTimestamp: kept,
      deletionTimestamp: kept,
      deletionGracePeriodSeconds: kept,
      ownerReferences: kept,
      finalizers: kept,
      managedFields: kept,
    },
    { additionalProperties: false, refuses: { namespace: `a ${kind} belongs to the cluster, not to a namespace` } },
  );
}

/** metadata of Kubernetes' own kinds. */
export function metadata(name: TString) {
  return Type.Object({
    name,
    namespace: Type.Optional(dnsLabel({ title: 'namespace', description: 'Namespace of the resource; `default` where it is absent.' })),
    labels,
    annotations: Type.Optional(Type.Object({ 'kubernetes.io/config.mirror': Type.Optional(Type.String({ title: 'annotation' })) })),
    uid: Type.Optional(Type.String({ title: 'UID', description: "The API server's identity of the resource." })),
    deletionTimestamp: Type.Optional(Type.String({ title: 'time', description: 'Set once the resource is being deleted.' })),
  });
}
