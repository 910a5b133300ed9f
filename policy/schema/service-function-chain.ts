/** ServiceFunctionChain, networking.gke.io/v1: which functions packets go through, in order. */

import { type Static, Type } from '@sinclair/typebox';
import { PROBE } from '../../maps/index.js';
import { equalitySelector } from './label-selector.js';
import { clusterMetadata } from './metadata.js';
import { choice, dnsLabel, dnsName, dnsSubdomain, typeFields } from './strings.js';

export const DEFAULT_AFFINITY_TIMEOUT = 10_800;

/** The service index is 8 bits and counts down to 1 (RFC 8300 2.3). */
export const MOST_FUNCTIONS = 255;

const clientAddressAffinity = Type.Object(
  {
    timeoutSeconds: Type.Optional(
      Type.Integer({
        title: 'timeout',
        minimum: 1,
        maximum: 86_400,
        default: DEFAULT_AFFINITY_TIMEOUT,
        description: 'How long a client stays with its instance after its last packet: seconds, a day at most.',
      }),
    ),
  },
  { additionalProperties: false, description: "Affinity by the client's address alone, whatever the destination." },
);

/** More are not meant to be written by hand, and each is asked for every instance. */
const MOST_WEIGHTS = 16;

const weight = Type.Object(
  {
    podSelector: equalitySelector({ description: "Which of the function's instances have this weight." }),
    weight: Type.Integer({
      title: 'weight',
      minimum: 0,
      maximum: 100,
      description: 'Share of the new flows, in proportion to the other instances. 0: none, and live flows stay.',
    }),
  },
  { additionalProperties: false },
);

export const DEFAULT_PROBE = { periodMilliseconds: 1000, failureThreshold: 3, successThreshold: 2, port: 7082 } as const;

const probe = Type.Object(
  {
    periodMilliseconds: Type.Optional(
      Type.Integer({
        title: 'period',
        minimum: 100,
        maximum: 60_000,
        default: DEFAULT_PROBE.periodMilliseconds,
        description: 'Milliseconds between two probes of an instance, of each node.',
      }),
    ),
    failureThreshold: Type.Optional(
      Type.Integer({
        title: 'threshold',
        // One may get lost on its way without anything being wrong.
        minimum: 2,
        maximum: 100,
        default: DEFAULT_PROBE.failureThreshold,
        description: 'After so many unanswered probes in a row an instance takes no more packets.',
      }),
    ),
    successThreshold: Type.Optional(
      Type.Integer({
        title: 'threshold',
        minimum: 1,
        maximum: 100,
        default: DEFAULT_PROBE.successThreshold,
        description: 'After so many answered ones in a row it takes them again.',
      }),
    ),
    port: Type.Optional(
      Type.Integer({
        title: 'port',
        minimum: 1,
        maximum: 65_535,
        default: DEFAULT_PROBE.port,
        description: 'UDP port of source and destination, which the function must let through.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'Asks each instance whether it passes packets on, by a UDP packet through it. Absent: readiness alone counts.',
  },
);

const serviceFunction = Type.Object(
  {
    name: dnsName({ title: 'function name', description: 'Name of the function.' }),
    namespace: dnsLabel({ title: 'namespace', description: 'Namespace of the pods that are its instances.' }),
    podSelector: equalitySelector({ description: 'Which pods of the namespace are its instances.' }),
    weights: Type.Optional(
      Type.Array(weight, {
        minItems: 1,
        maxItems: MOST_WEIGHTS,
        description: 'Weights of instances, for a canary; the first entry that names an instance counts. Absent, and for all others: 100.',
      }),
    ),
    probe: Type.Optional(probe),
  },
  { additionalProperties: false },
);

export const serviceFunctionChainSchema = Type.Object(
  {
    ...typeFields('networking.gke.io/v1', 'ServiceFunctionChain'),
    metadata: clusterMetadata('ServiceFunctionChain', dnsSubdomain({ title: 'name', description: 'Name of the chain.' })),
    spec: Type.Object(
      {
        sessionAffinity: Type.Optional(
          Type.Object(
            {
              clientIPNoDestination: Type.Optional(clientAddressAffinity),
              clientIpNoDestination: Type.Optional({ ...clientAddressAffinity, description: 'Another spelling of clientIPNoDestination.' }),
            },
            {
              additionalProperties: false,
              minProperties: 1,
              maxProperties: 1,
              expected: 'clientIPNoDestination (or its other spelling, clientIpNoDestination) and nothing else',
              description: 'Keeps a client with the instance that it has. Absent: every flow is placed anew.',
            },
          ),
        ),
        internalTrafficPolicy: Type.Optional(
          choice(['Cluster'], {
            title: 'traffic policy',
            default: 'Cluster',
            description: 'Where instances are looked for: anywhere in the cluster, evenly. The API knows no other value.',
          }),
        ),
        locality: Type.Optional(
          choice(['None', 'PreferNode', 'PreferZone'], {
            title: 'locality',
            default: 'None',
            description:
              "Which ready instances take the flows that a node sends on: all of them, evenly; or those of that node or of its zone (the Node's label topology.kubernetes.io/zone), and all where none is there.",
          }),
        ),
        onInstanceLoss: Type.Optional(
          choice(['Move', 'Stay', 'Reset'], {
            title: 'instance loss policy',
            default: 'Move',
            description:
              'What becomes of the live flows of an instance that goes away: they move to another; they stay, for an instance that comes back; or TCP is reset both ways and the rest moves.',
          }),
        ),
        failurePolicy: Type.Optional(
          choice(['Drop', 'Bypass', 'Reject'], {
            title: 'failure policy',
            default: 'Drop',
            description:
              'What becomes of the packets that a function has no instance for: they are dropped; they go on unsteered, past the functions that follow too; or their sender is told, by a TCP RST or an ICMP error.',
          }),
        ),
        serviceFunctions: Type.Array(serviceFunction, {
          minItems: 1,
          maxItems: MOST_FUNCTIONS,
          description: 'The functions, in the order in which packets go through them.',
        }),
      },
      { additionalProperties: false, description: 'What is wanted.' },
    ),
    status: Type.Optional(
      Type.Object(
        {
          servicePathId: Type.Optional(
            Type.Integer({
              title: 'servicePathId',
              minimum: 1,
              // The highest number of 24 bits is the path of probes.
              maximum: PROBE.spi - 1,
              description: 'Number of the path, assigned where it is absent. The lower one wins where selectors of two chains tie.',
            }),
          ),
        },
        { description: 'What was observed. Fields beside servicePathId are kept and not judged.' },
      ),
    ),
  },
  { additionalProperties: false },
);

export type ServiceFunctionChain = Static<typeof serviceFunctionChainSchema>;
