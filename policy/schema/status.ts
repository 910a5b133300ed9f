/**
 * What a cluster's controller writes into the status of the two kinds, and each agent into its own
 * small resource. Manifests from a directory are not checked against these: what stands in their
 * status is kept and not judged.
 */

import { type Static, Type } from '@sinclair/typebox';
import { PROBE } from '../../maps/index.js';
import { MOST_FUNCTIONS } from './service-function-chain.js';
import { choice } from './strings.js';

/** metav1.Condition; Kubernetes' own limits. */
const condition = Type.Object(
  {
    type: Type.String({ maxLength: 316, description: 'What is told.' }),
    status: choice(['True', 'False', 'Unknown'], { description: 'Does it hold?' }),
    observedGeneration: Type.Optional(Type.Integer({ minimum: 0, description: 'The metadata.generation that it was found for.' })),
    lastTransitionTime: Type.String({ format: 'date-time', description: 'When `status` changed last.' }),
    reason: Type.String({ minLength: 1, maxLength: 1024, description: 'One word for programs.' }),
    message: Type.String({ maxLength: 32_768, description: 'The same for people.' }),
  },
  { additionalProperties: false },
);

const conditions = (which: string) =>
  Type.Optional(Type.Array(condition, { maxItems: 16, keys: ['type'], description: `${which}; one of each type.` }));

const nodes = Type.Optional(
  Type.Object(
    {
      programmed: Type.Integer({ minimum: 0, description: 'Nodes whose maps hold this generation.' }),
      total: Type.Integer({ minimum: 0, description: 'Nodes that have an agent.' }),
    },
    { additionalProperties: false, description: 'How far the cluster is.' },
  ),
);

const functionStatus = Type.Object(
  {
    name: Type.String({ maxLength: 63, description: 'Name of the function.' }),
    namespace: Type.String({ maxLength: 63, description: 'Namespace of its instances and of its Service.' }),
    service: Type.String({ maxLength: 63, description: 'Name of its Service.' }),
    instances: Type.Integer({ minimum: 0, description: 'Pods that match its podSelector.' }),
    readyInstances: Type.Integer({ minimum: 0, description: 'Those of them that are ready.' }),
  },
  { additionalProperties: false },
);

export const chainStatusSchema = Type.Object(
  {
    servicePathId: Type.Optional(
      Type.Integer({
        minimum: 1,
        // The highest number of 24 bits is the path of probes.
        maximum: PROBE.spi - 1,
        description: 'Number of the path, unique in the cluster. The lower one wins where selectors of two chains tie.',
      }),
    ),
    functionNames: Type.Optional(
      Type.String({ maxLength: 1024, description: 'Names of the functions in order, with commas between them, for `kubectl get`.' }),
    ),
    functions: Type.Optional(
      Type.Array(functionStatus, { maxItems: MOST_FUNCTIONS, keys: ['name'], description: 'Each function once, with its instances.' }),
    ),
    conditions: conditions('Accepted, Programmed, Ready'),
    nodes,
  },
  { additionalProperties: false, description: 'What was observed; the controller writes it.' },
);

export const selectorStatusSchema = Type.Object(
  { conditions: conditions('Accepted, Programmed, Conflicted'), nodes },
  { additionalProperties: false, description: 'What was observed; the controller writes it.' },
);

/** Of failures, so many are named; the rest is counted. */
export const MOST_FAILING = 32;

/** All objects of a kind that a node has programmed, in a size that does not grow with them. */
const programmed = (what: string) =>
  Type.Object(
    {
      digest: Type.String({
        pattern: '^[0-9a-f]{32}$',
        maxLength: 32,
        description: 'XOR of the first 16 bytes of SHA-256("<uid>:<generation>") of each, in hex.',
      }),
      count: Type.Integer({ minimum: 0, description: 'How many they are.' }),
    },
    { additionalProperties: false, description: `The ${what} that the node's maps hold.` },
  );

export const steeringNodeStatusSchema = Type.Object(
  {
    agentVersion: Type.String({ maxLength: 64, description: 'Version of the agent.' }),
    datapath: choice(['kernel', 'userspace'], { description: 'What moves the packets.' }),
    podUid: Type.String({ maxLength: 64, description: "UID of the agent's pod; empty where it runs as none." }),
    chains: programmed('chains'),
    selectors: programmed('selectors'),
    failing: Type.Array(
      Type.Object(
        {
          kind: choice(['ServiceFunctionChain', 'TrafficSelector'], { description: 'Kind of the object.' }),
          name: Type.String({ maxLength: 253, description: 'Name of the object.' }),
          message: Type.String({ maxLength: 1024, description: 'What is missing on this node.' }),
        },
        { additionalProperties: false },
      ),
      { maxItems: MOST_FAILING, description: 'Objects that are not wholly programmed, the first of them.' },
    ),
    failingTotal: Type.Integer({ minimum: 0, description: 'How many they are.' }),
    endpoints: Type.Integer({ minimum: 0, description: 'Pods of the node that the agent looks after.' }),
    observedAt: Type.String({ format: 'date-time', description: 'When the agent wrote this.' }),
  },
  { additionalProperties: false, description: "What the node's agent has programmed; it alone writes it." },
);

export type Condition = Static<typeof condition>;
export type ChainStatus = Static<typeof chainStatusSchema>;
export type FunctionStatus = Static<typeof functionStatus>;
export type SelectorStatus = Static<typeof selectorStatusSchema>;
export type SteeringNodeStatus = Static<typeof steeringNodeStatusSchema>;
