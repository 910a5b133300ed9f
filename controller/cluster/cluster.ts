/** The cluster as the watches show it, indexed as the controller asks for it, and which keys a change concerns. */

import {
  type Change,
  Informer,
  type InformerState,
  type KubernetesClient,
  type KubernetesObject,
  objectKey,
  RESOURCES,
  type Resource,
} from '../../kubernetes/index.js';
import { MANAGED_BY, MANAGED_BY_LABEL, matchesLabels, type Namespace, type Pod, type ServiceFunction } from '../../policy/index.js';
import { History, type Nodes } from '../nodes/index.js';
import { OwnWrites } from '../own-writes.js';
import { CHAIN_ANNOTATION, type ServiceObject } from '../services/index.js';
import { Kept } from './kept.js';
import {
  type ChainObject,
  keepNamespace,
  keepPod,
  type PodObject,
  readChain,
  readNamespace,
  readPod,
  readReport,
  readSelector,
  type SelectorObject,
  type SteeringNodeObject,
} from './objects.js';

/** What is looked at: a chain, a selector, or what is found out for all at once. */
export type Key = `chain/${string}` | `selector/${string}` | 'ids' | 'whole' | 'progress';

export interface ClusterOptions {
  readonly client: KubernetesClient;
  readonly onKey: (key: Key) => void;
  readonly onTrouble: (resource: string, trouble: Error | undefined) => void;
  /** Namespace and label `app.kubernetes.io/name` of the agents' pods. */
  readonly agents: { readonly namespace: string; readonly name: string };
  /** Monotonic, ms. */
  readonly now: () => number;
}

const NAME_LABEL = 'app.kubernetes.io/name';

function addTo<V>(index: Map<string, Set<V>>, key: string, value: V): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([value]));
  else set.add(value);
}

function removeFrom<V>(index: Map<string, Set<V>>, key: string, value: V): void {
  const set = index.get(key);
  set?.delete(value);
  if (set?.size === 0) index.delete(key);
}

const changesOf = <T>(change: Change<T>): { readonly before: T | undefined; readonly after: T | undefined } => ({
  before: change.type === 'deleted' ? change.object : change.type === 'modified' ? change.previous : undefined,
  after: change.type === 'deleted' ? undefined : change.object,
});

export class Cluster {
  readonly history = { ServiceFunctionChain: new History(), TrafficSelector: new History() };
  readonly chainWrites: OwnWrites<ChainObject>;
  readonly selectorWrites: OwnWrites<SelectorObject>;
  readonly serviceWrites: OwnWrites<ServiceObject>;
  readonly #options: ClusterOptions;
  readonly #informers: Informer<KubernetesObject>[] = [];
  readonly #chains: Informer<ChainObject>;
  readonly #selectors: Informer<SelectorObject>;
  readonly #services: Informer<ServiceObject>;
  readonly #namespaces: Informer<KubernetesObject>;
  readonly #steeringNodes: Informer<SteeringNodeObject>;
  readonly #readChain = new Kept(readChain);
  readonly #readSelector = new Kept(readSelector);
  readonly #readNamespace = new Kept(readNamespace);
  readonly #pods = new Map<string, Map<string, Pod>>();
  readonly #chainsByNamespace = new Map<string, Set<string>>();
  readonly #selectorsByChain = new Map<string, Set<string>>();
  /** By the chain that its annotation names. */
  readonly #servicesByChain = new Map<string, Set<string>>();
  /** Pods of agents by node. */
  readonly #agents = new Map<string, Set<string>>();

  /** Begins to watch. */
  constructor(options: ClusterOptions) {
    this.#options = options;
    this.chainWrites = new OwnWrites(options.now);
    this.selectorWrites = new OwnWrites(options.now);
    this.serviceWrites = new OwnWrites(options.now);
    const labelSelector = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;
    this.#namespaces = this.#watch(RESOURCES.namespaces, (change) => this.#namespaceChanged(change), { keep: keepNamespace });
    this.#watch<PodObject>(RESOURCES.pods, (change) => this.#podChanged(change), { keep: keepPod });
    this.#services = this.#watch<ServiceObject>(RESOURCES.services, (change) => this.#serviceChanged(change), { labelSelector });
    this.#steeringNodes = this.#watch<SteeringNodeObject>(RESOURCES.steeringNodes, () => options.onKey('progress'), {});
    this.#chains = this.#watch<ChainObject>(RESOURCES.chains, (change) => this.#chainChanged(change), {});
    this.#selectors = this.#watch<SelectorObject>(RESOURCES.selectors, (change) => this.#selectorChanged(change), {});
  }

  #watch<T extends KubernetesObject>(
    resource: Resource,
    onChange: (change: Change<T>) => void,
    more: { readonly keep?: (object: T) => T; readonly labelSelector?: string },
  ): Informer<T> {
    const { client, onTrouble } = this.#options;
    const informer = new Informer<T>({ client, resource, onChange, onTrouble: (trouble) => onTrouble(resource.plural, trouble), ...more });
    this.#informers.push(informer as unknown as Informer<KubernetesObject>);
    return informer;
  }

  /** Every first list is complete. */
  async whenSynced(): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.whenSynced()));
  }

  get synced(): boolean {
    return this.#informers.every(({ synced }) => synced);
  }

  states(): InformerState[] {
    return this.#informers.map((informer) => informer.state());
  }

  async close(): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.close()));
  }

  chainNames(): Iterable<string> {
    return this.#chains.objects.keys();
  }

  /** Chains that are there or that a Service names: what is left of a chain is to be looked at too. */
  chainNamesWithLeftOvers(): Set<string> {
    return new Set([...this.#chains.objects.keys(), ...this.#servicesByChain.keys()]);
  }

  selectorNames(): Iterable<string> {
    return this.#selectors.objects.keys();
  }

  chain(name: string): ChainObject | undefined {
    return this.chainWrites.latest(name, this.#chains.objects.get(name));
  }

  selector(name: string): SelectorObject | undefined {
    return this.selectorWrites.latest(name, this.#selectors.objects.get(name));
  }

  service(key: string): ServiceObject | undefined {
    return this.serviceWrites.latest(key, this.#services.objects.get(key));
  }

  /** After a write, for `OwnWrites`: as the watch has it, not as we wrote it. */
  readonly watched = {
    chain: (name: string) => this.#chains.objects.get(name),
    selector: (name: string) => this.#selectors.objects.get(name),
    service: (key: string) => this.#services.objects.get(key),
  };

  /** Validated; once for each version. */
  readChain(object: ChainObject) {
    return this.#readChain.of(object);
  }

  readSelector(object: SelectorObject) {
    return this.#readSelector.of(object);
  }

  /** Keys of the Services whose annotation names the chain. */
  servicesNaming(chain: string): string[] {
    return [...(this.#servicesByChain.get(chain) ?? [])];
  }

  selectorsOf(chain: string): string[] {
    return [...(this.#selectorsByChain.get(chain) ?? [])];
  }

  hasNamespace(name: string): boolean {
    const found = this.#namespaces.objects.get(name);
    return found !== undefined && found.metadata.deletionTimestamp === undefined;
  }

  podsIn(namespace: string): Iterable<Pod> {
    return this.#pods.get(namespace)?.values() ?? [];
  }

  allPods(): Pod[] {
    return [...this.#pods.values()].flatMap((pods) => [...pods.values()]);
  }

  namespaces(): Namespace[] {
    return [...this.#namespaces.objects.values()].flatMap((object) => this.#readNamespace.of(object) ?? []);
  }

  nodes(): Nodes {
    const reports = [...this.#steeringNodes.objects.values()].flatMap((object) => readReport(object) ?? []);
    // An agent that has made its object and not reported yet is an agent all the same.
    const made = [...this.#steeringNodes.objects.keys()];
    return { reports, agents: new Set([...this.#agents.keys(), ...made]) };
  }

  #functionsOf(object: ChainObject | undefined): readonly ServiceFunction[] {
    return object === undefined ? [] : (this.readChain(object).value?.serviceFunctions ?? []);
  }

  #chainChanged(change: Change<ChainObject>): void {
    const { before, after } = changesOf(change);
    const { name, uid = '', generation } = change.object.metadata;
    const { onKey } = this.#options;
    this.chainWrites.seen(name, after);
    this.history.ServiceFunctionChain.set(uid, after === undefined ? undefined : (generation ?? 0));
    for (const { namespace } of this.#functionsOf(before)) removeFrom(this.#chainsByNamespace, namespace, name);
    for (const { namespace } of this.#functionsOf(after)) addTo(this.#chainsByNamespace, namespace, name);
    onKey(`chain/${name}`);
    if (before === undefined || after === undefined) onKey('ids');
    const facts = (object: ChainObject | undefined) =>
      JSON.stringify([object?.status?.servicePathId, object?.status?.conditions?.find(({ type }) => type === 'Ready')]);
    if (before === undefined || after === undefined || facts(before) !== facts(after))
      for (const selector of this.selectorsOf(name)) onKey(`selector/${selector}`);
    if (before?.metadata.generation !== after?.metadata.generation || before?.status?.servicePathId !== after?.status?.servicePathId)
      onKey('whole');
  }

  #selectorChanged(change: Change<SelectorObject>): void {
    const { before, after } = changesOf(change);
    const { name, uid = '', generation } = change.object.metadata;
    this.selectorWrites.seen(name, after);
    this.history.TrafficSelector.set(uid, after === undefined ? undefined : (generation ?? 0));
    const chainOf = (object: SelectorObject | undefined) => (object === undefined ? undefined : this.readSelector(object).value?.chain);
    const [was, is] = [chainOf(before), chainOf(after)];
    if (was !== undefined) removeFrom(this.#selectorsByChain, was, name);
    if (is !== undefined) addTo(this.#selectorsByChain, is, name);
    if (after !== undefined) this.#options.onKey(`selector/${name}`);
    if (before?.metadata.generation !== after?.metadata.generation) this.#options.onKey('whole');
  }

  #serviceChanged(change: Change<ServiceObject>): void {
    const { before, after } = changesOf(change);
    const key = objectKey(change.object);
    this.serviceWrites.seen(key, after);
    const chainOf = (object: ServiceObject | undefined) => object?.metadata.annotations?.[CHAIN_ANNOTATION];
    const [was, is] = [chainOf(before), chainOf(after)];
    if (was !== undefined) removeFrom(this.#servicesByChain, was, key);
    if (is !== undefined) addTo(this.#servicesByChain, is, key);
    const owners = [before, after].flatMap((object) => object?.metadata.ownerReferences ?? []);
    const named = owners.filter(({ kind }) => kind === RESOURCES.chains.kind).map(({ name }) => name);
    for (const chain of new Set([was, is, ...named])) if (chain !== undefined) this.#options.onKey(`chain/${chain}`);
  }

  #namespaceChanged({ object: { metadata } }: Change<KubernetesObject>): void {
    for (const chain of this.#chainsByNamespace.get(metadata.name) ?? []) this.#options.onKey(`chain/${chain}`);
    this.#options.onKey('whole');
  }

  #podChanged(change: Change<PodObject>): void {
    const { namespace = '', name } = change.object.metadata;
    const before = this.#pods.get(namespace)?.get(name);
    const after = change.type === 'deleted' ? undefined : readPod(change.object);
    const pods = this.#pods.get(namespace) ?? new Map<string, Pod>();
    if (after === undefined) pods.delete(name);
    else pods.set(name, after);
    if (pods.size === 0) this.#pods.delete(namespace);
    else this.#pods.set(namespace, pods);
    this.#agentChanged(before, after);
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    for (const chain of this.#chainsOfPods(namespace, [before, after])) this.#options.onKey(`chain/${chain}`);
    const subject = (pod: Pod | undefined) => JSON.stringify(pod === undefined ? undefined : { ...pod, ready: undefined });
    if (subject(before) !== subject(after)) this.#options.onKey('whole');
  }

  #chainsOfPods(namespace: string, pods: readonly (Pod | undefined)[]): string[] {
    const there = pods.filter((pod) => pod !== undefined);
    return [...(this.#chainsByNamespace.get(namespace) ?? [])].filter((name) =>
      this.#functionsOf(this.#chains.objects.get(name)).some(
        (one) => one.namespace === namespace && there.some(({ labels }) => matchesLabels(one.podSelector, labels)),
      ),
    );
  }

  #agentChanged(before: Pod | undefined, after: Pod | undefined): void {
    const { namespace, name } = this.#options.agents;
    const nodeOf = (pod: Pod | undefined) =>
      pod !== undefined && pod.namespace === namespace && pod.labels[NAME_LABEL] === name && pod.nodeName !== '' ? pod.nodeName : undefined;
    const [was, is] = [nodeOf(before), nodeOf(after)];
    if (was !== undefined && before !== undefined) removeFrom(this.#agents, was, before.name);
    if (is !== undefined && after !== undefined) addTo(this.#agents, is, after.name);
    if (was !== is) this.#options.onKey('progress');
  }
}
