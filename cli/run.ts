/** `sfc`: the command line from arguments to exit code. */

import { Command, CommanderError } from 'commander';
import { ERRORS, SfcError } from '../errors/index.js';
import { addBpf } from './bpf.js';
import { apiClient, DEFAULT_SOCKET } from './client.js';
import { paintFor } from './colour.js';
import type { Context } from './command.js';
import { addGet } from './get.js';
import type { Io } from './io.js';
import { printable } from './printable.js';
import { addReplay } from './replay.js';
import { addStatus } from './status.js';
import { addValidate } from './validate.js';
import { addVersion } from './version.js';

const EXAMPLES = `
Examples:
  sfc status                          is this node ready, and what has it counted?
  sfc get chain firewall -o yaml      the path id and conditions of a chain
  sfc get services                    the Service of each function
  sfc bpf sfcpath list                where each path leads
  sfc bpf sfcselect list              what is steered, and into which path
  sfc bpf sfcflow list --limit 100    the flows that are open
  sfc validate manifests/             check before applying
  sfc replay pod.pcap -m manifests/ -e vpn/vpn -w wire.pcap
                                      what would become of captured packets

Exit codes: 0 done, 64 wrong usage, 65 invalid manifests or capture, 66 not found, 69 no agent to ask, 74 not written.
`;

/** @param complaints takes what the parser says of wrong usage */
function program(io: Io, complaints: string[], exitWith: (code: number) => void): Command {
  const command = new Command('sfc')
    .description('Shows what a node of the service function chaining datapath knows and does.')
    .option('--socket <path>', `unix socket of the agent (env SFC_SOCKET, default ${DEFAULT_SOCKET})`)
    .version(io.version, '-V, --version', 'the version of sfc alone')
    .helpOption('-h, --help', 'help for a command')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void complaints.push(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  const socket = () => command.opts<{ socket?: string }>().socket ?? (io.environment.SFC_SOCKET || DEFAULT_SOCKET);
  const context: Context = { io, client: () => apiClient(socket()), exitWith };
  addStatus(command, context);
  addGet(command, context);
  addBpf(command, context);
  addValidate(command, context);
  addReplay(command, context);
  addVersion(command, context);
  return command;
}

function complain(error: unknown, { err, environment }: Io): number {
  const known = error instanceof SfcError ? error : new SfcError('INTERNAL', error instanceof Error ? error.message : String(error));
  const paint = paintFor(err, environment);
  const message = known.message.split('\n').map(printable).join('\n');
  err.write(`sfc: ${paint.bad(known.code)}: ${message}\n${known.hint}\n`);
  return known.exit;
}

/** Runs one command line. @returns the exit code; nothing is thrown */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const complaints: string[] = [];
  let exit = 0;
  try {
    await program(io, complaints, (code) => {
      exit = code;
    }).parseAsync([...argv], { from: 'user' });
    return exit;
  } catch (error) {
    if (!(error instanceof CommanderError)) return complain(error, io);
    if (error.exitCode === 0) return 0;
    const said = complaints.join('').trim();
    // A command that only has subcommands shows its help when it is called without one.
    if (error.code === 'commander.help') {
      io.err.write(`${said}\n`);
      return ERRORS.USAGE.exit;
    }
    return complain(new SfcError('USAGE', said.replace(/^error: /, ''), { cause: error }), io);
  }
}
