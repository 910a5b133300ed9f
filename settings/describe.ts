/**
 * The settings of a program, declared once as a schema. Flags, environment names, the configuration file, `--help` and the
 * reference page all come from it.
 */

import type { TSchema } from '@sinclair/typebox';

/** Facts of the machine that defaults come from; a program's `main.ts` supplies them. */
export interface HostFacts {
  readonly hostname: string;
}

/** A default that depends on the machine or on another setting. */
export interface DerivedDefault {
  readonly name: string;
  readonly text: string;
  readonly value: (settled: Readonly<Record<string, unknown>>, host: HostFacts) => string;
}

/** One leaf of the schema with the names it goes by. */
export interface SettingDescription {
  /** As in the file: `maps.sfcselect`. */
  readonly name: string;
  /** `--maps-sfcselect`. */
  readonly flag: string;
  /** `SFC_MAPS_SFCSELECT`. */
  readonly environment: string;
  readonly kind: 'string' | 'integer' | 'boolean';
  /** Allowed words, in order; empty when any value of the kind will do. */
  readonly choices: readonly string[];
  readonly default: string | number | boolean | undefined;
  /** The default in words; `required` when there is none. */
  readonly defaultText: string;
  readonly doc: string;
}

function describe(name: string, schema: TSchema, derivedDefaults: readonly DerivedDefault[]): SettingDescription[] {
  if (schema.type === 'object') {
    return Object.entries(schema.properties as Record<string, TSchema>).flatMap(([key, inner]) =>
      describe(name === '' ? key : `${name}.${key}`, inner, derivedDefaults),
    );
  }
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll('.', '-')
    .toLowerCase();
  const derived = derivedDefaults.find((entry) => entry.name === name);
  const fixed = schema.default as string | number | boolean | undefined;
  return [
    {
      name,
      flag: `--${words}`,
      environment: `SFC_${words.replaceAll('-', '_').toUpperCase()}`,
      kind: schema.type === 'integer' ? 'integer' : schema.type === 'boolean' ? 'boolean' : 'string',
      choices: ((schema.anyOf ?? (schema.const === undefined ? [] : [schema])) as TSchema[]).map((choice) => String(choice.const)),
      default: fixed,
      defaultText: derived?.text ?? (fixed === undefined ? 'required' : String(fixed)),
      doc: String(schema.description),
    },
  ];
}

/** Every setting, in the schema's order. */
export function describeSettings(schema: TSchema, derivedDefaults: readonly DerivedDefault[]): readonly SettingDescription[] {
  return describe('', schema, derivedDefaults);
}
