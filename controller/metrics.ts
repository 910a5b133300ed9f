/** What Prometheus is told. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { InformerState, Resource } from '../kubernetes/index.js';

/** Of the controller, as it is when it is asked; undefined where this process does not lead. */
export interface LeaderFacts {
  readonly depth: number;
  readonly failing: number;
  readonly ids: { readonly assigned: number; readonly resting: number };
  states(): readonly InformerState[];
}

export interface Metrics {
  readonly registry: Registry;
  wrote(verb: string, resource: Resource): void;
  looked(kind: string, failed: boolean): void;
}

export function makeMetrics(leader: () => LeaderFacts | undefined): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, value: (facts: LeaderFacts | undefined) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(leader()));
      },
    });
  gauge('sfc_controller_leader', '1 where this process leads.', (facts) => (facts === undefined ? 0 : 1));
  gauge('sfc_controller_queue_depth', 'Objects that wait for a look, or are looked at.', (facts) => facts?.depth ?? 0);
  gauge('sfc_controller_failing', 'Objects whose last look failed; they are tried again.', (facts) => facts?.failing ?? 0);
  gauge('sfc_controller_path_ids', 'servicePathIds that chains have.', (facts) => facts?.ids.assigned ?? 0);
  gauge('sfc_controller_path_ids_resting', 'servicePathIds of deleted chains that rest.', (facts) => facts?.ids.resting ?? 0);
  new Gauge({
    name: 'sfc_controller_stale_seconds',
    help: 'Seconds since the API server was heard last, while no watch of it is open.',
    labelNames: ['resource'],
    registers,
    collect() {
      this.reset();
      for (const { resource, staleMs } of leader()?.states() ?? []) this.set({ resource }, staleMs / 1000);
    },
  });
  new Gauge({
    name: 'sfc_controller_objects',
    help: 'Objects that are watched.',
    labelNames: ['resource'],
    registers,
    collect() {
      this.reset();
      for (const { resource, objects } of leader()?.states() ?? []) this.set({ resource }, objects);
    },
  });
  const writes = new Counter({
    name: 'sfc_controller_writes_total',
    help: 'Writes that were sent to the API server.',
    labelNames: ['verb', 'resource'],
    registers,
  });
  const looks = new Counter({
    name: 'sfc_controller_looks_total',
    help: 'Looks at objects, and how they ended.',
    labelNames: ['kind', 'result'],
    registers,
  });
  return {
    registry,
    wrote: (verb, { plural }) => writes.inc({ verb, resource: plural }),
    looked: (kind, failed) => looks.inc({ kind, result: failed ? 'failed' : 'done' }),
  };
}
