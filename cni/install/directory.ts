/**
 * The runtime's directory of network configurations. A runtime takes the first by name of *.conf, *.conflist and *.json, so
 * that one is ours to amend. `x.conf` comes before `x.conflist`: where a list takes the place of a single plugin, that is
 * put aside under a name that no runtime reads, and comes back when the list goes.
 */

import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { isSingle, type PluginEntry, withoutPlugin, withPlugin } from './configuration.js';

const READ = /\.(conf|conflist|json)$/;
const ASIDE = '.before-sfc-cni';

/** In the order in which a runtime looks at them. */
function configurations(directory: string): string[] {
  return existsSync(directory)
    ? readdirSync(directory)
        .filter((name) => READ.test(name))
        .sort()
    : [];
}

/** In one step: a runtime that looks meanwhile sees the whole of either. */
function replace(path: string, text: string, mode: number): void {
  const draft = path.replace(/([^/]+)$/, '.$1.sfc-cni');
  writeFileSync(draft, text, { mode });
  renameSync(draft, path);
}

function naming<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new SfcError('CNI_INSTALL', `${path}: ${(cause as Error).message}`, { cause });
  }
}

export interface Put {
  /** The configuration that the runtime uses; undefined: there is none yet. */
  readonly file: string | undefined;
  readonly changed: boolean;
}

/** Idempotent. @throws SfcError CNI_INSTALL naming the file */
export function putConfiguration(directory: string, entry: PluginEntry): Put {
  const [name] = configurations(directory);
  if (name === undefined) return { file: undefined, changed: false };
  const path = join(directory, name);
  return naming(path, () => {
    const before = readFileSync(path, 'utf8');
    const text = withPlugin(before, entry);
    if (text === undefined) return { file: path, changed: false };
    const mode = statSync(path).mode & 0o777;
    if (!isSingle(before)) {
      replace(path, text, mode);
      return { file: path, changed: true };
    }
    const list = path.replace(READ, '.conflist');
    // There is a configuration at every moment: the list comes before the other goes.
    replace(list, text, mode);
    renameSync(path, `${path}${ASIDE}`);
    return { file: list, changed: true };
  });
}

/** From whichever configuration it stands in. @returns those that it stood in. @throws SfcError CNI_INSTALL naming the file */
export function takeConfiguration(directory: string): string[] {
  const changed = configurations(directory).filter((name) => {
    const path = join(directory, name);
    return naming(path, () => {
      const text = withoutPlugin(readFileSync(path, 'utf8'));
      if (text === undefined) return false;
      const aside = readdirSync(directory).find(
        (other) => other.endsWith(ASIDE) && other.replace(/\.[^.]+$/, '').replace(READ, '.conflist') === name,
      );
      if (aside === undefined) replace(path, text, statSync(path).mode & 0o777);
      else {
        renameSync(join(directory, aside), join(directory, aside.slice(0, -ASIDE.length)));
        rmSync(path);
      }
      return true;
    });
  });
  return changed.map((name) => join(directory, name));
}
