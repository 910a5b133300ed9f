/** docs/reference/configuration.md, generated from the settings. */

import { settingsReference } from '../../settings/index.js';
import { SETTINGS } from './settings.js';

/** The whole page as Markdown. */
export function configurationReference(): string {
  return settingsReference('sfcd', 'agent/config/settings.ts', SETTINGS);
}
