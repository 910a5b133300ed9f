/** The testbed as Kubernetes would describe it: what `kubectl get` would show of its pods and nodes. */

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { WALKTHROUGH_MANIFESTS } from './project.js';
import { type Blueprint, type PodBlueprint, TERMS } from './testbed/index.js';

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
      spec: { podCIDR: node.podCidr, podCIDRs: node.addressing.map(({ podCidr }) => podCidr) },
      status: {
        addresses: [...node.addressing.map(({ address }) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: node.name }],
      },
    })),
    ...bed.pods.map(podManifest),
  ];
}

/** A pod that runs and is ready. */
export function podManifest(pod: Omit<PodBlueprint, 'namespace' | 'hostInterface' | 'addressing'>): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: pod.podNamespace, labels: pod.labels },
    spec: { nodeName: pod.node, containers: [{ name: pod.role, image: pod.role }] },
    status: {
      phase: 'Running',
      podIP: pod.address,
      podIPs: pod.addresses.map((ip) => ({ ip })),
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
    const written = await readFile(join(WALKTHROUGH_MANIFESTS, name), 'utf8');
    await place(name, (draft) => writeFile(draft, forFamilies(bed, written)));
  }
}

/**
 * The walkthrough's manifests as they are written, for the families that the clients speak: a selector names
 * destinations of one family, so that a second family has selectors of its own.
 */
export function forFamilies({ families: { traffic } }: Blueprint, written: string): string {
  return parseAllDocuments(written)
    .flatMap((document) =>
      (document.get('kind') === 'TrafficSelector' ? traffic : [traffic[0]]).map((family, index) => {
        const selector = document.clone();
        const cidr = ['spec', 'egress', 'to', 'ipBlock', 'cidr'];
        if (family !== undefined && selector.hasIn(cidr)) selector.setIn(cidr, TERMS[family].any);
        if (index > 0) selector.setIn(['metadata', 'name'], `${String(selector.getIn(['metadata', 'name']))}-ipv${family}`);
        return selector.toString().replace(/^---\n/, '');
      }),
    )
    .join('---\n');
}
