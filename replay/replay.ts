/**
 * A capture through the pipeline: what would have become of each packet under these manifests. One
 * buffer, one packet at a time; of the capture a read's worth is in memory.
 */

import { counterViews } from '../agent/index.js';
import { type CaptureBatch, type CapturedPacket, LINK_TYPE, LinkReader, type PcapStreamWriter } from '../capture/index.js';
import { OVERHEAD, Pipeline, VERDICT } from '../datapath/userspace/index.js';
import { ETHERTYPE, overheadOver } from '../geneve/index.js';
import { DIRECTION, FAMILY, formatMapAddress, formatPath, REASONS, typedMaps } from '../maps/index.js';
import { DirectionReader, type Ways } from './direction.js';
import { headersCaptured, LEAST_HEADER } from './headers.js';
import { IFINDEX, type Node } from './node.js';

/** The largest IP packet: 65,535 bytes behind an IPv6 header (RFC 8200 3). */
const LARGEST = 40 + 65_535;
/** Where the destination stands in an outer header, by IP version. */
const DESTINATION = { 4: { at: 16, length: 4 }, 6: { at: 24, length: 16 } } as const;

export interface Amount {
  packets: number;
  bytes: number;
}

/** Packets that one selector took to one instance, or that came to nothing. */
export interface SelectedPackets extends Readonly<Amount> {
  readonly selector: string;
  readonly chain: string;
  /** `(SPI, SI)`. */
  readonly path: string;
  /** Address of the function's instance; empty where there was none. */
  readonly instance: string;
  /** Name of the reason under which they were counted. */
  readonly reason: string;
}

/** Packets of one verdict. */
export interface JudgedPackets extends Readonly<Amount> {
  readonly verdict: 'forwarded' | 'passed' | 'consumed' | 'dropped' | 'unknown';
  /** One of the datapath's reasons, or of `UNCOUNTED`. */
  readonly reason: string;
  readonly direction: 'from-pod' | 'to-pod' | '';
  readonly meaning: string;
}

export interface ReplayReport {
  readonly endpoint: string;
  readonly node: string;
  readonly packets: number;
  readonly selected: readonly SelectedPackets[];
  readonly verdicts: readonly JudgedPackets[];
}

/** What the datapath does not count. */
const UNCOUNTED = {
  plain: { verdict: 'passed', meaning: 'nothing steers it: it goes on as it is' },
  'not-ip': { verdict: 'passed', meaning: 'no IP packet: it goes on as it is' },
  cut: { verdict: 'unknown', meaning: 'its headers are not all in the capture: nothing can be said of it' },
} as const;
type Uncounted = keyof typeof UNCOUNTED;
const DIRECTION_NAMES = ['from-pod', 'to-pod'] as const;
/** Reasons of packets that a selector took. */
const OF_SELECTED: ReadonlySet<string | undefined> = new Set<string | undefined>([
  'steered-source',
  'steered-ingress',
  'no-backend',
  'unknown-path',
  'bypassed',
  'no-address',
]);
const KNOWN_REASONS = new Set(REASONS.map(({ name }) => name as string));
for (const reason of OF_SELECTED) if (reason === undefined || !KNOWN_REASONS.has(reason)) throw new Error(`no reason is named ${reason}`);

export interface ReplayOptions {
  readonly node: Node;
  /** UDP port of steering. */
  readonly port: number;
  readonly ways: Ways;
  /** The capture's name, for messages. */
  readonly name: string;
  readonly linkType: number;
}

export class Replay {
  readonly #options: ReplayOptions;
  readonly #pipeline: Pipeline;
  readonly #link: LinkReader;
  readonly #direction: DirectionReader;
  readonly #buffer = new Uint8Array(OVERHEAD + LARGEST);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #text = Buffer.from(this.#buffer.buffer);
  /** By `sfcselect` entry, then by the bytes of the instance's address (empty: none), then by reason. */
  readonly #selected = new Map<number, Map<string, Map<string, Amount>>>();
  readonly #uncounted = new Map<string, Amount & { readonly what: Uncounted; readonly direction: number | undefined }>();
  packets = 0;
  /** Takes what would go on. */
  writer: Pick<PcapStreamWriter, 'add'> | undefined;

  /** Throws `CAPTURE_INVALID` for a link type that is not read. */
  constructor(options: ReplayOptions) {
    const { node, port, ways, name, linkType } = options;
    this.#options = options;
    this.#pipeline = new Pipeline(node.store, { port });
    this.#link = new LinkReader(linkType, name);
    this.#direction = new DirectionReader(ways, node.addresses, linkType);
  }

  take({ packets }: Pick<CaptureBatch, 'packets'>): void {
    for (const packet of packets) this.#packet(packet);
    this.packets += packets.length;
  }

  #packet(packet: CapturedPacket): void {
    const { data, originalLength } = packet;
    const link = this.#link;
    if (!link.read(data)) {
      this.#count('cut', undefined, originalLength);
      return;
    }
    const { offset } = link;
    const size = originalLength - offset;
    if (link.type !== ETHERTYPE.ipv4 && link.type !== ETHERTYPE.ipv6) {
      this.#count('not-ip', undefined, size);
      this.#write(packet, data, EMPTY);
      return;
    }
    const least = LEAST_HEADER[link.type === ETHERTYPE.ipv6 ? 6 : 4];
    const captured = Math.min(data.length - offset, LARGEST);
    const body = data.subarray(offset, offset + captured);
    if (captured < Math.min(size, least) || (captured < size && !headersCaptured(body, captured, this.#options.port))) {
      this.#count('cut', undefined, size);
      return;
    }
    const direction = captured < least ? DIRECTION.fromPod : this.#direction.read(data, link);
    this.#buffer.set(body, OVERHEAD);
    const pipeline = this.#pipeline;
    pipeline.setClock(packet.timestamp * 1000 + (packet.nanoseconds ?? 0));
    const available = Math.min(size, LARGEST);
    const verdict =
      direction === DIRECTION.fromPod
        ? pipeline.fromPod(IFINDEX, this.#view, OVERHEAD, available)
        : pipeline.toPod(IFINDEX, this.#view, OVERHEAD, available);
    const { reason, start, length } = pipeline;
    if (reason === undefined) this.#count('plain', direction, size);
    else if (OF_SELECTED.has(reason))
      this.#attribute(reason, direction, verdict === VERDICT.drop || reason === 'bypassed' ? -1 : start, length);
    if (verdict === VERDICT.drop) return;
    // Where one tunnel was taken off and another put on, it begins where it began.
    if (start === OVERHEAD && verdict === VERDICT.pass) this.#write(packet, data, EMPTY);
    else {
      const end = Math.min(start + length, OVERHEAD + captured);
      this.#write(packet, this.#relabelled(data, start), this.#buffer.subarray(start, end), offset + length);
    }
  }

  #versionAt(at: number): 4 | 6 {
    return this.#view.getUint8(at) >> 4 === 6 ? 6 : 4;
  }

  /** The frame's link header before the packet that is now at `start`, which may be of the other IP version. */
  #relabelled(frame: Uint8Array, start: number): Uint8Array {
    const { offset, typeAt } = this.#link;
    const header = frame.subarray(0, offset);
    const type = this.#versionAt(start) === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4;
    if (typeAt < 0 || type === this.#link.type) return header;
    const changed = Uint8Array.from(header);
    new DataView(changed.buffer).setUint16(typeAt, type);
    return changed;
  }

  /** @param start where the tunnel begins that the packet is now in, -1 for none */
  #attribute(reason: string, direction: number, start: number, length: number): void {
    const entry = this.#pipeline.selecting(direction);
    const version = start >= 0 ? this.#versionAt(start) : undefined;
    const place = version === undefined ? undefined : DESTINATION[version];
    const instance = place === undefined ? '' : this.#text.toString('latin1', start + place.at, start + place.at + place.length);
    const instances = inserted(this.#selected, entry, () => new Map<string, Map<string, Amount>>());
    const reasons = inserted(instances, instance, () => new Map<string, Amount>());
    const amount = inserted(reasons, reason, () => ({ packets: 0, bytes: 0 }));
    amount.packets += 1;
    amount.bytes += version === undefined ? length : length - overheadOver(version === 6 ? FAMILY.ipv6 : FAMILY.ipv4);
  }

  #count(what: Uncounted, direction: number | undefined, bytes: number): void {
    const amount = inserted(this.#uncounted, `${what} ${direction}`, () => ({ what, direction, packets: 0, bytes: 0 }));
    amount.packets += 1;
    amount.bytes += bytes;
  }

  #write(packet: CapturedPacket, head: Uint8Array, body: Uint8Array, originalLength = packet.originalLength): void {
    this.writer?.add(packet, head, body, originalLength);
  }

  /** What became of the packets so far. */
  report(): ReplayReport {
    const { node } = this.#options;
    return {
      endpoint: node.pod,
      node: node.name,
      packets: this.packets,
      selected: [...this.#selectedRows()].sort((one, other) => other.packets - one.packets),
      verdicts: this.#verdicts(),
    };
  }

  *#selectedRows(): Generator<SelectedPackets> {
    const rows = new Map<string, SelectedPackets & Amount>();
    for (const [entry, instances] of this.#selected) {
      const selection = this.#options.node.selections.get(entry);
      if (selection === undefined) throw new Error(`entry ${entry} of sfcselect has no selector`);
      for (const [bytes, reasons] of instances)
        for (const [reason, amount] of reasons) {
          const { selector, chain } = selection;
          const row = { selector, chain, path: formatPath(selection.path), instance: addressText(bytes), reason, packets: 0, bytes: 0 };
          // Several entries may come from one selector: a port each, a family each.
          const sum = inserted(rows, JSON.stringify(row), () => row);
          sum.packets += amount.packets;
          sum.bytes += amount.bytes;
        }
    }
    yield* rows.values();
  }

  #verdicts(): JudgedPackets[] {
    const counted = counterViews(typedMaps(this.#options.node.store)).map(
      ({ reason, class: verdict, direction, packets, bytes, doc }): JudgedPackets => ({
        verdict,
        reason,
        direction: direction === 'from-pod' ? 'from-pod' : 'to-pod',
        packets,
        bytes,
        meaning: doc,
      }),
    );
    const uncounted = [...this.#uncounted.values()].map(({ what, direction, packets, bytes }): JudgedPackets => {
      const { verdict, meaning } = UNCOUNTED[what];
      return {
        verdict,
        reason: what,
        direction: direction === undefined ? '' : (DIRECTION_NAMES[direction] ?? ''),
        packets,
        bytes,
        meaning,
      };
    });
    return [...counted, ...uncounted];
  }
}

const EMPTY = new Uint8Array(0);

function addressText(bytes: string): string {
  if (bytes === '') return '';
  const address = Buffer.from(bytes, 'latin1');
  return formatMapAddress(address, address.length === DESTINATION[6].length ? FAMILY.ipv6 : FAMILY.ipv4);
}

/** The link type of what a replay writes of a capture: of raw packets one that takes either IP version. */
export function outputLinkType(linkType: number): number {
  return linkType === LINK_TYPE.rawIpv4 || linkType === LINK_TYPE.rawIpv6 ? LINK_TYPE.raw : linkType;
}

/** The value of the key, made when it is not there yet. */
function inserted<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
