/** The allocations file: shared by the agents of one machine, changed under a lock, replaced in one step. */

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SfcError } from '../../errors/index.js';
import { type LockFile, tryLock } from './lock-file.js';
import { type Allocation, type AllocationRequest, type AllocationState, allocate, emptyState, parseState } from './state.js';

/** Another agent holds the lock for milliseconds; after this long (ms) something is wrong. */
const LOCK_PATIENCE_MS = 5000;
const LOCK_RETRY_MS = 10;

export interface Allocations {
  /**
   * Gives every chain its servicePathId and every function its service address; the same answer
   * again and again, after restarts and in every agent that shares the file.
   * @throws SfcError ALLOCATION_STATE (file unreadable or locked), ALLOCATION_EXHAUSTED
   */
  allocate(request: AllocationRequest): Promise<Allocation>;
}

function readState(file: string): AllocationState {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return emptyState();
    throw new SfcError('ALLOCATION_STATE', `${file}: ${(cause as Error).message}`, { cause });
  }
  return parseState(text, file);
}

/** Complete or not at all: written beside, flushed, then renamed over. The lock keeps the temporary name ours. */
function writeState(file: string, state: AllocationState): void {
  const temporary = `${file}.new`;
  try {
    const descriptor = openSync(temporary, 'w', 0o644);
    try {
      writeSync(descriptor, `${JSON.stringify(state, undefined, 2)}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, file);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new SfcError('ALLOCATION_STATE', `${file}: ${(cause as Error).message}`, { cause });
  }
}

async function lock(file: string): Promise<LockFile> {
  const path = `${file}.lock`;
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    let result: LockFile | number;
    try {
      result = tryLock(path);
    } catch (cause) {
      throw new SfcError('ALLOCATION_STATE', `${path}: ${(cause as Error).message}`, { cause });
    }
    if (typeof result !== 'number') return result;
    if (performance.now() > deadline) throw new SfcError('ALLOCATION_STATE', `${path} is held by process ${result}`);
    await delay(LOCK_RETRY_MS);
  }
}

/** Directories are made on first use. */
export function fileAllocations(file: string, serviceCidr: string): Allocations {
  return {
    async allocate(request) {
      try {
        mkdirSync(dirname(file), { recursive: true });
      } catch (cause) {
        throw new SfcError('ALLOCATION_STATE', `${dirname(file)}: ${(cause as Error).message}`, { cause });
      }
      const held = await lock(file);
      try {
        const state = readState(file);
        const { allocation, next } = allocate(state, request, serviceCidr);
        if (JSON.stringify(next) !== JSON.stringify(state)) writeState(file, next);
        return allocation;
      } finally {
        held.release();
      }
    },
  };
}
