/** The settings of `sfc-controller`, its command line and its reference page. */

import { type CommandLine, parseProgramLine, settingsReference } from '../../settings/index.js';
import { SETTINGS } from './settings.js';

export { resolveSettings, type Settings } from './settings.js';

/** @throws SfcError CONFIG_INVALID for an unknown flag or a missing argument */
export function parseCommandLine(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  version: string,
): CommandLine {
  const description = 'Controller of a cluster: servicePathIds, a Service for each function, status of chains and selectors.';
  return parseProgramLine({ name: 'sfc-controller', description, version, settings: SETTINGS, words: {} }, argv, environment);
}

/** docs/reference/controller.md as Markdown. */
export function controllerReference(): string {
  return settingsReference('sfc-controller', 'controller/config/settings.ts', SETTINGS);
}
