/** The programs on pods' interfaces: hung where there is an endpoint entry, taken away where there is none any more. */

import type { AttachedInterface, Datapath } from '../datapath/index.js';
import type { TrackedEndpoint } from './endpoints.js';
import { type Log, Standing } from './log.js';

/** Put back so often within so long, somebody takes them away on purpose: it is not tried every second any more. */
const QUARREL = { times: 5, withinMs: 60_000 } as const;

type Programs = Pick<Datapath, 'attach' | 'detach' | 'troubled' | 'restore'>;

export class Attachments {
  readonly #datapath: Programs;
  readonly #log: Log;
  #attached = new Map<number, AttachedInterface>();

  /** By interface, when its programs were put back. */
  readonly #restored = new Map<number, number[]>();
  /** By interface: what somebody does again and again. */
  readonly #quarrels = new Map<number, string>();
  readonly #standing = new Standing();
  #count = 0;

  constructor(datapath: Programs, log: Log) {
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

  /** How often programs were put back since the start. */
  get restored(): number {
    return this.#count;
  }

  /**
   * Puts back what others have taken away, or put their own before. An interface that still is in trouble afterwards is held:
   * what selected pods send there would pass by their chain.
   * @param now monotonic ms
   * @param hold given interfaces whose packets shall wait while something is changed
   * @returns how many interfaces were in trouble
   * @throws KernelError when that cannot be told
   */
  restore(now: number, hold: (ifindexes: readonly number[]) => void): number {
    const troubled = this.#datapath.troubled();
    this.#quarrels.clear();
    for (const { ifindex, ifname, why } of troubled) {
      const times = (this.#restored.get(ifindex) ?? []).filter((at) => now - at < QUARREL.withinMs);
      hold([ifindex]);
      if (times.length >= QUARREL.times) {
        this.#quarrels.set(ifindex, `${ifname}: ${why}, again and again; its packets are held, and it is tried again in a minute`);
        continue;
      }
      try {
        this.#datapath.restore(ifindex);
        this.#count++;
        this.#restored.set(ifindex, [...times, now]);
        this.#log.warn({ ifname, ifindex }, `${why}; it is as it was again`);
      } catch (error) {
        this.#datapath.detach(ifindex); // so that it is attached anew, and the reason shows until it is
        this.#attached.delete(ifindex);
        this.#log.error({ ifname, ifindex, err: error }, `${why}, and it could not be put back`);
      }
    }
    for (const ifindex of this.#restored.keys()) if (!this.#attached.has(ifindex)) this.#restored.delete(ifindex);
    this.#standing.tell(this.#quarrels.values(), (message) => this.#log.error({}, message));
    return troubled.length;
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
    for (const [ifindex, why] of this.#quarrels) errors.set(ifindex, why);
    this.leave([...this.#attached.keys()].filter((ifindex) => !inMaps.has(ifindex)));
    this.#attached = attached;
    return errors;
  }
}
