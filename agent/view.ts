/**
 * The narrow window through which the API sees the agent. Plain data, JSON-ready: 64-bit counters
 * are numbers (a counter passes 2^53 after a century of line rate).
 */

import type { MapName } from '../maps/index.js';
import type { FailurePolicy, NewFlows, Problem } from '../policy/index.js';

/** What is wrong in the manifests, and where. */
export type ProblemView = Problem;

export interface ConditionView {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** What a node's probes through an instance say. */
export interface ProbeView {
  /** `off`: the function has no probe. `pending`: not judged yet, or it cannot be asked from here. */
  readonly result: 'off' | 'pending' | 'passes' | 'fails';
  /** Since when it is so; empty where nothing has been asked. */
  readonly since: string;
  /** Why it fails, or cannot be asked; else empty. */
  readonly detail: string;
}

/** An instance that fails probes. */
export interface FailingView {
  readonly pod: string;
  readonly address: string;
  readonly since: string;
  readonly detail: string;
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
  readonly probe: ProbeView;
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
  /** What becomes of packets that a function has no instance for. */
  readonly failurePolicy: FailurePolicy;
  readonly serviceFunctions: readonly ServiceFunctionView[];
  readonly conditions: readonly ConditionView[];
  /** The resource as YAML-ready data, with status, as kubectl would show it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

/** A function that takes no new flows from this node. */
export interface OutageView {
  readonly chain: string;
  /** `namespace/name` of the function. */
  readonly serviceFunction: string;
  readonly path: string;
  /** Pods that match, ready or not. */
  readonly pods: number;
  readonly ready: number;
  readonly reason: 'NoReadyInstance' | 'NoInstanceTakesFlows';
  /** What happens to its packets now. */
  readonly failurePolicy: FailurePolicy;
  /** As this agent has seen it. */
  readonly since: string;
  readonly message: string;
}

/** Where packets of this node's pods do not fit any more once they are wrapped. */
export interface SizeView {
  /** `link`: a way out of the node. `interface`: the host side of pods' interfaces, and bridges: what comes to them is still wrapped there. */
  readonly kind: 'link' | 'interface';
  /** All have the same MTU. */
  readonly links: readonly string[];
  readonly mtu: number;
  /** The largest MTU inside this node's pods. */
  readonly podMtu: number;
  /** Family of the outer headers: IPv4 adds 48 bytes, IPv6 68. */
  readonly outer: 'IPv4' | 'IPv6';
  /** MTU that the links would need. */
  readonly needed: number;
  readonly missing: number;
  /** MTU of pods that would fit as it is. */
  readonly fitting: number;
  /** Nodes that are reached over the link. */
  readonly towards: readonly string[];
  readonly message: string;
  readonly hint: string;
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
  /** Flows that began here, at the last count. */
  readonly flows: number;
  /** How many it may have; 0: as many as there are. */
  readonly flowLimit: number;
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
  readonly class: 'forwarded' | 'passed' | 'consumed' | 'dropped';
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

/** How a kind of objects is watched at the API server. */
export interface WatchView {
  /** `trafficselectors`. */
  readonly resource: string;
  /** It has been read once as a whole. */
  readonly synced: boolean;
  readonly objects: number;
  /** A watch is open. */
  readonly watching: boolean;
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  /** Seconds since the API server's last word while no watch is open; 0 while one is. */
  readonly staleSeconds: number;
  /** Code and words of what is wrong, or empty. */
  readonly trouble: string;
}

/** What this node tells the cluster of what it has programmed. */
export interface ReportView {
  readonly name: string;
  /** When it was written last; empty: not yet. */
  readonly writtenAt: string;
  readonly writes: number;
  readonly trouble: string;
}

/** Where the manifests come from. */
export interface SourceView {
  readonly kind: 'directory' | 'kubernetes';
  /** The directory, or the API server. */
  readonly where: string;
  readonly documents: number;
  /** When something new was read last. */
  readonly readAt: string;
  /** Why it cannot be read now, or empty. What was read last stays in force. */
  readonly trouble: string;
  /** Since when; empty: it can be. */
  readonly since: string;
  /** One for each kind, of a cluster. */
  readonly watches: readonly WatchView[];
  /** Null where nothing is reported. */
  readonly report: ReportView | null;
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
    /** How often programs were put back that others had taken away, or put theirs before, since the agent's start. */
    readonly restored: number;
    /** Links of the node on which answers past their chain are known. */
    readonly uplinks: readonly string[];
  };
  readonly source: SourceView;
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
  /** What does not fit where. */
  readonly sizes: readonly SizeView[];
  /** Functions without an instance for new flows. */
  readonly outages: readonly OutageView[];
  readonly flows: {
    /** Entries of `sfcflow` that were looked through last. */
    readonly walked: number;
    /** Idle flows forgotten since the agent's start. */
    readonly expired: number;
    /** Flows of one pod; 0: no limit. */
    readonly limit: number;
    /** Pods that have reached it. */
    readonly limited: readonly { readonly pod: string; readonly flows: number }[];
  };
  readonly probes: {
    /** Instances that this node asks. */
    readonly instances: number;
    readonly failing: readonly FailingView[];
    /** Probes since the agent's start. */
    readonly sent: number;
    readonly unanswered: number;
  };
  readonly guard: GuardView;
  readonly maps: readonly MapView[];
  readonly counters: readonly CounterView[];
}

/** What a CNI plugin tells of a pod's network namespace, once its interface is made. */
export interface SandboxTold {
  /** `uid` is empty where the runtime does not name it. */
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
  /** Name of the CNI network. */
  readonly network: string;
  /** Path of the network namespace on the host. */
  readonly netns: string;
  /** Inside it. */
  readonly interface: string;
  /** Names of the interfaces on the host that were made or used for it: the pod's own, and the bridge that it is a port of. */
  readonly hostInterfaces: readonly string[];
  readonly addresses: readonly string[];
}

export interface SandboxView extends SandboxTold {
  /** The runtime's container ID. */
  readonly id: string;
  readonly toldAt: string;
  /** What is not in place yet, in words; empty when everything is. */
  readonly missing: string;
}

export interface SandboxesBody {
  readonly items: readonly SandboxView[];
}

/** Where a CNI plugin tells of sandboxes. */
export interface SandboxDesk {
  list(): readonly SandboxView[];
  /**
   * Resolves when the pod's entries are in the maps and its programs attached, or nothing is to be steered there.
   * A second interface of a sandbox that is known is not taken.
   * @throws SfcError SANDBOX_PENDING when that is not so after `waitMs`; the sandbox stays known
   */
  tell(id: string, sandbox: SandboxTold, waitMs: number): Promise<SandboxView>;
  /** The sandbox is gone, or that interface of it. What is not known is fine. */
  forget(id: string, interfaceInside: string): void;
}

/** One entry of a map: the raw fields by name, addresses and paths as text. */
export type MapEntryView = Readonly<Record<string, string | number>>;

export interface AgentView {
  readonly sandboxes: SandboxDesk;
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
