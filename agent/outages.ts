/** Functions that have no instance for new flows: which, why, since when, and what becomes of their packets. */

import type { FailurePolicy, Problem } from '../policy/index.js';
import type { Log } from './log.js';
import type { ChainView, OutageView, ServiceFunctionView } from './view.js';

/** What the datapath does with the packets (`take_path`). */
const CONSEQUENCE: Readonly<Record<FailurePolicy, string>> = {
  Drop: 'packets that need one are dropped (no-backend)',
  Bypass: 'packets that need one go on unsteered (bypassed)',
  Reject: 'packets that need one are refused (TCP by RST, others by ICMP administratively prohibited)',
};

export type Lack = Pick<OutageView, 'pods' | 'ready' | 'reason' | 'message'>;

/** Why no instance takes new flows; undefined: one does. */
export function lackOf({ instances }: ServiceFunctionView, failurePolicy: FailurePolicy): Lack | undefined {
  if (instances.some(({ newFlows }) => newFlows === 'yes')) return undefined;
  const pods = instances.length;
  const ready = instances.filter((instance) => instance.ready).length;
  const match = pods === 1 ? '1 pod matches' : `${pods} pods match`;
  const failing = instances.filter(({ newFlows }) => newFlows === 'fails probes').length;
  const none = failing === 0 ? 'none is ready' : `${ready} ready, ${failing === ready ? 'all' : failing} of which fail probes`;
  const isClosed = ready > failing;
  const why = pods === 0 ? 'no pod matches' : isClosed ? `${match}, ${ready - failing} ready, all of weight 0` : `${match}, ${none}`;
  const reason = isClosed ? 'NoInstanceTakesFlows' : 'NoReadyInstance';
  return { pods, ready, reason, message: `${why}: ${CONSEQUENCE[failurePolicy]}` };
}

/** One for each position of a chain that has a path: one of no path meets no packet. */
export function outagesOf(chains: readonly ChainView[]): Omit<OutageView, 'since'>[] {
  return chains
    .filter(({ servicePathId }) => servicePathId !== 0)
    .flatMap(({ name: chain, failurePolicy, serviceFunctions }) =>
      serviceFunctions.flatMap((serviceFunction) => {
        const lack = lackOf(serviceFunction, failurePolicy);
        const { namespace, name, path } = serviceFunction;
        return lack === undefined ? [] : [{ chain, serviceFunction: `${namespace}/${name}`, path, failurePolicy, ...lack }];
      }),
    );
}

/** As `sfc get problems` shows it. */
export function outageProblem({ chain, serviceFunction, path, message }: OutageView): Problem {
  return {
    severity: 'warning',
    file: '',
    document: 0,
    line: 0,
    resource: `ServiceFunctionChain/${chain}`,
    path: 'spec.serviceFunctions',
    message: `${serviceFunction} at ${path}: ${message}`,
    hint: 'sfc get chain NAME lists the pods and whether they are ready; failurePolicy says what becomes of the packets meanwhile.',
  };
}

/** Remembers since when, and says in the log when one begins and when it is over. */
export class Outages {
  readonly #log: Log;
  readonly #wall: () => Date;
  #current: readonly OutageView[] = [];

  constructor(log: Log, wall: () => Date) {
    this.#log = log;
    this.#wall = wall;
  }

  get current(): readonly OutageView[] {
    return this.#current;
  }

  /** @param chains as the last round left them */
  follow(chains: readonly ChainView[]): void {
    const before = new Map(this.#current.map((outage) => [keyOf(outage), outage]));
    const now = this.#wall();
    this.#current = outagesOf(chains).map((outage) => ({ ...outage, since: before.get(keyOf(outage))?.since ?? now.toISOString() }));
    for (const { message, ...facts } of this.#current) {
      const known = before.get(keyOf(facts));
      before.delete(keyOf(facts));
      if (known?.failurePolicy !== facts.failurePolicy) this.#log.warn(facts, `${facts.serviceFunction} at ${facts.path}: ${message}`);
    }
    for (const { chain, serviceFunction, path, since } of before.values()) {
      const seconds = Math.round((now.getTime() - Date.parse(since)) / 1000);
      const isThere = chains.some(({ name, serviceFunctions }) => name === chain && serviceFunctions.some((one) => one.path === path));
      const what = isThere ? 'has an instance again' : 'is no longer in the chain';
      this.#log.info({ chain, serviceFunction, path, seconds }, `${serviceFunction} at ${path}: ${what}`);
    }
  }
}

function keyOf({ chain, serviceFunction, path }: Pick<OutageView, 'chain' | 'serviceFunction' | 'path'>): string {
  return `${chain} ${serviceFunction} ${path}`;
}
