/** What rounds find, in the log: each thing once, when it begins. */

import type { Problem } from '../policy/index.js';
import { type Log, Standing } from './log.js';
import type { RoundState } from './state.js';

/** Pods whose interface is not found or could not be attached, with the reason. */
function lostEndpoints({ endpoints, attachErrors }: RoundState): string[] {
  return endpoints.flatMap(({ pod, ifindex, problem }) =>
    [problem, attachErrors.get(ifindex) ?? ''].filter((text) => text !== '').map((text) => `${pod}: ${text}`),
  );
}

export class RoundLog {
  readonly #log: Log;
  readonly #problems = new Standing();
  readonly #errors = new Standing();
  readonly #endpoints = new Standing();
  readonly #flows = new Standing();
  readonly #clients = new Standing();
  readonly #limits = new Standing();

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param errors of the maps, in words */
  finished(state: RoundState | undefined, errors: readonly string[]): void {
    const byText = new Map((state?.problems ?? []).map((problem) => [JSON.stringify(problem), problem]));
    this.#problems.tell(byText.keys(), (text) => {
      const { severity, message, ...where } = byText.get(text) as Problem;
      if (severity === 'error') this.#log.error(where, message);
      else this.#log.warn(where, message);
    });
    this.#errors.tell(errors, (message) => this.#log.error({}, message));
    this.#endpoints.tell(state === undefined ? [] : lostEndpoints(state), (message) => this.#log.warn({}, message));
  }

  failed(failure: string, error: unknown): void {
    this.#errors.tell([failure], () => this.#log.error({ err: error }, 'reconciling failed; it is tried again'));
  }

  /** @param trouble empty: the idle flows were looked for */
  flows(trouble: string): void {
    this.#flows.tell(trouble === '' ? [] : [trouble], (message) => this.#log.error({}, `looking for idle flows: ${message}`));
  }

  /** @param limited pods that have as many flows as they may have */
  limits(limited: readonly { readonly pod: string }[], limit: number): void {
    this.#limits.tell(
      limited.map(({ pod }) => pod),
      (pod) => this.#log.warn({ pod, limit }, `${pod} has reached its limit of ${limit} flows: new ones are refused (flow-limit)`),
    );
  }

  /** @param error undefined: the clients were seen */
  clients(error?: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#clients.tell(error === undefined ? [] : [message], () =>
      this.#log.warn({ err: error }, 'clients could not be seen; it is tried again'),
    );
  }
}
