/** Documents drawn from the CRDs' own schemas: good ones, and good ones with one or two things changed. */

import fc from 'fast-check';
import { crd, DEFINITIONS } from '../../tools/crds/definitions.js';
import type { Structural } from '../../tools/crds/structural.js';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Path = readonly (string | number)[];

export const STEERING = ['ServiceFunctionChain', 'TrafficSelector'] as const;
export type SteeringKind = (typeof STEERING)[number];
export const PLURAL: Readonly<Record<SteeringKind, string>> = {
  ServiceFunctionChain: 'servicefunctionchains',
  TrafficSelector: 'trafficselectors',
};

function specSchema(kind: SteeringKind): Structural {
  const definition = DEFINITIONS.find((one) => one.kind === kind);
  if (definition === undefined) throw new Error(`no CRD of ${kind}`);
  const { versions } = crd(definition).spec as { versions: { schema: { openAPIV3Schema: { properties: { spec: Structural } } } }[] };
  return versions[0]?.schema.openAPIV3Schema.properties.spec as Structural;
}

const CIDRS = [
  '10.0.0.0/8',
  '10.1.0.0/16',
  '10.1.2.0/24',
  '10.1.2.3/8',
  '0.0.0.0/0',
  '::/0',
  '2001:db8::/32',
  '2001:db8:1::/48',
  '10.0.2.12/32',
];
const LABEL_KEYS = ['app', 'tier', 'kubernetes.io/metadata.name', 'a.b/c_d'];

function text(schema: Structural): fc.Arbitrary<Json> {
  if (schema.enum !== undefined) return fc.constantFrom(...(schema.enum as string[]));
  if (schema.format === 'cidr') return fc.constantFrom(...CIDRS);
  return fc.stringMatching(new RegExp(schema.pattern as string), { size: 'small', maxLength: Math.min(schema.maxLength as number, 20) });
}

type Fields = { readonly [key: string]: Json };

/** The same with its fields in agreement, as most who write one have them. */
function agreeing(fields: Fields): Fields {
  const { operator, values, port, endPort, cidr, except, ...rest } = fields;
  if (operator === 'In' || operator === 'NotIn')
    return { ...fields, values: values === undefined || (values as Json[]).length === 0 ? ['a'] : values };
  if (operator !== undefined) return { ...fields, values: [] };
  if (typeof port === 'number' && typeof endPort === 'number')
    return { ...fields, port: Math.min(port, endPort), endPort: Math.max(port, endPort) };
  if (cidr !== undefined && except !== undefined) return { ...rest, cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.3.0/24'] };
  if ('subject' in fields && !('egress' in fields) && !('ingress' in fields)) return { ...fields, egress: { ports: [{ allPorts: {} }] } };
  return fields;
}

/** What the schema takes; rules between fields may still refuse it. */
function good(schema: Structural): fc.Arbitrary<Json> {
  if (schema.type === 'string') return text(schema);
  if (schema.type === 'integer') return fc.integer({ min: schema.minimum as number, max: schema.maximum as number });
  if (schema.type === 'array') {
    const { minItems = 0, maxItems } = schema as { minItems?: number; maxItems: number };
    return fc.array(good(schema.items as Structural), { minLength: minItems, maxLength: Math.min(maxItems, 3) });
  }
  if (schema.additionalProperties !== undefined) {
    const { minProperties = 0 } = schema as { minProperties?: number };
    const values = good(schema.additionalProperties as Structural);
    return fc.dictionary(fc.constantFrom(...LABEL_KEYS), values, { minKeys: minProperties, maxKeys: 3 });
  }
  const properties = Object.entries(schema.properties as Record<string, Structural>);
  const fields = Object.fromEntries(properties.map(([name, inner]) => [name, good(inner)]));
  if (schema.maxProperties === 1) {
    return fc.oneof(...Object.entries(fields).map(([name, inner]) => inner.map((value) => ({ [name]: value }) as Json)));
  }
  const selector = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const drawn = fc.record(fields, {
    requiredKeys: [...((schema.required ?? (selector ? ['matchLabels'] : [])) as string[])],
  }) as fc.Arbitrary<Fields>;
  const whole = fc.oneof({ weight: 9, arbitrary: drawn.map(agreeing) }, { weight: 1, arbitrary: drawn });
  if (!selector) return whole;
  return fc.oneof({ weight: 3, arbitrary: whole }, { weight: 1, arbitrary: fc.constant({ app: 'firewall' }) });
}

const ODD: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1,
  0.5,
  65_535,
  65_536,
  86_400,
  86_401,
  '',
  'a',
  'A',
  '-a',
  'a-',
  'a.b',
  'a/b',
  'é',
  'TCP',
  'tcp',
  '443',
  'a'.repeat(63),
  'a'.repeat(64),
  'a'.repeat(253),
  'a'.repeat(254),
  '10.0.0.0/8',
  '10.0.0.0/33',
  '10.0.0.0',
  '010.0.0.0/8',
  '10.0.0.0/08',
  '10.0/8',
  '::ffff:10.0.0.0/104',
  '2001:db8::/129',
  '2001:db8::%1/64',
  '::/0',
  [],
  {},
  { app: 'x' },
  { matchLabels: { app: 'x' } },
  { matchLabels: { app: 'x' }, app: 'x' },
];
const STRAYS = [
  'stray',
  'podSelektor',
  'endport',
  'matchExpressions',
  'matchLabels',
  'clientIPNoDestination',
  'portNumber',
  'allPorts',
  'except',
];

function* paths(value: Json, at: Path = []): Generator<Path> {
  yield at;
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) for (const [index, inner] of value.entries()) yield* paths(inner, [...at, index]);
  else for (const [key, inner] of Object.entries(value)) yield* paths(inner as Json, [...at, key]);
}

type Change = (inner: Json) => Json | undefined;

/** `change` at a path; undefined takes the field or entry out. */
export function changedAt(value: Json, [step, ...rest]: Path, change: Change): Json | undefined {
  if (step === undefined) return change(value);
  if (Array.isArray(value)) {
    return value.flatMap((inner: Json, index) => (index === step ? (changedAt(inner, rest, change) ?? []) : [inner])) as Json;
  }
  const entries = Object.entries(value as { [key: string]: Json }).flatMap(([key, inner]) => {
    const changed = key === step ? changedAt(inner, rest, change) : inner;
    return changed === undefined ? [] : [[key, changed]];
  });
  return Object.fromEntries(entries);
}

const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(...ODD).map(
      (odd): Change =>
        () =>
          odd,
    ),
  },
  { weight: 1, arbitrary: fc.constant<Change>(() => undefined) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...STRAYS), fc.constantFrom(...ODD)).map(
      ([key, odd]): Change =>
        (inner) => {
          return typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? { ...inner, [key]: odd } : odd;
        },
    ),
  },
  { weight: 1, arbitrary: fc.constant<Change>((inner) => (Array.isArray(inner) ? [...inner, ...inner] : inner)) },
);

function changedSomewhere(spec: Json): fc.Arbitrary<Json> {
  // The root itself stays: a document without a spec is one of the cases by name.
  const all = [...paths(spec)].slice(1);
  if (all.length === 0) return fc.constant(spec);
  return fc.tuple(fc.constantFrom(...all), change).map(([path, how]) => changedAt(spec, path, how) ?? {});
}

/** A spec of the kind: a third good, the rest with one or two changes. */
export function drawnSpec(kind: SteeringKind): fc.Arbitrary<Json> {
  const whole = good(specSchema(kind));
  const once = whole.chain(changedSomewhere);
  return fc.oneof(whole, once, once.chain(changedSomewhere));
}

export function documentOf(kind: SteeringKind, spec: Json): { readonly [key: string]: Json } {
  return { apiVersion: 'networking.gke.io/v1', kind, metadata: { name: 'drawn' }, spec };
}
