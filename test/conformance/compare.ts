/** Lets the same story happen on both datapaths and tells the first difference. */

import { CAST, frame, NAME_OF, type Name, type Outcome, type Stage } from '../../datapath/cast.js';
import { encapsulate, type IpAddress, parseAddress, type Si, type Spi } from '../../geneve/index.js';
import type { SfcflowKey, SfcflowValue } from '../../maps/index.js';
import type { Draft, Spoil, Step, Way, Wrap } from './steps.js';

const ETHERNET = 14;
const IPV6_ETHERTYPE = 0x86dd;
const ICMP = 1;
const ICMP_ECHO = 8;

export interface Difference {
  /** Index of the step, or the number of steps where the states differ at the end. */
  readonly at: number;
  readonly what: string;
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
  /** Reasons that were counted. */
  readonly reasons: ReadonlySet<string>;
}

/** A packet on its way, and the pod that it has come from or to. */
interface OnItsWay {
  readonly bytes: Uint8Array;
  readonly at: Name;
}

/** Runs a story on both, from an empty state. */
export function compare({ kernel, userspace }: Rivals, story: readonly Step[]): Told {
  for (const stage of [kernel, userspace]) stage.clear();
  const before = [kernel.totals(), userspace.totals()];
  const reasons = new Set<string>();
  let last: OnItsWay | undefined;
  let packets = 0;
  for (const [at, step] of story.entries()) {
    if (isPreparation(step)) {
      for (const stage of [kernel, userspace]) prepare(stage, step);
      continue;
    }
    const asked = question(step, last);
    // BPF_PROG_TEST_RUN refuses less than a whole IP header (EINVAL), so nothing can be asked about it.
    if (asked === undefined || asked.bytes.length < ETHERNET + (isIpv6(asked.bytes) ? 40 : 20)) continue;
    const run = (stage: Stage) => judged(stage.as(asked.at).pass(asked.way, asked.bytes));
    const [ours, theirs] = [run(kernel), run(userspace)];
    packets += 1;
    const difference = firstDifference(ours, theirs);
    if (difference !== undefined) return { difference: { at, ...difference }, packets, reasons };
    last = ours.verdict === 'drop' ? undefined : { bytes: ours.bytes, at: asked.at };
  }
  return { difference: differenceAtEnd({ kernel, userspace }, before, reasons, story.length), packets, reasons };
}

type Preparation = Extract<Step, { do: 'pod' | 'path' | 'select' | 'range' }>;
type PacketStep = Exclude<Step, Preparation>;

function isPreparation(step: Step): step is Preparation {
  return step.do === 'pod' || step.do === 'path' || step.do === 'select' || step.do === 'range';
}

/** Which packet a step puts to which pod; undefined where there is none to put. */
function question(step: PacketStep, last: OnItsWay | undefined): (OnItsWay & { readonly way: Way }) | undefined {
  if (step.do === 'packet') return { bytes: framed(step.packet), at: step.name, way: step.way };
  if (last === undefined) return undefined;
  if (step.do === 'forward') return { bytes: spoiled(last.bytes, step.spoil), at: last.at, way: 'sends' };
  if (step.do === 'answer') return { bytes: spoiled(turned(last.bytes), step.spoil), at: last.at, way: 'sends' };
  const at = step.name ?? podAt(last.bytes) ?? last.at;
  return { bytes: spoiled(last.bytes, step.spoil), at, way: 'receives' };
}

/** Whose address the packet is for. */
function podAt(bytes: Uint8Array): Name | undefined {
  const text = bytes.subarray(ETHERNET + 16, ETHERNET + 20).join('.');
  return (Object.keys(CAST) as Name[]).find((name) => CAST[name] === text);
}

/** The packet with its ends exchanged; no more than an answer has to be here. */
function turned(bytes: Uint8Array): Uint8Array {
  const out = Uint8Array.from(bytes);
  if (bytes.length < ETHERNET + 20) return bytes;
  const ip = ETHERNET;
  const transport = ip + ((bytes[ip] ?? 0) & 0x0f) * 4;
  out.set(bytes.subarray(ip + 12, ip + 16), ip + 16);
  out.set(bytes.subarray(ip + 16, ip + 20), ip + 12);
  if (bytes[ip + 9] === ICMP) {
    // A request becomes a reply, whose identifier stays.
    if (transport < bytes.length && bytes[transport] === ICMP_ECHO) out[transport] = 0;
  } else if (transport + 4 <= bytes.length) {
    out.set(bytes.subarray(transport, transport + 2), transport + 2);
    out.set(bytes.subarray(transport + 2, transport + 4), transport);
  }
  return out;
}

const isIpv6 = (bytes: Uint8Array): boolean => (bytes[ETHERNET] ?? 0) >> 4 === 6;

function prepare(stage: Stage, step: Preparation): void {
  if (step.do === 'pod') stage.pod(step.name, { generation: step.generation, selects: step.selects, alsoSelects: step.alsoSelects ?? 0 });
  else if (step.do === 'range') stage.range(step.name, ...step.ports, step.firstPort, step.protocol);
  else if (step.do === 'path') stage.path(step.spi, step.si, step.backends, { failurePolicy: step.failurePolicy });
  else
    stage.selects(step.name, step.spi, step.si, {
      cidr: [...step.cidr],
      protocol: step.protocol,
      port: step.port,
      foundAs: step.foundAs ?? step.cidr[1],
    });
}

type Totals = ReturnType<Stage['totals']>;

/** Counters once a story and not once a packet: they are many. */
function differenceAtEnd(
  { kernel, userspace }: Rivals,
  before: readonly Totals[],
  reasons: Set<string>,
  at: number,
): Difference | undefined {
  const counted = [kernel, userspace].map((stage, index) => countedSince(before[index] ?? new Map(), stage.totals()));
  const [ours = {}, theirs = {}] = counted;
  for (const name of Object.keys(ours)) reasons.add(name.split(' ')[0] ?? name);
  if (!same(ours, theirs)) return { at, what: 'counters', kernel: ours, userspace: theirs };
  const flows = [flowsOf(kernel), flowsOf(userspace)] as const;
  return same(...flows) ? undefined : { at, what: 'flows', kernel: flows[0], userspace: flows[1] };
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
}

function judged({ verdict, frame: out }: Omit<Outcome, 'counted'>): Judged {
  const length = out.length >= ETHERNET + 4 && (out[ETHERNET] ?? 0) >> 4 === 4 ? ETHERNET + out.readUInt16BE(ETHERNET + 2) : out.length;
  // Where the kernel program sends a packet past the stack is a matter of routes, not of this comparison.
  return {
    verdict: verdict === 'redirect' ? 'pass' : verdict,
    bytes: Uint8Array.from(out.subarray(0, Math.min(length, out.length))),
  };
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function firstDifference(ours: Judged, theirs: Judged): Omit<Difference, 'at'> | undefined {
  if (ours.verdict !== theirs.verdict) return { what: 'verdict', kernel: ours, userspace: theirs };
  // A dropped packet is gone, whatever was done to it before.
  if (ours.verdict !== 'drop' && hex(ours.bytes) !== hex(theirs.bytes))
    return { what: 'bytes', kernel: hex(ours.bytes), userspace: hex(theirs.bytes) };
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

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address;
}

function framed(draft: Draft): Uint8Array {
  const { payload, wrap, spoil, ...segment } = draft;
  const plain = frame({ ...segment, payload: 'x'.repeat(payload) });
  return spoiled(wrap === undefined ? plain : wrapped(plain, wrap), spoil);
}

function wrapped(plain: Uint8Array, { from, to, spi, si, ttl, reply, tos }: Wrap): Uint8Array {
  const tunnel = { source: addressOf(from), destination: addressOf(to), spi: spi as Spi, si: si as Si, ttl: Math.max(ttl, 1), reply };
  const outer = encapsulate(plain.subarray(ETHERNET), tunnel);
  if ('failure' in outer) return plain;
  const bytes = Uint8Array.from([...plain.subarray(0, ETHERNET), ...outer]);
  if (tos !== undefined) bytes[ETHERNET + 1] = tos;
  // TTL 0 is nothing that a sender writes: by hand, behind outer IPv4, UDP, Geneve and the option's header.
  if (ttl === 0) {
    bytes[ETHERNET + 40] = 0x00;
    bytes[ETHERNET + 41] = 0x02;
  }
  return bytes;
}

function spoiled(bytes: Uint8Array, changes: readonly Spoil[]): Uint8Array {
  let out = Uint8Array.from(bytes);
  for (const change of changes) {
    const length = out.length - ETHERNET;
    if (length <= 0) break;
    if (change.kind === 'cut') out = out.slice(0, Math.max(ETHERNET, out.length - change.bytes));
    else out[ETHERNET + (change.at % length)] = change.value;
  }
  // The ethertype says what the first nibble says, as a device that carries IP packets has it.
  if (out.length > ETHERNET) {
    out[12] = isIpv6(out) ? IPV6_ETHERTYPE >> 8 : 0x08;
    out[13] = isIpv6(out) ? IPV6_ETHERTYPE & 0xff : 0x00;
  }
  return out;
}
