/** The agent's end of the calls to the packet thread: each waits for its answer, which takes as long as one packet does. */

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { ERRORS, type ErrorCode, SfcError } from '../../../errors/index.js';
import { MAP_NAMES, type MapName } from '../../../maps/index.js';
import { addressOf, closeFd, openEvent, writeAt } from '../../libc.js';
import { type Answer, type Call, type Opened, type PacketThreadData, type Told, WORD, WORDS } from './calls.js';

/** An answer that takes longer will not come: the longest call runs ip(8) and tc(8) a few times for every pod of a node. */
const PATIENCE_MS = 60_000;

export interface PacketThreadOptions extends Omit<PacketThreadData, 'shared' | 'wake'> {
  /** The compiled module `packet-thread.js`. */
  readonly module: string;
  readonly warn: (message: string) => void;
  /** The thread ended though nobody had stopped it. */
  readonly lost: (error: Error) => void;
}

export class PacketThread {
  readonly opened: Opened;
  readonly #worker: Worker;
  readonly #calls: MessagePort;
  readonly #shared = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
  readonly #wake = openEvent();
  readonly #one = new Uint8Array(new BigUint64Array([1n]).buffer);
  #stopped = false;

  /** Starts the thread and waits until its devices are open. Throws what opening them throws. */
  constructor({ module, warn, lost, ...settings }: PacketThreadOptions) {
    const { port1, port2 } = new MessageChannel();
    this.#calls = port1;
    const workerData = { ...settings, shared: this.#shared.buffer as SharedArrayBuffer, wake: this.#wake, calls: port2 };
    this.#worker = new Worker(module, { workerData, transferList: [port2] });
    this.#worker.on('message', ({ warning }: Told) => warn(warning));
    const ended = (error: Error) => {
      if (this.#stopped) return;
      this.#stopped = true;
      lost(new SfcError('DATAPATH_LOST', `the packet thread has ended: ${error.message}`, { cause: error }));
    };
    this.#worker.on('error', ended);
    this.#worker.on('exit', (code) => ended(new Error(`exit ${code}`)));
    // Nothing but what is attached keeps the process.
    this.#worker.unref();
    this.#calls.unref();
    Atomics.store(this.#shared, WORD.asked, 1);
    try {
      this.opened = this.#answer() as Opened;
    } catch (error) {
      this.#stopped = true;
      closeFd(this.#wake);
      throw error;
    }
  }

  /** Throws `DATAPATH_LOST`, or what the call throws over there. */
  call(call: Call): unknown {
    if (this.#stopped) throw new SfcError('DATAPATH_LOST', 'the packet thread is not running');
    this.#calls.postMessage(call);
    Atomics.add(this.#shared, WORD.asked, 1);
    writeAt(this.#wake, addressOf(this.#one), this.#one.length);
    return this.#answer();
  }

  /** Number of entries of a map: after the last call, or some packets later. */
  sizeOf(map: MapName): number {
    return Atomics.load(this.#shared, WORD.sizes + MAP_NAMES.indexOf(map));
  }

  /** Ends the thread once its devices are closed and its filters gone. Idempotent. */
  stop(): void {
    if (this.#stopped) return;
    try {
      this.call({ op: 'stop' });
    } finally {
      this.#stopped = true;
      this.#calls.close();
      closeFd(this.#wake);
    }
  }

  #answer(): unknown {
    const asked = Atomics.load(this.#shared, WORD.asked);
    for (;;) {
      const answered = Atomics.load(this.#shared, WORD.answered);
      if (answered === asked) break;
      if (Atomics.load(this.#shared, WORD.ended) === 1) throw new SfcError('DATAPATH_LOST', 'the packet thread has ended');
      if (Atomics.wait(this.#shared, WORD.answered, answered, PATIENCE_MS) === 'timed-out')
        throw new SfcError('DATAPATH_LOST', 'the packet thread does not answer');
    }
    const answer = receiveMessageOnPort(this.#calls)?.message as Answer | undefined;
    if (answer === undefined) throw new SfcError('DATAPATH_LOST', 'the packet thread gave no answer');
    if ('value' in answer) return answer.value;
    const { code, message } = answer;
    throw new SfcError(code !== undefined && code in ERRORS ? (code as ErrorCode) : 'INTERNAL', message);
  }
}
