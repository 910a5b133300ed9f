/** One node of a cluster: containerd, kubelet and kube-proxy (and flanneld, where it makes the pods' network) on a machine of its own. */

import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { makeCgroup, removeCgroup } from './cgroups.js';
import { component } from './components.js';
import type { ControlPlane } from './control-plane.js';
import { type Machine, type Program, startMachine } from './machine.js';
import { namespaceOf, nodeName } from './network.js';
import {
  CNI_CONFIGURATIONS,
  CNI_PROGRAMS,
  type Cni,
  CONTAINERD_SOCKET,
  cniConfig,
  containerdConfig,
  FLANNEL_SUBNET,
  flannelConfig,
  kubeletConfig,
  kubeProxyConfig,
} from './node-files.js';
import { type Numbers, nodeHost } from './numbers.js';
import { until } from './progress.js';

export type NodeProgram = 'containerd' | 'kubelet' | 'kube-proxy' | 'flanneld';

export interface NodeOptions {
  readonly number: number;
  /** Of the cluster. */
  readonly name: string;
  /** Of the cluster. */
  readonly directory: string;
  readonly numbers: Numbers;
  readonly cni: Cni;
  readonly masquerade: boolean;
  readonly plane: ControlPlane;
  /** Archives of images that are there before the first pod. */
  readonly images: readonly string[];
}

export interface Node {
  /** In Kubernetes. */
  readonly name: string;
  readonly machine: Machine;
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  importImage(archive: string): Promise<void>;
  kill(program: NodeProgram, signal?: NodeJS.Signals): Promise<void>;
  restart(program: NodeProgram): Promise<void>;
  /** Takes its power away: every process ends at once, pods and all. Its disk stays. */
  stop(): Promise<void>;
}

const PLUGINS = ['bridge', 'ptp', 'host-local', 'loopback', 'portmap'];
const HOST_PLUGINS = '/usr/lib/cni';

/** Starts a node on a namespace that is there. Returns before it is Ready. */
export async function startNode(options: NodeOptions): Promise<Node> {
  const { number, numbers, plane, cni } = options;
  const name = nodeName(number);
  const directory = join(options.directory, name);
  const cgroup = `${options.name}-${name}`;
  const addresses = numbers.families.map((family) => numbers.hostOf(family, nodeHost(number)));
  const podCidrs = numbers.podCidrs(number);
  await makeCgroup(cgroup);
  // What a machine loses with its power.
  await rm(join(directory, 'own/run'), { recursive: true, force: true });
  const machine = await startMachine({ name, namespace: namespaceOf(options.name, name), directory, kind: 'node' });
  const { pathOf } = machine;

  const sign = (file: string, commonName: string, organization: string, alternativeNames: readonly string[] = []) =>
    plane.authority.sign({ name: file, commonName, organization, alternativeNames });
  const [client, serving, proxy] = await Promise.all([
    sign(`${name}-kubelet`, `system:node:${name}`, 'system:nodes'),
    sign(`${name}-kubelet-serving`, `system:node:${name}`, 'system:nodes', [`DNS:${name}`, ...addresses.map((one) => `IP:${one}`)]),
    sign(`${name}-kube-proxy`, 'system:kube-proxy', 'system:nodes:proxies'),
  ]);
  const kubelet = (await plane.kubeconfigFor(`${name}-kubelet`, { certificate: client })).inside;
  const kubeProxy = (await plane.kubeconfigFor(`${name}-kube-proxy`, { certificate: proxy })).inside;

  const file = async (path: string, content: string) => {
    await mkdir(join(pathOf(path), '..'), { recursive: true });
    await writeFile(pathOf(path), content);
    return path;
  };
  const json = (path: string, content: unknown) => file(path, `${JSON.stringify(content, null, 2)}\n`);
  await file('/etc/containerd/config.toml', containerdConfig());
  await json('/etc/kubernetes/kubelet.json', kubeletConfig({ authority: plane.authority.certificate, serving, cgroup: `/${cgroup}` }));
  await json('/etc/kubernetes/kube-proxy.json', kubeProxyConfig(name, kubeProxy, numbers.podRanges));
  await mkdir(pathOf(CNI_PROGRAMS), { recursive: true });
  for (const plugin of PLUGINS) await copyFile(join(HOST_PLUGINS, plugin), join(pathOf(CNI_PROGRAMS), plugin));

  const argumentsOf: Record<NodeProgram, readonly string[]> = {
    containerd: ['containerd', '--config=/etc/containerd/config.toml'],
    kubelet: [
      await component('kubelet'),
      '--config=/etc/kubernetes/kubelet.json',
      `--kubeconfig=${kubelet}`,
      `--hostname-override=${name}`,
      `--node-ip=${addresses.join(',')}`,
      '--root-dir=/var/lib/kubelet',
      '--cert-dir=/var/lib/kubelet/pki',
      '--register-node=true',
    ],
    'kube-proxy': [await component('kube-proxy'), '--config=/etc/kubernetes/kube-proxy.json'],
    flanneld: [
      cni === 'flannel' ? await component('flannel') : 'flanneld',
      '--kube-subnet-mgr',
      `--kubeconfig-file=${plane.insideKubeconfig}`,
      '--iface=eth0',
      '--net-config-path=/etc/kube-flannel/net-conf.json',
      `--subnet-file=${FLANNEL_SUBNET}`,
      ...(options.masquerade ? ['--ip-masq'] : []),
    ],
  };
  const programs = new Map<NodeProgram, Program>();
  const start = (program: NodeProgram) => {
    const environment = program === 'flanneld' ? { NODE_NAME: name } : {};
    const running = machine.start(program, argumentsOf[program], environment);
    programs.set(program, running);
    return running;
  };
  const fails = async (program: NodeProgram) => {
    const running = programs.get(program);
    if (running?.running() === false) throw new SfcError('COMMAND_FAILED', `${program} on ${name} ended: ${await running.lastWords()}`);
  };
  const ctr = (...args: readonly string[]) =>
    machine.run(['ctr', `--address=${CONTAINERD_SOCKET}`, '--namespace=k8s.io', ...args], { timeout: 300_000 });
  const late = (what: string) => () => new SfcError('COMMAND_FAILED', `${what} on ${name} does not get ready; see ${directory}`);

  start('containerd');
  await until(async () => {
    await fails('containerd');
    return ctr('version').catch(() => undefined);
  }, late('containerd'));
  const importImage = async (archive: string) => {
    await ctr('images', 'import', archive);
  };
  for (const image of options.images) await importImage(image);

  let mtu = 1500;
  if (cni === 'flannel') {
    await json('/etc/kube-flannel/net-conf.json', flannelConfig(numbers.podRanges));
    start('flanneld');
    const subnet = await until(async () => {
      await fails('flanneld');
      return machine.run(['cat', FLANNEL_SUBNET]).catch(() => undefined);
    }, late('flanneld'));
    mtu = Number(/FLANNEL_MTU=(\d+)/.exec(subnet.stdout)?.[1] ?? mtu);
  }
  await json(`${CNI_CONFIGURATIONS}/10-pods.conflist`, cniConfig({ cni, podCidrs, masquerade: options.masquerade, mtu }));
  start('kubelet');
  start('kube-proxy');

  return {
    name,
    machine,
    addresses,
    podCidrs,
    importImage,
    kill: async (program, signal = 'SIGKILL') => programs.get(program)?.end(signal),
    async restart(program) {
      await programs.get(program)?.end();
      start(program);
    },
    async stop() {
      await machine.stop();
      await removeCgroup(cgroup);
    },
  };
}
