/** The testbed as Kubernetes would describe it: what `kubectl get` would show of its pods and nodes. */

import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { WALKTHROUGH_MANIFESTS } from './project.js';
import type { Blueprint, PodBlueprint } from './testbed/index.js';

export type Manifest = Readonly<Record<string, unknown>>;

/** Namespaces, Nodes and Pods, all running and ready. */
export function worldOf(bed: Blueprint): readonly Manifest[] {
  const namespaces = [...new Set(bed.pods.map((pod) => pod.podNamespace))];
  return [
    ...namespaces.map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    })),
    ...bed.nodes.map((node) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: node.name },
      spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
      status: {
        addresses: [
          { type: 'InternalIP', address: node.address },
          { type: 'Hostname', address: node.name },
        ],
      },
    })),
    ...bed.pods.map(podManifest),
  ];
}

/** A pod that runs and is ready. */
export function podManifest(pod: Omit<PodBlueprint, 'namespace' | 'hostInterface'>): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: pod.podNamespace, labels: pod.labels },
    spec: { nodeName: pod.node, containers: [{ name: pod.role, image: pod.role }] },
    status: {
      phase: 'Running',
      podIP: pod.address,
      podIPs: [{ ip: pod.address }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

/**
 * Writes `world.yaml` and the walkthrough's ServiceFunctionChain.yaml and TrafficSelector.yaml, or
 * `policy.yaml` in their place, to a directory, each in one step, so that a watching agent never
 * reads half a file.
 */
export async function writeManifests(bed: Blueprint, directory: string, policy?: readonly Manifest[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  const place = async (name: string, write: (draft: string) => Promise<void>): Promise<void> => {
    const draft = join(directory, `.${name}.draft`);
    await write(draft);
    await rename(draft, join(directory, name));
  };
  const text = (manifests: readonly Manifest[]) => manifests.map((manifest) => stringify(manifest)).join('---\n');
  await place('world.yaml', (draft) => writeFile(draft, text(worldOf(bed))));
  if (policy !== undefined) return place('policy.yaml', (draft) => writeFile(draft, text(policy)));
  for (const name of ['ServiceFunctionChain.yaml', 'TrafficSelector.yaml']) {
    await place(name, (draft) => copyFile(join(WALKTHROUGH_MANIFESTS, name), draft));
  }
}
