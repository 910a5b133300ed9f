/**
 * A controller's life: wait for the lease, lead, end.
 *
 *     standby ──lease──► leading ──signal──► what runs is ended, the lease is given back
 *                           └──lease lost──► ended at once: another may lead already
 */

import type { SfcError } from '../errors/index.js';
import type { KubernetesClient } from '../kubernetes/index.js';
import type { Settings } from './config/index.js';
import { Controller } from './controller.js';
import { Elector } from './leader/index.js';
import type { Metrics } from './metrics.js';
import type { Log } from './reconcile/index.js';

export const LEASE_NAME = 'sfc-controller';

export interface LifeOptions {
  readonly client: KubernetesClient;
  readonly settings: Settings;
  /** Of this process and no other, ever. */
  readonly identity: string;
  readonly log: Log;
  readonly clock: { wall(): Date; monotonic(): number };
  readonly random: () => number;
}

export class Life {
  readonly #options: LifeOptions;
  readonly #elector: Elector;
  #metrics: Metrics | undefined;
  #controller: Controller | undefined;
  #asked = false;
  #stopped = false;
  #lost: ((error: SfcError) => void) | undefined;

  constructor(options: LifeOptions) {
    const { client, settings, identity, log, clock, random } = options;
    this.#options = options;
    this.#elector = new Elector({
      client,
      namespace: settings.namespace,
      name: LEASE_NAME,
      identity,
      times: settings.lease,
      clock,
      random,
      onHolder: (holder) => {
        this.#asked = true;
        log.info(
          { holder },
          holder === identity ? 'this controller leads' : holder === '' ? 'no controller leads' : 'another controller leads',
        );
      },
      onTrouble: (error) => log.warn({}, `the lease: ${(error as Error).message}`),
    });
  }

  /** While it leads. */
  get controller(): Controller | undefined {
    return this.#controller;
  }

  set metrics(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** Why it is not well: it leads and does not know whether it may. */
  health(): string | undefined {
    return this.#controller !== undefined && !this.#elector.leads ? 'the lease was not renewed in time' : undefined;
  }

  /** A standby is ready when it knows who leads, a leader when it has read everything. */
  readiness(): string | undefined {
    if (this.#controller !== undefined) return this.#controller.synced ? undefined : 'the first lists are not complete';
    return this.#asked ? undefined : 'the lease has not been read yet';
  }

  /**
   * Until `stop`.
   * @throws SfcError LEADERSHIP_LOST, at once; nothing is written any more
   */
  async run(): Promise<void> {
    try {
      await this.#elector.acquire();
    } catch (error) {
      if (this.#stopped) return;
      throw error;
    }
    const { client, settings, identity, log, clock, random } = this.#options;
    const lost = new Promise<never>((_, reject) => {
      this.#lost = reject;
    });
    lost.catch(() => {});
    const controller = new Controller({
      client,
      namespace: settings.namespace,
      identity,
      log,
      clock,
      random,
      parallel: settings.parallel,
      restMs: settings.pathIdRestSeconds * 1000,
      serviceGraceMs: settings.serviceGraceSeconds * 1000,
      resyncMs: settings.resyncSeconds * 1000,
      mayWrite: () => this.#elector.leads,
      onWrite: (verb, resource) => {
        log.debug({ verb, resource: resource.plural }, 'write');
        this.#metrics?.wrote(verb, resource);
      },
      onLook: (kind, failed) => this.#metrics?.looked(kind, failed),
      onFatal: (error) => this.#lost?.(error),
    });
    this.#controller = controller;
    // Ends by itself only when it is closed before its first lists.
    const running = controller.run().catch((error: unknown) => log.debug({}, (error as Error).message));
    await Promise.race([this.#elector.keep(), lost]);
    await controller.close();
    await running;
    this.#controller = undefined;
    // The last write is done: whoever takes over need not wait.
    await this.#elector.release().catch((error: unknown) => log.warn({}, `the lease could not be given back: ${(error as Error).message}`));
  }

  stop(): void {
    this.#stopped = true;
    this.#elector.stop();
  }
}
