/**
 * Sandboxes that a CNI plugin has told of, from the moment in which their interface is made until they are gone.
 *
 *     told ─► kept in a file ─► the pod is in the source? ─► round: entries, programs ─► answered
 *                                └─ not yet: waited for, as long as the plugin waits
 *
 * A sandbox goes with its interface: DEL comes before the plugin that takes that away, and what still sends is steered till then.
 * Should DEL find no agent, it goes all the same.
 */

import { SfcError } from '../../errors/index.js';
import { podKey, type World } from '../../policy/index.js';
import type { Link } from '../discovery/index.js';
import type { Log } from '../log.js';
import type { SandboxDesk, SandboxTold, SandboxView } from '../view.js';
import { amendWorld, isOf, sandboxOfPod } from './amend.js';
import type { SandboxRecord, SandboxStore } from './store.js';

export interface SandboxPorts {
  readonly store: SandboxStore;
  /** Number of an interface; 0: there is none of that name. */
  readonly interfaceNumber: (name: string) => number;
  readonly now: () => Date;
  readonly log: Log;
}

/** Who brings about what was told. */
export interface Attendant {
  /** Something was told, or is gone. */
  readonly told: () => void;
  /** What is not in place, in words; empty when nothing is. */
  readonly missing: (sandbox: SandboxRecord) => string;
}

interface Waiting {
  readonly record: SandboxRecord;
  readonly done: () => void;
}

export class Sandboxes implements SandboxDesk {
  readonly #ports: SandboxPorts;
  /** In the order in which they were told. */
  readonly #records: Map<string, SandboxRecord>;
  /** Interfaces that a look at the host has shown, this agent's or the one before. */
  readonly #seen = new Set<number>();
  readonly #waiting = new Set<Waiting>();
  #attendant: Attendant = { told: () => undefined, missing: () => 'the agent has not started yet' };
  #amended: { readonly from: World; readonly to: World } | undefined;

  /** Knows what was told to the agent before. */
  constructor(ports: SandboxPorts) {
    this.#ports = ports;
    this.#records = new Map(ports.store.load().map((record) => [record.id, record]));
    for (const { ifindexes } of this.#records.values()) for (const ifindex of ifindexes) this.#seen.add(ifindex);
  }

  attend(attendant: Attendant): void {
    this.#attendant = attendant;
  }

  readonly isOf = isOf;

  /** The same world for the same one, until something is told. */
  amend(world: World, node: string): World {
    if (this.#amended?.from !== world) this.#amended = { from: world, to: amendWorld(world, node, [...this.#records.values()]) };
    return this.#amended.to;
  }

  /** By pod of the node, `namespace/name`: the host's interfaces that were named for it, by number. */
  interfaces(world: World, node: string): ReadonlyMap<string, readonly number[]> {
    const records = [...this.#records.values()];
    if (records.length === 0) return new Map();
    const local = world.pods.filter((pod) => pod.nodeName === node);
    return new Map(
      local.flatMap((pod): [string, readonly number[]][] => {
        const record = sandboxOfPod(pod, records);
        return record === undefined || record.ifindexes.length === 0 ? [] : [[podKey(pod), record.ifindexes]];
      }),
    );
  }

  /** A look at the host: a sandbox is gone with the interface that it had. One that no look has shown yet may be younger than this one. */
  surveyed(links: ReadonlyMap<number, Link>): void {
    for (const { id, ifindexes, pod } of this.#records.values()) {
      const gone = ifindexes.some((ifindex) => this.#seen.has(ifindex) && !links.has(ifindex));
      for (const ifindex of ifindexes) if (links.has(ifindex)) this.#seen.add(ifindex);
      if (!gone) continue;
      this.#ports.log.info({ sandbox: id, pod: `${pod.namespace}/${pod.name}` }, 'its interface is gone, and the sandbox with it');
      this.#drop(id);
    }
    for (const ifindex of this.#seen) if (!links.has(ifindex)) this.#seen.delete(ifindex);
  }

  /** A round is done: who waits for it is answered. */
  judge(): void {
    for (const waiting of this.#waiting) if (this.#attendant.missing(waiting.record) === '') waiting.done();
  }

  list(): readonly SandboxView[] {
    return [...this.#records.values()].filter(({ ending }) => ending !== true).map((record) => this.#view(record));
  }

  async tell(id: string, told: SandboxTold, waitMs: number): Promise<SandboxView> {
    const known = this.#records.get(id);
    // A pod is behind one interface: the first that was made, which the cluster knows it by.
    if (known !== undefined && known.ending !== true && known.interface !== told.interface) return this.#view(known);
    const numbers = told.hostInterfaces.map((name) => this.#ports.interfaceNumber(name));
    const record = { ...told, id, toldAt: this.#ports.now().toISOString(), ifindexes: numbers.filter((ifindex) => ifindex !== 0) };
    this.#records.delete(id); // to the end of the order
    this.#records.set(id, record);
    this.#ports.store.put(record);
    this.#amended = undefined;
    this.#attendant.told();
    await this.#inPlace(record, waitMs);
    return this.#view(record);
  }

  forget(id: string, interfaceInside: string): void {
    const record = this.#records.get(id);
    if (record?.interface !== interfaceInside || record.ending === true) return;
    if (record.ifindexes.length === 0) this.#drop(id);
    else {
      const ending = { ...record, ending: true } as const;
      this.#records.set(id, ending);
      this.#ports.store.put(ending);
    }
    this.#attendant.told();
  }

  #drop(id: string): void {
    this.#records.delete(id);
    this.#ports.store.delete(id);
    this.#amended = undefined;
  }

  /** @throws SfcError SANDBOX_PENDING */
  #inPlace(record: SandboxRecord, waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(late);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        record,
        done: () => {
          end();
          resolve();
        },
      };
      const late = setTimeout(() => {
        end();
        const missing = this.#attendant.missing(record);
        if (missing === '') return resolve();
        const { id, pod } = record;
        this.#ports.log.warn(
          { sandbox: id, pod: `${pod.namespace}/${pod.name}` },
          `a sandbox is not in place after ${waitMs / 1000} s: ${missing}`,
        );
        reject(new SfcError('SANDBOX_PENDING', `not in place after ${waitMs / 1000} s: ${missing}`));
      }, waitMs);
      this.#waiting.add(waiting);
    });
  }

  #view({ ifindexes: _, ending: __, ...record }: SandboxRecord): SandboxView {
    const full = this.#records.get(record.id);
    return { ...record, missing: full === undefined ? 'it is gone' : this.#attendant.missing(full) };
  }
}
