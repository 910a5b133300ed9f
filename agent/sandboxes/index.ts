import { join } from 'node:path';
import { interfaceNumber } from '../../datapath/index.js';
import type { Log } from '../log.js';
import { Sandboxes } from './sandboxes.js';
import { fileStore } from './store.js';

export { Sandboxes } from './sandboxes.js';
export type { SandboxRecord, SandboxStore } from './store.js';

/** Sandboxes of this node, kept below the run directory. */
export function openSandboxes(runDirectory: string, log: Log): Sandboxes {
  return new Sandboxes({ store: fileStore(join(runDirectory, 'sandboxes'), log), interfaceNumber, now: () => new Date(), log });
}
