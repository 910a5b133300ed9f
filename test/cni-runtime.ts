/**
 * Runs a chain of CNI plugins as a container runtime does: each as a program of its own in the node's network, the
 * configuration on standard input, each with the result of the one before (CNI specification 1.1.0, section 3).
 */

import { join, resolve } from 'node:path';
import { namespaced, type RunResult, run } from '../demo/testbed/index.js';

/** Where Debian's containernetworking-plugins are. */
const CNI_PLUGINS = '/usr/lib/cni';
export const SFC_CNI = resolve('dist/cni/sfc-cni.cjs');

export type PluginConfig = Readonly<Record<string, unknown>> & { readonly type: string };

export interface CniPod {
  readonly id: string;
  /** Name of its network namespace. */
  readonly namespace: string;
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
}

export interface CniResult {
  readonly interfaces: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly ips: readonly { readonly address: string }[];
}

export interface CniFailure {
  readonly code: number;
  readonly msg: string;
}

export class CniRuntime {
  readonly #node: string;
  readonly #plugins: readonly PluginConfig[];
  readonly version: string;

  /** @param node the network namespace in which plugins run */
  constructor(node: string, plugins: readonly PluginConfig[], version = '1.0.0') {
    this.#node = node;
    this.#plugins = plugins;
    this.version = version;
  }

  /** One plugin once, whatever comes of it. */
  call(plugin: PluginConfig, command: string, pod?: CniPod, more: Readonly<Record<string, unknown>> = {}): Promise<RunResult> {
    const program = plugin.type === 'sfc-cni' ? [process.execPath, SFC_CNI] : [join(CNI_PLUGINS, plugin.type)];
    const args = pod === undefined ? '' : `K8S_POD_NAMESPACE=${pod.pod.namespace};K8S_POD_NAME=${pod.pod.name};K8S_POD_UID=${pod.pod.uid}`;
    const ofPod = pod === undefined ? {} : { CNI_CONTAINERID: pod.id, CNI_NETNS: `/run/netns/${pod.namespace}`, CNI_IFNAME: 'eth0' };
    return run(namespaced(this.#node, program), {
      stdin: JSON.stringify({ cniVersion: this.version, name: 'pods', ...plugin, ...more }),
      env: { CNI_COMMAND: command, CNI_PATH: CNI_PLUGINS, CNI_ARGS: `IgnoreUnknown=1;${args}`, ...ofPod },
      accept: [0, 1],
    });
  }

  /** The chain's result, or the error that it ended with. */
  async add(pod: CniPod): Promise<CniResult | CniFailure> {
    let previous: CniResult | undefined;
    for (const plugin of this.#plugins) {
      const { stdout } = await this.call(plugin, 'ADD', pod, previous === undefined ? {} : { prevResult: previous });
      const given = JSON.parse(stdout) as CniResult | CniFailure;
      if ('code' in given) {
        await this.del(pod); // so that the next attempt begins anew
        return given;
      }
      previous = given;
    }
    if (previous === undefined) throw new Error('a chain without a plugin');
    return previous;
  }

  /** Throws with the plugin's words where one fails: DEL has to succeed. */
  async del(pod: CniPod, previous?: CniResult): Promise<void> {
    for (const plugin of this.#plugins.toReversed()) {
      const { status, stdout } = await this.call(plugin, 'DEL', pod, previous === undefined ? {} : { prevResult: previous });
      if (status !== 0) throw new Error(`DEL of ${plugin.type}: ${stdout}`);
    }
  }
}
