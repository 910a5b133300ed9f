/** The packet thread: the plane and its maps, packets in turn with the agent's calls. Started by `open.ts`. */

import { setPriority } from 'node:os';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { SfcError } from '../../../errors/index.js';
import { createMemoryStore, MAP_NAMES, type MemoryStore } from '../../../maps/index.js';
import { addressOf, readAt } from '../../libc.js';
import { Answers } from './answers.js';
import { type Answer, type Call, type Opened, type PacketThreadData, WORD } from './calls.js';
import { Plane } from './plane.js';

/** Between two looks at the queues' counters. */
const COUNT_MS = 1000;

const data = workerData as PacketThreadData & { readonly calls: MessagePort };
const shared = new Int32Array(data.shared);
const tell = (warning: string) => parentPort?.postMessage({ warning });

function reply(what: Answer): void {
  data.calls.postMessage(what);
  Atomics.add(shared, WORD.answered, 1);
  Atomics.notify(shared, WORD.answered);
}

function refusal(error: unknown): Answer {
  return { code: error instanceof SfcError ? error.code : undefined, message: error instanceof Error ? error.message : String(error) };
}

/** Answers every call that is there; false after the last one there will be. */
function answerAll(answers: Answers, tellSizes: () => void): boolean {
  for (let message = receiveMessageOnPort(data.calls); message !== undefined; message = receiveMessageOnPort(data.calls)) {
    const call = message.message as Call;
    try {
      const value = answers.to(call);
      tellSizes();
      reply({ value });
    } catch (error) {
      reply(refusal(error));
    }
    if (call.op === 'stop') return false;
  }
  return true;
}

/** Until it is stopped. Throws when a device is lost. */
function run(store: MemoryStore, plane: Plane): void {
  const answers = new Answers(store, plane);
  const maps = MAP_NAMES.map((name) => store.raw(name));
  const tellSizes = () => {
    for (let index = 0; index < maps.length; index++) Atomics.store(shared, WORD.sizes + index, maps[index]?.size() ?? 0);
  };
  const counter = new Uint8Array(8);
  const counterAddress = addressOf(counter);
  const asked = () => Atomics.load(shared, WORD.asked) !== Atomics.load(shared, WORD.answered);
  let countAt = 0;
  plane.watch(data.wake);
  for (;;) {
    const ready = plane.wait(COUNT_MS);
    if (asked() && !answerAll(answers, tellSizes)) return;
    for (let index = 0; index < ready; index++) {
      const fd = plane.readable(index);
      if (fd === data.wake) readAt(fd, counterAddress, counter.length);
      else plane.pump(fd, asked);
      tellSizes();
      if (asked() && !answerAll(answers, tellSizes)) return;
    }
    const now = performance.now();
    if (now >= countAt) {
      plane.countOverruns();
      countAt = now + COUNT_MS;
    }
  }
}

/** Undefined when the answer is why not. */
function open(store: MemoryStore): Plane | undefined {
  try {
    // process.hrtime() is CLOCK_MONOTONIC, performance.now() the same since the thread began, without making an array.
    const [seconds, nanoseconds] = process.hrtime();
    const began = seconds * 1e9 + nanoseconds - performance.now() * 1e6;
    const monotonic = () => Math.round(began + performance.now() * 1e6);
    const plane = new Plane(store, { port: data.port, gso: data.gso, warn: tell, monotonic });
    reply({ value: { gso: plane.gso } satisfies Opened });
    return plane;
  } catch (error) {
    reply(refusal(error));
    return undefined;
  }
}

/** Of 0 to 19: behind the agent's own thread, whose questions are short, where packets would take every CPU. */
const NICENESS = 5;
// setpriority(2): 0 is the calling thread, on Linux not its process.
setPriority(0, NICENESS);

try {
  const store = createMemoryStore(data.capacities);
  const plane = open(store);
  if (plane !== undefined) run(store, plane);
} finally {
  // Also what a thread that fails with a call unanswered says: nobody waits for it in vain.
  Atomics.store(shared, WORD.ended, 1);
  Atomics.notify(shared, WORD.answered);
  data.calls.close();
}
