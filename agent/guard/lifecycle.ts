/** What becomes of the guard before the datapath opens, and by command. */

import { setTimeout as sleep } from 'node:timers/promises';
import {
  abandonedInterfaces,
  changeGuard,
  hasPinnedState,
  installGuard,
  interfaceNumber,
  readGuard,
  removeGuard,
} from '../../datapath/index.js';
import { SfcError } from '../../errors/index.js';
import type { Settings } from '../config/index.js';
import { type RunCommand, readTables } from '../discovery/index.js';
import type { Log } from '../log.js';
import { decide } from './decide.js';
import { GuardKeeper, type GuardTables } from './keeper.js';
import { readReceived } from './received.js';

const TABLES: GuardTables = { read: readGuard, install: installGuard, change: changeGuard };

/** The names of `guardExcept`. */
export function exceptions(settings: Settings): readonly string[] {
  return settings.guardExcept
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/**
 * Opening a datapath takes away what an earlier one would still have stopped: filters of a userspace
 * datapath that was killed, or, where it is asked for, everything that is pinned. What these are for is
 * held before. Where the guard is off, it goes. Throws `GUARD_UNAVAILABLE` where it is required.
 */
export function openGuard(settings: Settings, log: Log): GuardKeeper {
  try {
    if (settings.guard === 'off') removeGuard();
    else {
      const state = readGuard();
      const resets = settings.resetPins && hasPinnedState(settings.pinDir);
      const hold = resets ? [...(state?.settled ?? [])] : abandonedInterfaces().map(interfaceNumber);
      if (state?.current === true) changeGuard({ hold: hold.filter((ifindex) => state.settled.has(ifindex)) });
    }
  } catch (error) {
    // Where nobody wants a guard, a machine without nftables is as good as any. Otherwise the rounds try again, and tell.
    if (!(error instanceof SfcError) || error.code !== 'GUARD_UNAVAILABLE' || settings.guard === 'required') throw error;
    if (settings.guard === 'off') log.debug({}, `whether there is a guard to remove is not known: ${error.message}`);
  }
  return new GuardKeeper({ mode: settings.guard, tables: TABLES, received: readReceived, wait: (ms) => sleep(ms), log });
}

/** `sfcd --remove`. Where there is no nftables there is no guard either. */
export function removeGuardIfAny(): void {
  try {
    removeGuard();
  } catch (error) {
    if (!(error instanceof SfcError) || error.code !== 'GUARD_UNAVAILABLE') throw error;
  }
}

/**
 * `sfcd --hold`: the guard is there before anything starts pods. Settled is what leads elsewhere for certain: a
 * way out of the node, should that be a veth. Throws `GUARD_UNAVAILABLE`, `COMMAND_FAILED`.
 */
export async function holdAll(settings: Settings, run: RunCommand, log: Log): Promise<void> {
  if (readGuard()?.current === true) return log.info({}, 'the guard was in place');
  const { links, routes } = await readTables(run);
  const decisions = decide({ links, routes, ranges: [], endpoints: new Map(), except: exceptions(settings) });
  const settled = decisions.flatMap(({ link, action }) => (action === 'settle' ? [link.ifindex] : []));
  installGuard(settled, []);
  log.info({ settled: settled.length }, 'the guard is in place');
}
