/** The source that the settings name. */

import { parseCidr } from '../../geneve/index.js';
import { clusterConfig, KubernetesClient } from '../../kubernetes/index.js';
import { type Allocations, clusterAllocations, fileAllocations } from '../allocation/index.js';
import type { Settings } from '../config/index.js';
import type { Log } from '../log.js';
import { watchDirectory } from './directory.js';
import { KubernetesSource } from './kubernetes-source.js';
import { ManifestSource } from './manifest-source.js';
import { manifestReader } from './manifests.js';
import type { Source } from './source.js';

export interface OpenSource {
  readonly source: Source;
  /** Who gives out ids and addresses. */
  readonly allocations: Allocations;
  /** Begins to read; the agent listens by then. */
  start(): void;
  /** Reads and writes no more. */
  close(): Promise<void>;
}

export interface SourceFacts {
  readonly version: string;
  /** What moves the packets; asked when there is something to report. */
  readonly datapath: () => 'kernel' | 'userspace';
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

function openDirectory(settings: Settings, log: Log): OpenSource {
  const { manifests: directory, reconcileIntervalMs: rescanMs } = settings;
  const source = new ManifestSource({ directory, reader: manifestReader(), log, wall: () => new Date() });
  let watched: ReturnType<typeof watchDirectory> | undefined;
  return {
    source,
    allocations: fileAllocations(settings.allocations, settings.serviceCidr),
    start() {
      watched = watchDirectory({
        directory,
        rescanMs,
        onContent: (content) => source.changed(content),
        onTrouble: (message) => source.troubled(message),
      });
    },
    close: async () => watched?.close(),
  };
}

/** Ranges of a list with commas; the settings are checked before. */
export function parseRanges(text: string) {
  return text.split(',').flatMap((one) => parseCidr(one.trim()) ?? []);
}

function openCluster(settings: Settings, { version, datapath, environment, log }: SourceFacts): OpenSource {
  const client = new KubernetesClient(clusterConfig(settings.kubeconfig, environment), `sfcd/${version}`);
  const source = new KubernetesSource({
    client,
    node: settings.nodeName,
    podCidrs: parseRanges(settings.podCidrs),
    log,
    wall: () => new Date(),
    random: Math.random,
    agent: () => ({ agentVersion: version, datapath: datapath(), podUid: settings.podUid }),
  });
  return {
    source,
    allocations: clusterAllocations(),
    start: () => source.start(),
    async close() {
      await source.close();
      client.close();
    },
  };
}

/** @throws SfcError KUBERNETES_CONFIG */
export function openSource(settings: Settings, facts: SourceFacts): OpenSource {
  return settings.source === 'kubernetes' ? openCluster(settings, facts) : openDirectory(settings, facts.log);
}
