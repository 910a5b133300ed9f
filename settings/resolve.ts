/** Flags over environment over file over default, with every mistake reported at once. */

import type { TSchema } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { LineCounter, parseDocument } from 'yaml';
import { SfcError } from '../errors/index.js';
import { nearestName } from '../policy/index.js';
import { type DerivedDefault, describeSettings, type HostFacts, type SettingDescription } from './describe.js';

export interface SettingSources {
  /** Values given as flags, by setting name (`maps.sfcselect`), as typed. */
  readonly flags: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The configuration file, already read. */
  readonly file?: { readonly name: string; readonly text: string } | undefined;
  readonly host: HostFacts;
}

interface Given {
  readonly value: unknown;
  /** For messages: `--port`, `SFC_PORT`, `sfcd.yaml line 3`. */
  readonly where: string;
}

/** A word from a flag or the environment as the setting's kind; left as it is when it does not fit, for the schema to refuse. */
function fromText(setting: SettingDescription, text: string): unknown {
  if (setting.kind === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (setting.kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function fromFile(
  file: { readonly name: string; readonly text: string },
  names: readonly string[],
  problems: string[],
): Map<string, Given> {
  const given = new Map<string, Given>();
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines });
  for (const error of document.errors) problems.push(`${file.name} line ${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0]}`);
  if (document.errors.length > 0) return given;
  const root: unknown = document.toJS();
  if (root === null || root === undefined) return given;
  if (typeof root !== 'object' || Array.isArray(root)) {
    problems.push(`${file.name}: expected a mapping of settings`);
    return given;
  }
  const walk = (node: object, prefix: string[]) => {
    for (const [key, value] of Object.entries(node)) {
      const path = [...prefix, key];
      const name = path.join('.');
      const range = (document.getIn(path, true) as { range?: [number, number, number] } | undefined)?.range;
      const where = `${file.name} line ${range === undefined ? 1 : lines.linePos(range[0]).line}`;
      const isGroup = names.some((known) => known.startsWith(`${name}.`));
      if (isGroup && typeof value === 'object' && value !== null && !Array.isArray(value)) walk(value, path);
      else if (names.includes(name)) given.set(name, { value, where });
      else if (isGroup) problems.push(`${where}: ${name} must be a mapping`);
      else {
        const near = nearestName(name, names);
        problems.push(`${where}: unknown setting ${name}${near === undefined ? '' : `; did you mean ${near}?`}`);
      }
    }
  };
  walk(root, []);
  return given;
}

function nest(flat: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const [name, value] of flat) {
    const path = name.split('.');
    const last = path.pop() ?? name;
    let at = tree;
    for (const part of path) {
      at[part] ??= {};
      at = at[part] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return tree;
}

export interface SettingsDeclaration {
  readonly schema: TSchema;
  /** Resolved in this order. */
  readonly derivedDefaults: readonly DerivedDefault[];
  /** What the schema cannot say: problems of the settled values. `whereOf`: for messages, where a value was given. */
  readonly check?: (settled: ReadonlyMap<string, unknown>, whereOf: (name: string) => string) => readonly string[];
}

/**
 * Settles every setting; what comes out is as the schema has it, frozen.
 * @throws SfcError CONFIG_INVALID naming every wrong value and where it was given
 */
export function settle({ schema, derivedDefaults, check = () => [] }: SettingsDeclaration, sources: SettingSources): unknown {
  const settings = describeSettings(schema, derivedDefaults);
  const validate = new Ajv({ allErrors: true }).compile(schema);
  const problems: string[] = [];
  const file =
    sources.file === undefined
      ? new Map<string, Given>()
      : fromFile(
          sources.file,
          settings.map(({ name }) => name),
          problems,
        );
  const settled = new Map<string, unknown>();
  const where = new Map<string, string>();
  for (const setting of settings) {
    const flag = sources.flags[setting.name];
    const environment = sources.environment[setting.environment];
    const written = file.get(setting.name);
    if (flag !== undefined) {
      settled.set(setting.name, fromText(setting, flag));
      where.set(setting.name, setting.flag);
    } else if (environment !== undefined && environment !== '') {
      settled.set(setting.name, fromText(setting, environment));
      where.set(setting.name, setting.environment);
    } else if (written !== undefined) {
      settled.set(setting.name, written.value);
      where.set(setting.name, written.where);
    } else if (setting.default !== undefined) settled.set(setting.name, setting.default);
  }
  for (const derived of derivedDefaults) {
    if (!settled.has(derived.name)) settled.set(derived.name, derived.value(Object.fromEntries(settled), sources.host));
  }
  for (const setting of settings) {
    if (!settled.has(setting.name)) problems.push(`${setting.name} is required: give ${setting.flag}, ${setting.environment} or the file`);
  }
  const tree = nest(settled);
  if (!validate(tree)) {
    const told = new Set<string>();
    for (const error of validate.errors ?? []) {
      if (error.keyword === 'required') continue;
      const name = error.instancePath.slice(1).replaceAll('/', '.');
      const setting = settings.find((candidate) => candidate.name === name);
      if (setting === undefined || told.has(name)) continue;
      told.add(name);
      const expected = setting.choices.length > 0 ? `must be one of ${setting.choices.join(', ')}` : (error.message ?? 'is wrong');
      problems.push(`${where.get(name) ?? 'default'}: ${name} ${expected}, not ${JSON.stringify(settled.get(name))}`);
    }
  }
  problems.push(...check(settled, (name) => where.get(name) ?? 'default'));
  if (problems.length > 0) throw new SfcError('CONFIG_INVALID', problems.join('\n'));
  return Object.freeze(tree);
}
