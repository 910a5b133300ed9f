/**
 * What a schema cannot tell: rules between fields, and what is read otherwise than it may look. They
 * look at documents that the schema may have refused, so that all mistakes are told at once; where a
 * field is not as it should be, that is the schema's to say.
 */

import { parseCidr } from '../../geneve/index.js';
import { chainUid, serviceName } from '../names.js';
import { covers, fill } from '../prefixes.js';
import { DEFAULT_PROBE, type Fault, type Kind, type Path, show } from '../schema/index.js';

type Mapping = Readonly<Record<string, unknown>>;

function mapping(value: unknown): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function error(path: Path, message: string, hint: string): Fault {
  return { severity: 'error', path, message, hint };
}

function requirementRules(selector: Mapping, path: Path): Fault[] {
  return list(selector.matchExpressions).flatMap((expression, index) => {
    const { operator, values } = mapping(expression);
    const at = [...path, 'matchExpressions', index, 'values'];
    const count = list(values).length;
    if ((operator === 'In' || operator === 'NotIn') && count === 0 && (values === undefined || Array.isArray(values))) {
      return [error(at, `${operator} has no values; expected at least one`, 'List the values, or use Exists or DoesNotExist.')];
    }
    if ((operator === 'Exists' || operator === 'DoesNotExist') && count > 0) {
      return [error(at, `${operator} has values; expected none`, 'Take the values out, or use In or NotIn.')];
    }
    return [];
  });
}

/** Kubernetes takes a prefix with host bits for the network that it lies in, and so do we, but say so. */
function prefixRules(text: unknown, path: Path): Fault[] {
  const cidr = prefixOf(text);
  if (cidr?.hostBits !== true) return [];
  const message = `${text} has bits set behind the prefix; read as ${cidr.text}`;
  return [{ severity: 'warning', path, message, hint: `Write ${cidr.text}.` }];
}

const EVERYTHING = { namespaceSelector: 'every namespace', podSelector: 'every pod of those namespaces' } as const;

function trafficSelectorRules(document: Mapping): Fault[] {
  const spec = mapping(document.spec);
  const pods = mapping(spec.subject).pods;
  const subject = (['namespaceSelector', 'podSelector'] as const).flatMap((field): Fault[] => {
    const path = ['spec', 'subject', 'pods', field];
    if (Object.hasOwn(mapping(pods), field)) return requirementRules(mapping(mapping(pods)[field]), path);
    // Where `pods` is not as it should be, or has a field misspelt, the schema has said so.
    if (pods !== mapping(pods) || Object.keys(mapping(pods)).some((key) => !Object.hasOwn(EVERYTHING, key))) return [];
    const hint = `If so, write ${field}: {}, as an API server asks for it.`;
    return [{ severity: 'warning', path, message: `${field} is absent: ${EVERYTHING[field]} is meant`, hint }];
  });
  return [...subject, ...directionRules(spec), ...ruleRules(spec.egress, 'egress', 'to'), ...ruleRules(spec.ingress, 'ingress', 'from')];
}

const SPEC_FIELDS = ['serviceFunctionChain', 'subject', 'egress', 'ingress'];

function directionRules(spec: Mapping): Fault[] {
  // Where a field of spec is misspelt, or spec is missing, the schema has said so.
  if (spec.subject === undefined || Object.keys(spec).some((key) => !SPEC_FIELDS.includes(key))) return [];
  if (Object.hasOwn(spec, 'egress') || Object.hasOwn(spec, 'ingress')) return [];
  return [error(['spec', 'egress'], 'egress and ingress are missing; expected at least one of them', 'Add egress under spec.')];
}

/** Rules of one direction; `peer` is the field of the other ends. */
function ruleRules(rule: unknown, direction: 'egress' | 'ingress', peer: 'to' | 'from'): Fault[] {
  const { [peer]: block, ports } = mapping(rule);
  const path = ['spec', direction, peer, 'ipBlock'];
  const { cidr, except } = mapping(mapping(block).ipBlock);
  return [
    ...prefixRules(cidr, [...path, 'cidr']),
    ...exceptRules(cidr, list(except), [...path, 'except']),
    ...list(ports).flatMap((port, index) =>
      rangeRules(mapping(mapping(port).portNumber), ['spec', direction, 'ports', index, 'portNumber']),
    ),
  ];
}

const prefixOf = (text: unknown) => (typeof text === 'string' && text.length < 64 ? parseCidr(text) : undefined);

/** An exception has to lie within its prefix, as in a NetworkPolicy, and something has to be left. */
function exceptRules(cidr: unknown, except: readonly unknown[], path: Path): Fault[] {
  const whole = prefixOf(cidr);
  if (whole === undefined) return [];
  const parts = except.map(prefixOf);
  const faults = except.flatMap((text, index): Fault[] => {
    const part = parts[index];
    if (part === undefined) return [];
    const at = [...path, index];
    if (part.prefixLength > whole.prefixLength && covers(whole, part)) return prefixRules(text, at);
    return [error(at, `${part.text} is not a part of ${whole.text}`, 'Name a longer prefix that lies within the cidr.')];
  });
  const known = parts.filter((part) => part !== undefined);
  if (faults.every(({ severity }) => severity === 'warning') && known.length > 0 && fill(whole, known))
    faults.push(error(path, `nothing of ${whole.text} is left`, 'Take an exception out, or the rule.'));
  return faults;
}

function rangeRules({ port, endPort }: Mapping, path: Path): Fault[] {
  if (typeof port !== 'number' || typeof endPort !== 'number' || endPort >= port || endPort < 1) return [];
  return [error([...path, 'endPort'], `${endPort} is before port ${port}`, 'Write the lower port as port, the higher as endPort.')];
}

/** Whoever reads the manifests shall know that the chain lets packets past its functions. */
function failureRules(spec: Mapping): Fault[] {
  if (spec.failurePolicy !== 'Bypass') return [];
  const message = 'Bypass: while a function has no ready instance, its packets go on unsteered, past all functions that follow';
  const hint = 'If packets must not get past the chain, take Drop (the default) or Reject.';
  return [{ severity: 'warning', path: ['spec', 'failurePolicy'], message, hint }];
}

/** What tells the functions of a chain apart: their names, and the names of their Services. */
function chainRules(document: Mapping): Fault[] {
  const faults = failureRules(mapping(document.spec));
  const { name: chain, uid } = mapping(document.metadata);
  const chainId = typeof chain === 'string' ? chainUid({ name: chain, uid: typeof uid === 'string' ? uid : undefined }) : undefined;
  const seen = new Map<string, { readonly text: string; readonly index: number }>();
  const services = new Map<string, string>();
  list(mapping(document.spec).serviceFunctions).forEach((serviceFunction, index) => {
    const { name, namespace, podSelector, weights, probe } = mapping(serviceFunction);
    if (typeof name !== 'string' || typeof namespace !== 'string') return;
    const path = ['spec', 'serviceFunctions', index, 'name'];
    const labels = Object.entries(mapping(mapping(podSelector).matchLabels)).sort();
    // What is absent has its default: an API server writes it out.
    const asked = probe === undefined ? [] : [Object.entries({ ...DEFAULT_PROBE, ...mapping(probe) }).sort()];
    const text = JSON.stringify([namespace, labels, list(weights), asked]);
    const first = seen.get(name);
    if (first !== undefined) {
      // A chain may lead through one function twice; then it is the same function in everything.
      if (first.text === text) return;
      const message = `function ${show(name)} is already serviceFunctions[${first.index}], with another namespace, podSelector, weights or probe`;
      faults.push(error(path, message, 'Give each function of the chain a name of its own.'));
      return;
    }
    seen.set(name, { text, index });
    if (chainId === undefined) return;
    const service = `${namespace}/${serviceName(name, chainId)}`;
    const owner = services.get(service);
    if (owner === undefined) services.set(service, name);
    else {
      const hint = "A Service keeps the beginning of its function's name: let the two differ there.";
      faults.push(error(path, `function ${show(name)} would share the Service of ${show(owner)}`, hint));
    }
  });
  return faults;
}

export function rulesOf(kind: Kind, document: unknown): Fault[] {
  if (kind === 'TrafficSelector') return trafficSelectorRules(mapping(document));
  return kind === 'ServiceFunctionChain' ? chainRules(mapping(document)) : [];
}
