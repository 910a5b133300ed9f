/** Where the CNI plugin goes, as the settings say. */

import { join } from 'node:path';
import { type Installation, type Keeper, keepCni } from '../cni/index.js';
import type { Settings } from './config/index.js';
import type { Log } from './log.js';

/** @param root the directory with `dist`. @param node the node binary that the plugin shall run with */
export function installationOf(settings: Settings, root: string, node: string): Installation {
  return {
    binDirectory: settings.cniBinDir,
    confDirectory: settings.cniConfDir,
    socket: settings.socket,
    runDirectory: settings.runDir,
    whenAway: settings.cniWhenAway,
    program: { node, bundle: join(root, 'dist/cni/sfc-cni.cjs') },
  };
}

/** Keeps the plugin on the node where that is asked for; it stays there when the agent goes. */
export function keepPlugin(installation: Installation, { cni }: Settings, log: Log): Keeper | undefined {
  if (!cni) return undefined;
  return keepCni(installation, {
    onPut: (what) => log.info({}, what),
    onTrouble: (message) =>
      message === ''
        ? log.info({}, 'the CNI plugin is in place')
        : log.error({ code: 'CNI_INSTALL' }, `the CNI plugin is not in place: ${message}`),
  });
}
