/**
 * Whether the guard holds new interfaces, left as a file for those who cannot ask nftables: the CNI plugin, while no agent
 * answers. It names the boot, which the guard does not outlive.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Idempotent. Throws what the file system does. */
export function markGuard(runDirectory: string, on: boolean): void {
  const path = join(runDirectory, 'guard');
  if (!on) {
    rmSync(path, { force: true });
    return;
  }
  const boot = readFileSync(BOOT_ID, 'utf8');
  if (existsSync(path) && readFileSync(path, 'utf8') === boot) return;
  mkdirSync(runDirectory, { recursive: true });
  writeFileSync(`${path}.draft`, boot);
  renameSync(`${path}.draft`, path);
}
