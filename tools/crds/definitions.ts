/** The three kinds as CustomResourceDefinitions: names, what `kubectl get` shows, schemas, rules. */

import { chainStatusSchema, SCHEMAS, STEERING_GROUP, selectorStatusSchema, steeringNodeStatusSchema } from '../../policy/schema/index.js';
import { CHAIN_AMENDMENTS, SELECTOR_AMENDMENTS } from './rules.js';
import { type Amendments, type Schema, type Structural, structural } from './structural.js';

interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** Not 0: shown with `-o wide` alone. */
  readonly priority?: number;
}

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  /** Undefined: the kind has none. */
  readonly spec: Schema | undefined;
  readonly status: Schema;
  readonly amendments: Amendments;
  readonly columns: readonly Column[];
}

const condition = (type: string) => `.status.conditions[?(@.type=="${type}")].status`;
const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' };
const PROGRAMMED: Column = {
  name: 'Programmed',
  type: 'string',
  jsonPath: condition('Programmed'),
  description: 'Is it in the maps of every node?',
};

const CHAIN: Definition = {
  kind: 'ServiceFunctionChain',
  plural: 'servicefunctionchains',
  shortName: 'sfc',
  description: 'Service functions that packets go through, in order.',
  spec: SCHEMAS.ServiceFunctionChain.properties.spec as Schema,
  status: chainStatusSchema as Schema,
  amendments: CHAIN_AMENDMENTS,
  columns: [
    { name: 'Path', type: 'integer', jsonPath: '.status.servicePathId', description: 'servicePathId.' },
    { name: 'Functions', type: 'string', jsonPath: '.status.functionNames', description: 'The functions, in order.' },
    { name: 'Ready', type: 'string', jsonPath: condition('Ready'), description: 'Has each function an instance that is ready?' },
    PROGRAMMED,
    AGE,
  ],
};

const SELECTOR: Definition = {
  kind: 'TrafficSelector',
  plural: 'trafficselectors',
  shortName: 'tsel',
  description: 'Packets of chosen pods that are sent into a chain.',
  spec: SCHEMAS.TrafficSelector.properties.spec as Schema,
  status: selectorStatusSchema as Schema,
  amendments: SELECTOR_AMENDMENTS,
  columns: [
    { name: 'Chain', type: 'string', jsonPath: '.spec.serviceFunctionChain', description: 'Where the packets are sent.' },
    PROGRAMMED,
    { name: 'Conflicted', type: 'string', jsonPath: condition('Conflicted'), description: 'Does another claim the same packets?' },
    AGE,
  ],
};

const NODE: Definition = {
  kind: 'SteeringNode',
  plural: 'steeringnodes',
  shortName: 'sfn',
  description: 'What the agent of the node of this name has programmed. Agents write it; it is not for editing.',
  spec: undefined,
  status: steeringNodeStatusSchema as Schema,
  amendments: {},
  columns: [
    { name: 'Version', type: 'string', jsonPath: '.status.agentVersion', description: 'Version of the agent.' },
    { name: 'Datapath', type: 'string', jsonPath: '.status.datapath', description: 'What moves the packets.' },
    { name: 'Endpoints', type: 'integer', jsonPath: '.status.endpoints', description: 'Pods that the agent looks after.' },
    { name: 'Failing', type: 'integer', jsonPath: '.status.failingTotal', description: 'Objects that are not wholly programmed.' },
    AGE,
  ],
};

export const DEFINITIONS: readonly Definition[] = [CHAIN, SELECTOR, NODE];

function objectSchema({ description, spec, status, amendments }: Definition): Structural {
  const used = new Set<string>();
  const convert = (schema: Schema, path: string) => structural(schema, path, amendments, used);
  const made = {
    type: 'object',
    description,
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      ...(spec === undefined ? {} : { spec: convert(spec, 'spec') }),
      status: convert(status, 'status'),
    },
    ...(spec === undefined ? {} : { required: ['spec'] }),
  };
  const unused = Object.keys(amendments).filter((path) => !used.has(path));
  if (unused.length > 0) throw new Error(`rules at ${unused.join(', ')}, where the schema has nothing`);
  return made;
}

/** The CustomResourceDefinition, as plain data. */
export function crd(definition: Definition): Structural {
  const { kind, plural, shortName, columns } = definition;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${STEERING_GROUP}`, labels: { 'app.kubernetes.io/name': 'sfc', 'app.kubernetes.io/part-of': 'sfc' } },
    spec: {
      group: STEERING_GROUP,
      scope: 'Cluster',
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames: [shortName], categories: ['steering'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: objectSchema(definition) },
        },
      ],
    },
  };
}
