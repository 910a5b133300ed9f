/** Node one as an agent would show it: the cast of the walkthrough, as plain data. For tests of the API and of `sfc`. */

import type { AgentView, ChainView, MapEntryView, ProblemView, SandboxView, SelectorView, StatusView } from '../agent/view.js';
import {
  EMPTY_FLOW,
  ENDPOINT_FLAG,
  FAMILY,
  FLOW_FLAG,
  FLOW_ROLE,
  formatEntry,
  MAP_NAMES,
  MAPS,
  type MapName,
  type MapRecords,
  PATH_FLAG,
  PEER_FLAG,
  PEER_STATIC_BITS,
  PORTS_STATIC_BITS,
  SELECT_FLAG,
  SELECT_STATIC_BITS,
} from '../maps/index.js';

/** 16 bytes of a map address. */
export function mapAddress(...bytes: readonly number[]): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, index) => bytes[index] ?? 0);
}

function entry<N extends MapName>(_map: N, key: MapRecords[N]['key'], value: MapRecords[N]['value']): MapEntryView {
  return formatEntry(key, value);
}

export interface SelectSettings {
  readonly path?: number;
  readonly lastPort?: number;
  readonly ingress?: boolean;
}

export function selectEntry(
  endpoint: number,
  protocol: number,
  port: number,
  address: readonly number[],
  prefix: number,
  { path = 0x101, lastPort = port, ingress = false }: SelectSettings = {},
): MapEntryView {
  const flags = ingress ? 0 : SELECT_FLAG.egress;
  const key = { endpoint, protocol, port, family: FAMILY.ipv4, flags, address: mapAddress(...address) };
  return entry('sfcselect', { ...key, prefix_len: SELECT_STATIC_BITS + prefix }, { cidr_prefix_len: prefix, last_port: lastPort, path });
}

/** Ports of what the endpoint sends over TCP. */
export function portsEntry(endpoint: number, port: number, bits: number, firstPort: number): MapEntryView {
  const key = { prefix_len: PORTS_STATIC_BITS + bits, endpoint, flags: SELECT_FLAG.egress, protocol: 6, port };
  return entry('sfcports', key, { first_port: firstPort });
}

export function pathEntry(path: number, address: readonly number[], slots = 251, base = 0, failure_policy = 0): MapEntryView {
  const value = { service_address: mapAddress(...address), family: FAMILY.ipv4, flags: PATH_FLAG.affinity, failure_policy };
  return entry('sfcpath', { path }, { ...value, affinity_timeout: 10800, backend_base: base, backend_slots: slots });
}

export function backendEntry(slot: number, address: readonly number[]): MapEntryView {
  return entry('sfcbackend', { slot }, { address: mapAddress(...address), family: FAMILY.ipv4 });
}

/** The vpn pod's client asks the server; the agent has seen it at 5 s of the monotonic clock. */
export function flowEntry(client = 40000): MapEntryView {
  const key = { ifindex: 12, family: FAMILY.ipv4, protocol: 6, visit: 0, port_a: client, port_b: 443 };
  return entry(
    'sfcflow',
    { ...key, address_a: mapAddress(192, 168, 77, 10), address_b: mapAddress(203, 0, 113, 9) },
    {
      ...EMPTY_FLOW,
      endpoint: 3783,
      path: 0x101,
      next_path: 0x101,
      next_hop: mapAddress(10, 244, 2, 3),
      next_family: FAMILY.ipv4,
      role: FLOW_ROLE.source,
      flags: FLOW_FLAG.forwardAToB | FLOW_FLAG.nextHop | FLOW_FLAG.resolved,
      last_seen: 5_000_000_000,
      packets: 12,
      bytes: 3400,
      reply_packets: 9,
      reply_bytes: 1200,
    },
  );
}

/** A client of the vpn pod with its firewall, seen at 5 s of the monotonic clock. */
export function affinityEntry(client: readonly number[], backend: readonly number[], path = 0x101): MapEntryView {
  const key = { path, family: FAMILY.ipv4, client: mapAddress(...client) };
  return entry('sfcaffinity', key, { last_seen: 5_000_000_000, backend: mapAddress(...backend), backend_family: FAMILY.ipv4 });
}

/** Of the firewall, a probe of which came back at 5 s of the monotonic clock. */
export function probeEntry(address: readonly number[], port = 7082, answered = 5_000_000_000): MapEntryView {
  return entry('sfcprobe', { address: mapAddress(...address), family: FAMILY.ipv4, port }, { answered, sequence: 4_000_000_001 });
}

const ENTRIES: Readonly<Partial<Record<MapName, readonly MapEntryView[]>>> = {
  sfcselect: [selectEntry(3783, 17, 0, [0, 0, 0, 0], 0), selectEntry(3783, 6, 0, [10, 0, 2, 12], 32)],
  sfcpath: [pathEntry(0x201, [10, 96, 7, 2]), pathEntry(0x101, [10, 4, 10, 124])],
  sfcbackend: [backendEntry(7, [10, 244, 2, 3])],
  sfcaffinity: [affinityEntry([192, 168, 77, 10], [10, 244, 2, 3])],
  sfcflow: [flowEntry()],
  endpoint: [
    entry(
      'endpoint',
      { ifindex: 12 },
      {
        id: 3783,
        flags: ENDPOINT_FLAG.ipv4 | ENDPOINT_FLAG.selectsAllPorts,
        mtu: 1450,
        generation: 4,
        ipv4: Uint8Array.of(10, 244, 1, 2),
        ipv6: mapAddress(),
      },
    ),
  ],
  peer: [
    entry(
      'peer',
      { prefix_len: PEER_STATIC_BITS + 24, family: FAMILY.ipv4, address: mapAddress(10, 244, 2) },
      { flags: PEER_FLAG.trusted | PEER_FLAG.decapsulates, ifindex: 0 },
    ),
  ],
  sfcprobe: [probeEntry([10, 244, 2, 3])],
  metrics: [entry('metrics', { slot: 2 }, { packets: 12, bytes: 3400 }), entry('metrics', { slot: 66 }, { packets: 3, bytes: 180 })],
};

const NOT_ASKED = { result: 'off', since: '', detail: '' } as const;

const firewall: ChainView = {
  name: 'firewall',
  servicePathId: 1,
  failurePolicy: 'Drop',
  serviceFunctions: [
    {
      name: 'fw',
      namespace: 'security',
      serviceName: 'firewall-fw',
      serviceAddress: '10.4.10.124',
      path: '(1, 1)',
      instances: [
        { pod: 'security/firewall-1', address: '10.244.2.3', node: 'node2', ready: true, weight: 100, newFlows: 'yes', probe: NOT_ASKED },
        {
          pod: 'security/firewall-2',
          address: '10.244.3.3',
          node: 'node3',
          ready: false,
          weight: 10,
          newFlows: 'not ready',
          probe: NOT_ASKED,
        },
      ],
    },
  ],
  conditions: [
    { type: 'Accepted', status: 'True', reason: 'Valid', message: '' },
    { type: 'Programmed', status: 'True', reason: 'Programmed', message: '' },
    { type: 'Ready', status: 'True', reason: 'InstancesReady', message: '1 of 2 instances ready' },
  ],
  resource: {
    apiVersion: 'sfc.example/v1alpha1',
    kind: 'ServiceFunctionChain',
    metadata: { name: 'firewall', annotations: { 'a line\nbroken': 'kept' } },
    spec: { serviceFunctions: [{ name: 'fw', namespace: 'security', podSelector: { matchLabels: { app: 'firewall' } } }] },
    status: { servicePathId: 1 },
  },
};

const proxy: ChainView = {
  ...firewall,
  name: 'proxy',
  servicePathId: 2,
  failurePolicy: 'Bypass',
  serviceFunctions: [],
  conditions: [
    {
      type: 'Ready',
      status: 'False',
      reason: 'NoReadyInstance',
      message: 'px: 1 pod matches, none is ready: packets that need one go on unsteered',
    },
  ],
  resource: { ...firewall.resource, metadata: { name: 'proxy' } },
};

const selector: SelectorView = {
  name: 'vpn-to-firewall',
  chain: 'firewall',
  pods: ['vpn/gateway'],
  entries: 2,
  conditions: [{ type: 'Programmed', status: 'True', reason: 'Programmed', message: '' }],
  resource: { apiVersion: 'sfc.example/v1alpha1', kind: 'TrafficSelector', metadata: { name: 'vpn-to-firewall' } },
};

export const PROBLEM: ProblemView = {
  severity: 'warning',
  file: '/etc/sfc/selectors.yaml',
  document: 2,
  line: 14,
  resource: 'TrafficSelector/firewall-to-proxy',
  path: 'spec.subject.pods.podSelector',
  message: 'labels directly under podSelector',
  hint: 'Write them under matchLabels.',
};

export const MAP_VIEWS = MAP_NAMES.map((name) => {
  const { kind, capacity, doc } = MAPS[name];
  return { name, kind, entries: ENTRIES[name]?.length ?? 0, capacity, pinPath: `/run/sfc/bpf/v1/${name}`, doc };
});

const STATUS: StatusView = {
  version: '0.1.0',
  node: 'node1',
  pid: 4242,
  startedAt: '2026-01-02T03:04:05.000Z',
  ready: true,
  notReady: '',
  datapath: {
    kind: 'kernel',
    chosen: 'auto: the only datapath of this version',
    port: 7081,
    adopted: ['sfcselect', 'sfcpath'],
    restored: 0,
    uplinks: ['eth0'],
  },
  source: {
    kind: 'directory',
    where: '/etc/sfc',
    documents: 15,
    readAt: '2026-01-02T03:04:06.000Z',
    trouble: '',
    since: '',
    watches: [],
    report: null,
  },
  reconcile: { generation: 7, lastAt: '2026-01-02T03:04:07.000Z', lastDurationMs: 3.25, changes: 2, error: '' },
  counts: { chains: 2, selectors: 1, endpoints: 1, peers: 1, conflicts: 1, problems: 1 },
  sizes: [
    {
      kind: 'link',
      links: ['eth0'],
      mtu: 1500,
      podMtu: 1500,
      outer: 'IPv4',
      needed: 1548,
      missing: 48,
      fitting: 1452,
      towards: ['node2'],
      message: 'MTU 1500 of eth0 towards node2 is 48 too small',
      hint: 'Set it to 1548.',
    },
  ],
  outages: [
    {
      chain: 'proxy',
      serviceFunction: 'proxy/px',
      path: '(2, 1)',
      pods: 1,
      ready: 0,
      reason: 'NoReadyInstance',
      failurePolicy: 'Bypass',
      since: '2026-01-02T03:04:07.000Z',
      message: '1 pod matches, none is ready: packets that need one go on unsteered',
    },
  ],
  flows: { walked: 40, expired: 7, limit: 65_536, limited: [] },
  probes: { instances: 0, failing: [], sent: 0, unanswered: 0 },
  guard: {
    state: 'on',
    why: '',
    settled: 3,
    holding: [{ interface: 'veth0b', ifindex: 13, why: 'it leads to 10.244.1.9/32, and no pod is known at it' }],
    held: { fromPod: 5, toPod: 1 },
    unsteered: 0,
  },
  maps: MAP_VIEWS,
  counters: [
    { reason: 'steered-source', class: 'forwarded', direction: 'from-pod', packets: 12, bytes: 3400, doc: 'selected packet of a source' },
    {
      reason: 'no-backend',
      class: 'dropped',
      direction: 'from-pod',
      packets: 3,
      bytes: 180,
      doc: 'the selected path has no ready function',
    },
  ],
};

export const SANDBOX: SandboxView = {
  id: '4f1c',
  toldAt: '2026-01-01T00:00:00.000Z',
  pod: { namespace: 'vpn', name: 'gateway', uid: '8d0e' },
  network: 'cbr0',
  netns: '/run/netns/cni-1',
  interface: 'eth0',
  hostInterfaces: ['cni0', 'veth0a'],
  addresses: ['10.244.1.2'],
  missing: '',
};

/** The view, with what a test wants otherwise. */
export function fakeView(other: Partial<AgentView> = {}): AgentView {
  return {
    sandboxes: {
      list: () => [SANDBOX],
      tell: async (id, told) => ({ ...told, id, toldAt: SANDBOX.toldAt, missing: '' }),
      forget: () => undefined,
    },
    status: () => STATUS,
    maps: () => MAP_VIEWS,
    entries: (map) => ENTRIES[map] ?? [],
    chains: () => [firewall, proxy],
    selectors: () => [selector],
    endpoints: () => [
      {
        id: 3783,
        pod: 'vpn/gateway',
        addresses: ['10.244.1.2'],
        interface: 'veth0a',
        ifindex: 12,
        mtu: 1450,
        attached: 'tcx',
        flows: 12,
        flowLimit: 65_536,
        problem: '',
      },
      {
        id: 0,
        pod: 'vpn/lost',
        addresses: ['10.244.1.9'],
        interface: '',
        ifindex: 0,
        mtu: 0,
        attached: '',
        flows: 0,
        flowLimit: 65_536,
        problem: 'no route to 10.244.1.9',
      },
    ],
    services: () => [
      {
        namespace: 'security',
        name: 'firewall-fw',
        clusterIP: '10.4.10.124',
        port: '7081/UDP',
        chain: 'firewall',
        labels: { 'app.kubernetes.io/managed-by': 'sfc' },
      },
    ],
    problems: () => [PROBLEM],
    conflicts: () => [
      { pod: 'vpn/gateway', what: '0/TCP, 0.0.0.0/0', winner: 'a (firewall)', losers: ['b (proxy)'], rule: 'lower servicePathId' },
    ],
    ...other,
  };
}
