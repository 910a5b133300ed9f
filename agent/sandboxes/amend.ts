/** What a CNI plugin told, put to what the source tells: a pod has its addresses there only once it runs. Pure. */

import { parseAddress } from '../../geneve/index.js';
import type { Pod, World } from '../../policy/index.js';
import type { SandboxRecord } from './store.js';

/** Names come again (of a StatefulSet's pods they do); where both sides have a UID, it decides. */
export function isOf(pod: Pod, { namespace, name, uid }: SandboxRecord['pod']): boolean {
  return pod.namespace === namespace && pod.name === name && (uid === '' || pod.uid === undefined || pod.uid === uid);
}

/** The sandbox that a pod has now: of several the last that was told. A pod of the host's network has none. */
export function sandboxOfPod(pod: Pod, records: readonly SandboxRecord[]): SandboxRecord | undefined {
  return pod.hostNetwork ? undefined : records.findLast((record) => isOf(pod, record.pod));
}

/**
 * The world in which this node's pods have the addresses of their sandboxes. Where the source says otherwise, it is late: a
 * sandbox is known only as long as its interface is there.
 * @param records in the order in which they were told
 */
export function amendWorld(world: World, node: string, records: readonly SandboxRecord[]): World {
  if (records.length === 0) return world;
  let changed = false;
  const pods = world.pods.map((pod) => {
    const record = pod.nodeName === node ? sandboxOfPod(pod, records) : undefined;
    const addresses = record?.addresses.flatMap((text) => parseAddress(text) ?? []) ?? [];
    if (addresses.length === 0) return pod;
    const known = new Set(pod.addresses.map(({ text }) => text));
    if (known.size === addresses.length && addresses.every(({ text }) => known.has(text))) return pod;
    changed = true;
    return { ...pod, addresses };
  });
  return changed ? { ...world, pods } : world;
}
