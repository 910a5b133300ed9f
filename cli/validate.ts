/** `sfc validate`: the checks that the agent makes, without an agent. */

import type { Command } from 'commander';
import { ERRORS } from '../errors/index.js';
import { paintFor } from './colour.js';
import type { Context } from './command.js';
import { type Format, formatOption, printValue } from './format.js';
import { writeLines } from './io.js';
import { readManifestFiles } from './manifests.js';
import { countProblems, plural, problemLines } from './problems.js';

async function validate({ io, exitWith }: Context, paths: readonly string[], format: Format): Promise<void> {
  const files = await readManifestFiles(paths);
  // Only here: no other command pays for compiling the schemas.
  const { validateManifests } = await import('../policy/index.js');
  const { documents, resources, problems } = validateManifests(files);
  if (format !== 'table') printValue(io.out, format, { documents, resources, problems });
  else {
    const paint = paintFor(io.out, io.environment);
    writeLines(
      io.out,
      problems.flatMap((problem) => problemLines(problem, paint)),
    );
    const read = `${plural(files.length, 'file')}, ${plural(documents, 'document')}, ${plural(resources.length, 'resource')}`;
    io.out.write(`${read}: ${problems.length === 0 ? paint.good('no problems') : countProblems(problems)}\n`);
  }
  if (problems.some(({ severity }) => severity === 'error')) exitWith(ERRORS.MANIFEST_INVALID.exit);
}

export function addValidate(program: Command, context: Context): void {
  program
    .command('validate')
    .description('check manifests without an agent and without applying them')
    .argument('<path...>', 'files, or directories of *.yaml, *.yml and *.json files')
    .addOption(formatOption())
    .action((paths: readonly string[], { output }: { output: Format }) => validate(context, paths, output));
}
