/**
 * The schemas of everything the API answers with: they serialise the answers and are what
 * /v1/openapi.json shows. `named` makes the compiler hold each against its type in agent/view.ts.
 */

import { type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox';
import type {
  AgentView,
  ChainView,
  ConditionView,
  CounterView,
  EndpointView,
  GuardView,
  MapView,
  OutageView,
  ProbeView,
  ProblemView,
  ReportView,
  SandboxView,
  SelectorView,
  ServiceFunctionView,
  ServiceView,
  SizeView,
  SourceView,
  StatusView,
  WatchView,
} from '../agent/view.js';
import { MAP_NAMES, type MapName } from '../maps/index.js';

type Plain<T> = T extends readonly (infer Item)[]
  ? readonly Plain<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Plain<T[Key]> }
    : T;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/**
 * An object schema under its name in the OpenAPI document, for a view of exactly that type.
 * Fields that differ make the second argument `never`, and the build fails there.
 */
function named<View>(title: string) {
  return <Fields extends TProperties>(
    fields: Same<Plain<Static<TObject<Fields>>>, Plain<View>> extends true ? Fields : never,
  ): TObject<Fields> => Type.Object<Fields>(fields, { title, additionalProperties: false });
}

const count = (description: string) => Type.Integer({ minimum: 0, description });
const text = (description: string) => Type.String({ description });
const words = <const Word extends string>(allowed: readonly Word[], description?: string) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...allowed], ...(description === undefined ? {} : { description }) });
const FAILURE_POLICIES = ['Drop', 'Bypass', 'Reject'] as const;
/** Whatever the manifest said: nothing in it is left out. */
const resource = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  additionalProperties: true,
  description: 'the resource with its status, as kubectl would show it',
});

export const NO_QUERY = Type.Object({}, { additionalProperties: false });
export const okSchema = Type.Object({ ok: Type.Literal(true) }, { title: 'Ok', additionalProperties: false });

const sandboxFields = {
  pod: Type.Object(
    {
      namespace: Type.String({ minLength: 1 }),
      name: Type.String({ minLength: 1 }),
      uid: text('empty where the runtime does not name it'),
    },
    { additionalProperties: false },
  ),
  network: text('name of the CNI network'),
  netns: text('path of the network namespace on the host'),
  hostInterfaces: Type.Array(Type.String({ maxLength: 15 }), {
    maxItems: 16,
    description: 'interfaces of the host that were made or used for it',
  }),
  addresses: Type.Array(Type.String(), { maxItems: 16, description: 'of the pod' }),
};

export const sandboxSchema = named<SandboxView>('Sandbox')({
  id: text("the runtime's container ID"),
  toldAt: Type.String(),
  interface: text('inside the sandbox'),
  ...sandboxFields,
  missing: text('what is not in place yet; empty: everything is'),
});

/** What a CNI plugin tells; the query names the interface. */
export const sandboxToldSchema = Type.Object(
  { ...sandboxFields, waitMs: Type.Integer({ minimum: 0, maximum: 120_000, description: 'milliseconds to wait for what is missing' }) },
  { title: 'SandboxTold', additionalProperties: false },
);

export const problemSchema = named<ProblemView>('Problem')({
  severity: words(['error', 'warning']),
  file: Type.String(),
  document: count('1-based number of the YAML document in the file'),
  line: count('line in the file, 1-based; 0: the file as a whole'),
  resource: text('`TrafficSelector/name`, or empty when unknown'),
  path: text('`spec.egress.ports[0]`, or empty: the document'),
  message: Type.String(),
  hint: Type.String(),
});

const conditionSchema = named<ConditionView>('Condition')({
  type: Type.String(),
  status: words(['True', 'False']),
  reason: Type.String(),
  message: Type.String(),
});

const probeSchema = named<ProbeView>('Probe')({
  result: words(['off', 'pending', 'passes', 'fails'], 'does it pass packets on, asked from this node'),
  since: text('since when; empty where nothing has been asked'),
  detail: text('why it fails, or cannot be asked; else empty'),
});

const serviceFunctionSchema = named<ServiceFunctionView>('ServiceFunction')({
  name: Type.String(),
  namespace: Type.String(),
  serviceName: Type.String(),
  serviceAddress: Type.String(),
  path: text('`(1, 1)`: service path id and service index'),
  instances: Type.Array(
    Type.Object(
      {
        pod: Type.String(),
        address: Type.String(),
        node: Type.String(),
        ready: Type.Boolean(),
        weight: count('0..100: its share of the new flows, in proportion to the others'),
        newFlows: words(['yes', 'not ready', 'fails probes', 'weight 0', 'others are nearer'], 'does it take new flows from this node'),
        probe: probeSchema,
      },
      { additionalProperties: false, description: 'a pod of the function, whatever its node' },
    ),
  ),
});

export const chainSchema = named<ChainView>('Chain')({
  name: Type.String(),
  servicePathId: count('0: none is assigned yet'),
  failurePolicy: words(FAILURE_POLICIES, 'what becomes of packets that a function has no instance for'),
  serviceFunctions: Type.Array(serviceFunctionSchema),
  conditions: Type.Array(conditionSchema),
  resource,
});

const outageSchema = named<OutageView>('Outage')({
  chain: Type.String(),
  serviceFunction: text('`namespace/name`'),
  path: text('`(1, 1)`: service path id and service index'),
  pods: count('pods that match'),
  ready: count('of those, the ready ones'),
  reason: words(['NoReadyInstance', 'NoInstanceTakesFlows']),
  failurePolicy: words(FAILURE_POLICIES, 'what happens to its packets now'),
  since: text('as this agent has seen it'),
  message: Type.String(),
});

const sizeSchema = named<SizeView>('Size')({
  kind: words(['link', 'interface'], "a way out of the node, or the host side of pods' interfaces"),
  links: Type.Array(Type.String()),
  mtu: count('bytes'),
  podMtu: count("the largest inside this node's pods"),
  outer: words(['IPv4', 'IPv6'], 'family of the outer headers'),
  needed: count('MTU that the links would need'),
  missing: count('needed - mtu'),
  fitting: Type.Integer({ description: 'MTU of pods that would fit as it is' }),
  towards: Type.Array(Type.String(), { description: 'nodes that are reached over the link' }),
  message: Type.String(),
  hint: Type.String(),
});

export const selectorSchema = named<SelectorView>('Selector')({
  name: Type.String(),
  chain: Type.String(),
  pods: Type.Array(Type.String(), { description: 'pods of this node that it selects, `namespace/name`' }),
  entries: count('entries of sfcselect that it has on this node'),
  conditions: Type.Array(conditionSchema),
  resource,
});

export const endpointSchema = named<EndpointView>('Endpoint')({
  id: count('0: none is assigned yet'),
  pod: Type.String(),
  addresses: Type.Array(Type.String()),
  interface: text('empty while it is not found; `problem` says why'),
  ifindex: count('0 while the interface is not found'),
  mtu: count('bytes'),
  attached: text('how the programs are attached; empty: they are not'),
  flows: count('flows that began here, at the last count'),
  flowLimit: count('how many it may have; 0: as many as there are'),
  problem: Type.String(),
});

export const serviceSchema = named<ServiceView>('Service')({
  namespace: Type.String(),
  name: Type.String(),
  clusterIP: Type.String(),
  port: Type.String(),
  chain: Type.String(),
  labels: Type.Record(Type.String(), Type.String()),
});

export const conflictSchema = named<ReturnType<AgentView['conflicts']>[number]>('Conflict')({
  pod: Type.String(),
  what: Type.String(),
  winner: Type.String(),
  losers: Type.Array(Type.String()),
  rule: Type.String(),
});

const counterSchema = named<CounterView>('Counter')({
  reason: Type.String(),
  class: words(['forwarded', 'passed', 'consumed', 'dropped']),
  direction: words(['from-pod', 'to-pod']),
  packets: count('since the maps were made'),
  bytes: count('since the maps were made'),
  doc: Type.String(),
});

export const mapNameSchema = words<MapName>(MAP_NAMES);

export const mapSchema = named<MapView>('Map')({
  name: mapNameSchema,
  kind: Type.String(),
  entries: count('of array maps: the slots in use'),
  capacity: Type.Integer(),
  pinPath: text('empty: not pinned'),
  doc: Type.String(),
});

const guardSchema = named<GuardView>('Guard')({
  state: words(['on', 'off', 'unavailable']),
  why: text('why it is unavailable, or empty'),
  settled: count('interfaces whose packets pass'),
  holding: Type.Array(
    Type.Object(
      { interface: Type.String(), ifindex: Type.Integer(), why: text('what is not known yet, or missing') },
      { additionalProperties: false, description: 'an interface whose packets are held' },
    ),
  ),
  held: Type.Object({
    fromPod: count('packets held since the guard was put in place'),
    toPod: count('packets held since the guard was put in place'),
  }),
  unsteered: count("packets that selected pods had sent before their programs were there, unseen by the guard, since the agent's start"),
});

const watchSchema = named<WatchView>('Watch')({
  resource: text('`trafficselectors`'),
  synced: Type.Boolean({ description: 'it has been read once as a whole' }),
  objects: count('known now'),
  watching: Type.Boolean({ description: 'a watch is open' }),
  lists: count('lists since the start: one, and one after each version that the API server has forgotten'),
  watches: count('watches since the start'),
  events: count('changes told since the start'),
  staleSeconds: Type.Number({ description: "since the API server's last word while no watch is open; 0 while one is" }),
  trouble: text('code and words of what is wrong, or empty'),
});

const reportSchema = named<ReportView>('Report')({
  name: text('of the SteeringNode'),
  writtenAt: text('empty: not yet'),
  writes: count('since the start'),
  trouble: text('why it cannot be written, or empty'),
});

const sourceSchema = named<SourceView>('Source')({
  kind: words(['directory', 'kubernetes']),
  where: text('the directory, or the API server'),
  documents: count('documents or objects read'),
  readAt: text('when something new was read last'),
  trouble: text('why it cannot be read now, or empty; what was read last stays in force'),
  since: text('since when; empty: it can be read'),
  watches: Type.Array(watchSchema, { description: 'one for each kind, of a cluster' }),
  report: Type.Union([reportSchema, Type.Null()], { description: 'what this node tells the cluster; null: nothing' }),
});

export const statusSchema = named<StatusView>('Status')({
  version: Type.String(),
  node: Type.String(),
  pid: Type.Integer(),
  startedAt: Type.String(),
  ready: Type.Boolean(),
  notReady: text('why not ready, or empty'),
  datapath: Type.Object({
    kind: Type.String(),
    chosen: text('why this datapath'),
    port: Type.Integer({ description: 'UDP port of the encapsulation' }),
    adopted: Type.Array(Type.String(), { description: 'what an earlier agent had left pinned' }),
    restored: count('how often programs were put back that others had taken away, or put theirs before'),
    uplinks: Type.Array(Type.String(), { description: 'links of the node on which answers past their chain are known' }),
  }),
  source: sourceSchema,
  reconcile: Type.Object({
    generation: count('rounds so far'),
    lastAt: Type.String(),
    lastDurationMs: Type.Number(),
    changes: count('map changes in the last round'),
    error: Type.String(),
  }),
  counts: Type.Object({
    chains: Type.Integer(),
    selectors: Type.Integer(),
    endpoints: Type.Integer(),
    peers: Type.Integer(),
    conflicts: Type.Integer(),
    problems: Type.Integer(),
  }),
  sizes: Type.Array(sizeSchema, { description: 'where wrapped packets do not fit' }),
  outages: Type.Array(outageSchema, { description: 'functions without an instance for new flows' }),
  flows: Type.Object({
    walked: count('entries of sfcflow that were looked through last'),
    expired: count("idle flows forgotten since the agent's start"),
    limit: count('flows of one pod; 0: no limit'),
    limited: Type.Array(Type.Object({ pod: Type.String(), flows: count('at the last count') }, { additionalProperties: false }), {
      description: 'pods that have reached it',
    }),
  }),
  probes: Type.Object({
    instances: count('instances that this node asks'),
    failing: Type.Array(
      Type.Object(
        { pod: Type.String(), address: Type.String(), since: Type.String(), detail: text('why') },
        { additionalProperties: false },
      ),
    ),
    sent: count("since the agent's start"),
    unanswered: count("since the agent's start"),
  }),
  guard: guardSchema,
  maps: Type.Array(mapSchema),
  counters: Type.Array(counterSchema, { description: 'those that have counted something' }),
});

export const errorSchema = Type.Object(
  { code: text('stable; match on this, never on the text'), message: Type.String(), hint: text('what to do next') },
  { title: 'Error', additionalProperties: false },
);

export type ErrorBody = Readonly<Static<typeof errorSchema>>;

/** A list under `items`, so that something can stand beside it one day. */
export const listOf = <Item extends TSchema>(item: Item) => Type.Object({ items: Type.Array(item) }, { additionalProperties: false });

export interface ListBody<Item> {
  readonly items: readonly Item[];
}
