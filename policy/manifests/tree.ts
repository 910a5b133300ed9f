/**
 * YAML nodes as plain values, with the line of every key and item. Ours instead of the library's
 * `toJS`, because it keeps lines, counts what aliases multiply, and finds duplicate keys in one pass.
 */

import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { type Path, shorten, show } from '../schema/index.js';

export interface YamlFault {
  readonly line: number;
  readonly message: string;
  readonly hint: string;
}

export interface Tree {
  readonly value: unknown;
  readonly faults: readonly YamlFault[];
  /** Line of the field; of the nearest one around it where it is not there. */
  lineOf(path: Path): number;
}

/** Deepest nesting that is read. Kubernetes' own resources stay well below. */
export const DEEPEST = 100;
/** Nodes that the aliases of one document may add: anchors are for a handful of labels. */
const MOST_ALIASED = 10_000;

type Lines = Map<string | number, number>;

export function treeOf(root: unknown, lineAt: (offset: number) => number): Tree {
  const faults: YamlFault[] = [];
  const linesOf = new WeakMap<object, Lines>();
  const anchors = new Map<string, Node>();
  let aliased = 0;
  let aliasDepth = 0;

  const startLine = (node: unknown, otherwise: number) => {
    const offset = (node as Node | null)?.range?.[0];
    return offset === undefined ? otherwise : lineAt(offset);
  };
  const fault = (line: number, message: string, hint: string) => void faults.push({ line, message, hint });

  function plain(node: unknown, depth: number, line: number): unknown {
    const here = startLine(node, line);
    if (depth > DEEPEST) {
      fault(here, `nested more than ${DEEPEST} deep`, 'Flatten it; no resource that is read here nests so deep.');
      return null;
    }
    if (aliasDepth > 0 && ++aliased > MOST_ALIASED) {
      // Told once; the rest of the expansion ends here.
      if (aliased === MOST_ALIASED + 1) fault(here, `aliases expand to more than ${MOST_ALIASED} nodes`, 'Write the values out.');
      return null;
    }
    if (isAlias(node)) return expand(node.source, depth, here);
    if (isMap(node) || isSeq(node) || isScalar(node)) {
      if (node.anchor !== undefined && aliasDepth === 0) anchors.set(node.anchor, node);
      if (isMap(node)) return mapping(node, depth, here);
      return isSeq(node) ? list(node, depth, here) : scalar(node);
    }
    return null;
  }

  function expand(anchor: string, depth: number, line: number): unknown {
    const node = anchors.get(anchor);
    if (node === undefined) {
      fault(line, `there is no anchor &${shorten(anchor)} before this alias`, 'Anchors hold within one document, after they stand.');
      return null;
    }
    aliasDepth++;
    const value = plain(node, depth + 1, line);
    aliasDepth--;
    return value;
  }

  function scalar({ value, source }: Scalar): unknown {
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
    // What a directive of an older version made of it (a date, bytes): the text is what Kubernetes means.
    return source ?? String(value);
  }

  function list(node: YAMLSeq, depth: number, line: number): unknown[] {
    const lines: Lines = new Map();
    const values = node.items.map((item, index) => {
      lines.set(index, startLine(item, line));
      return plain(item, depth + 1, line);
    });
    linesOf.set(values, lines);
    return values;
  }

  function mapping(node: YAMLMap, depth: number, line: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    const lines: Lines = new Map();
    const merged: { readonly line: number; readonly value: unknown }[] = [];
    for (const pair of node.items) {
      const at = startLine(pair.key, line);
      const key = keyOf(pair, at);
      if (key === undefined) continue;
      if (key === '<<' && isPlain(pair.key)) {
        merged.push({ line: at, value: plain(pair.value, depth + 1, at) });
        continue;
      }
      const first = lines.get(key);
      if (first !== undefined) {
        fault(at, `${show(key)} stands here a second time; first in line ${first}`, 'Keep one of the two.');
        continue;
      }
      lines.set(key, at);
      put(value, key, plain(pair.value, depth + 1, at));
    }
    for (const source of merged) merge(value, lines, source);
    linesOf.set(value, lines);
    return value;
  }

  function keyOf({ key }: Pair, line: number): string | undefined {
    const node = isAlias(key) ? anchors.get(key.source) : key;
    // Kubernetes reads numbers and truth values that stand as keys as their text.
    if (isScalar(node) && node.value !== null) return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    fault(line, 'a key must be a string', 'Write a plain word before the colon.');
    return undefined;
  }

  /** `<<`: what stands in the mapping itself wins, then the earlier of the merged ones (YAML 1.1's merge key). */
  function merge(value: Record<string, unknown>, lines: Lines, source: { readonly line: number; readonly value: unknown }): void {
    for (const one of Array.isArray(source.value) ? source.value : [source.value]) {
      if (typeof one !== 'object' || one === null || Array.isArray(one)) {
        fault(source.line, 'only mappings can be merged', 'After <<, name a mapping or a list of mappings.');
        continue;
      }
      for (const [key, item] of Object.entries(one)) {
        if (Object.hasOwn(value, key)) continue;
        lines.set(key, source.line);
        put(value, key, item);
      }
    }
  }

  const rootLine = startLine(root, 1);
  const value = plain(root, 0, rootLine);
  return { value, faults, lineOf: lineFinder(value, rootLine, linesOf) };
}

/** On its own, so that what is kept of a document is its value and not the nodes that it was made of. */
function lineFinder(root: unknown, rootLine: number, linesOf: WeakMap<object, Lines>): (path: Path) => number {
  return (path) => {
    let line = rootLine;
    let at = root;
    for (const step of path) {
      const known = typeof at === 'object' && at !== null ? linesOf.get(at)?.get(step) : undefined;
      if (known === undefined) break;
      line = known;
      at = (at as Record<string | number, unknown>)[step];
    }
    return line;
  };
}

function isPlain(key: unknown): boolean {
  return isScalar(key) && key.type === 'PLAIN';
}

/** As an own property, whatever the key: `__proto__` is a key like any other. */
function put(value: Record<string, unknown>, key: string, item: unknown): void {
  Object.defineProperty(value, key, { value: item, enumerable: true, configurable: true, writable: true });
}
