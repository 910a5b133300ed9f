/**
 * Sandboxes as files, one each: an agent that starts again knows what its predecessor was told, and what is not in the
 * source yet. In the run directory, which a reboot empties as it ends every sandbox.
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../log.js';
import type { SandboxTold } from '../view.js';

export interface SandboxRecord extends SandboxTold {
  readonly id: string;
  readonly toldAt: string;
  /** Numbers of the host's interfaces, as their names meant them when they were told: numbers are not used again. */
  readonly ifindexes: readonly number[];
  /** The runtime has said that it goes. */
  readonly ending?: true;
}

export interface SandboxStore {
  /** In the order in which they were told. */
  load(): readonly SandboxRecord[];
  put(record: SandboxRecord): void;
  delete(id: string): void;
}

const SUFFIX = '.json';

function isRecord(value: unknown, id: string): value is SandboxRecord {
  const { id: own, pod, ifindexes, addresses } = (value ?? {}) as Partial<SandboxRecord>;
  return own === id && typeof pod === 'object' && Array.isArray(ifindexes) && Array.isArray(addresses);
}

/** An id is a file's name: `isSandboxId` has been asked before. */
export function fileStore(directory: string, log: Log): SandboxStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pathOf = (id: string) => join(directory, `${id}${SUFFIX}`);
  return {
    load() {
      const records = readdirSync(directory).flatMap((file) => {
        if (!file.endsWith(SUFFIX)) return [];
        const id = file.slice(0, -SUFFIX.length);
        try {
          const value: unknown = JSON.parse(readFileSync(pathOf(id), 'utf8'));
          if (isRecord(value, id)) return [value];
          log.warn({ file }, 'is no sandbox; it is removed');
        } catch (error) {
          log.warn({ file, err: error }, 'a sandbox cannot be read; it is removed');
        }
        rmSync(pathOf(id), { force: true });
        return [];
      });
      return records.sort((one, other) => (one.toldAt < other.toldAt ? -1 : 1));
    },
    put(record) {
      const draft = join(directory, `.${record.id}.draft`);
      writeFileSync(draft, JSON.stringify(record));
      renameSync(draft, pathOf(record.id));
    },
    delete(id) {
      rmSync(pathOf(id), { force: true });
    },
  };
}
