/**
 * All objects of one kind, kept up to date: list, then watch from there on.
 *
 *     list (pages) ──► differences ──► watch ──► events, bookmarks ──┐
 *       ▲                                ▲──── ended, went silent ◄──┤ from the last version heard
 *       └───────── 410: that version is gone; wait, then all anew ◄──┘ errors: wait, longer each time
 *
 * Each change is told once, in order, and never undone by an older one: a watch goes on exactly after the last event, and a
 * new list tells differences only. What was told stays when the server is away.
 */

import { SfcError } from '../errors/index.js';
import { backoff } from './backoff.js';
import type { KubernetesClient, WatchEvent } from './client.js';
import { deadline } from './deadline.js';
import type { KubernetesObject } from './objects.js';
import { RefusedError } from './refusals.js';
import type { Resource } from './resources.js';
import { type Change, ObjectStore } from './store.js';

/** Seconds after which the server ends a watch: between one and two times this, by chance, as client-go does. */
const WATCH_SECONDS = 300;
/**
 * Milliseconds after which a watch that says nothing is opened anew. A bookmark comes about every minute, but not where nothing
 * has happened to the kind since the server started (kube-apiserver, cacher), so that silence is no fault: a connection that is
 * dead is found by its pings, this finds a watch that its server has forgotten.
 */
const SILENCE_MS = 150_000;

export interface InformerOptions<T extends KubernetesObject> {
  readonly client: KubernetesClient;
  readonly resource: Resource;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** What shall be kept of an object: the same identity and version, fewer fields. Default: all but managedFields. */
  readonly keep?: (object: T) => T;
  /** One object, in the order of events. Must not throw. */
  readonly onChange?: (change: Change<T>) => void;
  /** After changes, once for all that came together, and when the first list is complete, though it is empty. */
  readonly onSettled?: () => void;
  /** The server cannot be reached or refuses: told when it begins or becomes another, and undefined when it is over. */
  readonly onTrouble?: (trouble: SfcError | undefined) => void;
  readonly random?: () => number;
  /** After how many milliseconds of silence a watch is opened anew. Default: 150,000. */
  readonly silenceMs?: number;
}

/** How an informer fares. */
export interface InformerState {
  /** `trafficselectors`. */
  readonly resource: string;
  readonly synced: boolean;
  readonly objects: number;
  /** A watch is open. */
  readonly watching: boolean;
  /** Lists since the start: one, and one after every 410. */
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  /** Code and words of what is wrong, or empty. */
  readonly trouble: string;
  /** Milliseconds since the last word of the server while no watch is open; 0 while one is. */
  readonly staleMs: number;
}

export class Informer<T extends KubernetesObject> {
  readonly #options: InformerOptions<T>;
  readonly #store = new ObjectStore<T>();
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  readonly #waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  readonly #backoff;
  #version: string | undefined;
  #isSynced = false;
  #watching = false;
  #heardAt = performance.now();
  #trouble: SfcError | undefined;
  #settling = false;
  #counts = { lists: 0, watches: 0, events: 0 };

  /** Begins at once. */
  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#backoff = backoff(options.random ?? Math.random);
    this.#done = this.#run();
  }

  /** By `namespace/name`, or by name where the kind has no namespaces. */
  get objects(): ReadonlyMap<string, T> {
    return this.#store.objects;
  }

  /** The first list is complete. */
  get synced(): boolean {
    return this.#isSynced;
  }

  /** @throws SfcError KUBERNETES_UNREACHABLE when it is closed before */
  whenSynced(): Promise<void> {
    if (this.#isSynced) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Milliseconds since the last word of the server while no watch is open; 0 while one is. */
  staleFor(): number {
    return this.#watching ? 0 : performance.now() - this.#heardAt;
  }

  get trouble(): SfcError | undefined {
    return this.#trouble;
  }

  state(): InformerState {
    return {
      resource: this.#options.resource.plural,
      synced: this.#isSynced,
      objects: this.objects.size,
      watching: this.#watching,
      ...this.#counts,
      trouble: this.#trouble === undefined ? '' : `${this.#trouble.code}: ${this.#trouble.message}`,
      staleMs: Math.round(this.staleFor()),
    };
  }

  /** Ends the watch; resolves when nothing is told any more. */
  async close(): Promise<void> {
    this.#abort.abort();
    const closed = new SfcError('KUBERNETES_UNREACHABLE', `the watch of ${this.#options.resource.plural} was closed`);
    for (const { reject } of this.#waiting.splice(0)) reject(closed);
    await this.#done;
  }

  get #closed(): boolean {
    return this.#abort.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch();
      } catch (error) {
        if (!this.#closed) await this.#failed(error);
      }
    }
  }

  async #failed(error: unknown): Promise<void> {
    const known = error instanceof SfcError ? error : new SfcError('KUBERNETES_UNREACHABLE', String(error), { cause: error });
    const expired = known.code === 'KUBERNETES_EXPIRED';
    // The server has forgotten the version (etcd was compacted, or it is new): the difference is found by a list.
    if (expired) this.#version = undefined;
    else this.#tellTrouble(known);
    const wait = Math.max(this.#backoff.next(), known instanceof RefusedError ? known.retryAfterMs : 0);
    await this.#pause(wait);
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#abort;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener('abort', end);
    });
  }

  async #list(): Promise<void> {
    const { client, resource, keep = (object: T) => object } = this.#options;
    // Once something is known nothing older may take its place: only the newest will do.
    const from = this.#isSynced ? undefined : '0';
    const { items, resourceVersion } = await client.list<T>(resource, { ...this.#query(), resourceVersion: from }, this.#abort.signal);
    if (this.#closed) return;
    this.#counts.lists++;
    this.#heard();
    this.#tell(this.#store.replace(items.map(keep)));
    this.#version = resourceVersion;
    if (this.#isSynced) return;
    this.#isSynced = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
    this.#settle();
  }

  #query() {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return { namespace, labelSelector, fieldSelector };
  }

  async #watch(): Promise<void> {
    const { client, resource, random = Math.random, silenceMs = SILENCE_MS } = this.#options;
    const query = { ...this.#query(), resourceVersion: this.#version ?? '', timeoutSeconds: Math.round(WATCH_SECONDS * (1 + random())) };
    const silent = Symbol('silent');
    const silence = deadline(silenceMs, () => silent, this.#abort.signal);
    const began = performance.now();
    try {
      this.#counts.watches++;
      const take = (events: readonly WatchEvent<T>[]) => {
        silence.extend();
        if (!this.#closed) this.#take(events);
      };
      await client.watch<T>(resource, query, take, silence.signal);
    } catch (error) {
      if (silence.signal.reason !== silent) throw error;
    } finally {
      silence.done();
      if (this.#watching) this.#heardAt = performance.now();
      this.#watching = false;
    }
    // A server that ends every watch at once must not be asked without end.
    if (performance.now() - began < 1000) await this.#pause(this.#backoff.next());
  }

  #take(events: readonly WatchEvent<T>[]): void {
    this.#watching = true;
    this.#heard();
    const { keep = (object: T) => object } = this.#options;
    for (const { type, object } of events) {
      delete (object.metadata as { managedFields?: unknown }).managedFields;
      const { resourceVersion } = object.metadata;
      if (type !== 'BOOKMARK') {
        this.#counts.events++;
        this.#tell(type === 'DELETED' ? this.#store.remove(object) : this.#store.set(keep(object)));
      }
      // Only now: what was not told must come again.
      if (resourceVersion !== undefined) this.#version = resourceVersion;
    }
  }

  #heard(): void {
    this.#heardAt = performance.now();
    this.#backoff.reset();
    if (this.#trouble !== undefined) {
      this.#trouble = undefined;
      this.#options.onTrouble?.(undefined);
    }
  }

  #tellTrouble(trouble: SfcError): void {
    const same = this.#trouble?.code === trouble.code && this.#trouble.message === trouble.message;
    this.#trouble = trouble;
    if (!same) this.#options.onTrouble?.(trouble);
  }

  #tell(changes: readonly Change<T>[]): void {
    if (changes.length === 0) return;
    for (const change of changes) this.#options.onChange?.(change);
    if (this.#isSynced) this.#settle();
  }

  #settle(): void {
    if (this.#settling) return;
    this.#settling = true;
    setImmediate(() => {
      this.#settling = false;
      if (!this.#closed) this.#options.onSettled?.();
    });
  }
}
