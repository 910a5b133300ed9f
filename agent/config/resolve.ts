/** The settings of `sfcd`, settled. */

import { SfcError } from '../../errors/index.js';
import { parseCidr } from '../../geneve/index.js';
import { type SettingSources, settle } from '../../settings/index.js';
import { parseServiceCidr } from '../allocation/index.js';
import { DERIVED_DEFAULTS, type Settings, settingsSchema } from './settings.js';

/** sun_path holds 107 bytes and the final zero (unix(7)). */
const LONGEST_SOCKET = 107;

function check(settled: ReadonlyMap<string, unknown>, whereOf: (name: string) => string): string[] {
  const problems: string[] = [];
  try {
    parseServiceCidr(String(settled.get('serviceCidr')));
  } catch (error) {
    if (!(error instanceof SfcError)) throw error;
    problems.push(`${whereOf('serviceCidr')}: ${error.message}`);
  }
  if (settled.get('source') === 'directory' && settled.get('manifests') === '')
    problems.push('manifests is required: give --manifests, SFC_MANIFESTS or the file; or --source kubernetes');
  const ranges = String(settled.get('podCidrs'));
  for (const range of ranges === '' ? [] : ranges.split(',')) {
    if (parseCidr(range.trim()) === undefined) problems.push(`${whereOf('podCidrs')}: podCidrs: ${JSON.stringify(range)} is not a range`);
  }
  const socket = settled.get('socket');
  if (typeof socket === 'string' && Buffer.byteLength(socket) > LONGEST_SOCKET)
    problems.push(`socket: ${socket} is longer than ${LONGEST_SOCKET} bytes`);
  return problems;
}

/**
 * Settles every setting.
 * @throws SfcError CONFIG_INVALID naming every wrong value and where it was given
 */
export function resolveSettings(sources: SettingSources): Settings {
  return settle({ schema: settingsSchema, derivedDefaults: DERIVED_DEFAULTS, check }, sources) as Settings;
}
