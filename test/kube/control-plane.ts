/** The control plane of a cluster on a machine of its own: etcd, the API server and, if wanted, the two that act on what is in it. */

import { join } from 'node:path';
import { inNamespace, run } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { type Authority, makeAuthority } from './certificates.js';
import { component } from './components.js';
import { argumentsOfPrograms, type ControlPlaneProgram, makeCertificates } from './control-plane-files.js';
import { type KubeconfigOptions, writeKubeconfig } from './kubeconfig.js';
import { type Kubectl, kubectlWith } from './kubectl.js';
import { type Machine, type Program, startMachine } from './machine.js';
import { CONTROL_PLANE, type IpFamilies, numbersOf } from './numbers.js';
import { phase, type Say, silent, until } from './progress.js';
import { type Relay, startRelay } from './relays.js';
import { claim } from './sweep.js';

export interface ControlPlaneOptions {
  /** Absolute; everything is written below it. Short: paths of sockets lie in it. */
  readonly directory: string;
  /** Begins the name of its network namespace, `<name>-control`. */
  readonly name: string;
  readonly families?: IpFamilies;
  /** Default: both. A test of one client needs neither. */
  readonly controllerManager?: boolean;
  readonly scheduler?: boolean;
  /** The namespace is there, with the address of the control plane in it. Default: it is made, without a way to anywhere. */
  readonly networked?: boolean;
  readonly say?: Say;
}

export interface ControlPlane {
  readonly machine: Machine;
  readonly authority: Authority;
  /** Kubeconfigs of the administrator: for processes on the host, and for those in the cluster's network. */
  readonly kubeconfig: string;
  readonly insideKubeconfig: string;
  /** URL of the API server for processes in the cluster's network. */
  readonly insideUrl: string;
  readonly kubectl: Kubectl;
  /** Writes a kubeconfig for the host and one for the cluster's network. */
  kubeconfigFor(name: string, user: KubeconfigOptions['user']): Promise<{ readonly outside: string; readonly inside: string }>;
  /**
   * Kubeconfig for a service account that is there, by a token of its own. `boundTo` is a Pod or a Node that is there:
   * the token then tells its name in its claims, and ends with it.
   */
  serviceAccount(
    namespace: string,
    name: string,
    boundTo?: { readonly kind: 'Pod' | 'Node'; readonly name: string },
  ): Promise<{ readonly outside: string; readonly inside: string; readonly token: string }>;
  kill(program: ControlPlaneProgram, signal?: NodeJS.Signals): Promise<void>;
  /** Starts it (ending it first when it runs) and waits until it answers. */
  restart(program: ControlPlaneProgram): Promise<void>;
  /** Ends all of it. The files stay. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a control plane and waits until its API server is ready. Throws `COMMAND_FAILED` with a log's last words. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { directory, name, families = '4', controllerManager = true, scheduler = true, networked = false, say = silent } = options;
  const numbers = numbersOf(families);
  const address = numbers.host(CONTROL_PLANE);
  const insideUrl = `https://${address.includes(':') ? `[${address}]` : address}:6443`;
  const namespace = `${name}-control`;
  const wanted: readonly ControlPlaneProgram[] = [
    'etcd',
    'kube-apiserver',
    ...(controllerManager ? (['kube-controller-manager'] as const) : []),
    ...(scheduler ? (['kube-scheduler'] as const) : []),
  ];
  const paths = new Map<string, string>([['etcd', 'etcd']]);
  for (const program of wanted) if (program !== 'etcd') paths.set(program, await component(program, say));
  const kubectlProgram = await component('kubectl', say);

  const addresses = numbers.families.map((family) => numbers.hostOf(family, CONTROL_PLANE));
  let powered: Machine | undefined;
  const programs = new Map<ControlPlaneProgram, Program>();
  let relay: Relay | undefined;

  const stop = async () => {
    await powered?.stop();
    await relay?.stop();
    if (!networked) await run(['ip', 'netns', 'delete', namespace], { accept: [0, 1] });
  };
  try {
    await claim(directory);
    if (!networked) await makeLonelyNamespace(namespace, addresses);
    const machine = await startMachine({ name: `${name}-control`, namespace, directory: join(directory, 'control'), kind: 'plain' });
    powered = machine;
    const authority = await makeAuthority(join(directory, 'pki'));
    relay = await startRelay({ namespace, address, port: 6443, directory });
    const urls = { outside: relay.url, inside: insideUrl };
    const certificates = await makeCertificates(authority, [...addresses, ...numbers.apiServices]);

    const kubeconfigFor = async (user: string, as: KubeconfigOptions['user']) => {
      const write = (place: 'outside' | 'inside') =>
        writeKubeconfig(join(directory, `${user}.${place}.kubeconfig`), {
          server: urls[place],
          authority: authority.certificate,
          user: as,
        });
      return { outside: await write('outside'), inside: await write('inside') };
    };
    const admin = await kubeconfigFor('admin', { certificate: certificates.admin });
    const own = {
      'kube-controller-manager': (await kubeconfigFor('kube-controller-manager', { certificate: certificates.controllerManager })).inside,
      'kube-scheduler': (await kubeconfigFor('kube-scheduler', { certificate: certificates.scheduler })).inside,
    };
    const kubectl = kubectlWith(kubectlProgram, admin.outside);

    const argumentsOf = argumentsOfPrograms({ directory, address, numbers, authority, certificates, kubeconfigs: own });

    const ready = async (program: ControlPlaneProgram, running: Program) => {
      const asks: Record<ControlPlaneProgram, readonly string[]> = {
        etcd: ['curl', '-fsS', '--max-time', '2', 'http://127.0.0.1:2379/health'],
        'kube-apiserver': [kubectlProgram, `--kubeconfig=${admin.inside}`, 'get', '--raw=/readyz', '--request-timeout=2s'],
        'kube-controller-manager': ['curl', '-fsSk', '--max-time', '2', 'https://127.0.0.1:10257/healthz'],
        'kube-scheduler': ['curl', '-fsSk', '--max-time', '2', 'https://127.0.0.1:10259/healthz'],
      };
      await until(
        async () => {
          if (!running.running()) throw new SfcError('COMMAND_FAILED', `${program} ended: ${await running.lastWords()}`);
          return machine.run(asks[program], { timeout: 5000 }).catch(() => undefined);
        },
        () => new SfcError('COMMAND_FAILED', `${program} does not get ready; see ${running.log}`),
        { withinMs: 60_000 },
      );
    };
    const start = async (program: ControlPlaneProgram) => {
      const running = machine.start(program, [paths.get(program) ?? program, ...argumentsOf[program]]);
      programs.set(program, running);
      await ready(program, running);
    };
    for (const program of ['etcd', 'kube-apiserver'] as const) await phase(say, `started ${program}`, () => start(program));
    await Promise.all(wanted.slice(2).map((program) => phase(say, `started ${program}`, () => start(program))));

    return {
      machine,
      authority,
      kubeconfig: admin.outside,
      insideKubeconfig: admin.inside,
      insideUrl,
      kubectl,
      kubeconfigFor,
      async serviceAccount(ofNamespace, account, boundTo) {
        const bound = boundTo === undefined ? [] : [`--bound-object-kind=${boundTo.kind}`, `--bound-object-name=${boundTo.name}`];
        const token = (await kubectl(['create', 'token', account, `--namespace=${ofNamespace}`, '--duration=12h', ...bound])).trim();
        const file = ['sa', ofNamespace, account, ...(boundTo === undefined ? [] : [boundTo.name])].join('.');
        return { ...(await kubeconfigFor(file, { token })), token };
      },
      kill: async (program, signal = 'SIGKILL') => programs.get(program)?.end(signal),
      async restart(program) {
        await programs.get(program)?.end();
        await start(program);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A namespace with an address and no way out: the API server advertises no loopback address. */
async function makeLonelyNamespace(namespace: string, addresses: readonly string[]): Promise<void> {
  await run(['ip', 'netns', 'add', namespace]);
  await inNamespace(namespace, ['ip', 'link', 'set', 'lo', 'up']);
  await inNamespace(namespace, ['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1']);
  await inNamespace(namespace, ['ip', 'link', 'set', 'eth1', 'up']);
  await inNamespace(namespace, ['ip', 'link', 'set', 'eth0', 'up']);
  for (const address of addresses) {
    const long = address.includes(':');
    // A default route, which the API server looks for its own address by. nodad: to be used at once.
    await inNamespace(namespace, ['ip', 'addr', 'add', `${address}/${long ? 64 : 24}`, 'dev', 'eth0', ...(long ? ['nodad'] : [])]);
    await inNamespace(namespace, ['ip', ...(long ? ['-6'] : []), 'route', 'add', 'default', 'dev', 'eth0']);
  }
}
