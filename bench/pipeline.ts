/**
 * How many nanoseconds does a packet cost in the userspace datapath? The pipeline alone, over maps in
 * memory: no device is read or written. Each case takes its turn with 1 and with 10,000 known flows,
 * whose packets come in random order. The packet is one buffer into which each flow's address and
 * ports are written before the call: `floor` is that writing and nothing else.
 */

import { CAST, frame } from '../datapath/cast.js';
import { OVERHEAD, Pipeline, VERDICT } from '../datapath/index.js';
import { createMemoryStore, type MemoryStore, typedMaps } from '../maps/index.js';
import { bytesAllocated } from './heap.js';
import { CASES, type Case, furnish, SELECTOR_COUNTS, type SelectorCount, select } from './node.js';
import { median, quantile } from './statistics.js';

export /** Bytes of outer headers over IPv4, and where they begin. */
const OVER_IPV4 = 48;
const WRAPPED_AT = OVERHEAD - OVER_IPV4;
const FLOW_COUNTS = [1, 10_000] as const;
export type FlowCount = (typeof FLOW_COUNTS)[number];
export const ROWS = ['floor', ...CASES] as const;
type Row = 'floor' | Case;

const INTERFACES = { vpn: 7, firewall: 8 } as const;
const ETHERNET = 14;
/** Bytes of an IPv4 packet before its destination, and before its ports. */
const DESTINATION = 16;
const SOURCE_PORT = 20;
/** Orders in which flows come; a power of two. */
const ORDERS = 1 << 15;
const FIRST_PORT = 1024;
const PORTS = 50_000;
/** Flows that begin before their numbers start over. */
const FRESH = 500_000;

export interface PipelineFigures {
  readonly selectors: SelectorCount;
  readonly flows: FlowCount;
  /** A packet: median and quartiles over the rounds. */
  readonly ns: Readonly<Record<Row, { readonly median: number; readonly low: number; readonly high: number }>>;
  readonly allocated: Readonly<Record<Row, number>>;
}

export interface PipelineOptions {
  readonly packets: number;
  readonly rounds: number;
}

/** A buffer with room in front, a packet of many flows in it: flow n has its own destination and source port. */
class Packet {
  readonly view: DataView;
  readonly length: number;
  readonly #network: number;

  constructor(destination: string) {
    const packet = frame({ from: CAST.client, to: destination, protocol: 'tcp', payload: 'x'.repeat(64) }).subarray(ETHERNET);
    const buffer = new Uint8Array(OVERHEAD + packet.length);
    buffer.set(packet, OVERHEAD);
    this.view = new DataView(buffer.buffer);
    this.length = packet.length;
    this.#network = this.view.getInt32(OVERHEAD + DESTINATION) & ~0xff;
  }

  become(flow: number): void {
    this.view.setInt32(OVERHEAD + DESTINATION, this.#network | (flow & 0xff));
    this.view.setUint16(OVERHEAD + SOURCE_PORT, FIRST_PORT + (flow % PORTS));
  }
}

/** A node with its flows, and one batch of packets for each row. */
class Setting {
  readonly selectors: SelectorCount;
  readonly flows: FlowCount;
  readonly batches: Readonly<Record<Row, () => number>>;
  readonly samples: Readonly<Record<Row, number[]>> = { floor: [], 'no match': [], 'first packet': [], established: [], decapsulation: [] };
  readonly #store: MemoryStore;
  readonly #pipeline: Pipeline;
  readonly #selected = new Packet(CAST.server);
  readonly #unselected = new Packet('198.51.100.7');
  #fresh = 0;

  constructor(selectors: SelectorCount, flows: FlowCount, packets: number) {
    this.selectors = selectors;
    this.flows = flows;
    this.#store = createMemoryStore({ sfcflow: 2 * Math.max(...FLOW_COUNTS) + packets });
    const maps = typedMaps(this.#store);
    furnish(maps, INTERFACES);
    select(maps, selectors);
    const pipeline = new Pipeline(this.#store, { port: 7081 });
    pipeline.setClock(5_000_000_000_000);
    this.#pipeline = pipeline;
    const selected = this.#selected;
    const unselected = this.#unselected;
    const order = Int32Array.from({ length: ORDERS }, (_, n) => (Math.imul(n + 1, 0x9e3779b1) >>> 0) % flows);
    const flowAt = (n: number) => order[n & (ORDERS - 1)] as number;
    const send = (packet: Packet) => pipeline.fromPod(INTERFACES.vpn, packet.view, OVERHEAD, packet.length);
    this.batches = {
      floor: () => {
        for (let n = 0; n < packets; n += 1) selected.become(flowAt(n));
        return selected.view.getUint16(OVERHEAD + SOURCE_PORT);
      },
      'no match': () => {
        let sum = 0;
        for (let n = 0; n < packets; n += 1) {
          unselected.become(flowAt(n));
          sum += send(unselected);
        }
        return sum;
      },
      'first packet': () => {
        let sum = 0;
        for (let n = 0; n < packets; n += 1) {
          selected.become(flows + this.#fresh + n);
          sum += send(selected);
        }
        this.#fresh = (this.#fresh + packets) % FRESH;
        return sum;
      },
      established: () => {
        let sum = 0;
        for (let n = 0; n < packets; n += 1) {
          selected.become(flowAt(n));
          sum += send(selected);
        }
        return sum;
      },
      decapsulation: () => {
        let sum = 0;
        for (let n = 0; n < packets; n += 1) {
          selected.become(flowAt(n));
          sum += pipeline.toPod(INTERFACES.firewall, selected.view, WRAPPED_AT, selected.length + OVER_IPV4);
        }
        return sum;
      },
    };
  }

  /** Forgets all flows and lets the known ones begin, at both pods. Throws when a packet is not steered as it should be. */
  begin(): void {
    const { table } = this.#store.tables.sfcflow;
    while (table.size > 0) table.removeOldest();
    const { view, length } = this.#selected;
    const pipeline = this.#pipeline;
    for (let flow = 0; flow < this.flows; flow += 1) {
      this.#selected.become(flow);
      const sent = pipeline.fromPod(INTERFACES.vpn, view, OVERHEAD, length) === VERDICT.pass && pipeline.start === WRAPPED_AT;
      const received =
        pipeline.toPod(INTERFACES.firewall, view, WRAPPED_AT, length + OVER_IPV4) === VERDICT.pass && pipeline.start === OVERHEAD;
      if (!sent || !received) throw new Error(`flow ${flow} was not steered: the setting is wrong`);
    }
    this.#unselected.become(0);
    pipeline.fromPod(INTERFACES.vpn, this.#unselected.view, OVERHEAD, length);
    if (pipeline.start !== OVERHEAD || table.size !== 2 * this.flows)
      throw new Error('an unselected packet was steered: the setting is wrong');
  }
}

/** Every setting in turn, each case once a round. */
export function measurePipeline(
  { packets, rounds }: PipelineOptions,
  onProgress: (done: number, of: number) => void,
): readonly PipelineFigures[] {
  const settings = SELECTOR_COUNTS.flatMap((selectors) => FLOW_COUNTS.map((flows) => new Setting(selectors, flows, packets)));
  let results = 0;
  for (let round = -1; round < rounds; round += 1) {
    for (const setting of settings) {
      for (const row of ROWS) {
        setting.begin();
        const started = performance.now();
        results += setting.batches[row]();
        if (round >= 0) setting.samples[row].push(((performance.now() - started) * 1e6) / packets); // the first one is to warm up
      }
    }
    onProgress(round + 1, rounds);
  }
  if (Number.isNaN(results)) throw new Error('a verdict is not a number');
  return settings.map((setting) => {
    const { selectors, flows, samples } = setting;
    const each = <T>(of: (row: Row) => T) => Object.fromEntries(ROWS.map((row) => [row, of(row)])) as Record<Row, T>;
    return {
      selectors,
      flows,
      ns: each((row) => ({ median: median(samples[row]), low: quantile(samples[row], 0.25), high: quantile(samples[row], 0.75) })),
      allocated: each((row) => {
        setting.begin();
        return bytesAllocated(setting.batches[row]) / packets;
      }),
    };
  });
}
