/** Opening and removing either datapath, as the settings say. */

import { join } from 'node:path';
import {
  type Datapath,
  hasPinnedState,
  openKernelDatapath,
  openUserspaceDatapath,
  removeUserspaceLeftovers,
} from '../../datapath/index.js';
import { SfcError } from '../../errors/index.js';
import { typedMaps } from '../../maps/index.js';
import type { Settings } from '../config/index.js';
import type { Log } from '../log.js';
import { type Choice, chooseDatapath } from './choice.js';

/** One entry an endpoint. */
const capacitiesOf = ({ maps }: Settings) => ({ ...maps, sfcquota: maps.endpoint });

function openKernel(settings: Settings, root: string, reset: boolean): Datapath {
  return openKernelDatapath({
    object: join(root, 'dist/datapath/kernel/sfc.bpf.o'),
    pinDirectory: settings.pinDir,
    port: settings.port,
    capacities: capacitiesOf(settings),
    reset,
    order: settings.attachOrder,
    ...(settings.attach === 'auto' ? {} : { method: settings.attach }),
  });
}

function openUserspace(settings: Settings, root: string, log: Log): Datapath {
  if (hasPinnedState(settings.pinDir)) {
    if (!settings.resetPins)
      throw new SfcError('PINNED_STATE', `${settings.pinDir} holds programs of the kernel datapath, which would meet the packets first`);
    removeKernelState(settings, root, log);
  }
  return openUserspaceDatapath({
    module: join(root, 'dist/datapath/userspace/io/packet-thread.js'),
    port: settings.port,
    gso: settings.gso,
    capacities: capacitiesOf(settings),
    warn: (message) => log.warn({}, message),
    lost: (error) => {
      throw error; // to the handler of uncaught exceptions: an agent without its datapath has to be started anew
    },
  });
}

/** Detaches the kernel programs and removes every pin, whatever version or capacities made them. */
function removeKernelState(settings: Settings, root: string, log: Log): void {
  let datapath: Datapath;
  try {
    datapath = openKernel(settings, root, false);
  } catch (error) {
    if (!(error instanceof SfcError) || error.code !== 'PINNED_STATE') throw error;
    log.warn({ code: error.code }, error.message);
    datapath = openKernel(settings, root, true);
  }
  // Where no link is pinned (clsact), the endpoint map alone knows the interfaces.
  for (const [{ ifindex }] of typedMaps(datapath.store).endpoint.entries()) datapath.detach(ifindex);
  datapath.remove();
  datapath.close();
}

/** Detaches everything and removes every pin, whichever datapath made it. `root`: the directory with `dist`. */
export function removeEverything(settings: Settings, root: string, log: Log): void {
  const interfaces = removeUserspaceLeftovers();
  try {
    removeKernelState(settings, root, log);
  } catch (error) {
    // Where there is no BPF there is no state of it either.
    if (!(error instanceof SfcError) || error.code !== 'BPF_UNAVAILABLE' || hasPinnedState(settings.pinDir)) throw error;
  }
  log.info({ pinDir: settings.pinDir, interfaces }, 'everything is detached and every pin removed');
}

/** The datapath that moves the packets from now on. Throws what opening it throws. */
export function openDatapath(settings: Settings, root: string, log: Log): Choice {
  return chooseDatapath(settings.datapath, {
    kernel: () => {
      const interfaces = removeUserspaceLeftovers();
      if (interfaces.length > 0) log.warn({ interfaces }, 'removed what a userspace datapath had left');
      return openKernel(settings, root, settings.resetPins);
    },
    userspace: () => openUserspace(settings, root, log),
  });
}
