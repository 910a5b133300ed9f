/**
 * Templates of the Helm chart, made of plain manifests: at each declared place stands the value's expression,
 * everything else is as it was, comments too. Pure.
 */

import { type Document, isScalar, parse, parseAllDocuments } from 'yaml';
import type { Place, Value } from './values.js';

/** The namespace that the manifests name; a chart is installed into that of its release. */
const NAMESPACE = 'sfc-system';

/** Stands for a value until the document is text again. No manifest has the like. */
const token = (index: number) => `VALUE-${index}-HERE`;

interface Found {
  /** What deploy/base has there. */
  readonly default: unknown;
}

/** `repo:5000/sfc:0.1.0`, apart. */
function imageOf(text: string): { readonly repository: string; readonly tag: string } {
  const colon = text.lastIndexOf(':');
  return { repository: text.slice(0, colon), tag: text.slice(colon + 1) };
}

function defaultOf(value: Value, node: unknown): unknown {
  const plain = isScalar(node) ? node.value : (node as { toJSON(): unknown }).toJSON();
  if (value.as === 'image') return imageOf(String(plain));
  return value.as === 'document' ? parse(String(plain)) : plain;
}

const isOf = (document: Document, { kind, name }: Place) => document.get('kind') === kind && document.getIn(['metadata', 'name']) === name;

/** The line with its token replaced, `key:` and all. */
function expression(value: Value, indent: string, before: string): string {
  const name = `.Values.${value.name}`;
  switch (value.as) {
    case 'text':
      return `${indent}${before}{{ ${name} | quote }}`;
    case 'image':
      return `${indent}${before}"{{ ${name}.repository }}:{{ ${name}.tag }}"`;
    case 'document':
      return `${indent}${before}|\n{{ toYaml ${name} | indent ${indent.length + 2} }}`;
    default:
      return `${indent}${before.trimEnd()}\n{{ toYaml ${name} | indent ${indent.length + 2} }}`;
  }
}

function namespaced(text: string): string {
  return text
    .replaceAll(new RegExp(`namespace: ${NAMESPACE}$`, 'gm'), 'namespace: {{ .Release.Namespace | quote }}')
    .replaceAll(NAMESPACE, '{{ .Release.Namespace }}');
}

/** A place whose kind, name or path is not there is found nowhere, and the caller says so. */
export function template(text: string, values: readonly Value[], found: Map<Place, Found>): string {
  if (text.includes('{{')) throw new Error('a manifest has {{, which Helm would read');
  const documents = parseAllDocuments(text) as Document[];
  const used = new Map<number, Value>();
  for (const document of documents) {
    for (const value of values) {
      for (const place of value.places) {
        if (!isOf(document, place)) continue;
        const node = document.getIn(place.path, true);
        if (node === undefined) continue;
        found.set(place, { default: defaultOf(value, node) });
        // A node of its own: what was a block of text stays none.
        document.setIn(place.path, document.createNode(token(used.size)));
        used.set(used.size, value);
      }
    }
  }
  const printed = documents.map((document) => document.toString({ lineWidth: 0, flowCollectionPadding: false })).join('');
  const lines = printed.split('\n').map((line) => {
    const [, indent = '', before = '', index] = /^( *(?:- )?)(.*?)VALUE-(\d+)-HERE$/.exec(line) ?? [];
    const value = index === undefined ? undefined : used.get(Number(index));
    return value === undefined ? line : expression(value, indent, before);
  });
  return namespaced(lines.join('\n'));
}
