/**
 * The narrow window through which the API sees the agent. Plain data, JSON-ready: 64-bit counters
 * are numbers (a counter passes 2^53 after a century of line rate).
 */

import type { MapName } from '../maps/index.js';
import type { NewFlows, Problem } from '../policy/index.js';

/** What is wrong in the manifests, and where. */
export type ProblemView = Problem;

export interface ConditionView {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export interface InstanceView {
  readonly pod: string;
  readonly address: string;
  readonly node: string;
  readonly ready: boolean;
  /** 0..100. */
  readonly weight: number;
  /** Does it take new flows from this node: `yes`, or why not. */
  readonly newFlows: NewFlows;
}

export interface ServiceFunctionView {
  readonly name: string;
  readonly namespace: string;
  readonly serviceName: string;
  readonly serviceAddress: string;
  readonly path: string;
  readonly instances: readonly InstanceView[];
}

export interface ChainView {
  readonly name: string;
  readonly servicePathId: number;
  readonly serviceFunctions: readonly ServiceFunctionView[];
  readonly conditions: readonly ConditionView[];
  /** The resource as YAML-ready data, with status, as kubectl would show it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface SelectorView {
  readonly name: string;
  readonly chain: string;
  /** Pods of this node that it selects, `namespace/name`. */
  readonly pods: readonly string[];
  /** Number of sfcselect entries it has on this node. */
  readonly entries: number;
  readonly conditions: readonly ConditionView[];
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface EndpointView {
  readonly id: number;
  readonly pod: string;
  readonly addresses: readonly string[];
  /** Empty while the interface is not found; `problem` says why. */
  readonly interface: string;
  readonly ifindex: number;
  readonly mtu: number;
  readonly attached: string;
  readonly problem: string;
}

export interface ServiceView {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIP: string;
  readonly port: string;
  readonly chain: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface CounterView {
  readonly reason: string;
  readonly class: 'forwarded' | 'passed' | 'dropped';
  readonly direction: 'from-pod' | 'to-pod';
  readonly packets: number;
  readonly bytes: number;
  readonly doc: string;
}

export interface MapView {
  readonly name: MapName;
  readonly kind: string;
  readonly entries: number;
  readonly capacity: number;
  readonly pinPath: string;
  readonly doc: string;
}

/** What holds the packets of interfaces that nothing is known of yet. */
export interface GuardView {
  readonly state: 'on' | 'off' | 'unavailable';
  /** Why it is unavailable, or empty. */
  readonly why: string;
  /** Interfaces whose packets pass. */
  readonly settled: number;
  readonly holding: readonly { readonly interface: string; readonly ifindex: number; readonly why: string }[];
  /** Packets held since the guard was put in place. */
  readonly held: { readonly fromPod: number; readonly toPod: number };
  /** Packets that selected pods had sent before their programs were there and the guard did not see, since the agent's start. */
  readonly unsteered: number;
}

export interface StatusView {
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly ready: boolean;
  /** Why not ready, or empty. */
  readonly notReady: string;
  readonly datapath: {
    readonly kind: string;
    readonly chosen: string;
    readonly port: number;
    readonly adopted: readonly string[];
  };
  readonly source: { readonly kind: string; readonly where: string; readonly documents: number; readonly readAt: string };
  readonly reconcile: {
    readonly generation: number;
    readonly lastAt: string;
    readonly lastDurationMs: number;
    readonly changes: number;
    readonly error: string;
  };
  readonly counts: {
    readonly chains: number;
    readonly selectors: number;
    readonly endpoints: number;
    readonly peers: number;
    readonly conflicts: number;
    readonly problems: number;
  };
  readonly flows: {
    /** Entries of `sfcflow` that were looked through last. */
    readonly walked: number;
    /** Idle flows forgotten since the agent's start. */
    readonly expired: number;
  };
  readonly guard: GuardView;
  readonly maps: readonly MapView[];
  readonly counters: readonly CounterView[];
}

/** One entry of a map: the raw fields by name, addresses and paths as text. */
export type MapEntryView = Readonly<Record<string, string | number>>;

export interface AgentView {
  status(): StatusView;
  maps(): readonly MapView[];
  entries(map: MapName): readonly MapEntryView[];
  chains(): readonly ChainView[];
  selectors(): readonly SelectorView[];
  endpoints(): readonly EndpointView[];
  services(): readonly ServiceView[];
  problems(): readonly ProblemView[];
  conflicts(): readonly {
    readonly pod: string;
    readonly what: string;
    readonly winner: string;
    readonly losers: readonly string[];
    readonly rule: string;
  }[];
}
