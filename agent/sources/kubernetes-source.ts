/**
 * A cluster as the agent's source: informers of what steering reads, of Pods only this node's.
 *
 *     informers ─► ClusterWorld ─► take ─► round ─► reached ─► SteeringNode
 *
 * Nothing is told before every kind has been read once: a world without its selectors would take them out of the maps. When
 * the API server is away, what was read last stays, and the maps with it.
 */

import type { IpPrefix } from '../../geneve/index.js';
import { Informer, type KubernetesClient, type KubernetesObject, RESOURCES, type Resource } from '../../kubernetes/index.js';
import { MANAGED_BY, MANAGED_BY_LABEL } from '../../policy/index.js';
import { type Log, Standing } from '../log.js';
import type { AgentView, WatchView } from '../view.js';
import { keepNamespace, keepNode, keepPod, keepService, keepSlice } from './kubernetes-objects.js';
import { type NodeReport, nodeReport } from './kubernetes-report.js';
import { NodeReporter } from './kubernetes-reporter.js';
import { type ClusterReading, ClusterWorld, type WatchedKind } from './kubernetes-world.js';
import type { Reading, Source, SourceState } from './source.js';

const UNREACHABLE = 'KUBERNETES_UNREACHABLE';
/** What changes together (a chain, its Services, their slices) comes over several watches: one round for it (ms). */
const GATHER_MS = 20;

export interface KubernetesSourceOptions {
  readonly client: KubernetesClient;
  /** This node's name. */
  readonly node: string;
  /** Ranges of pods that no Node names. */
  readonly podCidrs: readonly IpPrefix[];
  readonly log: Log;
  readonly wall: () => Date;
  /** 0 to below 1. */
  readonly random: () => number;
  /** For the report; asked when there is one. */
  readonly agent: () => Pick<NodeReport, 'agentVersion' | 'datapath' | 'podUid'>;
}

interface Watched {
  readonly resource: Resource;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  // biome-ignore lint/suspicious/noExplicitAny: each kind keeps what it is of.
  readonly keep?: (object: any) => KubernetesObject;
}

/** What is watched, and so what the agent's role must allow: list and watch of each. */
export function watchedKinds(node: string): { readonly [Kind in WatchedKind]: Watched } {
  const ours = { labelSelector: `${MANAGED_BY_LABEL}=${MANAGED_BY}` };
  return {
    chains: { resource: RESOURCES.chains },
    selectors: { resource: RESOURCES.selectors },
    services: { resource: RESOURCES.services, ...ours, keep: keepService },
    // Slices have the labels of their Service.
    endpointSlices: { resource: RESOURCES.endpointSlices, ...ours, keep: keepSlice },
    namespaces: { resource: RESOURCES.namespaces, keep: keepNamespace },
    nodes: { resource: RESOURCES.nodes, keep: keepNode },
    pods: { resource: RESOURCES.pods, fieldSelector: `spec.nodeName=${node}`, keep: keepPod },
  };
}

export class KubernetesSource implements Source {
  readonly #options: KubernetesSourceOptions;
  readonly #world: ClusterWorld;
  readonly #reporter: NodeReporter;
  readonly #said = new Standing();
  #informers: readonly Informer<KubernetesObject>[] = [];
  #tell: () => void = () => {};
  #gathering: NodeJS.Timeout | undefined;
  #taken: ClusterReading | undefined;
  #since = '';

  constructor(options: KubernetesSourceOptions) {
    this.#options = options;
    this.#world = new ClusterWorld(options.podCidrs);
    const { client, node, log, wall, random } = options;
    this.#reporter = new NodeReporter({ client, node, log, wall, random, nodeUid: () => this.#world.nodeUid(node) });
  }

  listen(tell: () => void): void {
    this.#tell = tell;
  }

  /** Connects and watches; never gives up. */
  start(): void {
    const { client, node, random } = this.#options;
    this.#informers = Object.entries(watchedKinds(node)).map(
      ([kind, watched]) =>
        new Informer<KubernetesObject>({
          client,
          ...watched,
          random,
          onChange: (change) => this.#world.apply(kind as WatchedKind, change),
          onSettled: () => this.#gather(),
          onTrouble: () => this.#troubled(),
        }),
    );
  }

  /** Every kind has been read once. */
  get synced(): boolean {
    return this.#informers.length > 0 && this.#informers.every(({ synced }) => synced);
  }

  #gather(): void {
    if (!this.synced || !this.#world.dirty) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#tell();
    }, GATHER_MS);
  }

  /** What a round has brought about, or is about to. */
  get programmed(): Pick<ClusterReading, 'chains' | 'selectors'> | undefined {
    return this.#taken;
  }

  take(): Reading | undefined {
    if (!this.synced || !this.#world.dirty) return undefined;
    this.#taken = this.#world.read();
    return this.#taken;
  }

  reached(view: AgentView): void {
    const reading = this.#taken;
    if (reading === undefined) return;
    // Looked at when it is written: many rounds may pass until then.
    this.#reporter.wish(() => nodeReport(this.#options.agent(), reading, view));
  }

  #troubles(): string[] {
    const all = this.#informers.flatMap(({ trouble }) => (trouble === undefined ? [] : [`${trouble.code}: ${trouble.message}`]));
    return [...new Set(all)];
  }

  #troubled(): void {
    const { log, client, wall } = this.#options;
    const troubles = this.#troubles();
    const before = this.#since;
    if (troubles.length === 0) this.#since = '';
    else if (before === '') {
      const stale = Math.max(...this.#informers.map((informer) => informer.staleFor()));
      this.#since = new Date(wall().getTime() - stale).toISOString();
    }
    const { server } = client;
    const stays = this.synced ? 'what was read last stays in force' : 'what an earlier agent left in the maps stays';
    // A server that is away is so in many words: refused, reset, silent. They are one message.
    const byMeaning = new Map(troubles.map((text) => [text.startsWith(UNREACHABLE) ? UNREACHABLE : text, text]));
    this.#said.tell(byMeaning.keys(), (meaning) => log.error({ server }, `${byMeaning.get(meaning)}; ${stays}`));
    if (before !== '' && troubles.length === 0) log.info({ server, since: before }, 'the API server answers again');
  }

  state(): SourceState {
    const [trouble = '', ...more] = this.#troubles();
    return {
      kind: 'kubernetes',
      where: this.#options.client.server,
      trouble: more.length === 0 ? trouble : `${trouble} (and ${more.length} more)`,
      since: this.#since,
      watches: this.#watches(),
      report: this.#reporter.view(),
      hint: 'What was read before stays in force; the API server is asked again and again.',
    };
  }

  #watches(): WatchView[] {
    return this.#informers.map((informer) => {
      const { staleMs, ...state } = informer.state();
      return { ...state, staleSeconds: staleMs / 1000 };
    });
  }

  /** Watches no more and writes no more. What is programmed stays. The client is the caller's to close. */
  async close(): Promise<void> {
    clearTimeout(this.#gathering);
    await Promise.all([...this.#informers.map((informer) => informer.close()), this.#reporter.close()]);
  }
}
