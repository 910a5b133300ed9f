/**
 * `make demo-kube`: from nothing to a cluster with steered traffic. Exit status: 0 when everything holds, 1 when it
 * does not, 69 when this machine cannot run it, 128 + signal when it was interrupted.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SfcError } from '../../errors/index.js';
import { CACHE, type Cluster, component, startCluster } from '../../test/kube/index.js';
import { palette, stepText, verdictText } from '../report.js';
import { commandLine } from '../testbed/index.js';
import type { Observation } from '../walkthrough.js';
import { functionsImage, sfcImage } from './images.js';
import { type Installer, install, installCommand, projectVersion, unsteeredOn } from './installed.js';
import { troubleshooting } from './troubleshooting.js';
import { KubeWalkthrough } from './walkthrough.js';
import { CHAINS, SELECTORS } from './walkthrough-manifests.js';

const USAGE = 64;
const { values } = parseArgs({
  options: {
    keep: { type: 'boolean', default: ['1', 'yes', 'true'].includes(process.env.KEEP ?? '') },
    installer: { type: 'string', default: process.env.INSTALLER || 'kustomize' },
    cni: { type: 'string', default: process.env.CNI || 'bridge' },
    requests: { type: 'string', default: process.env.DEMO_REQUESTS || '40' },
    name: { type: 'string', default: 'sfc-kube' },
    directory: { type: 'string', default: '/var/tmp/sfc-kube' },
  },
});

const paint = palette(process.stdout.isTTY === true && process.env.NO_COLOR === undefined);
const say = (text = ''): void => void process.stdout.write(`${text}\n`);
const complain = (text: string): void => void process.stderr.write(`demo-kube: ${text}\n`);
const told = (line: string): void => say(`${paint.dim('•')} ${line}`);

process.exitCode = await main();

async function main(): Promise<number> {
  const { installer, cni } = values;
  const requests = Number(values.requests);
  if (installer !== 'kustomize' && installer !== 'helm') return refuse(`INSTALLER is kustomize or helm, not ${installer}`);
  if (cni !== 'bridge' && cni !== 'ptp' && cni !== 'flannel') return refuse(`CNI is bridge, ptp or flannel, not ${cni}`);
  if (!Number.isInteger(requests) || requests < 1 || requests > 10_000) return refuse('DEMO_REQUESTS is a number from 1 to 10000');
  let cluster: Cluster | undefined;
  let walkthrough: KubeWalkthrough | undefined;
  let interrupted: NodeJS.Signals | undefined;
  const takeAway = async () => {
    await walkthrough?.close();
    await cluster?.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      interrupted = signal;
      complain(`${signal}, cleaning up`);
      void takeAway().finally(() => process.exit(signal === 'SIGINT' ? 130 : signal === 'SIGTERM' ? 143 : 129));
    });
  try {
    say(paint.bold('A Kubernetes of three nodes on this machine, with sfc in it.'));
    const images = join(CACHE, 'images');
    const archives = [await sfcImage(images, await projectVersion(), told), await functionsImage(images, told)];
    cluster = await startCluster({ name: values.name, directory: values.directory, cni, images: archives, say: told });
    walkthrough = new KubeWalkthrough(cluster, told);
    const holds = await demonstrate(walkthrough, installer, requests);
    if (values.keep) {
      walkthrough.release();
      say(await keptHelp(cluster));
    } else await takeAway();
    return holds ? 0 : 1;
  } catch (error) {
    if (interrupted !== undefined) return 1;
    await takeAway();
    complain((error as Error).message);
    if (!(error instanceof SfcError)) throw error;
    complain(error.hint);
    return error.exit === 69 ? 69 : 1;
  }
}

function refuse(why: string): number {
  complain(why);
  return USAGE;
}

async function demonstrate(walkthrough: KubeWalkthrough, installer: Installer, requests: number): Promise<boolean> {
  const { cluster } = walkthrough;
  typed(await installCommand(installer));
  await install(cluster, installer, told);
  typed(['kubectl', 'apply', '-k', walkthrough.directory]);
  await walkthrough.applyPods();
  typed(['kubectl', 'apply', '-f', CHAINS, '-f', SELECTORS]);
  await walkthrough.applySteering();
  await walkthrough.connectClients();
  const seen = await walkthrough.observe({ requests, onPhase: told });
  for (const step of await troubleshooting(walkthrough)) say(stepText(step, paint));
  const unsteered = await unsteeredOn(cluster);
  const faults = [...seen.faults, ...(unsteered === 0 ? [] : [`the agents have counted ${unsteered} unsteered packets of selected pods`])];
  if (seen.encapsulated === 0 && values.cni !== 'flannel') faults.push('no steering packet was seen between the nodes');
  const result: Observation = { ...seen, faults };
  say(verdictText({ ...result, steps: [], drops: [] }, paint));
  return faults.length === 0;
}

function typed(argv: readonly string[]): void {
  say(`\n${paint.dim('#')} ${commandLine(argv)}`);
}

async function keptHelp(cluster: Cluster): Promise<string> {
  return [
    '',
    'Left running. Look around:',
    `  export KUBECONFIG=${cluster.plane.kubeconfig} PATH=${join(await component('kubectl'), '..')}:$PATH`,
    '  kubectl get nodes,steeringnodes,servicefunctionchains,trafficselectors',
    '  kubectl -n sfc-system exec ds/sfcd -- sfc bpf sfcflow list',
    '  kubectl -n sfc-system exec ds/sfcd -- tcpdump -nn -i any udp port 7081',
    'and take it away again: make cluster-down',
  ].join('\n');
}
