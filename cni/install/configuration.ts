/**
 * `sfc-cni` in the text of a network configuration: appended to the plugins of a list; a configuration of one plugin becomes
 * a list of two. Everything else in it stays as its owner wrote it. Pure.
 */

import { SfcError } from '../../errors/index.js';
import { SUPPORTED_VERSIONS } from '../spec.js';

export const PLUGIN_TYPE = 'sfc-cni';

/** Our own entry. */
export type PluginEntry = Readonly<Record<string, unknown>> & { readonly type: typeof PLUGIN_TYPE };

type Row = Readonly<Record<string, unknown>>;

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);
const isOurs = (plugin: unknown) => isRow(plugin) && plugin.type === PLUGIN_TYPE;
const print = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

function parse(text: string): Row {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw new SfcError('CNI_INSTALL', `it is no JSON: ${(cause as Error).message}`, { cause });
  }
  if (!isRow(config)) throw new SfcError('CNI_INSTALL', 'it is no JSON object');
  return config;
}

function pluginsOf(config: Row): readonly unknown[] | undefined {
  const { plugins } = config;
  if (plugins !== undefined && !Array.isArray(plugins)) throw new SfcError('CNI_INSTALL', 'its plugins are no list');
  return plugins;
}

/** Is it a configuration of a single plugin, as a `.conf` file has it? @throws SfcError CNI_INSTALL */
export function isSingle(text: string): boolean {
  return pluginsOf(parse(text)) === undefined;
}

/**
 * @returns the text with our entry at the end, once; undefined when it is there already as it should be
 * @throws SfcError CNI_INSTALL where it cannot be a chain
 */
export function withPlugin(text: string, entry: PluginEntry): string | undefined {
  const config = parse(text);
  const { cniVersion, name, plugins, ...single } = config;
  const list = pluginsOf(config);
  if (!SUPPORTED_VERSIONS.some((version) => version === cniVersion)) {
    const said = cniVersion === undefined ? 'names no cniVersion' : `is of version ${JSON.stringify(cniVersion)}`;
    throw new SfcError('CNI_INSTALL', `it ${said}; chains of plugins have ${SUPPORTED_VERSIONS.join(', ')}`);
  }
  const others = (list ?? [single]).filter((plugin) => !isOurs(plugin));
  if (others.length === 0) throw new SfcError('CNI_INSTALL', 'it has no plugin that makes an interface');
  const ours = (list ?? []).filter(isOurs);
  if (ours.length === 1 && list?.at(-1) === ours[0] && JSON.stringify(ours[0]) === JSON.stringify(entry)) return undefined;
  if (list === undefined) return print({ cniVersion, name, plugins: [...others, entry] });
  return print({ ...config, plugins: [...others, entry] });
}

/** @returns the text without any entry of ours; undefined when there is none. @throws SfcError CNI_INSTALL */
export function withoutPlugin(text: string): string | undefined {
  const config = parse(text);
  const list = pluginsOf(config);
  return list?.some(isOurs) ? print({ ...config, plugins: list.filter((plugin) => !isOurs(plugin)) }) : undefined;
}
