/** Lets the same story happen on both datapaths and tells the first difference. */

import { addressFor, type Backend, CAST, NAME_OF, type Name, type Outcome, type Player, type Stage } from '../../datapath/cast.js';
import { formatAddress, parseAddress } from '../../geneve/index.js';
import { ENDPOINT_FLAG, FAILURE_POLICY, PEER_FLAG, type SfcflowKey, type SfcflowValue } from '../../maps/index.js';
import { complaint, ETHERNET, framed, isIpv6, routed, spoiled, turned, unwrapped } from './packets.js';
import { type Families, type PacketStep, type Preparation, type Step, WALKTHROUGH, type Way } from './steps.js';

/** In what the datapaths may differ. */
export const ASPECTS = ['verdict', 'bytes', 'counters', 'flows', 'clients', 'probes', 'datagrams'] as const;
export type Aspect = (typeof ASPECTS)[number];

export interface Difference {
  /** Index of the step, or the number of steps where the states differ at the end. */
  readonly at: number;
  readonly what: Aspect;
  readonly kernel: unknown;
  readonly userspace: unknown;
}

export interface Rivals {
  readonly kernel: Stage;
  readonly userspace: Stage;
}

export interface Told {
  readonly difference: Difference | undefined;
  readonly packets: number;
  /** Packets by reason, where there is no difference. */
  readonly counted: Readonly<Record<string, number>>;
}

/** A packet on its way, and the pod that it has come from or to. */
interface OnItsWay {
  readonly bytes: Uint8Array;
  readonly at: Name;
}

/** A packet that is put to a pod. */
interface Question extends OnItsWay {
  readonly way: Way;
}

/** Runs a story on both, from an empty state. */
export function compare({ kernel, userspace }: Rivals, story: readonly Step[]): Told {
  for (const stage of [kernel, userspace]) stage.clear();
  const before = [kernel.totals(), userspace.totals()];
  let asked: Question | undefined;
  let last: OnItsWay | undefined;
  const earlier: OnItsWay[] = [];
  let packets = 0;
  let families: Families = { inner: 4, outer: 4 };
  for (const [at, step] of story.entries()) {
    if (step.do === 'families') {
      families = step;
      continue;
    }
    if (step.do === 'back') {
      last = earlier.at(-1 - step.by) ?? last;
      continue;
    }
    if (!isPacketStep(step)) {
      for (const stage of [kernel, userspace]) prepare(stage, step, families);
      continue;
    }
    const next = question(step, last, asked, families);
    if (next === undefined || !canBeAsked(next.bytes)) continue;
    asked = next;
    const run = (stage: Stage) => judged(stage.as(next.at), next.way, next.bytes);
    const [ours, theirs] = [run(kernel), run(userspace)];
    packets += 1;
    const difference = firstDifference(ours, theirs);
    if (difference !== undefined) return { difference: { at, ...difference }, packets, counted: {} };
    last = ours.verdict === 'drop' ? undefined : { bytes: ours.bytes, at: next.at };
    if (last !== undefined) earlier.push(last);
  }
  return { packets, ...comparedAtEnd({ kernel, userspace }, before, story.length) };
}

const LARGEST = 3400;
/** BPF_PROG_TEST_RUN refuses less than a whole IP header, and more than fits a page beside the kernel's own (EINVAL). */
function canBeAsked(bytes: Uint8Array): boolean {
  return bytes.length >= ETHERNET + (isIpv6(bytes) ? 40 : 20) && bytes.length <= LARGEST;
}

const isPacketStep = (step: Step): step is PacketStep =>
  step.do === 'packet' ||
  step.do === 'again' ||
  step.do === 'deliver' ||
  step.do === 'forward' ||
  step.do === 'answer' ||
  step.do === 'outside' ||
  step.do === 'complain';

/** Which packet a step puts to which pod; undefined where there is none to put. */
function question(step: PacketStep, last: OnItsWay | undefined, asked: Question | undefined, families: Families): Question | undefined {
  if (step.do === 'packet') return { bytes: framed(step.packet, families), at: step.name, way: step.way };
  if (step.do === 'again') return asked && { ...asked, bytes: spoiled(asked.bytes, step.spoil) };
  if (last === undefined) return undefined;
  if (step.do === 'complain') return { bytes: spoiled(complaint(last.bytes, step), step.spoil), at: step.name ?? last.at, way: step.way };
  if (step.do === 'forward') return { bytes: spoiled(routed(last.bytes, step.hops), step.spoil), at: last.at, way: 'sends' };
  if (step.do === 'answer') return { bytes: spoiled(turned(last.bytes), step.spoil), at: last.at, way: 'sends' };
  if (step.do === 'outside') return { bytes: spoiled(turned(unwrapped(last.bytes)), step.spoil), at: step.name, way: 'receives' };
  const at = step.name ?? podAt(last.bytes) ?? last.at;
  return { bytes: spoiled(last.bytes, step.spoil), at, way: 'receives' };
}

/** Whose address the packet is for. */
function podAt(bytes: Uint8Array): Name | undefined {
  const v6 = isIpv6(bytes);
  const text = v6
    ? formatAddress(bytes.subarray(ETHERNET + 24, ETHERNET + 40), 2)
    : formatAddress(bytes.subarray(ETHERNET + 16, ETHERNET + 20), 1);
  return (Object.keys(CAST) as Name[]).find((name) => textOf(name, v6 ? 6 : 4) === text);
}

/** The address as it is written. */
function textOf(name: Name, version: 4 | 6): string {
  const address = parseAddress(addressFor(name, version));
  return address === undefined ? '' : formatAddress(address.bytes, address.family);
}

const PROTOCOL = { any: 0, icmp: 1, tcp: 6, udp: 17, gre: 47, sctp: 132 } as const;
const { selectsPorts, selectsAllPorts, selectsRanges, selectsAnyProtocol } = ENDPOINT_FLAG;
/** Flags of what a pod's selectors name, at the places of what it sends. */
const SELECTS = {
  nothing: 0,
  both: selectsPorts | selectsAllPorts,
  'all-ports': selectsAllPorts,
  ports: selectsPorts,
  ranges: selectsPorts | selectsRanges,
  'any-protocol': selectsAnyProtocol,
  everything: selectsPorts | selectsAllPorts | selectsRanges | selectsAnyProtocol,
} as const;

function matchOf({ cidr, protocol, port = 0, ingress = false }: Extract<Preparation, { do: 'select' | 'unselect' }>) {
  return prefixesOf(cidr).map((prefix) => ({ cidr: prefix, protocol: protocolOf(protocol, prefix), port, ingress }));
}

const ICMPV6 = 58;

/** ICMP means that of the prefix's family. */
function protocolOf(protocol: keyof typeof PROTOCOL, [address]: readonly [string, number]): number {
  return protocol === 'icmp' && address.includes(':') ? ICMPV6 : PROTOCOL[protocol];
}

/** The prefix, and the one that the same hosts have in IPv6. */
function prefixesOf(cidr: string): readonly (readonly [string, number])[] {
  const [address = '', length] = cidr.split('/');
  return [
    [address, Number(length)],
    [`fd00::${address}`, 96 + Number(length)],
  ];
}

function prepare(stage: Stage, step: Preparation, families: Families): void {
  switch (step.do) {
    case 'walkthrough':
      for (const each of WALKTHROUGH) prepare(stage, each, families);
      return;
    case 'pod':
      stage.pod(step.name, {
        generation: step.generation,
        alsoSelects: SELECTS[step.selects],
        ingress: SELECTS[step.ingress ?? 'nothing'],
        ipv4: step.ipv4 ?? true,
        ipv6: step.ipv6 ?? true,
        isFunction: step.isFunction ?? false,
        ownSource: step.ownSource ?? false,
      });
      return;
    case 'gone':
      stage.gone(step.name);
      return;
    case 'select':
      for (const match of matchOf(step)) {
        const more = match.cidr[1] - prefixOf(step.cidr);
        stage.selects(step.name, step.spi, step.si, { ...match, ...(step.foundAs === undefined ? {} : { foundAs: step.foundAs + more }) });
      }
      return;
    case 'range':
      for (const protocol of new Set([PROTOCOL[step.protocol], step.protocol === 'icmp' ? ICMPV6 : PROTOCOL[step.protocol]]))
        stage.range(step.name, step.port, step.bits, step.firstPort, { protocol, ingress: step.ingress ?? false });
      return;
    case 'unselect':
      for (const match of matchOf(step)) stage.unselects(step.name, match);
      return;
    case 'path':
      stage.path(step.spi, step.si, backendsOf(step, families), {
        failurePolicy: FAILURE_POLICY[step.policy ?? 'drop'],
        affinityTimeout: step.affinityTimeout ?? 0,
        revisits: step.revisits ?? false,
        base: step.base,
      });
      return;
    case 'unpath':
      stage.unpath(step.spi, step.si);
      return;
    case 'peer':
      for (const prefix of prefixesOf(step.cidr))
        stage.peer(prefix, (step.trusted ? PEER_FLAG.trusted : 0) | (step.decapsulates ? PEER_FLAG.decapsulates : 0));
      return;
    case 'unpeer':
      for (const prefix of prefixesOf(step.cidr)) stage.peer(prefix, undefined);
      return;
    case 'quota':
      stage.quota(step.name, step.limit, step.flows, step.stale ? 1e6 : 0);
      return;
    case 'age':
      stage.age(step.seconds);
      return;
    case 'evict':
      stage.evict(step.name);
      return;
    case 'lose':
      stage.lose(step.name);
      return;
    case 'probe':
      stage.probes(step.name, step.port);
  }
}

const prefixOf = (cidr: string): number => Number(cidr.split('/')[1]);

function backendsOf({ backends, other }: Extract<Preparation, { do: 'path' }>, { outer }: Families): readonly Backend[] {
  const v6 = (outer === 6) !== (other ?? false);
  return backends.map((backend) => (backend === 'nobody' || !v6 ? backend : (`${backend}6` as const)));
}

type Totals = ReturnType<Stage['totals']>;

/** Counters once a story and not once a packet: they are many. */
function comparedAtEnd({ kernel, userspace }: Rivals, before: readonly Totals[], at: number): Omit<Told, 'packets'> {
  const [ours = {}, theirs = {}] = [kernel, userspace].map((stage, index) => countedSince(before[index] ?? new Map(), stage.totals()));
  const counted: Record<string, number> = {};
  for (const [name, [packets]] of Object.entries(ours)) {
    const reason = name.split(' ')[0] ?? name;
    counted[reason] = (counted[reason] ?? 0) + packets;
  }
  if (!same(ours, theirs)) return { counted, difference: { at, what: 'counters', kernel: ours, userspace: theirs } };
  const rest = [datagramsOf(kernel), datagramsOf(userspace)] as const;
  if (!same(...rest)) return { counted, difference: { at, what: 'datagrams', kernel: rest[0], userspace: rest[1] } };
  const flows = [flowsOf(kernel), flowsOf(userspace)] as const;
  if (!same(...flows)) return { counted, difference: { at, what: 'flows', kernel: flows[0], userspace: flows[1] } };
  const clients = [clientsOf(kernel), clientsOf(userspace)] as const;
  if (!same(...clients)) return { counted, difference: { at, what: 'clients', kernel: clients[0], userspace: clients[1] } };
  const probes = [probesOf(kernel), probesOf(userspace)] as const;
  return { counted, difference: same(...probes) ? undefined : { at, what: 'probes', kernel: probes[0], userspace: probes[1] } };
}

/** `reason direction` to packets and bytes. */
function countedSince(before: Totals, after: Totals): Readonly<Record<string, readonly [packets: number, bytes: number]>> {
  const counted: Record<string, readonly [number, number]> = {};
  for (const [slot, { packets, bytes }] of [...after].sort(([one], [other]) => one - other)) {
    const { packets: earlier, bytes: earlierBytes } = before.get(slot) ?? { packets: 0, bytes: 0 };
    if (packets > earlier) counted[`${NAME_OF[slot >> 1]} ${slot & 1}`] = [packets - earlier, bytes - earlierBytes];
  }
  return counted;
}

interface Judged {
  readonly verdict: string;
  /** Ethernet header and IP packet, without what stands behind the packet's own length. */
  readonly bytes: Uint8Array;
  /** The second frame, where there is one. */
  readonly answer: Uint8Array;
}

const NOTHING = { bytes: new Uint8Array(0), answer: new Uint8Array(0) };

/** A datapath that throws has said something too. */
function judged(pod: Player, way: Way, bytes: Uint8Array): Judged {
  try {
    return outcomeOf(way, pod.pass(way, bytes));
  } catch (error) {
    return { verdict: `throws: ${error instanceof Error ? error.message : error}`, ...NOTHING };
  }
}

function outcomeOf(way: Way, { verdict, frame: out, answer }: Omit<Outcome, 'counted'>): Judged {
  const length = ETHERNET + (isIpv6(out) ? 40 + out.readUInt16BE(ETHERNET + 4) : out.readUInt16BE(ETHERNET + 2));
  const bytes = Uint8Array.from(out.subarray(0, Math.min(length, out.length)));
  // Where the kernel program sends a packet, and whether past the stack, is a matter of routes, not of this comparison.
  if (verdict === 'redirect') bytes.fill(0, 0, ETHERNET - 2);
  return { verdict: way === 'sends' && verdict === 'redirect' ? 'pass' : verdict, bytes, answer: answer ?? NOTHING.answer };
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function firstDifference(ours: Judged, theirs: Judged): Omit<Difference, 'at'> | undefined {
  if (ours.verdict !== theirs.verdict) return { what: 'verdict', kernel: ours.verdict, userspace: theirs.verdict };
  // A dropped packet is gone, whatever was done to it before.
  if (ours.verdict !== 'drop' && hex(ours.bytes) !== hex(theirs.bytes))
    return { what: 'bytes', kernel: hex(ours.bytes), userspace: hex(theirs.bytes) };
  if (hex(ours.answer) !== hex(theirs.answer)) return { what: 'bytes', kernel: hex(ours.answer), userspace: hex(theirs.answer) };
  return undefined;
}

/** Entries by what both datapaths mean: not their clocks, their epochs, nor the kernel's routes. */
function flowsOf(stage: Stage): readonly string[] {
  return [...stage.maps.sfcflow.entries()].map(([key, value]) => JSON.stringify(flowText(key, value))).sort();
}

function flowText({ ifindex: _, ...key }: SfcflowKey, value: SfcflowValue): unknown {
  const { last_seen, last_tick, epoch, next_ifindex, next_checked, next_mtu, next_destination_mac, next_source_mac, ...rest } = value;
  const { previous_ifindex, previous_checked, previous_mtu, previous_destination_mac, previous_source_mac, ...kept } = rest;
  const text = (record: object) => Object.entries(record).map(([name, field]) => [name, field instanceof Uint8Array ? hex(field) : field]);
  return [...text(key), ...text(kept)];
}

/** Fragmented datagrams that are known, and how many flows are counted; not since when. */
function datagramsOf(stage: Stage): readonly string[] {
  const datagrams = [...stage.maps.sfcfragment.entries()].map(([{ slot }, { source, destination, last_seen: _, ...value }]) =>
    JSON.stringify([slot, hex(source), hex(destination), value]),
  );
  const quotas = [...stage.maps.sfcquota.entries()].map(([, { limit, flows }]) => JSON.stringify([limit, flows]));
  return [...datagrams, ...quotas].sort();
}

/** Which probes came back; not when. */
function probesOf(stage: Stage): readonly string[] {
  return [...stage.maps.sfcprobe.entries()]
    .map(([{ family, address, port }, { sequence, answered }]) => JSON.stringify([family, hex(address), port, sequence, answered > 0]))
    .sort();
}

/** Who has which instance; not since when. */
function clientsOf(stage: Stage): readonly string[] {
  return [...stage.maps.sfcaffinity.entries()]
    .map(([{ path, family, client }, { backend, backend_family }]) =>
      JSON.stringify([path, family, hex(client), hex(backend), backend_family]),
    )
    .sort();
}
