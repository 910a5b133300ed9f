/** Pods of a cluster, and their network namespaces under a name of this machine, so that everything that looks into a testbed's pods looks into these too. */

import { readdir, readFile } from 'node:fs/promises';
import { SfcError } from '../../errors/index.js';
import type { Kubectl } from '../../test/kube/index.js';
import { run } from '../testbed/index.js';

/** What Kubernetes says of a pod that runs. */
export interface RunningPod {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: string;
  /** The primary one first. */
  readonly addresses: readonly string[];
}

interface PodItem {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

/** Pods of a Kubernetes namespace that run, by name. Throws `COMMAND_FAILED`. */
export async function runningPods(kubectl: Kubectl, namespace: string, selector = ''): Promise<readonly RunningPod[]> {
  const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json'])) as {
    readonly items: readonly PodItem[];
  };
  return items
    .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === 'Running')
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      namespace: metadata.namespace,
      uid: metadata.uid,
      labels: metadata.labels ?? {},
      node: spec.nodeName ?? '',
      addresses: (status.podIPs ?? []).map(({ ip }) => ip),
    }));
}

/** A process of the pod. Throws `COMMAND_FAILED`. */
async function processOf(pod: Pick<RunningPod, 'name' | 'uid'>): Promise<number> {
  for (const entry of await readdir('/proc')) if (/^\d+$/.test(entry) && (await isOf(Number(entry), pod.uid))) return Number(entry);
  throw new SfcError('COMMAND_FAILED', `pod ${pod.name} has no process on this machine`);
}

/** Names pods' network namespaces, as `ip netns` knows them; `release` takes the names away again. */
export class PodNamespaces {
  readonly #prefix: string;
  readonly #known = new Map<string, { readonly name: string; readonly pid: number }>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Throws `COMMAND_FAILED`. */
  async nameOf(pod: RunningPod): Promise<string> {
    const known = this.#known.get(pod.uid);
    if (known !== undefined) {
      // A node that was without power gives the same pod another sandbox.
      if (await isOf(known.pid, pod.uid)) return known.name;
      await this.#forget(known.name);
    }
    const pid = await processOf(pod);
    const name = `${this.#prefix}-pod-${pod.uid.slice(0, 8)}-${pod.name}`.slice(0, 63);
    await run(['ip', 'netns', 'attach', name, String(pid)]);
    this.#known.set(pod.uid, { name, pid });
    return name;
  }

  async release(): Promise<void> {
    for (const { name } of this.#known.values()) await this.#forget(name);
    this.#known.clear();
  }

  async #forget(name: string): Promise<void> {
    await run(['ip', 'netns', 'delete', name], { accept: [0, 1] });
  }
}

/** Kubelet puts all of a pod's processes into a cgroup that has the pod's UID in its name. */
async function isOf(pid: number, uid: string): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')).includes(`pod${uid}`);
}
