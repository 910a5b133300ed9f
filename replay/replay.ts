/**
 * A capture through the pipeline: what would have become of each packet under these manifests. One
 * buffer, one packet at a time; of the capture a read's worth is in memory.
 */

import { counterViews } from '../agent/index.js';
import { type CaptureBatch, type CapturedPacket, LinkReader, type PcapStreamWriter } from '../capture/index.js';
import { OVERHEAD, overheadOf, Pipeline, VERDICT } from '../datapath/userspace/index.js';
import { ETHERTYPE } from '../geneve/index.js';
import { DIRECTION, FAMILY, formatMapAddress, formatPath, REASONS, typedMaps } from '../maps/index.js';
import { DirectionReader, type Ways } from './direction.js';
import { headersCaptured } from './headers.js';
import { IFINDEX, type Node } from './node.js';

/** The largest IPv4 packet. */
const LARGEST = 65_535;
const IPV4_LENGTH = 20;
/** Bytes of an outer IPv4 header at which its destination stands. */
const DESTINATION = 16;

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
  /** By `sfcselect` entry, then by instance (-1: none), then by reason. */
  readonly #selected = new Map<number, Map<number, Map<string, Amount>>>();
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
    if (link.type !== ETHERTYPE.ipv4) {
      this.#count(link.type === ETHERTYPE.ipv6 ? 'plain' : 'not-ip', undefined, size);
      this.#write(packet, data, EMPTY);
      return;
    }
    const captured = Math.min(data.length - offset, LARGEST);
    const body = data.subarray(offset, offset + captured);
    if (captured < Math.min(size, IPV4_LENGTH) || (captured < size && !headersCaptured(body, captured, this.#options.port))) {
      this.#count('cut', undefined, size);
      return;
    }
    const direction = captured < IPV4_LENGTH ? DIRECTION.fromPod : this.#direction.read(data, link);
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
      this.#write(packet, data.subarray(0, offset), this.#buffer.subarray(start, end), offset + length);
    }
  }

  /** @param start where the tunnel begins that the packet is now in, -1 for none */
  #attribute(reason: string, direction: number, start: number, length: number): void {
    const entry = this.#pipeline.selecting(direction);
    const wrapped = start >= 0;
    const instance = wrapped ? this.#view.getUint32(start + DESTINATION) : -1;
    const instances = inserted(this.#selected, entry, () => new Map<number, Map<string, Amount>>());
    const reasons = inserted(instances, instance, () => new Map<string, Amount>());
    const amount = inserted(reasons, reason, () => ({ packets: 0, bytes: 0 }));
    amount.packets += 1;
    amount.bytes += wrapped ? length - overheadOf(this.#view.getUint8(start) >> 4 === 6 ? FAMILY.ipv6 : FAMILY.ipv4) : length;
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
      for (const [word, reasons] of instances)
        for (const [reason, amount] of reasons) {
          const { selector, chain } = selection;
          const row = { selector, chain, path: formatPath(selection.path), instance: addressText(word), reason, packets: 0, bytes: 0 };
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

function addressText(word: number): string {
  return word < 0 ? '' : formatMapAddress(Uint8Array.of(word >>> 24, word >>> 16, word >>> 8, word), 1);
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
