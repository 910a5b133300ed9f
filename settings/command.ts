/** The command line of a program, generated from its settings. */

import { Command, Option } from 'commander';
import { SfcError } from '../errors/index.js';
import type { SettingDescription } from './describe.js';

export interface CommandLine<Word extends string = never> {
  /** By setting name, as typed. */
  readonly flags: Readonly<Record<string, string>>;
  readonly configFile: string | undefined;
  readonly printConfig: boolean;
  /** The flags that are no settings. */
  readonly words: Readonly<Record<Word, boolean>>;
  /** Text to print and leave with exit 0 (help, version); undefined otherwise. */
  readonly print: string | undefined;
}

export interface ProgramDescription<Word extends string = never> {
  /** `sfcd`. */
  readonly name: string;
  readonly description: string;
  readonly version: string;
  readonly settings: readonly SettingDescription[];
  /** Flags that are no settings and take no value, by name, with their help: `installCni` is written `--install-cni`. */
  readonly words: Readonly<Record<Word, string>>;
}

/**
 * @param argv arguments without the interpreter and the script
 * @throws SfcError CONFIG_INVALID for an unknown flag or a missing argument
 */
export function parseProgramLine<Word extends string>(
  { name, description, version, settings, words }: ProgramDescription<Word>,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CommandLine<Word> {
  let printed = '';
  let complaint = '';
  const command = new Command(name)
    .description(description)
    .version(version)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => (printed += text), writeErr: (text) => (complaint += text) })
    .addOption(new Option('--config <file>', 'YAML file of settings (env SFC_CONFIG)'))
    .addOption(new Option('--print-config', 'print the settled settings as YAML and leave'));
  const named = Object.entries(words) as [Word, string][];
  for (const [word, help] of named)
    command.addOption(new Option(`--${word.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, help));
  for (const setting of settings) {
    const value =
      setting.kind === 'boolean' ? '[true|false]' : setting.choices.length > 0 ? `<${setting.choices.join('|')}>` : `<${setting.kind}>`;
    command.addOption(
      new Option(`${setting.flag} ${value}`, `${setting.doc} (default: ${setting.defaultText}; env ${setting.environment})`),
    );
  }
  const given = (options: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(named.map(([word]) => [word, options[word] === true])) as Record<Word, boolean>;
  try {
    command.parse([...argv], { from: 'user' });
  } catch (cause) {
    // commander's exitOverride throws for help and version too, with exit code 0.
    if ((cause as { exitCode?: number }).exitCode === 0)
      return { flags: {}, configFile: undefined, printConfig: false, words: given({}), print: printed };
    throw new SfcError('CONFIG_INVALID', complaint.trim().replace(/^error: /, '') || String(cause), { cause });
  }
  const options = command.opts<Record<string, string | boolean | undefined>>();
  const flags: Record<string, string> = {};
  for (const setting of settings) {
    const attribute = setting.flag.slice(2).replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    const value = options[attribute];
    if (value !== undefined) flags[setting.name] = String(value);
  }
  const configFile = (options.config as string | undefined) ?? environment.SFC_CONFIG;
  return {
    flags,
    configFile: configFile === '' ? undefined : configFile,
    printConfig: options.printConfig === true,
    words: given(options),
    print: undefined,
  };
}
