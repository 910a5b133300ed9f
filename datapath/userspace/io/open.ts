/** The userspace datapath as the agent holds it: the packet thread and what hangs on it. */

import { SfcError } from '../../../errors/index.js';
import type { MapName, MapStore } from '../../../maps/index.js';
import type { AttachedInterface, Datapath } from '../../datapath.js';
import { hostileSettings, isDeviceThere } from './devices.js';
import { leftoverInterfaces, releaseAll } from './filters.js';
import { PacketThread } from './packet-thread-client.js';
import { remoteStore } from './remote-store.js';

export interface UserspaceOptions {
  /** The compiled module `packet-thread.js`. */
  readonly module: string;
  /** UDP port of steering. */
  readonly port: number;
  /** Take TCP segments whole where the kernel offers it (Linux 6.17). */
  readonly gso: boolean;
  readonly capacities?: Partial<Record<MapName, number>>;
  readonly warn: (message: string) => void;
  /** The packet thread ended by itself: nothing is steered any more, and what is caught is dropped. */
  readonly lost: (error: Error) => void;
}

export interface UserspaceDatapath extends Datapath {
  readonly kind: 'userspace';
  /** Are TCP segments taken whole? */
  readonly gso: boolean;
}

/**
 * Starts the packet thread. What an agent that was killed left behind in this network namespace is
 * removed. Throws `USERSPACE_UNAVAILABLE`, `ALREADY_RUNNING`, `COMMAND_FAILED`.
 */
export function openUserspaceDatapath(options: UserspaceOptions): UserspaceDatapath {
  const { module, port, gso, warn, lost, capacities = {} } = options;
  for (const setting of hostileSettings()) warn(setting);
  const thread = new PacketThread({ module, port, gso, capacities, warn, lost });
  const store: MapStore = remoteStore(
    capacities,
    (call) => thread.call(call),
    (map) => thread.sizeOf(map),
  );
  const interfaces = new Map<number, AttachedInterface>();
  return {
    kind: 'userspace',
    store,
    gso: thread.opened.gso,
    adopted: [],
    // Its filters are looked after by nobody yet: whoever takes clsact away takes them.
    troubled: () => [],
    setUplinks: () => [],
    restore: () => undefined,
    attach(ifindex, ifname) {
      const known = interfaces.get(ifindex);
      if (known?.ifname === ifname) return known;
      thread.call({ op: 'attach', ifindex, ifname });
      const attached: AttachedInterface = { ifindex, ifname, method: 'tun' };
      interfaces.set(ifindex, attached);
      return attached;
    },
    detach(ifindex) {
      thread.call({ op: 'detach', ifindex });
      interfaces.delete(ifindex);
    },
    attached: () => [...interfaces.values()],
    policyChanged: () => void thread.call({ op: 'policyChanged' }),
    close: () => thread.stop(),
    remove: () => thread.stop(),
  };
}

/** Interfaces that a userspace datapath left filters on when it was killed; none while one runs in this network namespace. */
export function abandonedInterfaces(): readonly string[] {
  return isDeviceThere() ? [] : leftoverInterfaces();
}

/**
 * Removes what a userspace datapath that was killed left on the interfaces of this network namespace;
 * their names. Throws `ALREADY_RUNNING` when one still runs, `COMMAND_FAILED`.
 */
export function removeUserspaceLeftovers(): readonly string[] {
  if (isDeviceThere()) throw new SfcError('ALREADY_RUNNING', 'a userspace datapath runs in this network namespace');
  const interfaces = abandonedInterfaces();
  releaseAll(interfaces);
  return interfaces;
}
