/**
 * Labels that stand directly under a selector, as the walkthrough writes them. An API server would
 * drop them as unknown fields and be left with a selector of every pod; they are read as matchLabels.
 */

import { type Kind, nearestName, type Path } from '../schema/index.js';

const FIELDS = ['matchLabels', 'matchExpressions'];

/** Where a kind has label selectors; `*` is every entry of a list. */
const SELECTORS: Readonly<Partial<Record<Kind, readonly Path[]>>> = {
  ServiceFunctionChain: [
    ['spec', 'serviceFunctions', '*', 'podSelector'],
    ['spec', 'serviceFunctions', '*', 'weights', '*', 'podSelector'],
  ],
  TrafficSelector: [
    ['spec', 'subject', 'pods', 'namespaceSelector'],
    ['spec', 'subject', 'pods', 'podSelector'],
  ],
};

export interface SpeltOut {
  readonly document: unknown;
  /** Selectors that were written bare. */
  readonly bare: readonly Path[];
}

/** Only what can be nothing but labels: a typing error of a field, or a mix, is left for the schema to refuse. */
function isBare(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  return entries.length > 0 && entries.every(([key, label]) => typeof label === 'string' && nearestName(key, FIELDS) === undefined);
}

/** Copies what it changes and shares the rest. */
export function spellOutBareLabels(kind: Kind, document: unknown): SpeltOut {
  const bare: Path[] = [];
  const walk = (value: unknown, [step, ...rest]: Path, at: Path): unknown => {
    if (step === undefined) {
      if (!isBare(value)) return value;
      bare.push(at);
      return { matchLabels: value };
    }
    if (step === '*') return Array.isArray(value) ? value.map((item, index) => walk(item, rest, [...at, index])) : value;
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, step)) return value;
    const inner = (value as Record<string, unknown>)[step];
    const spelt = walk(inner, rest, [...at, step]);
    return spelt === inner ? value : { ...value, [step]: spelt };
  };
  const spelt = (SELECTORS[kind] ?? []).reduce((at, path) => walk(at, path, []), document);
  return { document: spelt, bare };
}

/** A path into the document as it was written. */
export function asWritten(path: Path, bare: readonly Path[]): Path {
  const within = bare.find((selector) => path.length > selector.length && selector.every((step, index) => step === path[index]));
  return within === undefined ? path : [...within, ...path.slice(within.length + 1)];
}
