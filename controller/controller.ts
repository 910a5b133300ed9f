/**
 * The controller while it leads: watches tell which keys to look at, the queue looks.
 *
 *     watches ──► keys ──► queue ──► ids       one write for all chains that came and went
 *                                    chain/x   its Services, its status
 *                                    selector/x  its status
 *                                    whole     rivals, rings ──► keys of those that it changes
 *                                    progress  what nodes have ──► keys of those that it changes
 */

import { SfcError } from '../errors/index.js';
import type { KubernetesClient, Resource } from '../kubernetes/index.js';
import { guarded, isCode } from './api.js';
import { Cluster, type Key } from './cluster/index.js';
import { EventRecorder } from './events.js';
import { IdKeeper, identityOf } from './ids/index.js';
import { WorkQueue } from './queue/index.js';
import {
  type Context,
  concerned,
  concernedByProgress,
  type Log,
  lookAtWhole,
  NOTHING_FOUND,
  reconcileChain,
  reconcileSelector,
} from './reconcile/index.js';

/** Changes come in groups: a Deployment's pods, a directory of manifests. */
const WHOLE_AFTER_MS = 200;
/** Nodes report one after another; a status that counts them is written so often at most. */
const PROGRESS_AFTER_MS = 500;
/** Looks at everything take their share of the time and no more: so many times their own length apart. */
const SPARING = 10;

export interface ControllerOptions {
  readonly client: KubernetesClient;
  /** Of the record of ids, and of the agents' pods. */
  readonly namespace: string;
  readonly identity: string;
  readonly log: Log;
  readonly clock: { wall(): Date; monotonic(): number };
  readonly random: () => number;
  readonly parallel: number;
  readonly restMs: number;
  readonly serviceGraceMs: number;
  /** ms between looks at everything without a cause. */
  readonly resyncMs: number;
  readonly mayWrite: () => boolean;
  readonly onWrite: (verb: string, resource: Resource) => void;
  readonly onLook: (kind: string, failed: boolean) => void;
  /** It must end: it does not lead any more. */
  readonly onFatal: (error: SfcError) => void;
}

export class Controller {
  readonly #options: ControllerOptions;
  readonly #context: Context;
  readonly #queue: WorkQueue;
  #resync: NodeJS.Timeout | undefined;
  #running = false;

  /** Begins to watch; looks at nothing until `run`. */
  constructor(options: ControllerOptions) {
    const { client, namespace, identity, log, clock, random, parallel, restMs, mayWrite, onWrite } = options;
    this.#options = options;
    const api = guarded(client, { mayWrite, onWrite });
    const cluster = new Cluster({
      client,
      agents: { namespace, name: 'sfcd' },
      now: clock.monotonic,
      onKey: (key) => this.#add(key),
      onTrouble: (resource, trouble) =>
        trouble === undefined ? log.info({ resource }, 'the API server answers again') : log.warn({ resource }, trouble.message),
    });
    this.#context = {
      api,
      cluster,
      ids: new IdKeeper({ api, namespace, restMs, now: () => clock.wall().getTime() }),
      events: new EventRecorder({
        api,
        instance: identity,
        now: clock.wall,
        random,
        onFailure: (error) => log.warn({ err: error }, 'an event was not written'),
      }),
      log,
      clock,
      serviceGraceMs: options.serviceGraceMs,
      whole: NOTHING_FOUND,
      nodes: { reports: [], agents: new Set() },
      withoutId: new Map(),
      refusals: new Map(),
      awaitingId: new Set(),
    };
    this.#queue = new WorkQueue({
      work: (key) => this.#look(key as Key),
      onFailure: (...failure) => this.#failed(...failure),
      parallel,
      random,
    });
  }

  get depth(): number {
    return this.#queue.depth;
  }

  get failing(): number {
    return this.#queue.failing;
  }

  get ids(): { readonly assigned: number; readonly resting: number } {
    return this.#context.ids;
  }

  get synced(): boolean {
    return this.#context.cluster.synced;
  }

  states() {
    return this.#context.cluster.states();
  }

  /** Waits for the first lists, then looks at everything and goes on with what changes. */
  async run(): Promise<void> {
    await this.#context.cluster.whenSynced();
    this.#context.nodes = this.#context.cluster.nodes();
    // What stands in a ring or has a rival shall not be told otherwise first.
    this.#context.whole = lookAtWhole(this.#context.cluster, (uid) => this.#context.ids.idOf(uid));
    this.#running = true;
    this.#everything();
    this.#resync = setInterval(() => {
      this.#context.ids.doubt();
      this.#everything();
    }, this.#options.resyncMs);
  }

  /** Looks that run are ended; nothing is begun any more. */
  async close(): Promise<void> {
    clearInterval(this.#resync);
    this.#running = false;
    await Promise.all([this.#queue.close(), this.#context.cluster.close()]);
  }

  #everything(): void {
    const { cluster } = this.#context;
    this.#queue.add('ids');
    for (const name of cluster.chainNamesWithLeftOvers()) this.#queue.add(`chain/${name}`);
    for (const name of cluster.selectorNames()) this.#queue.add(`selector/${name}`);
    this.#queue.addAfter('whole', WHOLE_AFTER_MS);
  }

  #add(key: Key): void {
    if (!this.#running) return;
    if (key === 'whole') this.#queue.addAfter(key, Math.max(WHOLE_AFTER_MS, this.#pause.whole));
    else if (key === 'progress') this.#queue.addAfter(key, Math.max(PROGRESS_AFTER_MS, this.#pause.progress));
    else this.#queue.add(key);
  }

  readonly #pause = { whole: 0, progress: 0 };

  async #look(key: Key): Promise<number | undefined> {
    const later = await this.#lookAt(key);
    this.#options.onLook(key.split('/')[0] ?? key, false);
    return later;
  }

  async #lookAt(key: Key): Promise<number | undefined> {
    const context = this.#context;
    const { cluster } = context;
    if (key === 'ids') return this.#settleIds();
    if (key === 'whole') {
      const before = context.whole;
      this.#timed('whole', () => {
        context.whole = lookAtWhole(cluster, (uid) => context.ids.idOf(uid));
      });
      for (const one of concerned(before, context.whole)) this.#queue.add(one);
      return undefined;
    }
    if (key === 'progress') {
      this.#timed('progress', () => {
        context.nodes = cluster.nodes();
        for (const one of concernedByProgress(context)) this.#queue.add(one);
      });
      return undefined;
    }
    const name = key.slice(key.indexOf('/') + 1);
    return key.startsWith('chain/') ? reconcileChain(name, context) : reconcileSelector(name, context);
  }

  #timed(what: 'whole' | 'progress', run: () => void): void {
    const begin = performance.now();
    run();
    this.#pause[what] = SPARING * (performance.now() - begin);
  }

  async #settleIds(): Promise<number | undefined> {
    const context = this.#context;
    const { cluster, ids, clock } = context;
    const objects = [...cluster.chainNames()].flatMap((name) => cluster.chain(name) ?? []);
    try {
      const { refusals, without, freeAt } = await ids.settle(objects.map(identityOf));
      context.refusals = new Map(refusals.map((refusal) => [refusal.chain.uid, refusal]));
      context.withoutId = new Map(without.map(({ uid }) => [uid, 'no servicePathId is left']));
      if (without.length > 0) this.#options.log.error({ chains: without.length }, 'no servicePathId is left');
      return freeAt === undefined ? undefined : Math.max(1000, freeAt - clock.wall().getTime());
    } catch (error) {
      // Somebody else wrote: in a moment it is read again, and nothing is wrong.
      if (!isCode(error, 'KUBERNETES_CONFLICT')) context.withoutId = new Map([['', (error as Error).message]]);
      throw error;
    } finally {
      // Whoever asked for an id while it was being written, whether the watch had shown the chain to us by then or not.
      const waiting = [...context.awaitingId];
      context.awaitingId.clear();
      for (const name of waiting) this.#queue.add(`chain/${name}`);
      for (const { metadata } of objects) if (ids.idOf(metadata.uid ?? '') === undefined) this.#queue.add(`chain/${metadata.name}`);
    }
  }

  #failed(key: string, error: unknown, retryMs: number): void {
    const { log, onLook, onFatal } = this.#options;
    onLook(key.split('/')[0] ?? key, true);
    if (error instanceof SfcError && error.code === 'LEADERSHIP_LOST') {
      onFatal(error);
      return;
    }
    const facts = { key, retryMs: Math.round(retryMs), ...(error instanceof SfcError ? { code: error.code } : { err: error }) };
    // That somebody else wrote first is how it works.
    if (isCode(error, 'KUBERNETES_CONFLICT')) log.debug(facts, (error as Error).message);
    else log.warn(facts, (error as Error).message);
  }
}
