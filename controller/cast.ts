/** A real API server with our kinds, roles and accounts, controllers as processes, and what tests read and write there. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { clusterConfig, KubernetesClient, type KubernetesObject, RESOURCES, type Resource } from '../kubernetes/index.js';
import type { ChainStatus, SelectorStatus, SteeringNodeStatus } from '../policy/index.js';
import { type ControlPlane, startControlPlane } from '../test/kube/index.js';
import type { ChainObject, SelectorObject, SteeringNodeObject } from './cluster/index.js';
import { RECORD_NAME } from './ids/index.js';
import { Digest } from './nodes/digest.js';
import type { ServiceObject } from './services/index.js';

export const NAMESPACE = 'sfc-system';
/** A lease that is over soon: tests wait for it. */
const QUICK_LEASE = ['--lease-duration-ms=3000', '--lease-renew-deadline-ms=2000', '--lease-retry-ms=200'];

export interface Process {
  readonly child: ChildProcess;
  /** Everything it has logged. */
  readonly log: () => string;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Of `/metrics`: a sample's value, 0 where there is none. */
  metric(sample: string): Promise<number>;
  http(path: string): Promise<{ readonly status: number; readonly text: string }>;
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export const eventually = <T>(check: () => T | Promise<T>, timeout = 30_000, interval = 50) => vi.waitFor(check, { timeout, interval });

export class Cast {
  readonly plane: ControlPlane;
  readonly client: KubernetesClient;
  readonly #directory: string;
  readonly #kubeconfig: string;
  readonly #processes = new Set<Process>();

  private constructor(plane: ControlPlane, directory: string, kubeconfig: string) {
    this.plane = plane;
    this.#directory = directory;
    this.#kubeconfig = kubeconfig;
    this.client = new KubernetesClient(clusterConfig(plane.kubeconfig, {}), 'test');
  }

  static async start(options: { readonly controllerManager?: boolean } = {}): Promise<Cast> {
    const directory = await mkdtemp(join(tmpdir(), 'sfcc-'));
    const plane = await startControlPlane({
      directory,
      name: `sfcc${process.pid}`,
      scheduler: false,
      controllerManager: false,
      ...options,
    });
    await plane.kubectl(['apply', '-f', 'deploy/base/namespace.yaml']);
    await plane.kubectl(['apply', '-k', 'deploy/crds']);
    await plane.kubectl(['apply', '-f', 'deploy/base/controller-rbac.yaml']);
    await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    // As what it is in a cluster, with the rights that it has there and no others.
    const account = await plane.serviceAccount(NAMESPACE, 'sfc-controller');
    return new Cast(plane, directory, account.outside);
  }

  async stop(): Promise<void> {
    for (const process of this.#processes) await process.end('SIGKILL');
    this.client.close();
    await this.plane.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  get kubeconfig(): string {
    return this.#kubeconfig;
  }

  /** `sfc-controller` as it is installed. */
  async controller(...flags: readonly string[]): Promise<Process> {
    const args = [`--kubeconfig=${this.#kubeconfig}`, '--http-address=127.0.0.1:0', '--log-level=debug', ...QUICK_LEASE, ...flags];
    const child = spawn('bin/sfc-controller', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk));
    child.stderr.on('data', (chunk: Buffer) => (text += chunk));
    const ended = new Promise<number | NodeJS.Signals>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal ?? 0)));
    const port = () => /"port":(\d+)/.exec(text)?.[1];
    const http = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port()}${path}`);
      return { status: answer.status, text: await answer.text() };
    };
    const process: Process = {
      child,
      log: () => text,
      ended,
      http,
      async metric(sample) {
        const lines = (await http('/metrics')).text
          .split('\n')
          .filter((line) => line.startsWith(`${sample} `) || line.startsWith(`${sample}{`));
        return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
      },
      end: (signal = 'SIGTERM') => {
        child.kill(signal);
        return ended;
      },
    };
    this.#processes.add(process);
    void ended.then(() => this.#processes.delete(process));
    await eventually(() => expect(port(), text).toBeDefined());
    return process;
  }

  /** A controller that leads. */
  async leader(...flags: readonly string[]): Promise<Process> {
    const process = await this.controller(...flags);
    await eventually(async () => expect(await process.metric('sfc_controller_leader'), process.log()).toBe(1));
    return process;
  }

  async get<T extends KubernetesObject>(resource: Resource, name: string, namespace?: string): Promise<T> {
    return this.client.get<T>(resource, name, { namespace });
  }

  /** Undefined: there is none. */
  async find<T extends KubernetesObject>(resource: Resource, name: string, namespace?: string): Promise<T | undefined> {
    return this.get<T>(resource, name, namespace).catch((error: { code?: string }) => {
      if (error.code === 'KUBERNETES_NOT_FOUND') return undefined;
      throw error;
    });
  }

  async all<T extends KubernetesObject>(resource: Resource, labelSelector?: string): Promise<readonly T[]> {
    return (await this.client.list<T>(resource, { labelSelector })).items;
  }

  async apply(...manifests: readonly object[]): Promise<void> {
    const file = join(this.#directory, `${crypto.randomUUID()}.json`);
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }));
    await this.plane.kubectl(['apply', '-f', file]);
  }

  async namespaces(...names: readonly string[]): Promise<void> {
    await this.apply(...names.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })));
  }

  chain(name: string): Promise<ChainObject> {
    return this.get<ChainObject>(RESOURCES.chains, name);
  }

  selector(name: string): Promise<SelectorObject> {
    return this.get<SelectorObject>(RESOURCES.selectors, name);
  }

  service(namespace: string, name: string): Promise<ServiceObject> {
    return this.get<ServiceObject>(RESOURCES.services, name, namespace);
  }

  async record(): Promise<Readonly<Record<string, string>>> {
    return (await this.get<KubernetesObject & { data: Record<string, string> }>(RESOURCES.configMaps, RECORD_NAME, NAMESPACE)).data;
  }

  /** What an agent that has programmed all chains and selectors of this moment reports; `more` is laid over it. */
  async report(node: string, more: Partial<SteeringNodeStatus> = {}): Promise<void> {
    const digest = async (resource: Resource) => {
      const sum = new Digest();
      const objects = await this.all(resource);
      for (const { metadata } of objects) sum.toggle({ uid: metadata.uid ?? '', generation: metadata.generation ?? 0 });
      return { digest: sum.toString(), count: objects.length };
    };
    const status: SteeringNodeStatus = {
      agentVersion: '0',
      datapath: 'kernel',
      podUid: '',
      chains: await digest(RESOURCES.chains),
      selectors: await digest(RESOURCES.selectors),
      failing: [],
      failingTotal: 0,
      endpoints: 0,
      observedAt: new Date().toISOString(),
      ...more,
    };
    await this.apply({ apiVersion: 'networking.gke.io/v1', kind: 'SteeringNode', metadata: { name: node } });
    await this.client.mergePatch<SteeringNodeObject>(RESOURCES.steeringNodes, node, { status }, { subresource: 'status' });
  }
}

/** `firewall in firewall`: a function and the namespace of its pods, which are labelled with its name. */
export interface FunctionOf {
  readonly name: string;
  readonly namespace?: string;
  readonly weights?: readonly object[];
}

export function chainOf(name: string, functions: readonly FunctionOf[], spec: object = {}) {
  return {
    apiVersion: 'networking.gke.io/v1',
    kind: 'ServiceFunctionChain',
    metadata: { name },
    spec: {
      ...spec,
      serviceFunctions: functions.map(({ name: one, namespace = 'functions', ...more }) => ({
        name: one,
        namespace,
        podSelector: { matchLabels: { app: one } },
        ...more,
      })),
    },
  };
}

export function selectorOf(name: string, chain: string, app: string, cidr = '10.0.0.0/8') {
  const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });
  return {
    apiVersion: 'networking.gke.io/v1',
    kind: 'TrafficSelector',
    metadata: { name },
    spec: {
      serviceFunctionChain: chain,
      subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'clients'), podSelector: labels('app', app) } },
      egress: { to: { ipBlock: { cidr } }, ports: [{ allPorts: { protocol: 'TCP' } }] },
    },
  };
}

export function condition(object: { readonly status?: ChainStatus | SelectorStatus }, type: string) {
  const found = object.status?.conditions?.find((one) => one.type === type);
  return found === undefined ? undefined : `${found.status} ${found.reason}: ${found.message}`;
}
