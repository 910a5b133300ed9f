/**
 * What the schemas' words cannot say, for API servers: policy/manifests/rules.ts in CEL, and how label
 * selectors keep labels that stand directly under them. test/crds.kube.test.ts holds both against each other.
 */

import { MOST_PASSED } from '../../policy/manifests/check.js';
import type { Amendments, SchemaPath, Structural } from './structural.js';

/** A rule that holds at its place; `message` is what kubectl shows. */
function rule(cel: string, message: string) {
  return (schema: Structural): Structural => ({
    ...schema,
    'x-kubernetes-validations': [...((schema['x-kubernetes-validations'] as unknown[] | undefined) ?? []), { rule: cel, message }],
  });
}

function both(...steps: readonly ((schema: Structural) => Structural)[]) {
  return (schema: Structural) => steps.reduce((made, step) => step(made), schema);
}

const has = (...fields: readonly string[]) => ({ required: fields });

/**
 * Labels directly under a selector are kept, and read as meant by whoever reads the resource: pruned, they
 * would leave a selector of everything. A mix of both is refused.
 */
function bareLabels(schema: Structural): Structural {
  const { required, ...rest } = schema;
  const expressions = 'matchExpressions' in (schema.properties as object);
  const wholly = [
    ...(expressions
      ? [
          { ...has('matchLabels', 'matchExpressions'), maxProperties: 2 },
          { ...has('matchExpressions'), maxProperties: 1 },
        ]
      : []),
    { ...has('matchLabels'), maxProperties: 1 },
  ];
  const bare = { not: { anyOf: [has('matchLabels'), has('matchExpressions')] } };
  return {
    ...rest,
    ...(required === undefined ? {} : { minProperties: 1 }),
    anyOf: [...wholly, bare],
    'x-kubernetes-preserve-unknown-fields': true,
  };
}

const VALUES_OF_OPERATOR = rule(
  "self.operator in ['In', 'NotIn'] ? (has(self.values) && size(self.values) > 0) : (!has(self.values) || size(self.values) == 0)",
  'In and NotIn have at least one value, Exists and DoesNotExist have none',
);
const KEY_OF_EXPRESSION = rule("self.indexOf('/') <= 253", 'the part of a label key before "/" has at most 253 characters');

/** `sf-`, the name, and `-` with eight of the UID fit into a DNS label of 63. */
const NAME_IN_SERVICE = 51;

/** A function that stands there twice is the same in everything; two functions have two Services. `namespace` is a word of CEL. */
const FUNCTIONS = both(
  // No packet gets past more, and the rules below compare each with each: an API server bounds what that may cost.
  (schema) => ({ ...schema, maxItems: MOST_PASSED }),
  rule(
    'self.all(a, self.all(b, a.name != b.name || a == b))',
    'functions of one name have the same namespace, podSelector, weights and probe',
  ),
  rule(
    `self.all(a, size(a.name) < ${NAME_IN_SERVICE} || self.all(b, size(b.name) < ${NAME_IN_SERVICE} || a.name == b.name || a.__namespace__ != b.__namespace__ || a.name.substring(0, ${NAME_IN_SERVICE}) != b.name.substring(0, ${NAME_IN_SERVICE})))`,
    `names of functions of one namespace differ in their first ${NAME_IN_SERVICE} characters, which their Services keep`,
  ),
);

const EXCEPT = rule(
  '!has(self.except) || self.except.all(part, cidr(self.cidr).containsCIDR(part) && cidr(part).prefixLength() > cidr(self.cidr).prefixLength())',
  'an exception is a longer prefix within cidr',
);
const CIDR = rule('isCIDR(self)', 'not ADDRESS/LENGTH, such as 10.0.0.0/8 or 2001:db8::/32');
const PORTS = rule('!has(self.endPort) || self.endPort >= self.port', 'endPort is not before port');

function rulesOfDirection(direction: 'egress' | 'ingress', peer: 'to' | 'from'): Amendments {
  const block = `spec.${direction}.${peer}.ipBlock`;
  return {
    [`spec.${direction}.${peer}`]: KEPT_EMPTY,
    [block]: EXCEPT,
    [`${block}.except`]: KEPT_EMPTY,
    [`${block}.cidr`]: CIDR,
    [`${block}.except[]`]: CIDR,
    [`spec.${direction}.ports[].portNumber`]: PORTS,
  };
}

/**
 * An API server takes an empty field (null) for an absent one, and drops it. Where that would steer more, it is kept, for us
 * to refuse: the condition Accepted tells it, and nothing is programmed.
 */
const KEPT_EMPTY = (schema: Structural): Structural => ({ ...schema, nullable: true });

function labels(selector: SchemaPath): Amendments {
  return { [`${selector}.matchLabels`]: KEPT_EMPTY, [`${selector}.matchLabels.*`]: KEPT_EMPTY };
}

function expressions(selector: SchemaPath): Amendments {
  return {
    ...labels(selector),
    [`${selector}.matchExpressions`]: KEPT_EMPTY,
    [`${selector}.matchExpressions[]`]: VALUES_OF_OPERATOR,
    [`${selector}.matchExpressions[].key`]: KEY_OF_EXPRESSION,
  };
}

const NAMESPACES = 'spec.subject.pods.namespaceSelector';
const PODS = 'spec.subject.pods.podSelector';

/** What is read as everything where it is absent has to be written: a field that was pruned is absent too. */
function bothSelectors(schema: Structural): Structural {
  return { ...schema, required: ['namespaceSelector', 'podSelector'] };
}

export const CHAIN_AMENDMENTS: Amendments = {
  'spec.serviceFunctions': FUNCTIONS,
  'spec.serviceFunctions[].podSelector': bareLabels,
  'spec.serviceFunctions[].weights[].podSelector': bareLabels,
  ...labels('spec.serviceFunctions[].podSelector'),
  ...labels('spec.serviceFunctions[].weights[].podSelector'),
};

export const SELECTOR_AMENDMENTS: Amendments = {
  spec: rule('has(self.egress) || has(self.ingress)', 'at least one of egress and ingress is there'),
  'spec.subject.pods': bothSelectors,
  [NAMESPACES]: bareLabels,
  [PODS]: bareLabels,
  ...expressions(NAMESPACES),
  ...expressions(PODS),
  ...rulesOfDirection('egress', 'to'),
  ...rulesOfDirection('ingress', 'from'),
};
