/** docs/reference/configuration.md, generated from the settings. */

import { SETTINGS } from './settings.js';

const cell = (text: string) => text.replaceAll('|', '\\|');

/** The whole page as Markdown. */
export function configurationReference(): string {
  const rows = SETTINGS.map((setting) => {
    const values = setting.choices.length > 0 ? setting.choices.join(', ') : setting.kind;
    return `| \`${setting.name}\` | \`${setting.flag}\` | \`${setting.environment}\` | ${cell(values)} | ${cell(setting.defaultText)} | ${cell(setting.doc)} |`;
  });
  return `<!-- Generated from agent/config/settings.ts by \`make generate\`. Do not edit. -->

# Settings of \`sfcd\`

A flag wins over the environment, the environment over the file (\`--config\`, \`SFC_CONFIG\`; YAML), the file over the
default. An unknown name in the file is an error. \`sfcd --print-config\` shows what was settled.

| in the file | flag | environment | values | default | meaning |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}
