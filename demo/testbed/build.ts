/** The blueprint made real: namespaces, links, rules; and all of it taken away again. */

import { mkdir } from 'node:fs/promises';
import type { Blueprint } from './blueprint.js';
import { commandLine, inNamespace, run } from './command.js';
import { cleanLeftovers } from './leftovers.js';
import { planOf } from './plan.js';

export interface Testbed {
  readonly blueprint: Blueprint;
  /**
   * Ends every process inside the namespaces, removes the namespaces and the directory with what is
   * mounted below it. Idempotent.
   */
  teardown(): Promise<void>;
}

export interface BuildOptions {
  /** Told of each stage before it runs. */
  readonly onStage?: (title: string) => void;
  /** Aborted: the build ends after its present step and takes away what it had built. */
  readonly signal?: AbortSignal;
}

/**
 * Builds the testbed. Needs root, `ip`, `nsenter` and `nft`. Leftovers of an earlier run with the
 * same prefix are removed first; a build that fails takes away what it had built. Throws
 * `COMMAND_FAILED`.
 */
export async function buildTestbed(blueprint: Blueprint, options: BuildOptions = {}): Promise<Testbed> {
  await cleanLeftovers(blueprint.prefix);
  await mkdir(blueprint.directory, { recursive: true, mode: 0o750 });
  try {
    for (const stage of planOf(blueprint)) {
      options.onStage?.(stage.title);
      for (const step of stage.steps) {
        options.signal?.throwIfAborted();
        const stdin = step.stdin === undefined ? {} : { stdin: step.stdin };
        if (step.namespace === undefined) await run(step.argv, stdin);
        else await inNamespace(step.namespace, step.argv, stdin);
      }
    }
  } catch (error) {
    await cleanLeftovers(blueprint.prefix);
    throw error;
  }
  return { blueprint, teardown: () => cleanLeftovers(blueprint.prefix).then(() => undefined) };
}

/** The commands that would build it, one a line, for people. */
export function describePlan(blueprint: Blueprint): string {
  return planOf(blueprint)
    .flatMap((stage) => [`# ${stage.title}`, ...stage.steps.map((step) => `${step.namespace ?? '-'}: ${commandLine(step.argv)}`)])
    .join('\n');
}
