/** Manifests that tests are made of, and what tests ask of pods. */

import { TOOLS_IMAGE } from './images.js';
import type { Kubectl } from './kubectl.js';

export interface ToolsOptions {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: it sleeps. */
  readonly command?: readonly string[];
  /** What is added to the pod's and to the container's spec. */
  readonly pod?: Readonly<Record<string, unknown>>;
  readonly container?: Readonly<Record<string, unknown>>;
}

const podSpec = ({ command, pod = {}, container = {} }: ToolsOptions) => ({
  terminationGracePeriodSeconds: 0,
  ...pod,
  containers: [{ name: 'main', image: TOOLS_IMAGE, imagePullPolicy: 'Never', ...(command === undefined ? {} : { command }), ...container }],
});

/** A pod of the image of tools. */
export const toolsPod = (options: ToolsOptions) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: options.name, namespace: options.namespace ?? 'default', labels: options.labels ?? {} },
  spec: podSpec(options),
});

/** One such pod on every node; they are labelled `app: <name>` as well. */
export const toolsDaemonSet = (options: ToolsOptions) => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: options.name, namespace: options.namespace ?? 'default' },
  spec: {
    selector: { matchLabels: { app: options.name } },
    template: { metadata: { labels: { ...options.labels, app: options.name } }, spec: podSpec(options) },
  },
});

/** `kubectl apply` of manifests as values. */
export const apply = (kubectl: Kubectl, ...manifests: readonly unknown[]) =>
  kubectl(['apply', '-f', '-'], { stdin: manifests.map((one) => JSON.stringify(one)).join('\n---\n') });

export interface PodFacts {
  readonly name: string;
  readonly node: string;
  /** The first is of the primary family. */
  readonly addresses: readonly string[];
}

/** Where the pods that a label selector matches are, by their nodes' names. */
export async function podsOf(kubectl: Kubectl, selector: string, namespace = 'default'): Promise<PodFacts[]> {
  interface List {
    readonly items: readonly {
      readonly metadata: { readonly name: string };
      readonly spec: { readonly nodeName?: string };
      readonly status: { readonly podIPs?: readonly { readonly ip: string }[] };
    }[];
  }
  const list = JSON.parse(await kubectl(['get', 'pods', `--namespace=${namespace}`, `--selector=${selector}`, '-o', 'json'])) as List;
  return list.items
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      node: spec.nodeName ?? '',
      addresses: (status.podIPs ?? []).map(({ ip }) => ip),
    }))
    .sort((one, other) => one.node.localeCompare(other.node));
}
