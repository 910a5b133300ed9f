/** From a checked document to what policy works on. */

import { type IpAddress, type IpPrefix, parseAddress, parseCidr } from '../../geneve/index.js';
import { ANY_PROTOCOL } from '../claims.js';
import type { Cidr, Spi } from '../desired.js';
import { type LabelRequirement, type LabelSelector, SELECT_EVERYTHING } from '../label-selector.js';
import { mergePrefixes } from '../prefixes.js';
import { DEFAULT_AFFINITY_TIMEOUT, DEFAULT_PROBE, type Document, type Kind } from '../schema/index.js';
import type { Chain, Direction, Namespace, Node, Pod, Probe, Rule, Selector, Service } from '../world.js';

interface Values {
  readonly ServiceFunctionChain: Chain;
  readonly TrafficSelector: Selector;
  readonly Pod: Pod;
  readonly Namespace: Namespace;
  readonly Node: Node;
  readonly Service: Service;
}
export type ValueOf<K extends Kind> = Values[K];

/** The document as it was written, for those who show it. */
type Written = Readonly<Record<string, unknown>>;
type Converter<K extends Kind> = (document: Document<K>, written: Written) => Values[K];
type WrittenPort = NonNullable<Document<'TrafficSelector'>['spec']['egress']>['ports'][number];
type WrittenFunction = Document<'ServiceFunctionChain'>['spec']['serviceFunctions'][number];
type SelectorDocument = Document<'TrafficSelector'>['spec']['subject']['pods']['podSelector'];

const ZONE_LABEL = 'topology.kubernetes.io/zone';
const PROTOCOL_NUMBER = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, Any: ANY_PROTOCOL } as const;

function equalities(labels: Readonly<Record<string, string>>): LabelRequirement[] {
  return Object.entries(labels).map(([key, value]) => ({ key, operator: 'In', values: [value] }));
}

function labelSelector(selector: SelectorDocument): LabelSelector {
  if (selector === undefined) return SELECT_EVERYTHING;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return { requirements: [...equalities(matchLabels), ...matchExpressions.map((one) => ({ ...one, values: one.values ?? [] }))] };
}

/** Host bits are cleared: two spellings of one prefix are one key. */
function prefix(text: string): Cidr {
  const { hostBits: _, ...cidr } = parseCidr(text) as IpPrefix;
  return cidr;
}

function distinct<T extends { readonly text: string }>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [value.text, value])).values()];
}

function toProbe(written: NonNullable<WrittenFunction['probe']>): Probe {
  const { periodMilliseconds: periodMs, failureThreshold, successThreshold, port } = { ...DEFAULT_PROBE, ...written };
  return { periodMs, failureThreshold, successThreshold, port };
}

const toChain: Converter<'ServiceFunctionChain'> = ({ metadata, spec, status }, written) => {
  const affinity = spec.sessionAffinity?.clientIPNoDestination ?? spec.sessionAffinity?.clientIpNoDestination;
  return {
    name: metadata.name,
    uid: metadata.uid,
    serviceFunctions: spec.serviceFunctions.map(({ name, namespace, podSelector, weights = [], probe }) => ({
      name,
      namespace,
      podSelector: { requirements: equalities(podSelector.matchLabels) },
      weights: weights.map((one) => ({ podSelector: { requirements: equalities(one.podSelector.matchLabels) }, weight: one.weight })),
      probe: probe === undefined ? undefined : toProbe(probe),
    })),
    affinityTimeout: affinity === undefined ? undefined : (affinity.timeoutSeconds ?? DEFAULT_AFFINITY_TIMEOUT),
    locality: spec.locality ?? 'None',
    onInstanceLoss: spec.onInstanceLoss ?? 'Move',
    failurePolicy: spec.failurePolicy ?? 'Drop',
    servicePathId: status?.servicePathId as Spi | undefined,
    resource: written,
  };
};

interface PeerBlock {
  readonly ipBlock: { readonly cidr: string; readonly except?: readonly string[] };
}

function rule(direction: Direction, peer: PeerBlock | undefined, ports: readonly WrittenPort[]): Rule {
  return {
    direction,
    cidr: peer === undefined ? undefined : prefix(peer.ipBlock.cidr),
    except: mergePrefixes((peer?.ipBlock.except ?? []).map(prefix)),
    ports: ports.map(({ allPorts, portNumber }) => ({
      protocol: PROTOCOL_NUMBER[(portNumber ?? allPorts)?.protocol ?? 'TCP'],
      port: portNumber?.port ?? 0,
      lastPort: portNumber?.endPort ?? portNumber?.port ?? 0,
    })),
  };
}

const toSelector: Converter<'TrafficSelector'> = ({ metadata, spec: { serviceFunctionChain, subject, egress, ingress } }, written) => ({
  name: metadata.name,
  chain: serviceFunctionChain,
  namespaceSelector: labelSelector(subject.pods.namespaceSelector),
  podSelector: labelSelector(subject.pods.podSelector),
  rules: [
    ...(egress === undefined ? [] : [rule('egress', egress.to, egress.ports)]),
    ...(ingress === undefined ? [] : [rule('ingress', ingress.from, ingress.ports)]),
  ],
  resource: written,
});

const toPod: Converter<'Pod'> = ({ metadata, spec = {}, status = {} }) => {
  const addresses = [...(status.podIPs ?? []).map(({ ip }) => ip), status.podIP]
    .filter((text) => text !== undefined && text !== '')
    .map((text) => parseAddress(text as string) as IpAddress);
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return {
    namespace: metadata.namespace ?? 'default',
    name: metadata.name,
    uid: metadata.annotations?.['kubernetes.io/config.mirror'] ?? metadata.uid,
    labels: metadata.labels ?? {},
    nodeName: spec.nodeName ?? '',
    addresses: distinct(addresses),
    hostNetwork: spec.hostNetwork ?? false,
    phase: status.phase ?? '',
    ready: ready === undefined ? undefined : ready.status === 'True',
    terminating: metadata.deletionTimestamp !== undefined,
  };
};

const CONVERTERS: { readonly [K in Kind]: Converter<K> } = {
  ServiceFunctionChain: toChain,
  TrafficSelector: toSelector,
  Pod: toPod,
  Namespace: ({ metadata: { name, labels } }) => ({ name, labels: { ...labels, 'kubernetes.io/metadata.name': name } }),
  Node: ({ metadata, spec: { podCIDR, podCIDRs = [] } = {} }) => ({
    name: metadata.name,
    zone: metadata.labels?.[ZONE_LABEL],
    podCidrs: distinct([...podCIDRs, ...(podCIDR === undefined ? [] : [podCIDR])].map(prefix)),
  }),
  Service: ({ metadata, spec }) => ({
    namespace: metadata.namespace ?? 'default',
    name: metadata.name,
    labels: metadata.labels ?? {},
    // Headless ("None") or not assigned yet: no address.
    clusterIP: parseAddress(spec?.clusterIP ?? ''),
  }),
};

export function convert<K extends Kind>(kind: K, document: Document<K>, written: Written): ValueOf<K> {
  return CONVERTERS[kind](document, written);
}
