/** `sfc version`: this program's version and, where there is an agent, its. */

import type { Command } from 'commander';
import type { StatusView } from '../agent/view.js';
import { SfcError } from '../errors/index.js';
import type { Context } from './command.js';
import { type Format, formatOption, printValue } from './format.js';
import { printable } from './printable.js';

interface Versions {
  readonly client: string;
  readonly agent: { readonly version: string; readonly node: string } | null;
}

export function addVersion(program: Command, { io, client }: Context): void {
  program
    .command('version')
    .description('the version of sfc, and of the agent when it can be reached')
    .addOption(formatOption())
    .action(async ({ output }: { output: Format }) => {
      let versions: Versions = { client: io.version, agent: null };
      let why = '';
      try {
        const { version, node } = await client().get<StatusView>('/v1/status');
        versions = { ...versions, agent: { version, node } };
      } catch (error) {
        // Without an agent there is still a version to tell.
        if (!(error instanceof SfcError) || error.code !== 'AGENT_UNREACHABLE') throw error;
        why = error.message;
      }
      const { agent } = versions;
      if (output !== 'table') printValue(io.out, output, versions);
      else {
        io.out.write(`sfc  ${versions.client}\n`);
        io.out.write(agent === null ? `sfcd not reached: ${printable(why)}\n` : `sfcd ${printable(`${agent.version} on ${agent.node}`)}\n`);
      }
    });
}
