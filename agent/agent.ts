/**
 * The agent: source, discovery, allocations, policy, reconciler and datapath in one loop.
 *
 *     directory ─► content ─┐
 *     ip monitor ─► host ───┼─► round: parse ─► survey ─► allocate ─► compile ─► hold ─► reconcile ─► attach ─► settle
 *     interval ─────────────┘
 *
 * Rounds never overlap. Nothing is deleted before the source has been read once. Everything outside
 * (clock, discovery, allocations, datapath) comes in as a port.
 */

import { type Datapath, type HalfSeenRules, isPodKind } from '../datapath/index.js';
import { type MapName, type TypedMaps, typedMaps } from '../maps/index.js';
import { type Address, compileNode, type FailsProbes, isSteerable, type Problem, podKey, type World } from '../policy/index.js';
import type { Allocation, Allocations } from './allocation/index.js';
import { Attachments } from './attachments.js';
import { chainViews, endpointViews, probesView, selectorViews, serviceViews } from './chain-views.js';
import type { Discovery, Survey } from './discovery/index.js';
import { comingAndGoing, knownEndpoints, rangesBehind, type TrackedEndpoint, trackEndpoints } from './endpoints.js';
import { FLOW_PAUSE_MS, FlowCollector, type FlowTimeouts, Quotas, type WalkVisitor } from './flows/index.js';
import { type GuardKeeper, type HostFacts, missingOf } from './guard/index.js';
import { allocationLookup, allocationRequest } from './intent.js';
import type { Log } from './log.js';
import { counterViews, entryViews, mapViews } from './map-views.js';
import { OpenFlows } from './open-flows/index.js';
import { Outages, outageProblem } from './outages.js';
import { aimKey, aimsOf, Prober } from './probes/index.js';
import { buildTarget, ClientsSeen, clientsPeriodMs, maglevLayer, Reconciler } from './reconciler/index.js';
import { RoundLog } from './round-log.js';
import { type Rounds, startRounds } from './rounds.js';
import type { Sandboxes, SandboxRecord } from './sandboxes/index.js';
import { becomingSelected, selecting, selectsEgress, wraps } from './selected.js';
import { Sizes, sizeProblem } from './sizes/index.js';
import type { Source } from './sources/index.js';
import type { RoundState } from './state.js';
import { Uplinks } from './uplinks.js';
import type {
  AgentView,
  ChainView,
  EndpointView,
  MapEntryView,
  MapView,
  ProblemView,
  SelectorView,
  ServiceView,
  StatusView,
} from './view.js';

/** Label of pods that send in others' names, as VPN terminators do. */
const FORWARDS = 'networking.gke.io/forwards';
/** The host is looked at again after this long (ms) though nothing told of a change. */
const SURVEY_MS = 30_000;
/** After a round that failed as a whole (ms). */
const RETRY_MS = 1000;

export interface AgentOptions {
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  /** UDP port of the encapsulation. */
  readonly port: number;
  /** Why this datapath, in words. */
  readonly chosen: string;
  readonly intervalMs: number;
  /** Between two readings of the maps; default: a minute. */
  readonly resyncMs?: number;
  readonly datapath: Datapath;
  readonly discovery: Discovery;
  readonly guard: GuardKeeper;
  /** Runs conntrack(8) with these arguments; what it prints. Throws where it cannot be run. */
  readonly conntrack: (args: readonly string[]) => Promise<string>;
  /** Makes the rules for packets of which netfilter sees one direction, where they are needed and missing; for pods with these addresses, whose answers nobody marks. */
  readonly keepHalfSeen: (asking: readonly string[]) => HalfSeenRules;
  /** Leaves word, for whoever starts pods while no agent runs, whether new interfaces are held. */
  readonly markGuard: (on: boolean) => void;
  /** Interfaces that are none of pods, by name. */
  readonly guardExcept: readonly string[];
  readonly allocations: Allocations;
  /** What a CNI plugin tells. */
  readonly sandboxes: Sandboxes;
  readonly source: Source;
  readonly log: Log;
  readonly timeouts: FlowTimeouts;
  /** Flows of one pod; 0: no limit. */
  readonly flowsPerEndpoint: number;
  /** May pods send in their own name only, but for functions and those that say that they forward? */
  readonly sourceCheck: boolean;
  /** For probes: sends an IP packet, headers included; the name of an errno where it could not, else empty. */
  readonly sendIp: (packet: Uint8Array, destination: Address) => string;
  /** An address of the node itself. */
  readonly nodeAddress: (family: Address['family']) => Address | undefined;
  /** `monotonic` in ms since any moment, `flows` the nanoseconds of CLOCK_MONOTONIC that flows are stamped with. */
  readonly clock: { readonly wall: () => Date; readonly monotonic: () => number; readonly flows: () => number };
}

export class Agent implements AgentView {
  readonly #options: AgentOptions;
  readonly #maps: TypedMaps;
  readonly #reconciler: Reconciler;
  readonly #layer = maglevLayer();
  readonly #rounds: Rounds;
  readonly #interval: NodeJS.Timeout;
  readonly #collector: FlowCollector;
  readonly #quotas: Quotas;
  readonly #prober: Prober;
  readonly #startedAt: string;
  readonly #said: RoundLog;
  readonly #outages: Outages;
  readonly #sizes: Sizes;
  readonly #attachments: Attachments;
  readonly #uplinks: Uplinks;
  readonly #openFlows: OpenFlows;
  /** As the source tells it; `#world` has what a CNI plugin told besides. */
  #read: World | undefined;
  #world: World | undefined;
  #source = { documents: 0, readAt: '', problems: [] as readonly Problem[], locate: (problem: Problem) => problem };
  #allocation: { readonly world: World; readonly value: Allocation } | undefined;
  #endpoints:
    | { readonly world: World; readonly at: number; readonly tracked: readonly TrackedEndpoint[]; readonly survey: Survey }
    | undefined;
  #state: RoundState | undefined;
  #last = { generation: 0, at: '', durationMs: 0, changes: 0, failure: '' };
  #againAt: number | undefined;
  #clientsAt = 0;

  /** Adopts what the maps hold. @throws SfcError MAP_IO */
  constructor(options: AgentOptions) {
    this.#options = options;
    this.#maps = typedMaps(options.datapath.store);
    this.#reconciler = new Reconciler(options.datapath.store, options.clock.monotonic, options.resyncMs);
    this.#attachments = new Attachments(options.datapath, options.log);
    this.#uplinks = new Uplinks(options.datapath, options.keepHalfSeen, options.log);
    this.#openFlows = new OpenFlows({
      conntrack: options.conntrack,
      map: this.#maps.sfcflow,
      now: options.clock.flows,
      log: options.log,
    });
    this.#startedAt = options.clock.wall().toISOString();
    this.#said = new RoundLog(options.log);
    this.#outages = new Outages(options.log, options.clock.wall);
    this.#sizes = new Sizes(options.log, options.node, options.discovery);
    options.source.listen(() => this.#rounds.wish('source'));
    this.#rounds = startRounds(
      (reasons) => this.#round(reasons),
      (error) => options.log.error({ err: error }, 'a round crashed'),
    );
    this.#interval = setInterval(() => this.#rounds.wish('interval'), options.intervalMs);
    options.sandboxes.attend({ told: () => this.#rounds.wish('host'), missing: (sandbox) => this.#missingOfSandbox(sandbox) });
    this.#prober = new Prober({
      answers: this.#maps.sfcprobe,
      send: options.sendIp,
      nodeAddress: options.nodeAddress,
      steeringPort: options.port,
      clock: options.clock,
      log: options.log,
      onChange: () => this.#rounds.wish('probes'),
    });
    const flows = options.datapath.store.raw('sfcflow');
    const limit = Math.min(options.flowsPerEndpoint, flows.capacity);
    this.#quotas = new Quotas({ map: this.#maps.sfcquota, limit, now: options.clock.flows });
    this.#collector = new FlowCollector({
      flows,
      timeouts: options.timeouts,
      now: options.clock.flows,
      onTrouble: (trouble) => {
        this.#said.flows(trouble);
        this.#said.limits(this.#limited(), limit);
      },
      visitors: () => [this.#quotas.begin(), ...this.#seeClients()],
      pauseMs: () => Math.min(FLOW_PAUSE_MS, clientsPeriodMs(this.#reconciler.observed) ?? FLOW_PAUSE_MS),
    });
  }

  get sandboxes(): Sandboxes {
    return this.#options.sandboxes;
  }

  /** Something about the host's interfaces, routes or neighbours changed. */
  hostChanged(): void {
    this.#rounds.wish('host');
  }

  /** Something about the host's qdiscs and filters changed. */
  filtersChanged(): void {
    this.#rounds.wish('interval');
  }

  /** Ends the loop after the running round. The datapath is the caller's to close. */
  async close(): Promise<void> {
    clearInterval(this.#interval);
    this.#prober.close();
    await this.#rounds.close();
    await this.#collector.close();
    // Nothing steers without the process: what was steered is held until the next one does.
    const { datapath, guard } = this.#options;
    if (datapath.kind === 'userspace') guard.hold([...selecting(this.#reconciler.observed.endpoints)]);
  }

  async #round(reasons: ReadonlySet<string>): Promise<number | undefined> {
    const { clock, log } = this.#options;
    const start = clock.monotonic();
    this.#takeFromSource();
    if (this.#read !== undefined) this.#world = this.#options.sandboxes.amend(this.#read, this.#options.node);
    const world = this.#world;
    if (world === undefined) return undefined;
    const troubled = this.#restorePrograms(start);
    const surveyed = this.#endpoints;
    const lost = surveyed?.tracked.some(({ problem }) => problem !== '') === true || (this.#state?.attachErrors.size ?? 0) > 0;
    const survey = surveyed === undefined || surveyed.world !== world || reasons.has('host') || lost || start - surveyed.at >= SURVEY_MS;
    if (!survey && !troubled && reasons.size === 1 && reasons.has('interval')) {
      return this.#againAt === undefined ? undefined : Math.max(0, this.#againAt - start);
    }
    try {
      const { changes, againInMs } = await this.#bringAbout(world, survey);
      this.#options.sandboxes.judge();
      const durationMs = clock.monotonic() - start;
      this.#last = { generation: this.#last.generation + 1, at: clock.wall().toISOString(), durationMs, changes, failure: '' };
      if (changes > 0) log.info({ changes, durationMs: Math.round(durationMs), reasons: [...reasons] }, 'reconciled');
      this.#againAt = againInMs === undefined ? undefined : clock.monotonic() + againInMs;
      this.#said.finished(this.#state, this.#errors());
      this.#outages.follow(this.chains());
      this.#options.source.reached(this);
      // Last: it looks into pods, and no packet waits for it.
      if (survey && this.#state !== undefined) await this.#sizes.follow({ ...this.#state, survey: this.#endpoints?.survey });
      return againInMs;
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      this.#last = { ...this.#last, at: clock.wall().toISOString(), durationMs: clock.monotonic() - start, failure };
      this.#againAt = clock.monotonic() + RETRY_MS;
      this.#said.failed(failure, error);
      return RETRY_MS;
    }
  }

  /** Were others at our programs? */
  #restorePrograms(now: number): boolean {
    const { guard, log } = this.#options;
    try {
      this.#uplinks.restore();
      return this.#attachments.restore(now, (ifindexes) => guard.hold(ifindexes)) > 0;
    } catch (error) {
      log.error({ err: error }, 'whether the programs hang as they should cannot be told');
      return false;
    }
  }

  /** Session affinity: clients are seen in the flows that they have open. */
  #seeClients(): WalkVisitor[] {
    const { observed } = this.#reconciler;
    const { clock } = this.#options;
    const period = clientsPeriodMs(observed);
    const start = clock.monotonic();
    if (period === undefined || start < this.#clientsAt) return [];
    const seen = new ClientsSeen(observed);
    const end = () => {
      try {
        seen.write(this.#maps);
        this.#said.clients();
      } catch (error) {
        this.#said.clients(error);
      }
      // However many flows there are, a twentieth of the time at most goes into it.
      const after = clock.monotonic();
      this.#clientsAt = after + Math.max(period, (after - start) * 20);
    };
    return [{ see: (key, value) => seen.see(key, value), end }];
  }

  /** Pods that have as many flows as they may have. */
  #limited(): StatusView['flows']['limited'] {
    const { full } = this.#quotas;
    const endpoints = full.size === 0 ? [] : (this.#state?.endpoints ?? []);
    return endpoints.flatMap(({ pod, ifindex }) => (full.has(ifindex) ? [{ pod, flows: this.#quotas.flowsOf(ifindex) }] : []));
  }

  #takeFromSource(): void {
    const { source, clock } = this.#options;
    const read = source.take();
    if (read === undefined) return;
    const { world, documents, problems, locate } = read;
    this.#read = world;
    this.#source = { documents, readAt: clock.wall().toISOString(), problems, locate };
  }

  async #bringAbout(world: World, survey: boolean): Promise<{ changes: number; againInMs: number | undefined }> {
    const { node, discovery, allocations, clock } = this.#options;
    const local = world.pods.filter((pod) => pod.nodeName === node && isSteerable(pod));
    if (survey) {
      const asked = local.map(({ addresses, terminating, ...pod }) => ({
        pod: podKey(pod),
        addresses: addresses.map(({ text }) => text),
        terminating,
      }));
      const { sandboxes } = this.#options;
      const told = sandboxes.interfaces(world, node);
      const found = await trackEndpoints(asked, knownEndpoints(this.#reconciler.observed), discovery, told);
      sandboxes.surveyed(found.survey.links);
      this.#endpoints = { world, at: clock.monotonic(), ...found };
    }
    const endpoints = this.#endpoints?.tracked ?? [];
    if (this.#allocation?.world !== world) {
      this.#allocation = { world, value: await allocations.allocate(allocationRequest(world)) };
    }
    const allocation = this.#allocation.value;
    const lookup = allocationLookup(world, allocation);
    const found = endpoints.filter(({ id }) => id !== 0);
    const ids = new Map(found.map(({ pod, id }) => [pod, id]));
    const failing = new Set([...this.#prober.probed()].flatMap(([key, { fails }]) => (fails ? [key] : [])));
    const failsProbes: FailsProbes = (address, probe) => failing.has(aimKey(address, probe));
    const compiled = compileNode({ world, node, endpoints: ids, allocations: lookup.allocations, failsProbes });
    const addresses = new Map(local.map((pod) => [podKey(pod), pod.addresses]));
    const forwards = new Set(local.filter(({ labels }) => labels[FORWARDS] === 'true').map(podKey));
    const behind = rangesBehind(this.#endpoints?.survey.routes ?? [], found);
    const located = found.map(({ pod, id, ifindex, mtu }) => ({
      id,
      ifindex,
      mtu,
      addresses: addresses.get(pod) ?? [],
      behind: behind.get(ifindex) ?? [],
      ownSource: this.#options.sourceCheck && !forwards.has(pod),
    }));
    const target = buildTarget(compiled, located, this.#layer);

    const before = new Map([...this.#reconciler.observed.endpoints].map(([ifindex, value]) => [ifindex, value.id]));
    const { guard, datapath } = this.#options;
    const [coming, going] = comingAndGoing(before, target);
    guard.open(this.#hostFacts(world, new Map(found.map(({ ifindex }) => [ifindex, '']))), coming, going);
    this.#attachments.leave([...going, ...coming.filter((ifindex) => before.has(ifindex))]);
    await this.#openFlows.remember(becomingSelected(located, target, this.#reconciler.observed.endpoints, this.#state === undefined));
    const result = this.#reconciler.reconcile(target);
    if (result.changes > 0) datapath.policyChanged();
    const { observed } = this.#reconciler;
    // Before anything of a new pod passes.
    this.#quotas.follow(observed.endpoints.keys());
    const selected = selecting(observed.endpoints);
    await guard.beginning(
      found.filter(({ ifindex }) => observed.endpoints.has(ifindex)).map((one) => ({ ...one, selected: selected.has(one.ifindex) })),
    );
    const attachErrors = this.#attachments.update(found, observed.endpoints);
    this.#uplinks.follow(
      wraps(observed.endpoints) ? this.#endpoints?.survey : undefined,
      found.map(({ ifindex }) => ifindex),
      knownEndpoints(observed).flatMap(({ ifindex, addresses: own }) =>
        selectsEgress(observed.endpoints, ifindex) ? [...own, ...(behind.get(ifindex) ?? []).map(({ text }) => text)] : [],
      ),
    );
    const attached = located.filter(({ ifindex }) => this.#attachments.has(ifindex)).sort((one, other) => one.id - other.id);
    this.#prober.aim(
      aimsOf(
        compiled.paths,
        attached.flatMap(({ addresses }) => addresses),
      ),
    );
    const missing = (ifindex: number) =>
      guard.isSettled(ifindex) ? '' : attachErrors.get(ifindex) || missingOf(ifindex, target, observed);
    guard.close(this.#hostFacts(world, new Map(found.map(({ ifindex }) => [ifindex, missing(ifindex)]))));
    this.#options.markGuard(guard.on);
    const problems = [...this.#source.problems, ...[...lookup.problems, ...compiled.problems].map(this.#source.locate)];
    this.#state = { world, allocation, compiled, failsProbes, problems, endpoints, attachErrors, target, result };
    return result;
  }

  /** @param endpoints interfaces of pods, and what is missing of each */
  #hostFacts(world: World, endpoints: ReadonlyMap<number, string>): HostFacts {
    const { links = new Map(), routes = [] } = this.#endpoints?.survey ?? {};
    const ranges = world.nodes.flatMap(({ podCidrs }) => podCidrs.map(({ text }) => text));
    return { links: [...links.values()], routes, ranges, endpoints, except: this.#options.guardExcept };
  }

  /** What is not in place of a sandbox that a CNI plugin told of, in words; empty when nothing is. */
  #missingOfSandbox({ pod: told, addresses, ifindexes }: SandboxRecord): string {
    const { node, guard, sandboxes } = this.#options;
    const name = `${told.namespace}/${told.name}`;
    if (this.#state === undefined) return this.#notReady() || 'the first reconciliation is not done';
    const pod = this.#state.world.pods.find((one) => sandboxes.isOf(one, told));
    if (pod === undefined) return `no pod ${name}${told.uid === '' ? '' : ` of UID ${told.uid}`} is known yet`;
    if (pod.hostNetwork || pod.phase === 'Succeeded' || pod.phase === 'Failed') return '';
    if (pod.nodeName !== node) return `${name} is not on this node, but on ${pod.nodeName || 'none yet'}`;
    const endpoint = this.#state.endpoints.find((one) => one.pod === name);
    if (endpoint === undefined) return `${name} has no address yet`;
    if (endpoint.problem !== '') return endpoint.problem;
    const { ifindex, ifname } = endpoint;
    const links = this.#endpoints?.survey.links;
    const own = ifindexes.filter((one) => isPodKind(links?.get(one)?.kind ?? 'veth'));
    // What is in place may be that of a sandbox before.
    if ((own.length === 1 && own[0] !== ifindex) || !addresses.every((one) => endpoint.addresses.includes(one)))
      return `${name} is known as it was before, at ${ifname}`;
    const { target, attachErrors } = this.#state;
    const missing = attachErrors.get(ifindex) ?? missingOf(ifindex, target, this.#reconciler.observed);
    if (missing !== '') return missing;
    if (!this.#attachments.has(ifindex)) return `${ifname} has no programs yet`;
    return guard.isSettled(ifindex) ? '' : `the guard holds ${ifname}`;
  }

  #errors(): string[] {
    const result = this.#state?.result;
    const failure = this.#last.failure === '' ? [] : [this.#last.failure];
    if (result === undefined) return failure;
    const refused = result.refusals.filter(({ transient }) => !transient).map(({ what, name, message }) => `${what} ${name}: ${message}`);
    return [...failure, ...refused, ...result.owed.map(({ action, error, attempts }) => `${action}: ${error} (tried ${attempts} times)`)];
  }

  /** What is still missing, in words; empty when ready. A selector that is over capacity does not count: the rest of the node works. */
  #notReady(): string {
    if (this.#world === undefined) return this.#options.source.state().trouble || 'the manifests have not been read yet';
    if (this.#state === undefined) return this.#last.failure || 'the first reconciliation is not done';
    if (this.#last.failure !== '') return this.#last.failure;
    const owed = this.#state.result.owed[0];
    if (owed !== undefined) return `${owed.action}: ${owed.error}`;
    const waiting = this.#state.endpoints.find(({ ifindex }) => !this.#attachments.has(ifindex));
    if (waiting === undefined) return '';
    return `${waiting.pod}: ${waiting.problem || (this.#state.attachErrors.get(waiting.ifindex) ?? 'not attached')}`;
  }

  status(): StatusView {
    const { version, node, pid, port, chosen, source, datapath } = this.#options;
    const { hint: _, ...sourceState } = source.state();
    const notReady = this.#notReady();
    const counters = counterViews(this.#maps);
    return {
      version,
      node,
      pid,
      startedAt: this.#startedAt,
      ready: notReady === '',
      notReady,
      datapath: {
        kind: datapath.kind,
        chosen,
        port,
        adopted: datapath.adopted,
        restored: this.#attachments.restored,
        uplinks: this.#uplinks.names,
      },
      source: { ...sourceState, documents: this.#source.documents, readAt: this.#source.readAt },
      reconcile: {
        generation: this.#last.generation,
        lastAt: this.#last.at,
        lastDurationMs: Math.round(this.#last.durationMs * 1000) / 1000,
        changes: this.#last.changes,
        error: this.#errors().join('; '),
      },
      counts: {
        chains: this.#world?.chains.length ?? 0,
        selectors: this.#world?.selectors.length ?? 0,
        endpoints: this.#state?.endpoints.length ?? 0,
        peers: this.#reconciler.observed.peers.size,
        conflicts: this.#state?.compiled.conflicts.length ?? 0,
        problems: this.problems().length,
      },
      sizes: this.#sizes.current,
      outages: this.#outages.current,
      flows: { ...this.#collector.collected, limit: this.#quotas.limit, limited: this.#limited() },
      probes: probesView(this.#prober.probed(), this.#prober.counts),
      guard: this.#options.guard.view(),
      maps: this.maps(counters.length),
      counters,
    };
  }

  /** `counted`: reasons and directions that have counted something. */
  maps(counted = counterViews(this.#maps).length): readonly MapView[] {
    const { paths, filled } = this.#reconciler.observed;
    // Paths with the same instances share a slice.
    const slices = new Map([...paths.values()].map(({ value }) => [value.backend_base, value.backend_slots]));
    const slots = [...slices].reduce((sum, [, each]) => sum + each, 0);
    const sfcbackend = [...filled.values()].reduce((sum, { slice }) => sum + slice.slots, slots);
    return mapViews(this.#options.datapath.store, { sfcbackend, metrics: counted });
  }

  entries(map: MapName): readonly MapEntryView[] {
    return entryViews(this.#maps, map);
  }

  chains(): readonly ChainView[] {
    return this.#state === undefined ? [] : chainViews(this.#state, this.#reconciler.observed, this.#options.node, this.#prober.probed());
  }

  selectors(): readonly SelectorView[] {
    return this.#state === undefined ? [] : selectorViews(this.#state, this.#reconciler.observed, this.#options.node);
  }

  endpoints(): readonly EndpointView[] {
    if (this.#state === undefined) return [];
    return endpointViews(this.#state, this.#attachments.methods(), this.#quotas);
  }

  services(): readonly ServiceView[] {
    return this.#state === undefined ? [] : serviceViews(this.#state, this.#options.node);
  }

  problems(): readonly ProblemView[] {
    const { problems } = this.#source;
    const { trouble, hint, where } = this.#options.source.state();
    const current = this.#state === undefined || this.#state.world !== this.#world ? problems : this.#state.problems;
    const outages = this.#outages.current.map((outage) => this.#source.locate(outageProblem(outage)));
    const known = [...current, ...outages, ...this.#sizes.current.map(sizeProblem)];
    if (trouble === '') return known;
    return [{ severity: 'error', file: where, document: 0, line: 0, resource: '', path: '', message: trouble, hint }, ...known];
  }

  conflicts(): ReturnType<AgentView['conflicts']> {
    const named = ({ selector, chain }: { selector: string; chain: string }) => `${selector} (${chain})`;
    return (this.#state?.compiled.conflicts ?? []).map(({ pod, what, winner, losers, rule }) => ({
      pod,
      what,
      winner: named(winner),
      losers: losers.map(named),
      rule,
    }));
  }
}
