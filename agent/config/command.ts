/** The command line of `sfcd`, generated from the settings. */

import { Command, Option } from 'commander';
import { SfcError } from '../../errors/index.js';
import { SETTINGS } from './settings.js';

export interface CommandLine {
  /** By setting name, as typed. */
  readonly flags: Readonly<Record<string, string>>;
  readonly configFile: string | undefined;
  readonly printConfig: boolean;
  readonly remove: boolean;
  /** Only put the CNI plugin on the node. */
  readonly installCni: boolean;
  /** Only put the guard in place. */
  readonly hold: boolean;
  /** Text to print and leave with exit 0 (help, version); undefined otherwise. */
  readonly print: string | undefined;
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
  let printed = '';
  let complaint = '';
  const command = new Command('sfcd')
    .description('Node agent: steers the traffic of chosen pods through service functions.')
    .version(version)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => (printed += text), writeErr: (text) => (complaint += text) })
    .addOption(new Option('--config <file>', 'YAML file of settings (env SFC_CONFIG)'))
    .addOption(new Option('--print-config', 'print the settled settings as YAML and leave'))
    .addOption(new Option('--remove', 'detach everything, remove every pin, the guard and the CNI plugin, and leave'))
    .addOption(new Option('--install-cni', 'put the CNI plugin on the node, and leave'))
    .addOption(new Option('--hold', 'put the guard in place, where it is not, and leave: before anything starts pods'));
  for (const setting of SETTINGS) {
    const value =
      setting.kind === 'boolean' ? '[true|false]' : setting.choices.length > 0 ? `<${setting.choices.join('|')}>` : `<${setting.kind}>`;
    command.addOption(
      new Option(`${setting.flag} ${value}`, `${setting.doc} (default: ${setting.defaultText}; env ${setting.environment})`),
    );
  }
  try {
    command.parse([...argv], { from: 'user' });
  } catch (cause) {
    // commander's exitOverride throws for help and version too, with exit code 0.
    if ((cause as { exitCode?: number }).exitCode === 0) {
      return { flags: {}, configFile: undefined, printConfig: false, remove: false, installCni: false, hold: false, print: printed };
    }
    throw new SfcError('CONFIG_INVALID', complaint.trim().replace(/^error: /, '') || String(cause), { cause });
  }
  const options = command.opts<Record<string, string | boolean | undefined>>();
  const flags: Record<string, string> = {};
  for (const setting of SETTINGS) {
    const attribute = setting.flag.slice(2).replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    const value = options[attribute];
    if (value !== undefined) flags[setting.name] = String(value);
  }
  const configFile = (options.config as string | undefined) ?? environment.SFC_CONFIG;
  return {
    flags,
    configFile: configFile === '' ? undefined : configFile,
    printConfig: options.printConfig === true,
    remove: options.remove === true,
    installCni: options.installCni === true,
    hold: options.hold === true,
    print: undefined,
  };
}
