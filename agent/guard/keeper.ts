/**
 * Keeps the guard in line with what the agent knows, round by round:
 *
 *     survey ─► open: hold what is no pod's any more, settle what is none ─► maps, programs ─► close: settle what is complete
 *
 * What is held is held before its programs go, what is settled is settled after they are there. The tables
 * are the state: a restart reads them, and changes only what differs.
 */

import type { GuardChange, GuardState } from '../../datapath/index.js';
import { type Log, Standing } from '../log.js';
import type { GuardView } from '../view.js';
import { type Decision, decide, type HostFacts } from './decide.js';

/** How long a received packet may wait for the CPU before it meets the guard. */
const SOFTIRQ_MS = [1, 4, 15];

/** The tables in the kernel; every call may throw `GUARD_UNAVAILABLE`. */
export interface GuardTables {
  read(): GuardState | undefined;
  install(settled: Iterable<number>, begun: Iterable<number>): void;
  change(change: GuardChange): void;
}

export interface KeeperOptions {
  /** `required`: a round fails where the guard cannot be had. */
  readonly mode: 'on' | 'off' | 'required';
  readonly tables: GuardTables;
  /** Packets received by interface name, from the kernel's own counters. */
  readonly received: (ifnames: readonly string[]) => ReadonlyMap<string, number>;
  /** Resolves after so many milliseconds. */
  readonly wait: (ms: number) => Promise<void>;
  readonly log: Log;
}

/** A pod's interface that is about to get its programs. */
export interface Beginning {
  readonly ifindex: number;
  readonly ifname: string;
  readonly selected: boolean;
}

export class GuardKeeper {
  readonly #options: KeeperOptions;
  readonly #standing = { trouble: new Standing(), held: new Standing() };
  #trouble = '';
  #held: readonly Decision[] = [];
  /** Settled and begun as the tables have them after the last change. */
  #settled: Set<number> = new Set();
  #begun: Set<number> = new Set();
  #unsteered = 0;
  /** Interfaces that may be older than the guard, and ports of bridges. */
  #older: ReadonlySet<number> = new Set();
  #ports: ReadonlySet<number> = new Set();
  /** Nothing is known of what interfaces sent before the agent's first look, where no guard was there. */
  #first = true;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get #wanted(): boolean {
    return this.#options.mode !== 'off';
  }

  /** Are new interfaces held, as far as the last attempt tells? */
  get on(): boolean {
    return this.#wanted && !this.#first && this.#trouble === '';
  }

  /** Is the interface settled? Where no guard is wanted everything is. */
  isSettled(ifindex: number): boolean {
    return !this.#wanted || this.#settled.has(ifindex);
  }

  /**
   * Before maps and programs change. `facts.endpoints` are the interfaces of known pods; `fresh`, those of them
   * that have no entry yet or another's; `leaving`, interfaces whose pod is gone or another.
   */
  open(facts: HostFacts, fresh: readonly number[], leaving: readonly number[]): void {
    // Of a known pod nothing is settled here: its entries and programs come first.
    const decisions = decide({ ...facts, endpoints: new Map([...facts.endpoints.keys()].map((ifindex) => [ifindex, 'not yet'])) });
    const present = new Set(facts.links.map(({ ifindex }) => ifindex));
    this.#ports = new Set(facts.links.flatMap(({ ifindex, master }) => (master === '' ? [] : [ifindex])));
    const others = decisions.flatMap(({ link, action }) => (action === 'settle' ? [link.ifindex] : []));
    const held = new Set([...decisions.flatMap(({ link, action }) => (action === 'hold' ? [link.ifindex] : [])), ...fresh, ...leaving]);
    this.#attempt(() => {
      const state = this.#options.tables.read();
      if (state === undefined || !state.current) {
        // Made by another version: adopted. Taken away by somebody: as it was.
        const kept = [...(state?.settled ?? this.#settled)].filter((ifindex) => present.has(ifindex) && !held.has(ifindex));
        const unknown = state === undefined && this.#first ? present : [];
        this.#begun = new Set([...(state?.begun ?? []), ...this.#begun, ...unknown]);
        const settled = new Set([...kept, ...others]);
        this.#options.tables.install(settled, this.#begun);
        this.#settled = settled;
        this.#older = present;
        this.#options.log.info({ settled: this.#settled.size }, 'the guard is in place');
        return;
      }
      this.#settled = new Set(state.settled);
      this.#begun = new Set(state.begun);
      this.#change({
        hold: [...held].filter((one) => state.settled.has(one)),
        settle: others.filter((one) => !state.settled.has(one)),
        // Not what this look has missed: it may have come since.
        forget: [...state.gone],
      });
    });
    if (this.#first && (!this.#wanted || this.#trouble !== '')) for (const { ifindex } of facts.links) this.#begun.add(ifindex);
    for (const ifindex of this.#begun) if (!present.has(ifindex)) this.#begun.delete(ifindex);
    this.#first = false;
  }

  /**
   * Interfaces are about to get their programs. Of those that had none before and are selected, what the
   * kernel has received and the guard has not seen has left unsteered.
   */
  async beginning(interfaces: readonly Beginning[]): Promise<void> {
    const fresh = interfaces.filter(({ ifindex }) => !this.#begun.has(ifindex));
    if (fresh.length === 0) return;
    const unseen = await this.#unseen(fresh.filter(({ selected, ifindex }) => selected && this.#tells(ifindex)));
    for (const { ifname, ifindex, packets } of unseen) {
      this.#unsteered += packets;
      this.#options.log.warn({ ifname, ifindex, packets }, 'packets of a selected pod had left before its programs were there');
    }
    const begin = fresh.map(({ ifindex }) => ifindex);
    for (const ifindex of begin) this.#begun.add(ifindex);
    this.#attempt(() => this.#options.tables.change({ begin }));
  }

  /**
   * Does what the guard has not seen tell of what has left? Before a bridge lets a new port forward it throws
   * frames away that it counts nowhere: of a port that is younger than the guard it does not.
   */
  #tells(ifindex: number): boolean {
    return !this.#ports.has(ifindex) || this.#older.has(ifindex) || !this.#wanted || this.#trouble !== '';
  }

  /**
   * Packets that the kernel has received and the guard has not seen. The guard is asked second, so that what comes
   * in between is seen and not yet received; and again a few times, for what was received and still waited for
   * its softirq.
   */
  async #unseen(interfaces: readonly Beginning[]): Promise<readonly (Beginning & { readonly packets: number })[]> {
    let unseen = interfaces.map((one) => ({ ...one, packets: Number.POSITIVE_INFINITY }));
    for (const ms of [0, ...SOFTIRQ_MS]) {
      if (unseen.length === 0) break;
      if (ms > 0) await this.#options.wait(ms);
      const received = this.#options.received(unseen.map(({ ifname }) => ifname));
      let met: ReadonlyMap<number, number> = new Map();
      this.#attempt(() => {
        met = this.#options.tables.read()?.met ?? met;
      });
      unseen = unseen
        .map((one) => ({ ...one, packets: Math.min(one.packets, (received.get(one.ifname) ?? 0) - (met.get(one.ifindex) ?? 0)) }))
        .filter(({ packets }) => packets > 0);
      if (!this.#wanted || this.#trouble !== '') break;
    }
    return unseen;
  }

  /** Maps and programs are what they are for now: what is complete is settled. */
  close(facts: HostFacts): void {
    const decisions = decide(facts);
    this.#attempt(() =>
      this.#change({
        settle: decisions.flatMap(({ link: { ifindex }, action }) => (action === 'settle' && !this.#settled.has(ifindex) ? [ifindex] : [])),
      }),
    );
    this.#held = decisions.filter(({ link }) => !this.#settled.has(link.ifindex));
    if (!this.#wanted || this.#trouble !== '') this.#held = [];
    this.#standing.held.tell(
      this.#held.map(({ link, why }) => `${link.ifname} is held: ${why}`),
      (message) => this.#options.log.info({}, message),
    );
  }

  /** Nothing steers these any more, for now: they are held until somebody does. */
  hold(ifindexes: readonly number[]): void {
    this.#attempt(() => this.#change({ hold: ifindexes.filter((one) => this.#settled.has(one)) }));
  }

  view(): GuardView {
    let state: GuardState | undefined;
    this.#attempt(() => {
      state = this.#options.tables.read();
    }, false);
    const { held, settled } = state ?? { held: { fromPod: 0, toPod: 0 }, settled: new Set() };
    return {
      state: !this.#wanted ? 'off' : this.#trouble === '' && state !== undefined ? 'on' : 'unavailable',
      why: this.#trouble || (this.#wanted && state === undefined ? 'it is not in place yet' : ''),
      settled: settled.size,
      holding: this.#held.map(({ link: { ifname, ifindex }, why }) => ({ interface: ifname, ifindex, why })),
      held,
      unsteered: this.#unsteered,
    };
  }

  #change(change: GuardChange): void {
    this.#options.tables.change(change);
    for (const ifindex of [...(change.hold ?? []), ...(change.forget ?? [])]) this.#settled.delete(ifindex);
    for (const ifindex of change.settle ?? []) this.#settled.add(ifindex);
    for (const ifindex of change.forget ?? []) this.#begun.delete(ifindex);
  }

  /** `required`: whatever the guard refuses is thrown, so that nothing else is done without it. */
  #attempt(work: () => void, matters = true): void {
    if (!this.#wanted) return;
    try {
      work();
      if (matters) this.#trouble = '';
    } catch (error) {
      if (matters) this.#trouble = error instanceof Error ? error.message : String(error);
      if (matters && this.#options.mode === 'required') throw error;
    }
    const { log } = this.#options;
    this.#standing.trouble.tell(this.#trouble === '' ? [] : [this.#trouble], (message) =>
      log.error({}, `the guard cannot be had, new pods are not held: ${message}`),
    );
  }
}
