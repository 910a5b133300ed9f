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
   * The map entry comes first: the programs let packets of an interface without an entry pass.
   * @param found pods' interfaces
   * @param inMaps interfaces that have an entry now
   * @param before those that had one before this round
   * @returns why an interface could not be attached
   */
  update(found: readonly TrackedEndpoint[], inMaps: ReadonlyMap<number, unknown>, before: Iterable<number>): Map<number, string> {
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
    for (const ifindex of new Set([...before, ...this.#attached.keys()])) {
      if (inMaps.has(ifindex)) continue;
      try {
        this.#datapath.detach(ifindex);
        this.#log.info({ ifindex }, 'detached');
      } catch (error) {
        this.#log.warn({ ifindex, err: error }, 'could not detach');
      }
    }
    this.#attached = attached;
    return errors;
  }
}
