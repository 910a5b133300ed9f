/** The command line of `sfcd`. */

import { type CommandLine as Line, parseProgramLine } from '../../settings/index.js';
import { SETTINGS } from './settings.js';

const WORDS = {
  remove: 'detach everything, remove every pin, the guard and the CNI plugin, and leave',
  installCni: 'put the CNI plugin on the node, and leave',
  hold: 'put the guard in place, where it is not, and leave: before anything starts pods',
};

export interface CommandLine extends Omit<Line, 'words'> {
  readonly remove: boolean;
  /** Only put the CNI plugin on the node. */
  readonly installCni: boolean;
  /** Only put the guard in place. */
  readonly hold: boolean;
}

/**
 * @param argv arguments without the interpreter and the script
 * @throws SfcError CONFIG_INVALID for an unknown flag or a missing argument
 */
export function parseCommandLine(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
): CommandLine {
  const description = 'Node agent: steers the traffic of chosen pods through service functions.';
  const program = { name: 'sfcd', description, version, settings: SETTINGS, words: WORDS };
  const { words, ...line } = parseProgramLine(program, argv, environment);
  return { ...line, ...words };
}
