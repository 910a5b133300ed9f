/** What the manifests say, checked and canonical: plain frozen data that compiling works on. */

import type { Address, Cidr, Spi } from './desired.js';
import type { LabelSelector } from './label-selector.js';

export type Labels = Readonly<Record<string, string>>;

/** Where the instances are that a node's flows go to: anywhere, or rather on the node or in its zone. */
export type Locality = 'None' | 'PreferNode' | 'PreferZone';

/** What becomes of the live flows of an instance that goes away. */
export type InstanceLoss = 'Move' | 'Stay' | 'Reset';

/** What becomes of packets whose function has no instance for them: dropped, let go unsteered, or refused. */
export type FailurePolicy = 'Drop' | 'Bypass' | 'Reject';

export interface Weight {
  readonly podSelector: LabelSelector;
  /** 0..100; 0 takes no new flows. */
  readonly weight: number;
}

/** How the instances of a function are asked whether they pass packets on. */
export interface Probe {
  readonly periodMs: number;
  /** Unanswered probes in a row after which an instance takes no more packets. */
  readonly failureThreshold: number;
  /** Answered ones in a row after which it takes them again. */
  readonly successThreshold: number;
  /** UDP port, of source and destination. */
  readonly port: number;
}

export interface ServiceFunction {
  readonly name: string;
  readonly namespace: string;
  readonly podSelector: LabelSelector;
  /** The first that names an instance counts; without one it is 100. */
  readonly weights: readonly Weight[];
  /** Undefined: its instances are not asked. */
  readonly probe?: Probe | undefined;
}

export interface Chain {
  readonly name: string;
  /** metadata.uid, or undefined where nothing gave one. */
  readonly uid: string | undefined;
  readonly serviceFunctions: readonly ServiceFunction[];
  /** Seconds of client address affinity; undefined: none. */
  readonly affinityTimeout: number | undefined;
  readonly locality: Locality;
  readonly onInstanceLoss: InstanceLoss;
  readonly failurePolicy: FailurePolicy;
  /** status.servicePathId, where the manifest gives it. */
  readonly servicePathId: Spi | undefined;
  /** The document as it was written. */
  readonly resource: Readonly<Record<string, unknown>>;
}

/** What a pod sends, or what it receives. */
export type Direction = 'egress' | 'ingress';

export interface PortMatch {
  /** IP protocol number; 0 = any, 1 = ICMP of either family. */
  readonly protocol: number;
  /** First port; 0 = all ports. */
  readonly port: number;
  /** Last port, inclusive; 0 = all ports. */
  readonly lastPort: number;
}

/** Packets of one direction. */
export interface Rule {
  readonly direction: Direction;
  /** Where the other end is; undefined: anywhere. */
  readonly cidr: Cidr | undefined;
  /** Parts of `cidr` that are not meant; none within another. */
  readonly except: readonly Cidr[];
  readonly ports: readonly PortMatch[];
}

export interface Selector {
  readonly name: string;
  /** Name of the ServiceFunctionChain. */
  readonly chain: string;
  readonly namespaceSelector: LabelSelector;
  readonly podSelector: LabelSelector;
  /** At least one, each of another direction. */
  readonly rules: readonly Rule[];
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  /**
   * As the node's runtime knows it: metadata.uid, and of a static pod what the annotation of its mirror says. Undefined where
   * nothing gave one.
   */
  readonly uid?: string | undefined;
  readonly labels: Labels;
  /** Empty until it is scheduled. */
  readonly nodeName: string;
  readonly addresses: readonly Address[];
  readonly hostNetwork: boolean;
  /** status.phase; empty when absent. */
  readonly phase: string;
  /** status of the condition Ready; undefined when there is no such condition. */
  readonly ready: boolean | undefined;
  /** metadata.deletionTimestamp is set. */
  readonly terminating: boolean;
}

export interface Namespace {
  readonly name: string;
  /** Always holds kubernetes.io/metadata.name. */
  readonly labels: Labels;
}

export interface Node {
  readonly name: string;
  /** Label topology.kubernetes.io/zone. */
  readonly zone: string | undefined;
  readonly podCidrs: readonly Cidr[];
}

export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly clusterIP: Address | undefined;
}

/** The instances of a function where a cluster names them: its Service's endpoints. Labels are not asked then. */
export interface FunctionInstances {
  readonly pods: readonly Pod[];
  /** By pod name, and a pod that is not named takes no new flows yet; undefined: nobody has weighed them, and all have the full weight. */
  readonly weights: ReadonlyMap<string, number> | undefined;
}

export interface World {
  readonly chains: readonly Chain[];
  readonly selectors: readonly Selector[];
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Namespace[];
  readonly nodes: readonly Node[];
  readonly services: readonly Service[];
  /** By `serviceKey`. Absent: the instances of a function are those of `pods` that its labels select. */
  readonly instances?: ReadonlyMap<string, FunctionInstances> | undefined;
}

export const EMPTY_WORLD: World = { chains: [], selectors: [], pods: [], namespaces: [], nodes: [], services: [] };

export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  /** 1-based number of the YAML document in the file. */
  readonly document: number;
  /** Line in the file, 1-based; 0 when the file as a whole is meant. */
  readonly line: number;
  /** `TrafficSelector/vpn-to-firewall`, or empty when unknown. */
  readonly resource: string;
  /** `spec.egress.ports[0]`, or empty for the document. */
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}
