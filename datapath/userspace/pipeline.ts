/**
 * What happens to a packet, as functions of packet, maps and clock: the same behaviour as the kernel
 * program (docs/dataplane.md), and the place where behaviour is written down first. One packet at a
 * time, in a buffer of the caller's; nothing is allocated for one.
 *
 *     buffer   … room for the outer headers … | packet | …
 *                                             ▲ start
 */

import {
  ANSWERS_A_TICK,
  DIRECTION,
  ENDPOINT_FLAG,
  ENDPOINT_INGRESS_SHIFT,
  ENDPOINT_SELECTS,
  FAILURE_POLICY,
  FAMILY,
  FLOW_FLAG,
  FLOW_ROLE,
  type MemoryStore,
  PATH_FLAG,
  PEER_FLAG,
  QUOTA_SECONDS,
  REASONS,
  type ReasonName,
  SELECT_FLAG,
  TCP_STATE,
  VISITS_MAX,
} from '../../maps/index.js';
import { AffinityTable } from './affinity-table.js';
import { add64, BACKEND, ENDPOINT, METRICS, PATH, QUOTA, time64 } from './fields.js';
import { FlowTable, type Hop, NEXT, PREVIOUS } from './flow-table.js';
import { FragmentTable } from './fragment-table.js';
import { MESSAGE_MAX, prohibited, toldMtu, tooBig, writeError } from './icmp.js';
import { FRAGMENT, ICMP_LENGTH, IPV4_LENGTH, IPV6_LENGTH, PARSED, PacketReader, UDP_LENGTH } from './packet.js';
import { endsProbe, isProbe, ProbeTable } from './probe.js';
import { resetLength, SegmentReader, writeAnswer, writeTurned } from './reset.js';
import { firstTcpState, isOpening, isOver, RST, TCP_EVENTS } from './tcp-state.js';
import { checksumFits, ecnDrops, overheadOf, redirectTunnel, TunnelReader, tellEcn, writeTunnel } from './tunnel.js';

/** `onward`: of a packet that a pod was about to receive; it is not for the pod, the node routes it on. */
export const VERDICT = { pass: 0, drop: 1, onward: 2 } as const;

const NONE = -1;
const UDP = 17;
const SCTP = 132;
const TCP = 6;
const TTL_CLASSIFIER = 63;
const TTL_MAX = 64;
const LARGEST = 0xffff;
/** Byte of an IPv4 header at which its TTL stands, and of an IPv6 header its hop limit. */
const IPV4_TTL = 8;
const IPV6_HOP_LIMIT = 7;
const NS_A_SECOND = 1e9;
const NS_A_TICK = 1e7;
const GENEVE_LENGTH = 8;
/** One more than any TTL. */
const NO_TTL = 256;
const NUMBER = Object.fromEntries(REASONS.map(({ name, number }) => [name, number])) as Readonly<Record<ReasonName, number>>;

/** What `#takePath` decided, beside the next hop. */
const HOP = { encapsulate: 0, plain: 1, drop: 2, reject: 3 } as const;

export interface PipelineOptions {
  /** UDP port of steering. */
  readonly port: number;
}

export class Pipeline {
  /** Where the packet stands after the call: wrapping moves it forward, unwrapping back. */
  start = 0;
  length = 0;
  /** Has the packet become the RST that ends its connection? */
  ended = false;
  /**
   * A second packet, where `answers`, of `answerLength` bytes: it goes the other way, to the pod of what the pod sent, to the node
   * of what the pod was about to receive.
   */
  readonly answer = new Uint8Array(MESSAGE_MAX);
  answerLength = 0;
  answers = false;
  /** To be set before a packet: of a GSO packet the length of one segment, IP header included; 0: it is none. */
  segment = 0;
  /** What the packet was counted under last; undefined where it passed uncounted. */
  reason: ReasonName | undefined;
  /** Changes whenever endpoint entries were written: flows are checked against them at their next packet. */
  epoch = 1;

  readonly #store: MemoryStore;
  readonly #port: number;
  readonly #little: boolean;
  readonly #flows: FlowTable;
  readonly #affinity: AffinityTable;
  readonly #fragments: FragmentTable;
  readonly #probes: ProbeTable;
  readonly #packet = new PacketReader();
  readonly #inner = new PacketReader();
  readonly #about = new PacketReader();
  readonly #tunnel = new TunnelReader();
  readonly #segment = new SegmentReader();
  readonly #answerView = new DataView(this.answer.buffer);
  readonly #word = new Int32Array(1);
  readonly #wordView = new DataView(this.#word.buffer);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #available = 0;
  /** In to-pod: path of the tunnel that the packet has come out of, 0 for none. */
  #cameBy = 0;
  /** In to-pod: what is in the tunnel is a later fragment of a datagram that nobody knows. */
  #orphan = false;
  #ifindex = 0;
  #direction: number = DIRECTION.fromPod;
  #hop: number = HOP.drop;
  #reason: ReasonName = 'malformed';
  /** 16 bytes: an instance that was chosen. */
  readonly #nextHop = new DataView(new ArrayBuffer(16));
  #nextFamily: number = FAMILY.ipv4;
  #path = 0;
  /** The ten milliseconds of the last answers, and how many were made in it. */
  #answeredAt = 0;
  #answers = 0;
  /** Coarse monotonic clock, ns; in an array, because a field would get a new object with each number past 2^31. */
  readonly #now = new Float64Array(1);

  constructor(store: MemoryStore, { port }: PipelineOptions) {
    this.#store = store;
    this.#port = port;
    this.#little = store.hostOrder === 'LE';
    this.#flows = new FlowTable(store.tables.sfcflow, this.#little);
    this.#affinity = new AffinityTable(store.tables.sfcaffinity, this.#little);
    this.#fragments = new FragmentTable(store.tables.sfcfragment, this.#little);
    this.#probes = new ProbeTable(store.tables.sfcprobe, this.#little);
  }

  /** Sets the coarse monotonic clock, ns; once a batch is enough. */
  setClock(now: number): void {
    this.#now[0] = now;
    this.#flows.setClock(now);
    this.#affinity.setClock(now);
    this.#fragments.setClock(now);
    this.#probes.setClock(now);
  }

  /** What a pod sends: an IP packet at `start` of the buffer, with `OVERHEAD` bytes of room before it. */
  fromPod(ifindex: number, view: DataView, start: number, length: number): number {
    this.#take(ifindex, view, start, length, DIRECTION.fromPod);
    const packet = this.#packet;
    const parsed = packet.read(view, start, length);
    if (parsed !== PARSED.ok || packet.fragment !== FRAGMENT.none || this.#isSteering()) {
      const verdict = this.#exception(parsed);
      if (verdict !== GO_ON) return verdict;
    }
    const flows = this.#flows;
    const first = flows.find(ifindex, packet);
    if (first === NONE) return this.#unknown(NONE, false);
    const flow = (flows.flags(first) & FLOW_FLAG.revisited) === 0 ? first : this.#visitOfDeparture(first);
    const forward = flows.isForward(flow);
    const role = flows.role(flow);
    if ((packet.tcpFlags & TCP_EVENTS) !== 0 || (flows.tcpState(flow) !== 0 && !packet.isError)) {
      // Another connection on the ports of one that is over: a flow of its own.
      if (forward && role === FLOW_ROLE.source && isOver(flows.tcpState(flow)) && isOpening(packet.tcpFlags)) {
        flows.remove(flow); // it may be one that nothing steers
        return this.#unknown(NONE, false);
      }
      flows.track(flow, forward, packet.tcpFlags);
    }
    if (!forward) {
      flows.touch(flow, false, packet.length);
      if ((flows.flags(flow) & FLOW_FLAG.previousHop) === 0) return VERDICT.pass;
      // Of an ingress flow `path` is how its packets come in: they come back on the pod's own chain.
      const path = role === FLOW_ROLE.ingress ? (flows.nextPath(flow) & ~0xff) >>> 0 : flows.path(flow);
      return this.#steer(flow, PREVIOUS, path, TTL_MAX - flows.ttl(flow), true, 'steered-reply');
    }
    if (role === FLOW_ROLE.outbound && flows.epoch(flow) === this.epoch) {
      flows.touch(flow, true, packet.length); // nothing has selected it since
      return VERDICT.pass;
    }
    if (role !== FLOW_ROLE.source && role !== FLOW_ROLE.function) return this.#unknown(flow, false);
    if (role === FLOW_ROLE.function && flows.ttl(flow) <= 1) return this.#drop('nsh-ttl', DIRECTION.fromPod, packet.length);
    if (flows.epoch(flow) !== this.epoch || (flows.flags(flow) & FLOW_FLAG.resolved) === 0) {
      const source = this.#endpoint();
      if (source === NONE) return VERDICT.pass;
      const generation = this.#endpointWord(source, ENDPOINT.generation);
      if ((flows.flags(flow) & FLOW_FLAG.resolved) === 0 || flows.generation(flow) !== generation) {
        const flags = flows.flags(flow);
        if ((flags & FLOW_FLAG.reset) !== 0) {
          if (role === FLOW_ROLE.source || !isOpening(packet.tcpFlags)) {
            flows.touch(flow, true, packet.length);
            return this.#endBoth(flow);
          }
          // Another connection, which has arrived as one of this flow: to an instance of its own.
          flows.setFlags(flow, flags & ~(FLOW_FLAG.reset | FLOW_FLAG.nextHop));
        }
        if (role === FLOW_ROLE.source) return this.#unknown(flow, true);
        this.#afterFunction(source, flow);
        const isBypassed = this.#reason === 'bypassed';
        // The next packet asks again. Of one that is bypassed not even an old hop stays: its replies come past that as well.
        if (isBypassed) flows.setFlags(flow, flows.flags(flow) & ~(FLOW_FLAG.nextHop | FLOW_FLAG.resolved));
        if (this.#hop === HOP.drop || this.#hop === HOP.reject || isBypassed) return this.#notSteered();
        if (this.#hop === HOP.plain) flows.rememberPlain(flow, this.#path, generation);
        else if (!this.#remember(flow, source)) return this.#drop('no-address', DIRECTION.fromPod, packet.length);
      }
      flows.setEpoch(flow, this.epoch);
    }
    flows.touch(flow, true, packet.length);
    if ((flows.flags(flow) & FLOW_FLAG.nextHop) === 0) {
      this.count('left-cluster', DIRECTION.fromPod, packet.length);
      return VERDICT.pass;
    }
    const next = flows.nextPath(flow);
    const reason: ReasonName = role === FLOW_ROLE.source ? 'steered-source' : (next & 0xff) !== 0 ? 'steered-next' : 'steered-destination';
    return this.#steer(flow, NEXT, next, flows.ttl(flow) - 1, false, reason);
  }

  /** What a pod is about to receive: an IP packet at `start` of the buffer. */
  toPod(ifindex: number, view: DataView, start: number, length: number): number {
    this.#take(ifindex, view, start, length, DIRECTION.toPod);
    if (this.#packet.read(view, start, length) !== PARSED.ok) return VERDICT.pass;
    this.#cameBy = 0;
    return this.#isSteering() ? this.#steered() : this.#unwrapped();
  }

  /** A packet of a pod whose packets do not come here otherwise: only that it may not claim to be steering traffic. */
  fromStranger(view: DataView, start: number, length: number): number {
    this.#take(0, view, start, length, DIRECTION.fromPod);
    if (this.#packet.read(view, start, length) !== PARSED.ok || !this.#isSteering()) return VERDICT.pass;
    return this.#drop('spoofed-encap', DIRECTION.fromPod, this.#packet.length);
  }

  #take(ifindex: number, view: DataView, start: number, length: number, direction: number): void {
    this.start = start;
    this.length = length;
    this.reason = undefined;
    this.ended = false;
    this.answers = false;
    this.#ifindex = ifindex;
    this.#direction = direction;
    this.#view = view;
    this.#available = length;
  }

  #isSteering(): boolean {
    const { protocol, destinationPort, fragment, isError } = this.#packet;
    return protocol === UDP && destinationPort === this.#port && fragment !== FRAGMENT.later && !isError;
  }

  /** Slot of the endpoint of this interface, or -1. */
  #endpoint(): number {
    this.#wordView.setUint32(0, this.#ifindex, this.#little);
    return this.#store.tables.endpoint.table.find(this.#word);
  }

  #endpointFlags(slot: number): number {
    const { table } = this.#store.tables.endpoint;
    return table.view.getUint16(slot * table.valueSize + ENDPOINT.flags, this.#little);
  }

  #endpointWord(slot: number, offset: number): number {
    const { table } = this.#store.tables.endpoint;
    return table.view.getUint32(slot * table.valueSize + offset, this.#little);
  }

  #endpointId(slot: number): number {
    const { table } = this.#store.tables.endpoint;
    return table.view.getUint16(slot * table.valueSize + ENDPOINT.id, this.#little);
  }

  /** Where the endpoint's address of a family stands in the table's view; -1 where it has none. Behind one of IPv4 stands no other word of it. */
  #endpointAddress(slot: number, family: number): number {
    const { table } = this.#store.tables.endpoint;
    const v6 = family === FAMILY.ipv6;
    if ((this.#endpointFlags(slot) & (v6 ? ENDPOINT_FLAG.ipv6 : ENDPOINT_FLAG.ipv4)) === 0) return NONE;
    return slot * table.valueSize + (v6 ? ENDPOINT.ipv6 : ENDPOINT.ipv4);
  }

  /** Writes the chosen next hop into a flow. False, and nothing is written: the endpoint has no address of its family. */
  #remember(flow: number, endpoint: number): boolean {
    const local = this.#endpointAddress(endpoint, this.#nextFamily);
    if (local === NONE) return false;
    const { view } = this.#store.tables.endpoint.table;
    const generation = this.#endpointWord(endpoint, ENDPOINT.generation);
    this.#flows.remember(flow, this.#path, this.#nextHop, this.#nextFamily, view, local, generation);
    return true;
  }

  /** May the pod behind this interface have one more flow? While no agent counts, nobody is held to a number. */
  #admits(): boolean {
    const { table } = this.#store.tables.sfcquota;
    this.#wordView.setUint32(0, this.#ifindex, this.#little);
    const slot = table.find(this.#word);
    if (slot === NONE) return true;
    const at = slot * table.valueSize;
    const { view } = table;
    if ((this.#now[0] as number) > time64(view, at + QUOTA.counted_at, this.#little) + QUOTA_SECONDS * NS_A_SECOND) return true;
    const flows = view.getUint32(at + QUOTA.flows, this.#little);
    if (flows >= view.getUint32(at + QUOTA.limit, this.#little)) return false;
    view.setUint32(at + QUOTA.flows, flows + 1, this.#little);
    return true;
  }

  /** Adds to `metrics`: what a caller meets before or after the pipeline is counted beside its own reasons. */
  count(reason: ReasonName, direction: number, bytes: number, packets = 1): void {
    this.reason = reason;
    const { view, stride } = this.#store.tables.metrics;
    const at = (NUMBER[reason] * 2 + direction) * stride;
    add64(view, at + METRICS.packets, packets, this.#little);
    add64(view, at + METRICS.bytes, bytes, this.#little);
  }

  #drop(reason: ReasonName, direction: number, bytes: number): number {
    this.count(reason, direction, bytes);
    return VERDICT.drop;
  }

  /** What is no whole packet of a flow, or claims to be steering traffic. */
  #exception(parsed: number): number {
    if (parsed === PARSED.untracked) return VERDICT.pass;
    const source = this.#endpoint();
    if (source === NONE) return VERDICT.pass;
    const flags = this.#endpointFlags(source);
    const packet = this.#packet;
    if (parsed === PARSED.malformed || parsed === PARSED.short) {
      const selecting = parsed === PARSED.short ? ENDPOINT_FLAG.selectsAnyProtocol : ENDPOINT_SELECTS.egress;
      return (flags & selecting) !== 0 ? this.#drop('malformed', DIRECTION.fromPod, this.#available) : VERDICT.pass;
    }
    if (this.#isSteering()) return this.#drop('spoofed-encap', DIRECTION.fromPod, packet.length);
    if (!this.#fragments.isOrphan(this.#ifindex, packet)) return GO_ON;
    return (flags & ENDPOINT_FLAG.function) !== 0 || this.#mayBeSelected(source, DIRECTION.fromPod)
      ? this.#drop('fragment', DIRECTION.fromPod, packet.length)
      : VERDICT.pass;
  }

  /** Index in `sfcselect` of what selects the packet that was given last, -1 when nothing does. Looked up anew: for reports. */
  selecting(direction: number = DIRECTION.fromPod): number {
    const endpoint = this.#endpoint();
    return endpoint === NONE ? NONE : this.#select(endpoint, direction);
  }

  /** The service path that selects the packet; 0 when none does. */
  #classify(endpoint: number, direction: number): number {
    const entry = this.#select(endpoint, direction);
    return entry === NONE ? 0 : this.#store.select.path(entry);
  }

  /**
   * The flags of what is selected in a direction, at the places of egress; nothing for a protocol that
   * no selector of this pod can mean.
   */
  #selectedFor(endpoint: number, direction: number): number {
    const all = this.#endpointFlags(endpoint);
    const flags = (direction === DIRECTION.fromPod ? all : all >> ENDPOINT_INGRESS_SHIFT) & ENDPOINT_SELECTS.egress;
    return this.#packet.isTcpOrUdp || (flags & ENDPOINT_FLAG.selectsAnyProtocol) !== 0 ? flags : 0;
  }

  /**
   * Could a later fragment, which carries no ports, belong to a flow that is selected? Of IPv6 it may not even tell its protocol,
   * where an extension header stands in its place.
   */
  #mayBeSelected(endpoint: number, direction: number): boolean {
    const packet = this.#packet;
    if (packet.isVague) {
      const flags = this.#endpointFlags(endpoint);
      return ((direction === DIRECTION.fromPod ? flags : flags >> ENDPOINT_INGRESS_SHIFT) & ENDPOINT_SELECTS.egress) !== 0;
    }
    const ports = packet.isTcpOrUdp || packet.protocol === SCTP;
    if (ports && (this.#selectedFor(endpoint, direction) & ENDPOINT_FLAG.selectsPorts) !== 0) return true;
    return this.#classify(endpoint, direction) !== 0;
  }

  /**
   * Index of the entry that selects the packet, or -1. Longest prefix wins; then ports over all ports,
   * then the named protocol over any. Which range of ports wins was settled when the entries were compiled.
   */
  #select(endpoint: number, direction: number): number {
    const flags = this.#selectedFor(endpoint, direction);
    const { destinationPort, protocol } = this.#packet;
    let found = NONE;
    if (this.#packet.staysOnLink) return NONE;
    if ((flags & ENDPOINT_FLAG.selectsPorts) !== 0 && destinationPort !== 0) {
      const port =
        (flags & ENDPOINT_FLAG.selectsRanges) !== 0
          ? this.#store.ports.lookup(this.#endpointId(endpoint), selectFlags(direction), protocol, destinationPort)
          : destinationPort;
      found = this.#prefer(found, this.#selectEntry(endpoint, direction, protocol, port));
    }
    if ((flags & ENDPOINT_FLAG.selectsAllPorts) !== 0) found = this.#prefer(found, this.#selectEntry(endpoint, direction, protocol, 0));
    if ((flags & ENDPOINT_FLAG.selectsAnyProtocol) !== 0) found = this.#prefer(found, this.#selectEntry(endpoint, direction, 0, 0));
    return found;
  }

  #selectEntry(endpoint: number, direction: number, protocol: number, port: number): number {
    const packet = this.#packet;
    const id = this.#endpointId(endpoint);
    const flags = selectFlags(direction);
    const { family } = packet;
    const { select } = this.#store;
    return direction === DIRECTION.fromPod
      ? select.lookup(id, family, flags, port, protocol, packet.destination, packet.destination1, packet.destination2, packet.destination3)
      : select.lookup(id, family, flags, port, protocol, packet.source, packet.source1, packet.source2, packet.source3);
  }

  /** Of two look-ups, in the order of precedence, the one with the longer prefix. An entry without a path is an exception: no match. */
  #prefer(found: number, next: number): number {
    const { select } = this.#store;
    if (next === NONE || select.path(next) === 0) return found;
    return found === NONE || select.cidrPrefixLength(next) > select.cidrPrefixLength(found) ? next : found;
  }

  /** Takes the path to one of its backends. `kept`: the flow whose next hop is kept where its path is still this one, or -1. */
  #takePath(path: number, kept: number, reason: ReasonName): void {
    const { sfcpath } = this.#store.tables;
    this.#path = path;
    this.#hop = HOP.drop;
    this.#wordView.setUint32(0, path);
    const slot = sfcpath.table.find(this.#word);
    if (slot === NONE) {
      this.#reason = 'unknown-path';
      return;
    }
    const flows = this.#flows;
    if (kept !== NONE && flows.nextPath(kept) === path && (flows.flags(kept) & FLOW_FLAG.nextHop) !== 0) {
      copy(this.#nextHop, flows.view, flows.at(kept) + NEXT.address);
      this.#nextFamily = flows.familyOf(kept, NEXT);
    } else if (!this.#chooseBackend(path, slot)) {
      const policy = sfcpath.table.view.getUint8(slot * sfcpath.table.valueSize + PATH.failure_policy);
      this.#hop = policy === FAILURE_POLICY.bypass ? HOP.plain : policy === FAILURE_POLICY.reject ? HOP.reject : HOP.drop;
      this.#reason = this.#hop === HOP.plain ? 'bypassed' : this.#hop === HOP.reject ? 'rejected' : 'no-backend';
      return;
    }
    this.#hop = HOP.encapsulate;
    this.#reason = reason;
  }

  /** Makes an instance of the path the next hop (datapath/kernel/bpf/backend.h draws it); false when the path has none. */
  #chooseBackend(path: number, slot: number): boolean {
    const { view, valueSize } = this.#store.tables.sfcpath.table;
    const at = slot * valueSize;
    if (view.getUint32(at + PATH.backend_slots, this.#little) === 0) return false;
    if ((view.getUint8(at + PATH.flags) & PATH_FLAG.affinity) === 0) return this.#backendOfHash(at, this.#packet.flowHash());
    const affinity = this.#affinity;
    const known = affinity.live(path, this.#packet, view.getUint32(at + PATH.affinity_timeout, this.#little));
    if (known !== NONE) {
      this.#nextFamily = affinity.backend(known, this.#nextHop);
      return true;
    }
    // By the client's hash: its first packets come to one instance though they meet on two nodes.
    if (!this.#backendOfHash(at, this.#packet.clientHash())) return false;
    affinity.record(this.#nextHop, this.#nextFamily);
    return true;
  }

  /** Makes the instance of a hash in the path's table the next hop. `at`: the path's value. */
  #backendOfHash(at: number, hash: number): boolean {
    const { sfcpath, sfcbackend } = this.#store.tables;
    const slots = sfcpath.table.view.getUint32(at + PATH.backend_slots, this.#little);
    const chosen = sfcpath.table.view.getUint32(at + PATH.backend_base, this.#little) + ((hash >>> 0) % slots);
    const backend = chosen * sfcbackend.stride;
    if (chosen >= sfcbackend.capacity || sfcbackend.view.getUint8(backend + BACKEND.family) === 0) return false;
    copy(this.#nextHop, sfcbackend.view, backend + BACKEND.address);
    this.#nextFamily = sfcbackend.view.getUint8(backend + BACKEND.family);
    return true;
  }

  /**
   * A packet of no known flow, or of `flow` whose policy changed (`kept`) or whose role is another: the endpoint's own egress. An
   * ICMP error opens no flow.
   */
  #unknown(flow: number, kept: boolean): number {
    const source = this.#endpoint();
    const packet = this.#packet;
    const flows = this.#flows;
    if (source === NONE || (packet.isError && !kept)) return VERDICT.pass;
    if ((this.#endpointFlags(source) & ENDPOINT_FLAG.ownSource) !== 0 && !this.#sendsAsItself(source))
      return this.#drop('spoofed-source', DIRECTION.fromPod, packet.length);
    const path = this.#classify(source, DIRECTION.fromPod);
    if (path === 0) {
      if (kept)
        flows.remove(flow); // was steered, is no longer selected
      else if (flow !== NONE || packet.protocol !== TCP || (this.#endpointFlags(source) & ENDPOINT_SELECTS.ingress) !== 0)
        this.#ownFlow(source, flow);
      return VERDICT.pass;
    }
    this.#takePath(path, kept ? flow : NONE, 'steered-source');
    if (this.#hop !== HOP.encapsulate) return this.#notSteered();
    if (this.#endpointAddress(source, this.#nextFamily) === NONE) return this.#drop('no-address', DIRECTION.fromPod, packet.length);
    if (!kept && !this.#admits()) return this.#drop('flow-limit', DIRECTION.fromPod, packet.length);
    const slot = kept ? flow : flows.renew(flow);
    flows.setPath(slot, path);
    flows.setOwner(slot, this.#endpointId(source), FLOW_ROLE.source);
    flows.setFlags(slot, flows.aToB ? FLOW_FLAG.forwardAToB : 0);
    flows.setTtl(slot, TTL_MAX);
    if (!kept) flows.setTcpState(slot, firstTcpState(packet.tcpFlags));
    this.#remember(slot, source);
    flows.setEpoch(slot, this.epoch);
    flows.touch(slot, true, packet.length);
    return this.#steer(slot, NEXT, path, TTL_CLASSIFIER, false, this.#reason);
  }

  /** Is the source the pod's own? What stays on its link, or has no address yet, is nobody's to forge. */
  #sendsAsItself(source: number): boolean {
    const packet = this.#packet;
    const at = this.#endpointAddress(source, packet.family);
    const { view } = this.#store.tables.endpoint.table;
    if (at !== NONE && (packet.family === FAMILY.ipv6 ? packet.isFrom(view, at) : view.getInt32(at) === packet.source)) return true;
    return packet.isError || packet.isFromNobody;
  }

  /**
   * The pod opens a flow that nothing steers: the replies are no ingress, and no flow that somebody opens to the pod. Of TCP, where a
   * SYN tells the latter, only the former matters; its middle tells nothing.
   */
  #ownFlow(source: number, flow: number): void {
    const packet = this.#packet;
    const flows = this.#flows;
    if (flow !== NONE) {
      if (flows.role(flow) !== FLOW_ROLE.outbound) return;
      flows.setEpoch(flow, this.epoch);
      flows.touch(flow, true, packet.length);
      return;
    }
    const ingress = this.#selectedFor(source, DIRECTION.toPod) !== 0;
    if (packet.protocol === TCP ? !ingress || !isOpening(packet.tcpFlags) : !ingress && this.#selectedFor(source, DIRECTION.fromPod) === 0)
      return;
    this.#rememberOwn(source, FLOW_ROLE.outbound);
  }

  /** A fresh entry of a flow that is none of the datapath's: its packets pass, both ways. */
  #rememberOwn(endpoint: number, role: number): void {
    const packet = this.#packet;
    const flows = this.#flows;
    if (!this.#admits()) return;
    const slot = flows.renew(NONE);
    flows.setOwner(slot, this.#endpointId(endpoint), role);
    flows.setFlags(slot, FLOW_FLAG.resolved | (flows.aToB ? FLOW_FLAG.forwardAToB : 0));
    flows.setTcpState(slot, firstTcpState(packet.tcpFlags));
    flows.setEpoch(slot, this.epoch);
    flows.touch(slot, true, packet.length);
  }

  /** What follows a function on the flow's path. */
  #afterFunction(source: number, flow: number): void {
    const path = this.#flows.path(flow);
    if ((path & 0xff) > 1) {
      this.#takePath(path - 1, flow, 'steered-next');
      return;
    }
    const joined = isProbe(path) ? 0 : this.#classify(source, DIRECTION.fromPod);
    if (joined !== 0 && joined >>> 8 !== path >>> 8) {
      this.#takePath(joined, flow, 'steered-next'); // not the chain it has just been through
      return;
    }
    this.#path = (path & ~0xff) >>> 0;
    this.#hop = HOP.plain;
    this.#reason = 'left-cluster';
    if (this.#decapsulates()) {
      this.#hop = HOP.encapsulate;
      this.#reason = 'steered-destination';
      this.#packet.writeDestination(this.#nextHop, 0);
      this.#nextFamily = this.#packet.family;
    }
  }

  #peerFlags(family: number, w0: number, w1: number, w2: number, w3: number): number {
    const { trie } = this.#store.tables.peer;
    const entry = trie.lookup(family << 24, 0, w0, w1, w2, w3, family === FAMILY.ipv6 ? 128 : 32);
    return entry === NONE ? 0 : trie.entries.valueByte(entry, this.#little ? 0 : 3);
  }

  /** Would a pod's node at the packet's destination unwrap a packet at service index 0? */
  #decapsulates(): boolean {
    const { family, destination, destination1, destination2, destination3 } = this.#packet;
    return (this.#peerFlags(family, destination, destination1, destination2, destination3) & PEER_FLAG.decapsulates) !== 0;
  }

  /** Is the outer source one whose word counts? */
  #trusts(): boolean {
    const { family, source, source1, source2, source3 } = this.#packet;
    return (this.#peerFlags(family, source, source1, source2, source3) & PEER_FLAG.trusted) !== 0;
  }

  /** Is there such a path? At service index 0 a packet comes out of one: then its last function is asked for. */
  #isPath(path: number): boolean {
    if (isProbe(path)) return true;
    this.#wordView.setUint32(0, (path & 0xff) !== 0 ? path : path | 1);
    return this.#store.tables.sfcpath.table.find(this.#word) !== NONE;
  }

  /** Wraps the packet for a hop of its flow; tells the sender where it does not fit. */
  #steer(flow: number, hop: Hop, path: number, ttl: number, reply: boolean, reason: ReasonName): number {
    const packet = this.#packet;
    const flows = this.#flows;
    const direction = this.#direction;
    const family = flows.familyOf(flow, hop);
    const overhead = overheadOf(family);
    if (packet.length > LARGEST - overhead) return this.#drop('too-big', direction, packet.length);
    const pathMtu = flows.pathMtu(flow, hop);
    if (pathMtu !== 0 && (this.segment === 0 ? packet.length : this.segment) + overhead > pathMtu)
      return this.#tell('too-big', tooBig(packet.family, pathMtu - overhead));
    const at = flows.at(flow);
    const whole = this.segment === 0;
    const local = at + hop.local;
    writeTunnel(this.#view, this.start, packet, this.#port, family, flows.view, local, at + hop.address, path, ttl, reply, whole);
    this.start -= overhead;
    this.length = packet.length + overhead;
    this.count(reason, direction, packet.length);
    return direction === DIRECTION.fromPod ? VERDICT.pass : VERDICT.onward;
  }

  /** The packet goes no further, and its sender is told by an ICMP error. */
  #tell(reason: ReasonName, message: number): number {
    const packet = this.#packet;
    if (this.#mayAnswer()) {
      this.answerLength = writeError(this.#answerView, this.#view, this.start, packet, message);
      this.answers = this.answerLength > 0;
    }
    return this.#drop(reason, this.#direction, packet.length);
  }

  /** Have fewer answers been made in these ten milliseconds than may be? */
  #mayAnswer(): boolean {
    const now = Math.floor((this.#now[0] as number) / NS_A_TICK) % 2 ** 30;
    if (now !== this.#answeredAt) {
      this.#answeredAt = now;
      this.#answers = 0;
    }
    return this.#answers++ < ANSWERS_A_TICK;
  }

  #isFor(target: number): boolean {
    const packet = this.#packet;
    const at = this.#endpointAddress(target, packet.family);
    if (at === NONE) return false;
    const { view } = this.#store.tables.endpoint.table;
    return packet.family === FAMILY.ipv6 ? packet.isTo(view, at) : view.getInt32(at) === packet.destination;
  }

  /** A steering packet: validate, unwrap, remember, deliver. */
  #steered(): number {
    const outer = this.#packet;
    const inner = this.#inner;
    const tunnel = this.#tunnel;
    const flows = this.#flows;
    const view = this.#view;
    let reason = tunnel.read(view, this.start, this.#available, outer);
    const at = this.start + tunnel.overhead;
    let parsed: number = PARSED.untracked;
    if (reason === undefined) {
      if (outer.length <= tunnel.overhead) reason = 'inner-malformed';
      else if (view.getUint8(at) >> 4 !== (tunnel.innerFamily === FAMILY.ipv6 ? 6 : 4)) reason = 'next-protocol';
      else {
        parsed = inner.read(view, at, outer.length - tunnel.overhead);
        if (parsed === PARSED.malformed || parsed === PARSED.short) reason = 'inner-malformed';
        else if (this.segment === 0 && !checksumFits(view, this.start, outer, at, inner)) reason = 'outer-checksum';
        else if (ecnDrops(outer.tos, inner.tos)) reason = 'ecn';
      }
    }
    if (reason !== undefined) {
      const refusing = this.#endpoint();
      return refusing !== NONE && this.#isFor(refusing) ? this.#drop(reason, DIRECTION.toPod, outer.length) : VERDICT.pass;
    }
    if (endsProbe(tunnel)) return this.#probe(parsed, at);
    const role = (tunnel.path & 0xff) !== 0 ? FLOW_ROLE.function : FLOW_ROLE.destination;
    this.#orphan = inner.fragment === FRAGMENT.later && parsed === PARSED.ok && this.#fragments.isOrphan(this.#ifindex, inner);
    const first = parsed === PARSED.ok && !this.#orphan ? flows.find(this.#ifindex, inner) : NONE;
    const revisited = first !== NONE && (flows.flags(first) & FLOW_FLAG.revisited) !== 0;
    const flow = revisited ? this.#visitOfArrival(first) : first;
    const returning = flow !== NONE && this.#isReturning(flow);
    const begins = inner.fragment === FRAGMENT.first && parsed === PARSED.ok;
    if (returning && begins) this.#fragments.track(this.#ifindex, inner);
    if (returning && this.#isBeforeTheLast(flow)) return this.#relay(flow, at);
    const known = returning || (flow !== NONE && this.#knows(flow, role));
    // At its destination a flow is looked at again when policy has changed: the pod's ingress may be selected by now.
    if (!known || (flows.role(flow) === FLOW_ROLE.destination && flows.epoch(flow) !== this.epoch))
      return this.#unsettled(first, flow, known, role, parsed, at);
    if (begins) this.#fragments.track(this.#ifindex, inner);
    this.#unwrap(at);
    if (revisited && !inner.isError) {
      flows.setArrivalTtl(flow, !tunnel.reply, this.#ttlAt(at));
      flows.setLatest(first, flows.visit);
    }
    return this.#arrived(flow);
  }

  /** TTL or hop limit of the IP packet at `at`. */
  #ttlAt(at: number): number {
    const view = this.#view;
    return view.getUint8(at + (view.getUint8(at) >> 4 === 6 ? IPV6_HOP_LIMIT : IPV4_TTL));
  }

  /** A probe that is back, its inner packet at `at`: written down and kept. What else ends on the path of probes is kept as well. */
  #probe(parsed: number, at: number): number {
    const outer = this.#packet;
    const inner = this.#inner;
    const target = this.#endpoint();
    if (target === NONE || !this.#isFor(target)) return VERDICT.pass;
    const trusted = this.#trusts();
    if (trusted && parsed === PARSED.ok && inner.fragment === FRAGMENT.none && !inner.isError && !this.#tunnel.reply)
      this.#probes.noteAnswer(this.#view, at, outer, inner);
    return this.#drop(trusted ? 'probe-answered' : 'not-a-peer', DIRECTION.toPod, outer.length);
  }

  /** The inner packet, at `at`, is what goes on. */
  #unwrap(at: number): void {
    tellEcn(this.#view, at, this.#packet.tos, this.#inner);
    this.start = at;
    this.length = this.#inner.length;
  }

  /** The packet of a tunnel, which is unwrapped, from a hop that its flow names: what the flow learns, and where the packet goes. */
  #arrived(flow: number): number {
    const flows = this.#flows;
    const inner = this.#inner;
    const { reply, ttl } = this.#tunnel;
    if ((inner.tcpFlags & TCP_EVENTS) !== 0 || (flows.tcpState(flow) !== 0 && !inner.isError)) flows.track(flow, !reply, inner.tcpFlags);
    if (!reply) {
      if (!inner.isError) flows.setTtl(flow, ttl);
    } else if (flows.role(flow) === FLOW_ROLE.source) flows.touch(flow, false, inner.length);
    else if (flows.role(flow) === FLOW_ROLE.ingress) {
      // The pod's own reply, through the chain and back: for who opened the flow, wherever that is.
      flows.touch(flow, false, inner.length);
      this.count('reply-left', DIRECTION.toPod, this.#packet.length);
      return VERDICT.onward;
    }
    this.count('decapsulated', DIRECTION.toPod, this.#packet.length);
    return VERDICT.pass;
  }

  /** A packet from a hop that its flow does not name, or of a flow that policy may have changed for. */
  #unsettled(first: number, flow: number, known: boolean, role: number, parsed: number, at: number): number {
    const outer = this.#packet;
    const flows = this.#flows;
    const { reply, path, ttl } = this.#tunnel;
    const wrapped = this.start;
    const target = this.#endpoint();
    if (target === NONE || !this.#isFor(target)) return VERDICT.pass;
    if (!known && !this.#trusts()) return this.#drop('not-a-peer', DIRECTION.toPod, outer.length);
    if (!known && !this.#isPath(path)) return this.#drop('unknown-path', DIRECTION.toPod, outer.length);
    if (parsed === PARSED.ok && this.#inner.fragment === FRAGMENT.first) this.#fragments.track(this.#ifindex, this.#inner);
    const comesBack = flow !== NONE && !known && !reply && this.#comesBack(flow, role);
    this.#unwrap(at);
    if (comesBack) {
      flows.setArrival(flow, outer, ttl);
      return this.#arrived(flow);
    }
    if (role === FLOW_ROLE.destination && !reply) {
      outer.read(this.#view, at, this.length); // what is judged is the inner packet now
      if (!this.#orphan) this.#fragments.isOrphan(this.#ifindex, outer); // the ports of a later fragment
      if (parsed === PARSED.ok && this.#joinsIngress(flow, target)) {
        this.#cameBy = path;
        outer.read(this.#view, at, this.length);
        return this.#unwrapped();
      }
      outer.read(this.#view, wrapped, this.#available);
    }
    if (known) {
      flows.setEpoch(flow, this.epoch);
      return this.#arrived(flow);
    }
    if (parsed === PARSED.ok && !this.#orphan && !reply && !this.#inner.isError) this.#recordArrival(first, target, role);
    this.count('decapsulated', DIRECTION.toPod, outer.length);
    return VERDICT.pass;
  }

  /**
   * Does a forward packet at the end of its chain come out of the pod's ingress chain, or one that joins
   * that? Any path but the one by which the flow comes in.
   */
  #comesBack(flow: number, role: number): boolean {
    const flows = this.#flows;
    const ends = role === FLOW_ROLE.destination && flows.role(flow) === FLOW_ROLE.ingress;
    return ends && flows.isForward(flow) && flows.path(flow) !== this.#tunnel.path;
  }

  /** Is the packet out of another chain, and does the ingress of its destination take it? The chains join here. */
  #joinsIngress(flow: number, target: number): boolean {
    const flows = this.#flows;
    if (this.#orphan) return this.#takesIngress(target, true);
    if (this.#selectedFor(target, DIRECTION.toPod) === 0) return false;
    const joined = flow !== NONE && flows.role(flow) === FLOW_ROLE.ingress && flows.isForward(flow) && this.#isFor(target);
    return joined || (!this.#packet.isError && this.#takesIngress(target, false));
  }

  /** Does the flow name the hop that the packet came from? That one was a peer when it was recorded. */
  #knows(flow: number, role: number): boolean {
    const flows = this.#flows;
    const outer = this.#packet;
    if (this.#tunnel.reply)
      return (flows.flags(flow) & FLOW_FLAG.nextHop) !== 0 && !flows.isForward(flow) && flows.isBetween(flow, NEXT, outer);
    const here = flows.role(flow) === role && flows.path(flow) === this.#tunnel.path && flows.isForward(flow);
    if (!here && !this.#comesBack(flow, role)) return false;
    return (flows.flags(flow) & FLOW_FLAG.previousHop) !== 0 && flows.isBetween(flow, PREVIOUS, outer);
  }

  /**
   * Is this a reply on its way to the end of the chain, from which it shall go back? It carries the
   * service index that a destination's replies carry, 0, and comes from the hop nearer to the source.
   */
  #isReturning(flow: number): boolean {
    const flows = this.#flows;
    const { reply, path } = this.#tunnel;
    if (!reply || (path & 0xff) !== 0 || flows.role(flow) !== FLOW_ROLE.function || flows.isForward(flow)) return false;
    return path >>> 8 === flows.path(flow) >>> 8 && flows.isBetween(flow, PREVIOUS, this.#packet);
  }

  /** Does the packet arrive at the position that this entry is of? A reply carries the path of the hop that it comes from. */
  #isAt(flow: number): boolean {
    const flows = this.#flows;
    const { reply, path, ttl } = this.#tunnel;
    if (!reply) return flows.path(flow) === path;
    if (this.#isReturning(flow)) return flows.ttl(flow) === ttl; // it has come as many hops as the request had
    return flows.nextPath(flow) === path;
  }

  /** The entry of an arrival, of a flow that has several visits (datapath/kernel/bpf/visit.h draws them). None: -1, and the table's key is that of the next one. */
  #visitOfArrival(first: number): number {
    const flows = this.#flows;
    let flow = first;
    for (let visit = 1; flow !== NONE; visit++) {
      if (this.#isAt(flow)) return flow;
      if (visit === VISITS_MAX) break;
      flow = flows.findVisit(visit);
    }
    return NONE;
  }

  /**
   * The entry of a packet that leaves the pod, of a flow that has several visits: the one whose packets
   * arrive with the lowest TTL above the packet's. Where that is below none of theirs: the one at which
   * a packet arrived last.
   */
  #visitOfDeparture(first: number): number {
    const flows = this.#flows;
    const ttl = this.#ttlAt(this.start);
    const forward = flows.isForward(first);
    const latest = flows.latest(first);
    let chosen = latest;
    let nearest = NO_TTL;
    let flow = first;
    for (let visit = 0; flow !== NONE; visit++) {
      const arrival = flows.arrivalTtl(flow, forward);
      if (arrival > ttl && (arrival < nearest || (arrival === nearest && visit === latest))) {
        nearest = arrival;
        chosen = visit;
      }
      if (visit + 1 === VISITS_MAX) break;
      flow = flows.findVisit(visit + 1);
    }
    flow = flows.findVisit(chosen);
    return flow === NONE ? first : flow;
  }

  /**
   * Is a forward packet of the flow `first` at another position of its chain, which this pod has too? The
   * agent says which paths have such pods: else a chain that has changed would look the same.
   */
  #isAnotherVisit(first: number): boolean {
    const flows = this.#flows;
    const before = flows.path(first);
    const { path } = this.#tunnel;
    if (flows.role(first) !== FLOW_ROLE.function || !flows.isForward(first)) return false;
    if (before === path || before >>> 8 !== path >>> 8 || (path & 0xff) === 0) return false;
    const { sfcpath } = this.#store.tables;
    this.#wordView.setUint32(0, path);
    const slot = sfcpath.table.find(this.#word);
    return slot !== NONE && (sfcpath.table.view.getUint8(slot * sfcpath.table.valueSize + PATH.flags) & PATH_FLAG.revisits) !== 0;
  }

  /** Does another function follow on the flow's way, in this chain or one that it joins? */
  #isBeforeTheLast(flow: number): boolean {
    const flows = this.#flows;
    return (flows.flags(flow) & FLOW_FLAG.nextHop) !== 0 && (flows.nextPath(flow) & 0xff) !== 0;
  }

  /**
   * Sends a returning reply to the next function: as it is, its outer headers changed; unwrapped and wrapped anew where the next hop
   * is of another family, or does not take it.
   */
  #relay(flow: number, at: number): number {
    const flows = this.#flows;
    const outer = this.#packet;
    const { ttl, nsh, overhead } = this.#tunnel;
    const { length } = outer;
    const path = (flows.nextPath(flow) & ~0xff) >>> 0;
    if (ttl <= 1) return this.#drop('nsh-ttl', DIRECTION.toPod, length);
    const pathMtu = flows.pathMtu(flow, NEXT);
    const fits = pathMtu === 0 || (this.segment === 0 ? length : this.segment + overhead) <= pathMtu;
    if (!fits || flows.familyOf(flow, NEXT) !== outer.family) {
      this.#unwrap(at);
      outer.read(this.#view, at, this.length);
      this.#fragments.isOrphan(this.#ifindex, outer); // the ports of a later fragment
      return this.#steer(flow, NEXT, path, ttl - 1, true, 'reply-relayed');
    }
    const entry = flows.at(flow);
    redirectTunnel(this.#view, this.start, outer.family, nsh, flows.view, entry + NEXT.local, entry + NEXT.address, path, ttl - 1);
    this.length = length;
    this.count('reply-relayed', DIRECTION.toPod, length);
    return VERDICT.onward;
  }

  /**
   * Remembers where a forward packet came from: the way back for its replies. `first` is the entry of
   * visit 0, the table's key that of the visit that the packet is at should it have several.
   */
  #recordArrival(first: number, target: number, role: number): void {
    const flows = this.#flows;
    let flow = first;
    let revisited = 0;
    if (first !== NONE && this.#isAnotherVisit(first)) {
      const flags = flows.flags(first);
      if ((flags & FLOW_FLAG.revisited) === 0) flows.setVisit(1);
      flows.setFlags(first, flags | FLOW_FLAG.revisited);
      flows.setLatest(first, flows.visit);
      flow = flows.findVisit(flows.visit);
    } else {
      flows.setVisit(0);
      // From another hop.
      if (first !== NONE && flows.path(first) === this.#tunnel.path) revisited = flows.flags(first) & FLOW_FLAG.revisited;
    }
    const slot = flows.renew(flow);
    flows.setPath(slot, this.#tunnel.path);
    flows.setOwner(slot, this.#endpointId(target), role);
    flows.setPreviousHop(slot, this.#packet);
    flows.setFlags(slot, FLOW_FLAG.previousHop | revisited | (flows.aToB ? FLOW_FLAG.forwardAToB : 0));
    flows.setArrivalTtl(slot, true, this.#ttlAt(this.start));
    flows.setTtl(slot, this.#tunnel.ttl);
    flows.setTcpState(slot, firstTcpState(this.#inner.tcpFlags));
    flows.seen(slot);
  }

  /** What a pod receives outside the tunnel; an error about the tunnel is not for it. */
  #unwrapped(): number {
    const { isError, protocol, sourcePort, length } = this.#packet;
    if (isError && protocol === UDP && sourcePort === this.#port) {
      const target = this.#endpoint();
      if (target !== NONE && this.#isFor(target)) {
        this.#learnPathMtu();
        return this.#drop('tunnel-error', DIRECTION.toPod, length);
      }
    }
    return this.#plain();
  }

  /**
   * Learns what an ICMP error about a packet between two hops tells (datapath/kernel/bpf/pmtu.h draws it), where the flow is one
   * of this interface's and its hop is the one that the packet went to.
   */
  #learnPathMtu(): void {
    const view = this.#view;
    const error = this.#packet;
    const flows = this.#flows;
    const icmp = this.start + error.headerLength;
    const end = this.start + error.length;
    const mtu = toldMtu(view, icmp, error.family);
    const geneve = icmp + ICMP_LENGTH + (error.family === FAMILY.ipv6 ? IPV6_LENGTH : IPV4_LENGTH) + UDP_LENGTH;
    if (mtu === 0 || geneve + GENEVE_LENGTH > end) return;
    const at = geneve + GENEVE_LENGTH + (view.getUint8(geneve) & 0x3f) * 4;
    if (at + IPV4_LENGTH > end || (view.getUint8(at) >> 4 === 6 && at + IPV6_LENGTH > end)) return;
    const about = this.#about;
    about.becomeAnswerTo(view, at);
    if (about.readRepeated(view, at, end) !== PARSED.ok) return;
    const flow = flows.find(this.#ifindex, about);
    if (flow === NONE) return;
    // `about` runs against the packet that did not get through.
    const hop = flows.isForward(flow) ? PREVIOUS : NEXT;
    const flag = hop === NEXT ? FLOW_FLAG.nextHop : FLOW_FLAG.previousHop;
    if ((flows.flags(flow) & flag) !== 0 && error.isFrom(flows.view, flows.at(flow) + hop.address)) flows.setPathMtu(flow, hop, mtu);
  }

  /** A packet of a known flow, or the first one of a flow that somebody opens to a selected pod. */
  #plain(): number {
    const packet = this.#packet;
    const flows = this.#flows;
    const target = this.#endpoint();
    if (target === NONE || (this.#endpointFlags(target) & (ENDPOINT_SELECTS.egress | ENDPOINT_SELECTS.ingress)) === 0) return VERDICT.pass;
    const orphan = this.#fragments.isOrphan(this.#ifindex, packet);
    const ingress = this.#selectedFor(target, DIRECTION.toPod) !== 0;
    const egress = this.#selectedFor(target, DIRECTION.fromPod) !== 0;
    if (orphan) return this.#takesIngress(target, true) ? this.#drop('fragment', DIRECTION.toPod, packet.length) : VERDICT.pass;
    if (!ingress && !egress) return VERDICT.pass;
    const flow = flows.find(this.#ifindex, packet);
    if (flow !== NONE) return this.#plainOf(flow, target, ingress);
    if (packet.isError) return VERDICT.pass;
    if (ingress && this.#isFor(target)) {
      const path = this.#classify(target, DIRECTION.toPod);
      if (path !== 0) return this.#enterIngress(target, NONE, path);
    }
    // The answers of a flow that somebody opens are no egress of the pod's own. TCP: the SYN only, never its middle.
    if (!egress || (packet.protocol === TCP && !isOpening(packet.tcpFlags)) || !this.#isFor(target)) return VERDICT.pass;
    this.#rememberOwn(target, FLOW_ROLE.inbound);
    return VERDICT.pass;
  }

  /** Would the pod's ingress take the packet? Of a later fragment of which nothing is known: may it? */
  #takesIngress(target: number, orphan: boolean): boolean {
    if (!this.#isFor(target)) return false;
    return orphan ? this.#mayBeSelected(target, DIRECTION.toPod) : this.#classify(target, DIRECTION.toPod) !== 0;
  }

  /**
   * A plain packet of a known flow. A reply to what the pod had steered has come past the chain, from a
   * destination that knows nothing of it: it goes to the end of the chain and comes back through every function.
   */
  #plainOf(flow: number, target: number, ingress: boolean): number {
    const flows = this.#flows;
    const packet = this.#packet;
    const forward = flows.isForward(flow);
    const role = flows.role(flow);
    if ((packet.tcpFlags & TCP_EVENTS) !== 0 || (flows.tcpState(flow) !== 0 && !packet.isError)) {
      if (forward && role === FLOW_ROLE.ingress && isOver(flows.tcpState(flow)) && isOpening(packet.tcpFlags))
        return this.#ingressAnew(flow, target);
      flows.track(flow, forward, packet.tcpFlags);
    }
    if (forward) {
      // One that was there before its packets were selected, or that went another way: as if it were new.
      const other = role === FLOW_ROLE.inbound || role === FLOW_ROLE.destination;
      if (ingress && other && !packet.isError && this.#isFor(target)) {
        const path = this.#classify(target, DIRECTION.toPod);
        if (path !== 0) return this.#enterIngress(target, flow, path);
      }
      if (role === FLOW_ROLE.ingress) return this.#ingressKnown(flow, target);
    }
    flows.touch(flow, forward, packet.length);
    if (forward || role !== FLOW_ROLE.source || (flows.flags(flow) & FLOW_FLAG.nextHop) === 0) return VERDICT.pass;
    if ((flows.flags(flow) & FLOW_FLAG.reset) !== 0) return this.#endBoth(flow);
    const path = (flows.nextPath(flow) & ~0xff) >>> 0;
    return this.#steer(flow, NEXT, path, TTL_CLASSIFIER, true, 'reply-entered');
  }

  /** Another connection on the ports of one that is over. */
  #ingressAnew(flow: number, target: number): number {
    const path = this.#classify(target, DIRECTION.toPod);
    if (path !== 0) return this.#enterIngress(target, flow, path);
    this.#flows.remove(flow);
    return VERDICT.pass;
  }

  /** A packet of a flow into which the pod's ingress was selected: on to its function, as long as policy says so. */
  #ingressKnown(flow: number, target: number): number {
    const flows = this.#flows;
    const packet = this.#packet;
    if (flows.epoch(flow) !== this.epoch || (flows.flags(flow) & FLOW_FLAG.resolved) === 0) {
      const generation = this.#endpointWord(target, ENDPOINT.generation);
      if ((flows.flags(flow) & FLOW_FLAG.resolved) === 0 || flows.generation(flow) !== generation) {
        if ((flows.flags(flow) & FLOW_FLAG.reset) !== 0) {
          flows.touch(flow, true, packet.length);
          return this.#endBoth(flow);
        }
        const path = this.#classify(target, DIRECTION.toPod);
        if (path === 0) {
          flows.remove(flow); // was steered, is no longer selected
          return VERDICT.pass;
        }
        this.#takePath(path, flow, 'steered-ingress');
        if (this.#hop !== HOP.encapsulate) return this.#notSteered();
        if (path !== flows.nextPath(flow)) flows.setFlags(flow, flows.flags(flow) & ~FLOW_FLAG.previousHop);
        if (!this.#remember(flow, target)) return this.#drop('no-address', DIRECTION.toPod, packet.length);
      }
      flows.setEpoch(flow, this.epoch);
    }
    flows.touch(flow, true, packet.length);
    return this.#steer(flow, NEXT, flows.nextPath(flow), TTL_CLASSIFIER, false, 'steered-ingress');
  }

  /** The first packet into the pod's ingress: a flow of its own, in place of the one in `flow` if that is one. */
  #enterIngress(target: number, flow: number, path: number): number {
    const flows = this.#flows;
    const packet = this.#packet;
    if (!this.#decapsulates()) return this.#drop('no-way-back', DIRECTION.toPod, packet.length);
    this.#takePath(path, NONE, 'steered-ingress');
    if (this.#hop !== HOP.encapsulate) return this.#notSteered();
    if (this.#endpointAddress(target, this.#nextFamily) === NONE) return this.#drop('no-address', DIRECTION.toPod, packet.length);
    if (!this.#admits()) return this.#drop('flow-limit', DIRECTION.toPod, packet.length);
    const slot = flows.renew(flow);
    flows.setPath(slot, this.#cameBy);
    flows.setOwner(slot, this.#endpointId(target), FLOW_ROLE.ingress);
    flows.setFlags(slot, flows.aToB ? FLOW_FLAG.forwardAToB : 0);
    flows.setTtl(slot, TTL_MAX);
    flows.setTcpState(slot, firstTcpState(packet.tcpFlags));
    this.#remember(slot, target);
    flows.setEpoch(slot, this.epoch);
    flows.touch(slot, true, packet.length);
    return this.#steer(slot, NEXT, path, TTL_CLASSIFIER, false, 'steered-ingress');
  }

  /** What `#takePath` decided against steering. Who is rejected is told: by a RST, of what is no TCP by an ICMP error. */
  #notSteered(): number {
    const packet = this.#packet;
    if (this.#hop === HOP.reject && packet.ownProtocol !== TCP) return this.#tell(this.#reason, prohibited(packet.family));
    if (this.#hop === HOP.reject && packet.fragment === FRAGMENT.none && this.#mayAnswer()) this.#answerReset();
    this.count(this.#reason, this.#direction, packet.length);
    return this.#hop === HOP.plain ? VERDICT.pass : VERDICT.drop;
  }

  /** Answers the TCP packet by a RST; a RST is not answered. */
  #answerReset(): void {
    const packet = this.#packet;
    this.#segment.read(this.#view, this.start + packet.headerLength, packet);
    this.answers = (packet.tcpFlags & RST) === 0;
    this.answerLength = resetLength(packet);
    if (this.answers) writeAnswer(this.#answerView, 0, packet, this.#segment);
  }

  /**
   * A packet of a TCP connection whose instance is gone, and whose chain says that it is then over: both ends are
   * told. The packet goes its own way as a RST, plainly, and a RST answers it; a RST is not answered.
   */
  #endBoth(flow: number): number {
    const packet = this.#packet;
    this.#flows.setTcpState(flow, TCP_STATE.reset);
    if (packet.isError || packet.fragment === FRAGMENT.later) return this.#drop('instance-lost', this.#direction, packet.length);
    this.#answerReset();
    writeTurned(this.#view, this.start, packet, this.#segment);
    this.length = resetLength(packet);
    this.ended = true;
    this.count('instance-lost', this.#direction, packet.length);
    return VERDICT.pass;
  }
}

/** No verdict: the packet is looked at further. */
const GO_ON = -1;

/** Copies the 16 bytes at `at`. */
function copy(to: DataView, from: DataView, at: number): void {
  for (let word = 0; word < 16; word += 4) to.setInt32(word, from.getInt32(at + word));
}

/** Flags of a key of `sfcselect` and `sfcports`. */
function selectFlags(direction: number): number {
  return direction === DIRECTION.fromPod ? SELECT_FLAG.egress : 0;
}
