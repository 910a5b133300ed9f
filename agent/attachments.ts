/** The programs on pods' interfaces: hung where there is an endpoint entry, taken away where there is none any more. */

import type { AttachedInterface, Datapath } from '../datapath/index.js';
import type { TrackedEndpoint } from './endpoints.js';
import type { Log } from './log.js';

export class Attachments {
  readonly #datapath: Pick<Datapath, 'attach' | 'detach'>;
  readonly #log: Log;
  #attached = new Map<number, AttachedInterface>();

  constructor(datapath: Pick<Datapath, 'attach' | 'detach'>, log: Log) {
    this.#datapath = datapath;
    this.#log = log;
  }

  has(ifindex: number): boolean {
    return this.#attached.has(ifindex);
  }

  /** By interface, how the programs hang there. */
  methods(): Map<number, AttachedInterface['method']> {
    return new Map([...this.#attached].map(([ifindex, { method }]) => [ifindex, method]));
  }

  /**
   * Interfaces whose entry goes, or becomes another pod's. The programs go first: a packet that waits in a queue of the
   * userspace datapath would meet them without an entry, and pass.
   */
  leave(ifindexes: Iterable<number>): void {
    for (const ifindex of ifindexes) {
      try {
        this.#datapath.detach(ifindex);
        this.#attached.delete(ifindex);
        this.#log.info({ ifindex }, 'detached');
      } catch (error) {
        this.#log.warn({ ifindex, err: error }, 'could not detach');
      }
    }
  }

  /**
   * The map entry comes first: the programs let packets of an interface without an entry pass.
   * @param found pods' interfaces
   * @param inMaps interfaces that have an entry now
   * @returns why an interface could not be attached
   */
  update(found: readonly TrackedEndpoint[], inMaps: ReadonlyMap<number, unknown>): Map<number, string> {
    const errors = new Map<number, string>();
    const attached = new Map<number, AttachedInterface>();
    for (const { ifindex, ifname, pod } of found) {
      if (!inMaps.has(ifindex)) continue;
      try {
        const now = this.#datapath.attach(ifindex, ifname);
        attached.set(ifindex, now);
        if (!this.#attached.has(ifindex)) this.#log.info({ pod, ifname, ifindex, method: now.method }, 'attached');
      } catch (error) {
        errors.set(ifindex, error instanceof Error ? error.message : String(error));
      }
    }
    this.leave([...this.#attached.keys()].filter((ifindex) => !inMaps.has(ifindex)));
    this.#attached = attached;
    return errors;
  }
}
