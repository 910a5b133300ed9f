/** Takes the lease, keeps it, and says when it is lost. */

import { setTimeout as pause } from 'node:timers/promises';
import { SfcError } from '../../errors/index.js';
import { apiVersionOf, type KubernetesClient, RESOURCES } from '../../kubernetes/index.js';
import { held, type LeaseObject, type LeaseTimes, look, mayTake, released, type Sight } from './lease.js';

export interface ElectorOptions {
  readonly client: Pick<KubernetesClient, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  readonly name: string;
  /** Of this process and no other, ever: the pod's name and a random part. */
  readonly identity: string;
  readonly times: LeaseTimes;
  readonly clock: { wall(): Date; monotonic(): number };
  readonly random: () => number;
  /** Another process holds it, or nobody is known to; told when that changes. */
  readonly onHolder: (identity: string) => void;
  readonly onTrouble: (error: unknown) => void;
}

/** client-go spreads its tries by so much. */
const JITTER = 1.2;

export class Elector {
  readonly #options: ElectorOptions;
  readonly #stopped = new AbortController();
  #lease: LeaseObject | undefined;
  #sight: Sight | undefined;
  #holder = '';
  /** Monotonic ms of the last request that took or renewed the lease, when it was sent: the lease is ours from then on. */
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ElectorOptions) {
    this.#options = options;
  }

  /**
   * Is the lease surely ours? Also no when this process stood still (a stopped process, a suspended machine) and has not found
   * out yet.
   */
  get leads(): boolean {
    return this.#options.clock.monotonic() < this.#renewedAt + this.#options.times.renewDeadlineMs;
  }

  get holder(): string {
    return this.#holder;
  }

  /** Resolves when the lease is ours. @throws AbortError when it is stopped before */
  async acquire(): Promise<void> {
    while (!(await this.#try())) await this.#wait();
  }

  /**
   * Renews until it cannot.
   * @returns when stopped
   * @throws SfcError LEADERSHIP_LOST
   */
  async keep(): Promise<void> {
    const { times, clock } = this.#options;
    for (;;) {
      try {
        await this.#wait();
      } catch {
        return;
      }
      const mine = await this.#tryInTime();
      if (!mine && this.#holder !== this.#options.identity) throw lost(`${this.#holder || 'nobody'} holds the lease now`);
      if (this.#stopped.signal.aborted) return;
      if (!this.leads)
        throw lost(`not renewed for ${Math.round((clock.monotonic() - this.#renewedAt) / 1000)} s of ${times.renewDeadlineMs / 1000}`);
    }
  }

  /** Ends acquiring or keeping. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Gives the lease away, if it is ours, so that the next need not wait. After the last write. */
  async release(): Promise<void> {
    const lease = this.#lease;
    if (lease === undefined || !this.leads) return;
    this.#renewedAt = Number.NEGATIVE_INFINITY;
    const { client, namespace, clock } = this.#options;
    await client.replace(RESOURCES.leases, { ...lease, spec: released(lease, clock.wall()) } as LeaseObject, { namespace });
  }

  async #wait(): Promise<void> {
    const { times, random } = this.#options;
    await pause(times.retryMs * (1 + random() * (JITTER - 1)), undefined, { signal: this.#stopped.signal });
  }

  /** A request may hang for longer than the lease lasts. */
  async #tryInTime(): Promise<boolean> {
    const { times, clock } = this.#options;
    const end = new AbortController();
    const late = pause(Math.max(0, this.#renewedAt + times.renewDeadlineMs - clock.monotonic()), false, { signal: end.signal });
    try {
      return await Promise.race([this.#try(), late.catch(() => false)]);
    } finally {
      end.abort();
    }
  }

  /** One try to take or renew. @returns did it succeed? */
  async #try(): Promise<boolean> {
    const { clock, identity, onTrouble } = this.#options;
    try {
      // What was read last is tried first: one request for a renewal. Where it is not that any more, it is read again.
      const fresh = this.#lease !== undefined && this.#lease.spec?.holderIdentity === identity ? this.#lease : await this.#read();
      this.#sight = look(this.#sight, fresh, clock.monotonic());
      this.#tellHolder(fresh?.spec?.holderIdentity ?? '');
      if (!mayTake(fresh, identity, this.#sight, clock.monotonic())) return false;
      const sentAt = clock.monotonic();
      this.#lease = await this.#write(fresh);
      this.#renewedAt = sentAt;
      this.#tellHolder(identity);
      return true;
    } catch (error) {
      this.#lease = undefined;
      if (!(error instanceof SfcError)) throw error;
      if (error.code !== 'KUBERNETES_CONFLICT') onTrouble(error);
      return false;
    }
  }

  #tellHolder(holder: string): void {
    if (holder === this.#holder) return;
    this.#holder = holder;
    this.#options.onHolder(holder);
  }

  async #read(): Promise<LeaseObject | undefined> {
    const { client, namespace, name } = this.#options;
    try {
      return await client.get<LeaseObject>(RESOURCES.leases, name, { namespace });
    } catch (error) {
      if (error instanceof SfcError && error.code === 'KUBERNETES_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async #write(lease: LeaseObject | undefined): Promise<LeaseObject> {
    const { client, namespace, name, identity, times, clock } = this.#options;
    const spec = held(lease, identity, times, clock.wall());
    if (lease !== undefined) return client.replace<LeaseObject>(RESOURCES.leases, { ...lease, spec }, { namespace });
    const made = { apiVersion: apiVersionOf(RESOURCES.leases), kind: RESOURCES.leases.kind, metadata: { name, namespace }, spec };
    return client.create<LeaseObject>(RESOURCES.leases, made, { namespace });
  }
}

function lost(why: string): SfcError {
  return new SfcError('LEADERSHIP_LOST', why);
}
