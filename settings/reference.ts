/** The reference page of a program's settings. */

import type { SettingDescription } from './describe.js';

const cell = (text: string) => text.replaceAll('|', '\\|');

/**
 * The whole page as Markdown.
 * @param source the file that declares the settings
 */
export function settingsReference(program: string, source: string, settings: readonly SettingDescription[]): string {
  const rows = settings.map((setting) => {
    const values = setting.choices.length > 0 ? setting.choices.join(', ') : setting.kind;
    return `| \`${setting.name}\` | \`${setting.flag}\` | \`${setting.environment}\` | ${cell(values)} | ${cell(setting.defaultText)} | ${cell(setting.doc)} |`;
  });
  return `<!-- Generated from ${source} by \`make generate\`. Do not edit. -->

# Settings of \`${program}\`

A flag wins over the environment, the environment over the file (\`--config\`, \`SFC_CONFIG\`; YAML), the file over the
default. An unknown name in the file is an error. \`${program} --print-config\` shows what was settled.

| in the file | flag | environment | values | default | meaning |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}
