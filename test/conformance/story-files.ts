/** Stories that are kept: files of `stories/`, each replayed on both datapaths at every run of the tests. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { ASPECTS } from './compare.js';
import type { Finding } from './conform.js';
import { STEPS, type Step } from './steps.js';

export const STORIES = 'test/conformance/stories';

const recordSchema = Type.Object(
  {
    /** In plain words. */
    name: Type.String({ minLength: 1 }),
    /** Of the run that found it; not there where somebody thought of it. */
    seed: Type.Optional(Type.Integer()),
    /** In what the datapaths differed. */
    what: Type.Optional(Type.Union(ASPECTS.map((aspect) => Type.Literal(aspect)))),
    /** Packets by reason, on both: what shows that the story still tells what its name says. */
    counted: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 1 }))),
    story: Type.Array(Type.Unsafe<Step>(Type.Any()), { minItems: 1 }),
  },
  { additionalProperties: false },
);
export type StoryRecord = Static<typeof recordSchema>;

/** The record in a file's text. Throws an Error that names the file and every place that is wrong. */
export function parseStory(file: string, text: string): StoryRecord {
  const refuse = (problems: readonly string[]): never => {
    throw new Error(`${file} is no story:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  };
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch (error) {
    refuse([(error as Error).message]);
  }
  const problems = problemsOf(recordSchema, record, '');
  if (problems.length > 0) refuse(problems);
  const { story } = record as StoryRecord;
  const wrong = story.flatMap((step, at) => stepProblems(step, `/story/${at}`));
  return wrong.length > 0 ? refuse(wrong) : (record as StoryRecord);
}

function stepProblems(step: unknown, place: string): readonly string[] {
  const kind = (step as { do?: unknown } | null)?.do;
  if (typeof kind !== 'string' || !Object.hasOwn(STEPS, kind)) return [`${place}/do: one of ${Object.keys(STEPS).join(', ')}`];
  return problemsOf(STEPS[kind as Step['do']], step, place);
}

function problemsOf(schema: Parameters<typeof Value.Errors>[0], value: unknown, place: string): readonly string[] {
  return [...Value.Errors(schema, value)].map(({ path, message }) => `${place}${path || (place === '' ? '/' : '')}: ${message}`);
}

/** Every story of a directory, by file name. */
export function readStories(directory = STORIES): readonly StoryRecord[] {
  const files = readdirSync(directory).filter((file) => file.endsWith('.json'));
  return files.sort().map((file) => parseStory(join(directory, file), readFileSync(join(directory, file), 'utf8')));
}

/** Keeps a finding; its file, named by what differs and the seed. */
export function keepFinding({ seed, story, difference: { what } }: Finding, directory = STORIES): string {
  const file = join(directory, `${what}-seed-${seed}.json`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(file, storyText({ name: `${what} that differed under seed ${seed}`, seed, what, story: [...story] }));
  return file;
}

/** One step a line. */
export function storyText({ story, ...head }: StoryRecord): string {
  const lines = Object.entries(head).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},`);
  const steps = story.map((step) => `    ${JSON.stringify(step)}`).join(',\n');
  return ['{', ...lines, '  "story": [', steps, '  ]', '}', ''].join('\n');
}
