/**
 * An agent as `sfcd` runs it, with everything that it does between the API server and the maps; but the maps are in memory,
 * and the interface of each pod is said to be there.
 */

import { Agent } from '../../agent/agent.js';
import { clusterAllocations } from '../../agent/allocation/index.js';
import type { Location } from '../../agent/discovery/index.js';
import { GuardKeeper } from '../../agent/guard/index.js';
import type { Log } from '../../agent/log.js';
import { Sandboxes } from '../../agent/sandboxes/index.js';
import { KubernetesSource } from '../../agent/sources/index.js';
import type { AttachedInterface, Datapath } from '../../datapath/index.js';
import { parseCidr } from '../../geneve/index.js';
import { type ClusterConfig, KubernetesClient } from '../../kubernetes/index.js';
import { createMemoryStore, type MapName, type MapStore, type TypedMaps, typedMaps } from '../../maps/index.js';

export interface MemoryAgent {
  readonly agent: Agent;
  readonly source: KubernetesSource;
  readonly client: KubernetesClient;
  readonly maps: TypedMaps;
  readonly logged: readonly string[];
  /** As a signal would: closes what the agent closes. */
  close(): Promise<void>;
}

export interface MemoryAgentOptions {
  readonly node: string;
  readonly config: ClusterConfig;
  /** What an agent before had in the maps. Default: nothing. */
  readonly store?: MapStore;
  readonly capacities?: Partial<Record<MapName, number>>;
  readonly podCidrs?: readonly string[];
  readonly random?: () => number;
  readonly intervalMs?: number;
  readonly resyncMs?: number;
}

function memoryDatapath(store: MapStore): Datapath {
  const interfaces = new Map<number, AttachedInterface>();
  return {
    kind: 'kernel',
    adopted: [],
    store,
    attach(ifindex, ifname) {
      const attached: AttachedInterface = { ifindex, ifname, method: 'tcx' };
      interfaces.set(ifindex, attached);
      return attached;
    },
    detach: (ifindex) => void interfaces.delete(ifindex),
    attached: () => [...interfaces.values()],
    policyChanged: () => undefined,
    troubled: () => [],
    setUplinks: () => [],
    restore: () => undefined,
    close: () => undefined,
    remove: () => undefined,
  };
}

/** Each address leads to an interface of its own, the same one again and again. */
function everyAddress() {
  const places = new Map<string, Location>();
  const locate = (address: string): Location => {
    const known = places.get(address);
    if (known !== undefined) return known;
    const ifindex = places.size + 100;
    const place: Location = { kind: 'found', ifindex, ifname: `veth${ifindex}`, mtu: 1500 };
    places.set(address, place);
    return place;
  };
  return {
    locateAll: async (addresses: readonly string[]) => ({
      locations: new Map(addresses.map((address) => [address, locate(address)])),
      links: new Map(),
      routes: [],
    }),
    insideMtus: async () => new Map(),
  };
}

export function startMemoryAgent(options: MemoryAgentOptions): MemoryAgent {
  const { node, config, capacities = {}, store = createMemoryStore(capacities), podCidrs = [], random = Math.random } = options;
  const logged: string[] = [];
  const say = (_: object, message: string) => void logged.push(message);
  const log: Log = { debug: () => undefined, info: say, warn: say, error: say };
  const client = new KubernetesClient(config, 'sfcd/test');
  const source = new KubernetesSource({
    client,
    node,
    podCidrs: podCidrs.flatMap((text) => parseCidr(text) ?? []),
    log,
    wall: () => new Date(),
    random,
    agent: () => ({ agentVersion: '0.0.0', datapath: 'kernel', podUid: '' }),
  });
  const tables = { read: () => undefined, install: () => undefined, change: () => undefined };
  const agent = new Agent({
    version: '0.0.0',
    node,
    pid: process.pid,
    port: 7081,
    chosen: 'in memory',
    intervalMs: options.intervalMs ?? 1000,
    ...(options.resyncMs === undefined ? {} : { resyncMs: options.resyncMs }),
    datapath: memoryDatapath(store),
    discovery: everyAddress(),
    keepHalfSeen: () => ({ there: true, trouble: '' }),
    conntrack: async () => '',
    guard: new GuardKeeper({ mode: 'off', tables, received: () => new Map(), wait: async () => undefined, log }),
    guardExcept: [],
    markGuard: () => undefined,
    sandboxes: new Sandboxes({
      store: { load: () => [], put: () => undefined, delete: () => undefined },
      interfaceNumber: () => 0,
      now: () => new Date(),
      log,
    }),
    allocations: clusterAllocations(),
    source,
    log,
    sendIp: () => '',
    nodeAddress: () => undefined,
    timeouts: { established: 21_600, halfOpen: 60, closed: 10, udp: 60 },
    flowsPerEndpoint: 0,
    sourceCheck: false,
    clock: { wall: () => new Date(), monotonic: () => performance.now(), flows: () => Number(process.hrtime.bigint()) },
  });
  source.start();
  return {
    agent,
    source,
    client,
    maps: typedMaps(store),
    logged,
    async close() {
      await source.close();
      await agent.close();
      client.close();
    },
  };
}
