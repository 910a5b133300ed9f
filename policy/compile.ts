/** From manifests to what one node's maps shall hold. Pure; a conflict is reported, never silently decided. */

import { claimsOf } from './claims.js';
import type { Address, DesiredBackend, DesiredPath, DesiredPeer, DesiredState, EndpointRef, Si, Spi } from './desired.js';
import { matchesLabels } from './label-selector.js';
import { serviceKey } from './names.js';
import { type FailsProbes, type Instance, isReady, outerAddress, placeInstances } from './placement.js';
import { compileClaims, type EndpointClaim } from './selection.js';
import type { Chain, Labels, Pod, Problem, Selector, ServiceFunction, World } from './world.js';

export interface CompileInput {
  readonly world: World;
  /** This node's name. */
  readonly node: string;
  /** Endpoint ids of this node's pods by `namespace/name`; a pod without one is not steered yet. */
  readonly endpoints: ReadonlyMap<string, number>;
  readonly allocations: {
    spiOf(chain: string): Spi | undefined;
    serviceAddressOf(chain: string, serviceFunction: string): Address | undefined;
  };
  /** Absent: nobody is asked. */
  readonly failsProbes?: FailsProbes;
}

export interface Compiled extends DesiredState {
  readonly problems: readonly Problem[];
}

export function podKey(pod: Pick<Pod, 'namespace' | 'name'>): string {
  return `${pod.namespace}/${pod.name}`;
}

/** Compiles the world for one node. */
export function compileNode(input: CompileInput): Compiled {
  return { ...compileSelectors(input), paths: compilePaths(input), peers: compilePeers(input.world) };
}

/** Pods that could be steered: placed, addressed, with a network of their own, not finished. */
export function isSteerable(pod: Pod): boolean {
  return pod.addresses.length > 0 && pod.nodeName !== '' && !pod.hostNetwork && pod.phase !== 'Succeeded' && pod.phase !== 'Failed';
}

/** By the worlds' own lists, which are never changed: every selector of a world asks for the same. */
const knownLabels = new WeakMap<World['namespaces'], Map<string, Labels>>();

function namespaceLabels({ namespaces }: World): (namespace: string) => Labels {
  const labels = knownLabels.get(namespaces) ?? new Map(namespaces.map((namespace) => [namespace.name, namespace.labels]));
  knownLabels.set(namespaces, labels);
  // Kubernetes gives every namespace this label; a namespace that only pods mention exists all the same.
  return (namespace) => ({ ...labels.get(namespace), 'kubernetes.io/metadata.name': namespace });
}

/** Pods that a selector's subject means, on any node. */
export function selectedPods(world: World, selector: Selector): Pod[] {
  const labelsOf = namespaceLabels(world);
  return world.pods.filter(
    (pod) =>
      isSteerable(pod) &&
      matchesLabels(selector.namespaceSelector, labelsOf(pod.namespace)) &&
      matchesLabels(selector.podSelector, pod.labels),
  );
}

/** Pods of a function, ready or not, by name: those that the cluster names, or else those that its labels select. */
export function functionPods(world: World, chain: Chain, serviceFunction: ServiceFunction): readonly Pod[] {
  if (world.instances !== undefined) return world.instances.get(serviceKey(chain, serviceFunction))?.pods ?? [];
  return world.pods
    .filter(
      (pod) => pod.namespace === serviceFunction.namespace && isSteerable(pod) && matchesLabels(serviceFunction.podSelector, pod.labels),
    )
    .sort((a, b) => compareText(podKey(a), podKey(b)));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Service index of the function at a position: N for the first of N, 1 for the last. */
export function serviceIndex(chain: Chain, position: number): Si {
  return (chain.serviceFunctions.length - position) as Si;
}

function compilePaths({ world, node, allocations, failsProbes }: CompileInput): DesiredPath[] {
  const paths: DesiredPath[] = [];
  for (const chain of world.chains) {
    const spi = allocations.spiOf(chain.name);
    if (spi === undefined) continue;
    const pods = chain.serviceFunctions.map((serviceFunction) => functionPods(world, chain, serviceFunction));
    const positions = new Map<string, number>();
    for (const key of pods.flat().map(podKey)) positions.set(key, (positions.get(key) ?? 0) + 1);
    chain.serviceFunctions.forEach((serviceFunction, position) => {
      const serviceAddress = allocations.serviceAddressOf(chain.name, serviceFunction.name);
      if (serviceAddress === undefined) return;
      const { instances } = placeInstances(world, chain, serviceFunction, pods[position] ?? [], node, failsProbes);
      paths.push({
        spi,
        si: serviceIndex(chain, position),
        chain: chain.name,
        serviceFunction: serviceFunction.name,
        serviceAddress,
        affinityTimeout: chain.affinityTimeout,
        onInstanceLoss: chain.onInstanceLoss,
        failurePolicy: chain.failurePolicy,
        revisits: pods[position]?.some((pod) => (positions.get(podKey(pod)) ?? 0) > 1) === true,
        backends: instances.filter(({ newFlows }) => newFlows === 'yes').map(backend),
        others: instances.filter(({ newFlows }) => newFlows === 'weight 0' || newFlows === 'others are nearer').map(backend),
        probe: serviceFunction.probe,
        ready: instances.filter(({ pod }) => isReady(pod)).map(backend),
      });
    });
  }
  return paths;
}

function backend({ pod, weight }: Instance): DesiredBackend {
  return { pod: podKey(pod), address: outerAddress(pod), node: pod.nodeName, weight };
}

function compilePeers(world: World): DesiredPeer[] {
  return world.nodes.flatMap((node) => node.podCidrs.map((cidr) => ({ node: node.name, cidr })));
}

function compileSelectors(input: CompileInput): Pick<Compiled, 'selects' | 'ports' | 'conflicts' | 'problems'> {
  const problems: Problem[] = [];
  const claims: EndpointClaim[] = [];
  const chains = new Map(input.world.chains.map((chain) => [chain.name, chain]));
  for (const selector of input.world.selectors) {
    const chain = chains.get(selector.chain);
    if (chain === undefined) {
      problems.push(missingChain(selector, input.world.chains));
      continue;
    }
    const spi = input.allocations.spiOf(chain.name);
    if (spi === undefined) continue;
    const claimed = claimsOf(selector);
    for (const endpoint of endpointsOf(input, selector)) {
      for (const claim of claimed)
        claims.push({ ...claim, endpoint, spi, si: serviceIndex(chain, 0), selector: selector.name, chain: chain.name });
    }
  }
  return { ...compileClaims(claims), problems };
}

/** The selector's pods on this node, as far as they have an endpoint. */
function endpointsOf(input: CompileInput, selector: Selector): EndpointRef[] {
  return selectedPods(input.world, selector).flatMap((pod) => {
    const id = pod.nodeName === input.node ? input.endpoints.get(podKey(pod)) : undefined;
    return id === undefined ? [] : [{ pod: podKey(pod), id }];
  });
}

function missingChain(selector: Selector, chains: readonly Chain[]): Problem {
  const names = chains.map(({ name }) => name).join(', ');
  return {
    severity: 'error',
    file: '',
    document: 0,
    line: 0,
    resource: `TrafficSelector/${selector.name}`,
    path: 'spec.serviceFunctionChain',
    message: `there is no ServiceFunctionChain ${selector.chain}; ${names === '' ? 'there are none' : `there are: ${names}`}`,
    hint: 'Nothing is steered by this selector until the chain exists.',
  };
}
