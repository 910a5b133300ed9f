/**
 * Events about chains and selectors (events.k8s.io/v1). What is said again within a while is counted in the event that is
 * there, as client-go's recorder does; a failure to tell is no failure of what is told.
 */

import { apiVersionOf, type KubernetesObject, RESOURCES } from '../kubernetes/index.js';
import type { Api } from './api.js';
import type { Notice } from './status/index.js';

/** Events about objects without a namespace stand here. */
export const EVENT_NAMESPACE = 'default';
const REPORTER = 'networking.gke.io/sfc-controller';
/** Said again within this (ms), it is the same event. client-go: 6 minutes. */
const SERIES_MS = 360_000;
/** Kubernetes' limit. */
const LONGEST_NOTE = 1024;
/** Series that are remembered. */
const MOST_SERIES = 4096;

interface EventObject extends KubernetesObject {
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

interface Series {
  readonly name: string;
  count: number;
  lastAt: number;
}

export interface Subject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string | undefined;
}

export interface RecorderOptions {
  readonly api: Api;
  /** Of this process. */
  readonly instance: string;
  /** Wall clock. */
  readonly now: () => Date;
  readonly random: () => number;
  readonly onFailure: (error: unknown) => void;
}

export class EventRecorder {
  readonly #options: RecorderOptions;
  readonly #series = new Map<string, Series>();

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  async tell(subject: Subject, notices: readonly Notice[]): Promise<void> {
    for (const notice of notices) {
      try {
        await this.#tell(subject, notice);
      } catch (error) {
        this.#options.onFailure(error);
      }
    }
  }

  async #tell(subject: Subject, notice: Notice): Promise<void> {
    const { api, now } = this.#options;
    const wall = now();
    const time = wall.toISOString().replace('Z', '000Z');
    const key = `${subject.uid} ${notice.type} ${notice.reason} ${notice.note}`;
    const series = this.#series.get(key);
    if (series !== undefined && wall.getTime() - series.lastAt < SERIES_MS) {
      series.count++;
      series.lastAt = wall.getTime();
      const patch = { series: { count: series.count, lastObservedTime: time } };
      await api.mergePatch<EventObject>(RESOURCES.events, series.name, patch, { namespace: EVENT_NAMESPACE });
      return;
    }
    const name = this.#nameFor(subject, wall);
    await api.create(RESOURCES.events, this.#event(name, subject, notice, time), { namespace: EVENT_NAMESPACE });
    this.#series.delete(key);
    this.#series.set(key, { name, count: 1, lastAt: wall.getTime() });
    if (this.#series.size > MOST_SERIES) this.#series.delete(this.#series.keys().next().value as string);
  }

  #event(name: string, subject: Subject, { type, reason, note }: Notice, time: string): KubernetesObject {
    return {
      apiVersion: apiVersionOf(RESOURCES.events),
      kind: RESOURCES.events.kind,
      metadata: { name, namespace: EVENT_NAMESPACE },
      eventTime: time,
      reportingController: REPORTER,
      reportingInstance: this.#options.instance,
      action: 'Reconcile',
      type,
      reason,
      note: note.length > LONGEST_NOTE ? `${note.slice(0, LONGEST_NOTE - 1)}…` : note,
      regarding: subject,
    } as KubernetesObject;
  }

  /** As client-go names them: object, then the time in hex; a random part beside it, for two in one millisecond. */
  #nameFor({ name }: Subject, wall: Date): string {
    const tail = `${wall.getTime().toString(16)}${Math.floor(this.#options.random() * 0xffff).toString(16)}`;
    return `${name.slice(0, 253 - 1 - tail.length)}.${tail}`;
  }
}
