/** The userspace datapath on stage: packets go through the pipeline over maps in memory. */

import { createMemoryStore } from '../../maps/index.js';
import { CAST, type Name, type Outcome, Stage } from '../cast.js';
import { OVERHEAD, Pipeline, VERDICT } from './index.js';

/** Nanoseconds. */
const A_MILLISECOND = 1e6;
/** Bytes of an Ethernet header. */
const ETHERNET = 14;

/** In the kernel program's words: what goes onward from to-pod is redirected. */
const VERDICTS: Readonly<Record<number, string>> = { [VERDICT.pass]: 'pass', [VERDICT.drop]: 'drop', [VERDICT.onward]: 'redirect' };

/** A frame with its Ethernet addresses exchanged. */
function back(frame: Buffer): Buffer {
  return Buffer.concat([frame.subarray(6, 12), frame.subarray(0, 6), frame.subarray(12)]);
}

export class UserspaceStage extends Stage {
  readonly pipeline: Pipeline;
  /** An hour after the start, so that entries can be made older. */
  #time = 3_600_000_000_000;

  constructor(Behaviour = Pipeline) {
    const store = createMemoryStore({ sfcflow: 1024, sfcaffinity: 1024 });
    super(store);
    this.pipeline = new Behaviour(store, { port: 7081 });
  }

  close(): void {}

  protected interfaceOf(name: Name): number {
    return Object.keys(CAST).indexOf(name) + 100;
  }

  protected policyChanged(): void {
    this.pipeline.epoch += 1;
  }

  protected process(program: 'from_pod' | 'to_pod', bytes: Uint8Array, ifindex: number): Omit<Outcome, 'counted'> {
    const packet = bytes.subarray(ETHERNET);
    const buffer = new Uint8Array(OVERHEAD + packet.length);
    buffer.set(packet, OVERHEAD);
    const { pipeline } = this;
    const view = new DataView(buffer.buffer);
    pipeline.setClock(this.#time);
    this.#time += A_MILLISECOND;
    const verdict =
      program === 'from_pod'
        ? pipeline.fromPod(ifindex, view, OVERHEAD, packet.length)
        : pipeline.toPod(ifindex, view, OVERHEAD, packet.length);
    const out = buffer.subarray(pipeline.start, pipeline.start + pipeline.length);
    const framed = (ip: Uint8Array) => {
      const type = Buffer.from((ip[0] ?? 0) >> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00]);
      return Buffer.concat([bytes.subarray(0, ETHERNET - 2), ip.length === 0 ? bytes.subarray(ETHERNET - 2, ETHERNET) : type, ip]);
    };
    return {
      verdict: VERDICTS[verdict] ?? String(verdict),
      frame: framed(out),
      answer: pipeline.answers ? back(framed(pipeline.answer.subarray(0, pipeline.answerLength))) : undefined,
    };
  }
}
