/** Where an API server's verdict on a document is meant to differ from ours, and why. */

import type { Json, SteeringKind } from './draw.js';

export interface Difference {
  readonly name: string;
  readonly reason: string;
  readonly kind: SteeringKind;
  readonly example: Json;
  readonly stricter: 'we' | 'the API server';
  /** Is the refusal of the stricter one, a reason of it, of this difference? */
  readonly applies: (why: string) => boolean;
}

const LABELS = { matchLabels: { app: 'firewall' } };
const FUNCTION = { name: 'firewall', namespace: 'firewall', podSelector: LABELS };
const chain = (...serviceFunctions: readonly Json[]): Json => ({ serviceFunctions });
const selector = (fields: { readonly [key: string]: Json }): Json => ({
  serviceFunctionChain: 'firewall',
  subject: { pods: { namespaceSelector: {}, podSelector: {} } },
  egress: { ports: [{ allPorts: {} }] },
  ...fields,
});

/** Fields without which more would be steered: what an API server keeps of them is refused by us, empty or not. */
export const WIDENS = /\.(to|from|except|matchLabels|matchExpressions)(\.|: )|Selector\./;

export const DIFFERENCES: readonly Difference[] = [
  {
    name: 'an absent selector',
    reason: 'a field that was pruned is absent too, and would be read as everything; files have it told as a warning',
    kind: 'TrafficSelector',
    example: selector({ subject: { pods: { namespaceSelector: {} } } }),
    stricter: 'the API server',
    applies: (why) => /spec\.subject\.pods\.(namespaceSelector|podSelector): Required value/.test(why),
  },
  {
    name: 'the syntax of keys',
    reason: 'a structural schema has no words for the keys of a map',
    kind: 'ServiceFunctionChain',
    example: chain({ ...FUNCTION, podSelector: { matchLabels: { '-a': 'b' } } }),
    stricter: 'we',
    applies: (why) => /is not a label key/.test(why),
  },
  {
    name: 'what stands directly under a selector',
    reason: 'it is kept, whatever it is, so that labels are; that they are labels is told by the condition Accepted',
    kind: 'TrafficSelector',
    example: selector({ subject: { pods: { namespaceSelector: { team: 5 }, podSelector: { app: '-' } } } }),
    stricter: 'we',
    applies: (why) =>
      /Selector(\.matchLabels: matchLabels is missing|\.[^.]*: (unknown field|".*" is not a label value)|\.(match\w*): )/.test(why),
  },
  {
    name: 'fields left empty',
    reason: 'an API server takes null for absent; where more would be steered without the field, the CRD keeps it, and we refuse it',
    kind: 'ServiceFunctionChain',
    example: { ...(chain(FUNCTION) as object), failurePolicy: null, sessionAffinity: null },
    stricter: 'we',
    applies: (why) => /: is empty; expected/.test(why) || /\.null: null stands here/.test(why),
  },
  {
    name: 'exceptions that leave nothing',
    reason: 'rules in CEL have no arithmetic of prefixes',
    kind: 'TrafficSelector',
    example: selector({
      egress: { ports: [{ allPorts: {} }], to: { ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/9', '10.128.0.0/9'] } } },
    }),
    stricter: 'we',
    applies: (why) => /nothing of .* is left/.test(why),
  },
  {
    name: 'prefixes of IPv4 within IPv6',
    reason: 'Kubernetes takes none (KEP-4858); to us they are the IPv6 prefixes that they look like',
    kind: 'TrafficSelector',
    example: selector({ egress: { ports: [{ allPorts: {} }], to: { ipBlock: { cidr: '::ffff:10.0.0.0/104' } } } }),
    stricter: 'the API server',
    applies: (why) => /(cidr|except\[\d+\]): Invalid value: "string": not ADDRESS\/LENGTH/.test(why),
  },
  {
    name: 'chains longer than a packet gets',
    reason: 'the NSH TTL ends after 62 functions; files have it told as a warning',
    kind: 'ServiceFunctionChain',
    example: chain(...Array.from({ length: 63 }, (_, index) => ({ ...FUNCTION, name: `f${index}` }))),
    stricter: 'the API server',
    applies: (why) => /spec\.serviceFunctions: Too many: 63/.test(why),
  },
  {
    name: 'one function in two spellings',
    reason: 'labels under a selector and under matchLabels are the same to us; rules in CEL do not see the former',
    kind: 'ServiceFunctionChain',
    example: chain(FUNCTION, { ...FUNCTION, podSelector: { app: 'firewall' } }),
    stricter: 'the API server',
    applies: (why) => /functions of one name have the same/.test(why),
  },
];

/** @param told nothing of one side, and why of the other */
export function differenceOf(
  kind: SteeringKind,
  _spec: Json,
  { ours, theirs }: { readonly ours: readonly string[]; readonly theirs: string | undefined },
): Difference | undefined {
  const stricter = theirs === undefined ? 'we' : 'the API server';
  const reasons = theirs === undefined ? ours : [theirs];
  const known = DIFFERENCES.filter((one) => one.stricter === stricter);
  void kind;
  // Of several reasons each has to be one of these, or the others would have done.
  const found = reasons.map((why) => known.find(({ applies }) => applies(why)));
  return found.every((one) => one !== undefined) ? found[0] : undefined;
}
