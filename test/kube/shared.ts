/**
 * One cluster with the walkthrough in it, for all tests that leave it as they found it. It is started by the first
 * that asks; `shared-teardown.ts` takes it away when all have ended. Tests of this kind share one process.
 */

import { join } from 'node:path';
import { functionsImage, sfcImage } from '../../demo/kube/images.js';
import { type Installer, install, projectVersion } from '../../demo/kube/installed.js';
import { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { CACHE, type ClusterOptions, type Say, startCluster } from './index.js';

export const SHARED = { name: 'sfct', directory: '/var/tmp/sfct' };
export const say: Say = (line) => void process.stdout.write(`  ${line}\n`);

/** A cluster with sfc installed and nothing steered yet. Throws `COMMAND_FAILED`. */
export async function startSteered(
  options: Pick<ClusterOptions, 'name' | 'directory'> & Partial<ClusterOptions>,
  installer: Installer = 'kustomize',
): Promise<KubeWalkthrough> {
  const images = join(CACHE, 'images');
  const archives = [await sfcImage(images, await projectVersion(), say), await functionsImage(images, say)];
  const cluster = await startCluster({ images: archives, say, ...options });
  const walkthrough = new KubeWalkthrough(cluster, say);
  await install(cluster, installer, say);
  return walkthrough;
}

let shared: Promise<KubeWalkthrough> | undefined;

/** The shared cluster, with the walkthrough's pods, chains and selectors, and its clients connected. Throws `COMMAND_FAILED`. */
export function steered(): Promise<KubeWalkthrough> {
  shared ??= start();
  return shared;
}

async function start(): Promise<KubeWalkthrough> {
  const walkthrough = await startSteered(SHARED);
  await walkthrough.applyPods();
  await walkthrough.applySteering();
  await walkthrough.connectClients();
  return walkthrough;
}
