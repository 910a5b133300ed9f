/** Writes this node's SteeringNode: when something in it has changed, and not more than once a second. */

import { SfcError } from '../../errors/index.js';
import { apiVersionOf, type KubernetesClient, type KubernetesObject, RESOURCES } from '../../kubernetes/index.js';
import { type Log, Standing } from '../log.js';
import type { ReportView } from '../view.js';
import type { NodeReport } from './kubernetes-report.js';

/**
 * Milliseconds from a change to its report: at least the first, and up to the second by chance. One change in the cluster is
 * news on every node at once, and a thousand writes in one moment would be a burst.
 */
const SOONEST_MS = 50;
const LATEST_MS = 500;
/** Between two writes. */
const APART_MS = 1000;
/** After a write that failed; doubled up to the second. */
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;

export interface NodeReporterOptions {
  readonly client: KubernetesClient;
  readonly node: string;
  readonly log: Log;
  readonly wall: () => Date;
  readonly random: () => number;
  /** Of the Node that owns the report; undefined: there is none of that name. */
  readonly nodeUid: () => string | undefined;
}

export class NodeReporter {
  readonly #options: NodeReporterOptions;
  readonly #said = new Standing();
  #make: (() => NodeReport) | undefined;
  #written = '';
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #notBefore = 0;
  #retryMs = RETRY_MS;
  #closed = false;
  #view: ReportView;

  constructor(options: NodeReporterOptions) {
    this.#options = options;
    this.#view = { name: options.node, writtenAt: '', writes: 0, trouble: '' };
  }

  view(): ReportView {
    return this.#view;
  }

  /** @param make asked when it is time to write */
  wish(make: () => NodeReport): void {
    this.#make = make;
    this.#plan(SOONEST_MS + this.#options.random() * (LATEST_MS - SOONEST_MS));
  }

  #plan(ms: number): void {
    if (this.#closed || this.#timer !== undefined || this.#writing !== undefined) return;
    const wait = Math.max(ms, this.#notBefore - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#make !== undefined) this.#plan(SOONEST_MS);
      });
    }, wait);
  }

  async #write(): Promise<void> {
    const make = this.#make;
    this.#make = undefined;
    if (make === undefined) return;
    try {
      const report = make();
      const text = JSON.stringify(report);
      if (text === this.#written) return;
      const writtenAt = this.#options.wall().toISOString();
      await this.#send({ ...report, observedAt: writtenAt });
      this.#written = text;
      this.#notBefore = performance.now() + APART_MS;
      this.#retryMs = RETRY_MS;
      this.#view = { ...this.#view, writtenAt, writes: this.#view.writes + 1 };
      this.#trouble('');
    } catch (error) {
      // Unless there is something newer, it is tried again.
      this.#make ??= make;
      this.#notBefore = performance.now() + this.#retryMs * (0.5 + this.#options.random() / 2);
      this.#retryMs = Math.min(LONGEST_RETRY_MS, this.#retryMs * 2);
      this.#trouble(error instanceof SfcError ? `${error.code}: ${error.message}` : String(error));
    }
  }

  #trouble(trouble: string): void {
    this.#view = { ...this.#view, trouble };
    const { log, node } = this.#options;
    this.#said.tell(trouble === '' ? [] : [trouble], (text) =>
      log.error({ steeringNode: node }, `what is programmed cannot be reported: ${text}`),
    );
  }

  async #send(status: object): Promise<void> {
    const { client, node } = this.#options;
    const patch = { status };
    try {
      await client.mergePatch(RESOURCES.steeringNodes, node, patch, { subresource: 'status' });
    } catch (error) {
      if (!(error instanceof SfcError) || error.code !== 'KUBERNETES_NOT_FOUND') throw error;
      await this.#create();
      await client.mergePatch(RESOURCES.steeringNodes, node, patch, { subresource: 'status' });
    }
  }

  /** Goes with its Node. */
  async #create(): Promise<void> {
    const { client, node, nodeUid } = this.#options;
    const uid = nodeUid();
    const resource = RESOURCES.steeringNodes;
    const owner = uid === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node, uid }] };
    const object: KubernetesObject = { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: { name: node, ...owner } };
    try {
      await client.create(resource, object);
    } catch (error) {
      if (!(error instanceof SfcError) || error.code !== 'KUBERNETES_CONFLICT') throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#writing;
  }
}
