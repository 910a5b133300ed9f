/** The packet thread: the plane and its maps, packets in turn with the agent's calls. Started by `open.ts`. */

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { SfcError } from '../../../errors/index.js';
import { createMemoryStore, type MemoryStore } from '../../../maps/index.js';
import { addressOf, readAt } from '../../libc.js';
import { type Answer, type Call, CHUNK, type Opened, type PacketThreadData, WORD } from './calls.js';
import { Plane } from './plane.js';

/** Between two looks at the queues' counters. */
const COUNT_MS = 1000;

const data = workerData as PacketThreadData & { readonly calls: MessagePort };
const shared = new Int32Array(data.shared);
const tell = (warning: string) => parentPort?.postMessage({ warning });

class Lists {
  readonly #open = new Map<number, Iterator<readonly [key: Uint8Array, value: Uint8Array]>>();
  #last = 0;

  begin(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): number {
    this.#last += 1;
    this.#open.set(this.#last, entries[Symbol.iterator]());
    return this.#last;
  }

  /** The next entries, packed; none: the list is over and forgotten. */
  next(cursor: number): Uint8Array {
    const parts: Uint8Array[] = [];
    const list = this.#open.get(cursor);
    for (let count = 0; list !== undefined && count < CHUNK; count++) {
      const step = list.next();
      if (step.done === true) break;
      parts.push(...step.value);
    }
    if (parts.length === 0) this.#open.delete(cursor);
    return new Uint8Array(Buffer.concat(parts));
  }

  leave(cursor: number): void {
    this.#open.get(cursor)?.return?.();
    this.#open.delete(cursor);
  }
}

function* records(packed: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < packed.length; at += size) yield packed.subarray(at, at + size);
}

function answer(call: Call, store: MemoryStore, plane: Plane, lists: Lists): unknown {
  switch (call.op) {
    case 'get':
      return store.raw(call.map).get(call.key);
    case 'delete':
      return store.raw(call.map).delete(call.key);
    case 'size':
      return store.raw(call.map).size();
    case 'setMany': {
      const map = store.raw(call.map);
      const { size } = map.spec.key;
      const entries = [...records(call.entries, size + map.spec.value.size)];
      return map.setMany(entries.map((entry) => [entry.subarray(0, size), entry.subarray(size)] as const));
    }
    case 'deleteMany': {
      const map = store.raw(call.map);
      return map.deleteMany([...records(call.keys, map.spec.key.size)]);
    }
    case 'list':
      return lists.begin(store.raw(call.map).entries());
    case 'next':
      return lists.next(call.cursor);
    case 'leave':
      return lists.leave(call.cursor);
    case 'attach':
      return plane.attach(call.ifindex, call.ifname);
    case 'detach':
      return plane.detach(call.ifindex);
    case 'policyChanged':
      return plane.policyChanged();
    case 'stop':
      return plane.close();
  }
}

function reply(what: Answer): void {
  data.calls.postMessage(what);
  Atomics.add(shared, WORD.answered, 1);
  Atomics.notify(shared, WORD.answered);
}

function refusal(error: unknown): Answer {
  return { code: error instanceof SfcError ? error.code : undefined, message: error instanceof Error ? error.message : String(error) };
}

/** Answers every call that is there; false after the last one there will be. */
function answerAll(store: MemoryStore, plane: Plane, lists: Lists): boolean {
  for (let message = receiveMessageOnPort(data.calls); message !== undefined; message = receiveMessageOnPort(data.calls)) {
    const call = message.message as Call;
    try {
      reply({ value: answer(call, store, plane, lists) });
    } catch (error) {
      reply(refusal(error));
    }
    if (call.op === 'stop') return false;
  }
  return true;
}

function run(store: MemoryStore, plane: Plane): void {
  const lists = new Lists();
  const counter = new Uint8Array(8);
  const counterAddress = addressOf(counter);
  const asked = () => Atomics.load(shared, WORD.asked) !== Atomics.load(shared, WORD.answered);
  let countAt = 0;
  plane.watch(data.wake);
  for (;;) {
    const ready = plane.wait(COUNT_MS);
    if (asked() && !answerAll(store, plane, lists)) return;
    for (let index = 0; index < ready; index++) {
      const fd = plane.readable(index);
      if (fd === data.wake) readAt(fd, counterAddress, counter.length);
      else plane.pump(fd, asked);
      if (asked() && !answerAll(store, plane, lists)) return;
    }
    const now = performance.now();
    if (now >= countAt) {
      plane.countOverruns();
      countAt = now + COUNT_MS;
    }
  }
}

try {
  const store = createMemoryStore(data.capacities);
  // process.hrtime() is CLOCK_MONOTONIC, performance.now() the same since the thread began, without making an array.
  const [seconds, nanoseconds] = process.hrtime();
  const began = seconds * 1e9 + nanoseconds - performance.now() * 1e6;
  const monotonic = () => Math.round(began + performance.now() * 1e6);
  const plane = new Plane(store, { port: data.port, gso: data.gso, warn: tell, monotonic });
  reply({ value: { gso: plane.gso } satisfies Opened });
  run(store, plane);
} catch (error) {
  reply(refusal(error));
} finally {
  Atomics.store(shared, WORD.ended, 1);
  data.calls.close();
}
