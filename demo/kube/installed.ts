/** sfc in a cluster: installed as `deploy/` says, asked as an operator asks it. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StatusView } from '../../agent/view.js';
import { SfcError } from '../../errors/index.js';
import { type Cluster, component, phase, type Say, silent, until } from '../../test/kube/index.js';
import { PROJECT } from '../project.js';
import { run } from '../testbed/index.js';
import { runningPods } from './pods.js';

export const SYSTEM = 'sfc-system';
const AGENTS = 'app.kubernetes.io/name=sfcd';
const DEPLOY = join(PROJECT, 'deploy');
const CHART = join(DEPLOY, 'chart');

export type Installer = 'kustomize' | 'helm';

export async function projectVersion(): Promise<string> {
  return (JSON.parse(await readFile(join(PROJECT, 'package.json'), 'utf8')) as { readonly version: string }).version;
}

/** The command that installs, as it is run; the kubeconfig comes from the environment. */
export async function installCommand(installer: Installer): Promise<readonly string[]> {
  if (installer === 'kustomize') return [await component('kubectl'), 'apply', '-k', DEPLOY];
  return [await component('helm'), 'install', 'sfc', CHART, '--namespace', SYSTEM, '--create-namespace'];
}

/** Installs, and waits until agents and controller run. Throws `COMMAND_FAILED`. */
export async function install(cluster: Cluster, installer: Installer, say: Say = silent): Promise<void> {
  await phase(say, `installed with ${installer}`, async () => {
    await run(await installCommand(installer), { env: { KUBECONFIG: cluster.plane.kubeconfig }, timeout: 120_000 });
    await rolledOut(cluster);
  });
}

/** Waits until every agent and every controller is ready, and is of the newest description. Throws `COMMAND_FAILED`. */
export async function rolledOut({ kubectl }: Pick<Cluster, 'kubectl'>): Promise<void> {
  for (const one of ['daemonset/sfcd', 'deployment/sfc-controller'])
    await kubectl(['-n', SYSTEM, 'rollout', 'status', one, '--timeout=180s'], { timeout: 190_000 });
}

/** Name of the agent's pod on a node. Throws `NOT_FOUND`. */
export async function agentOf({ kubectl }: Pick<Cluster, 'kubectl'>, node: string): Promise<string> {
  const pod = (await runningPods(kubectl, SYSTEM, AGENTS)).find((one) => one.node === node);
  if (pod === undefined) throw new SfcError('NOT_FOUND', `no agent runs on ${node}`);
  return pod.name;
}

/** Runs `sfc` in the agent's pod of a node; what it printed. Throws `COMMAND_FAILED`, `NOT_FOUND`. */
export async function sfcOn(cluster: Pick<Cluster, 'kubectl'>, node: string, ...args: readonly string[]): Promise<string> {
  return cluster.kubectl(['-n', SYSTEM, 'exec', await agentOf(cluster, node), '-c', 'sfcd', '--', 'sfc', ...args]);
}

export async function statusOn(cluster: Pick<Cluster, 'kubectl'>, node: string): Promise<StatusView> {
  return JSON.parse(await sfcOn(cluster, node, 'status', '-o', 'json')) as StatusView;
}

/** Waits until every chain and every selector is programmed on all nodes. Throws `COMMAND_FAILED` with what they say instead. */
export async function programmed({ kubectl }: Pick<Cluster, 'kubectl'>): Promise<void> {
  for (const kind of ['servicefunctionchains', 'trafficselectors']) {
    const ask = () =>
      kubectl(['wait', kind, '--all', '--for=condition=Programmed', '--timeout=5s']).then(
        () => true,
        () => undefined,
      );
    await until(ask, () => new SfcError('COMMAND_FAILED', `${kind} are not programmed: kubectl describe ${kind}`), { withinMs: 120_000 });
  }
}

/** Packets of selected pods that left unsteered, on all nodes, as the agents have counted since they started. */
export async function unsteeredOn(cluster: Pick<Cluster, 'kubectl' | 'nodes'>): Promise<number> {
  const statuses = await Promise.all(cluster.nodes.map(({ name }) => statusOn(cluster, name)));
  return statuses.reduce((sum, { guard }) => sum + guard.unsteered, 0);
}
