/**
 * The cluster's objects as the world that policy works on. Each version of an object is read once, by the same rules as
 * manifests; a bad version leaves the last good one in force. Pure: changes in, a reading out.
 */

import type { AddressFamily, IpPrefix } from '../../geneve/index.js';
import { type Change, type KubernetesObject, ObjectDigest, objectKey } from '../../kubernetes/index.js';
import {
  type Chain,
  checkLengths,
  type Entry,
  type Namespace,
  type Node,
  type Pod,
  type Problem,
  podKey,
  readObject,
  type Selector,
  type Service,
  withLastGood,
} from '../../policy/index.js';
import { instancesOf } from './kubernetes-instances.js';
import type { EndpointSliceObject, NodeObject, ServiceObject } from './kubernetes-objects.js';
import type { Reading } from './source.js';

/** In place of a file's name. */
export const CLUSTER = 'cluster';

/** Kinds that are read as manifests are. */
const READ_KINDS = ['chains', 'selectors', 'pods', 'namespaces', 'nodes', 'services'] as const;
type ReadKind = (typeof READ_KINDS)[number];
export type WatchedKind = ReadKind | 'endpointSlices';

interface Values {
  readonly chains: Chain;
  readonly selectors: Selector;
  readonly pods: Pod;
  readonly namespaces: Namespace;
  readonly nodes: Node;
  readonly services: Service;
}

/** What more is read of some than policy does. */
interface Raw {
  readonly services: Map<string, ServiceObject>;
  readonly nodes: Map<string, NodeObject>;
  readonly endpointSlices: Map<string, EndpointSliceObject>;
}

interface Held<T> {
  /** Of the version that is in force; undefined: none ever was good. */
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
  /** Tells versions apart that mean something else. */
  readonly meaning: string;
}

/** All objects of a kind in one number, and how many they are. */
export interface Programmed {
  readonly digest: string;
  readonly count: number;
}

export interface ClusterReading extends Reading {
  readonly chains: Programmed;
  readonly selectors: Programmed;
}

/** Everything of it that steers: status, heartbeats and notes are left out. */
function meaningOf(value: object | undefined, problems: readonly Problem[]): string {
  const { resource: _, ...rest } = (value ?? {}) as { readonly resource?: unknown };
  return JSON.stringify([rest, problems], (_key, part) => (part instanceof Uint8Array ? undefined : part));
}

const byName = <T extends { readonly name: string }>(one: T, other: T) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0);

export class ClusterWorld {
  readonly #podCidrs: readonly IpPrefix[];
  readonly #held: { readonly [Kind in ReadKind]: Map<string, Held<Values[Kind]>> } = {
    chains: new Map(),
    selectors: new Map(),
    pods: new Map(),
    namespaces: new Map(),
    nodes: new Map(),
    services: new Map(),
  };
  readonly #raw: Raw = { services: new Map(), nodes: new Map(), endpointSlices: new Map() };
  readonly #digests = { chains: new ObjectDigest(), selectors: new ObjectDigest() };
  #dirty = true;

  /** @param podCidrs ranges of pods that no Node names */
  constructor(podCidrs: readonly IpPrefix[]) {
    this.#podCidrs = podCidrs;
  }

  /** Something that steers has changed since the last `read`. */
  get dirty(): boolean {
    return this.#dirty;
  }

  apply(kind: WatchedKind, change: Change<KubernetesObject>): void {
    const key = objectKey(change.object);
    if (kind === 'chains' || kind === 'selectors') this.#follow(this.#digests[kind], change);
    if (kind === 'endpointSlices' || kind === 'services' || kind === 'nodes') this.#keepRaw(kind, key, change);
    if (kind === 'endpointSlices') return;
    const held = this.#held[kind] as Map<string, Held<Values[ReadKind]>>;
    const before = held.get(key);
    if (change.type === 'deleted') {
      held.delete(key);
      if (before !== undefined) this.#dirty = true;
      return;
    }
    const next = this.#convert(readObject(CLUSTER, change.object), before);
    held.set(key, next);
    if (next.meaning !== before?.meaning) this.#dirty = true;
  }

  #convert<T>(entry: Entry | undefined, before: Held<T> | undefined): Held<T> {
    const good = entry?.resource?.value as T | undefined;
    const value = good ?? before?.value;
    const told = entry?.problems ?? [];
    const problems = good === undefined && before?.value !== undefined ? withLastGood(told) : told;
    return { value, problems, meaning: meaningOf(value as object | undefined, problems) };
  }

  #follow(digest: ObjectDigest, change: Change<KubernetesObject>): void {
    const before = digest.hex;
    if (change.type !== 'added') digest.remove(change.type === 'modified' ? change.previous : change.object);
    if (change.type !== 'deleted') digest.add(change.object);
    // A new generation is to be reported though it means the same.
    if (digest.hex !== before) this.#dirty = true;
  }

  #keepRaw(kind: keyof Raw, key: string, change: Change<KubernetesObject>): void {
    const raw = this.#raw[kind] as Map<string, KubernetesObject>;
    const before = raw.get(key);
    if (change.type === 'deleted') raw.delete(key);
    else raw.set(key, change.object);
    const telling = (object: KubernetesObject | undefined) =>
      JSON.stringify(object, (name, part) => (name === 'resourceVersion' ? undefined : part));
    if (telling(raw.get(key)) !== telling(before)) this.#dirty = true;
  }

  #values<Kind extends ReadKind>(kind: Kind): Values[Kind][] {
    return [...this.#held[kind].values()].flatMap(({ value }) => (value === undefined ? [] : [value]));
  }

  /** UID of the Node object of that name. */
  nodeUid(name: string): string | undefined {
    return this.#raw.nodes.get(name)?.metadata.uid;
  }

  read(): ClusterReading {
    this.#dirty = false;
    const nodes = this.#values('nodes').sort(byName);
    const pods = this.#values('pods').sort((a, b) => (podKey(a) < podKey(b) ? -1 : 1));
    const localPods = new Map(pods.map((pod) => [podKey(pod), pod]));
    const families = new Map<string, AddressFamily | undefined>(nodes.map(({ name, podCidrs: [first] }) => [name, first?.family]));
    const hosts = new Set([...this.#raw.nodes.values()].flatMap(({ status }) => (status?.addresses ?? []).map(({ address }) => address)));
    const instances = instancesOf(this.#raw.services.values(), this.#raw.endpointSlices.values(), {
      localPods,
      primaryFamily: (node) => families.get(node),
      isNodeAddress: (address) => hosts.has(address),
    });
    const given: Node[] = this.#podCidrs.length === 0 ? [] : [{ name: 'podCidrs', zone: undefined, podCidrs: this.#podCidrs }];
    const world = Object.freeze({
      chains: this.#values('chains').sort(byName),
      selectors: this.#values('selectors').sort(byName),
      pods,
      namespaces: this.#values('namespaces'),
      nodes: [...nodes, ...given],
      services: this.#values('services'),
      instances,
    });
    const problems = READ_KINDS.flatMap((kind) => [...this.#held[kind].values()].flatMap((held) => held.problems));
    const whole = [...checkLengths(world), ...(given.length > 0 ? [] : checkRanges(nodes))];
    const documents = READ_KINDS.reduce((sum, kind) => sum + this.#held[kind].size, this.#raw.endpointSlices.size);
    const located = (problem: Problem): Problem => ({ ...problem, file: CLUSTER });
    return {
      world,
      problems: [...problems, ...whole.map(located)],
      documents,
      locate: located,
      chains: { digest: this.#digests.chains.hex, count: this.#digests.chains.count },
      selectors: { digest: this.#digests.selectors.hex, count: this.#digests.selectors.count },
    };
  }
}

/** Names shown of nodes that have no range. */
const MOST_SHOWN = 5;

/** Nodes without pod ranges: what their pods send in the tunnel would be taken for a stranger's. */
function checkRanges(nodes: readonly Node[]): Problem[] {
  const without = nodes.filter(({ podCidrs }) => podCidrs.length === 0).map(({ name }) => name);
  if (without.length === 0) return [];
  const more = without.length > MOST_SHOWN ? ` and ${without.length - MOST_SHOWN} more` : '';
  return [
    {
      severity: 'warning',
      file: CLUSTER,
      document: 0,
      line: 0,
      resource: `Node/${without[0]}`,
      path: 'spec.podCIDRs',
      message: `no pod range of ${without.slice(0, MOST_SHOWN).join(', ')}${more}: steered packets from there are not taken`,
      hint: 'The network plugin keeps the ranges elsewhere: name them with --pod-cidrs.',
    },
  ];
}
