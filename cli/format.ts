/** The three ways every listing can be printed. */

import { Option } from 'commander';
import { stringify } from 'yaml';
import { type Output, writeLines } from './io.js';

export type Format = 'table' | 'json' | 'yaml';

export const formatOption = () =>
  new Option('-o, --output <format>', 'how to print it').choices(['table', 'json', 'yaml'] satisfies Format[]).default('table');

const yaml = (value: unknown) => stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });

/** One value as JSON or YAML. */
export function printValue(output: Output, format: 'json' | 'yaml', value: unknown): void {
  output.write(format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : yaml(value));
}

function* jsonLines(items: readonly unknown[]): Generator<string> {
  if (items.length === 0) {
    yield '[]';
    return;
  }
  yield '[';
  for (const [index, item] of items.entries()) {
    yield `  ${JSON.stringify(item, undefined, 2).replaceAll('\n', '\n  ')}${index === items.length - 1 ? '' : ','}`;
  }
  yield ']';
}

function* yamlLines(items: readonly unknown[]): Generator<string> {
  if (items.length === 0) yield '[]';
  for (const item of items) yield yaml([item]).trimEnd();
}

/** A list of any length, item by item. */
export function printItems(output: Output, format: 'json' | 'yaml', items: readonly unknown[]): void {
  writeLines(output, format === 'json' ? jsonLines(items) : yamlLines(items));
}
