/** What the packet thread answers to each call: the maps' side of `calls.ts`. */

import type { MemoryStore } from '../../../maps/index.js';
import { type Call, CHUNK, type Listed } from './calls.js';
import type { Plane } from './plane.js';

type Entries = Iterator<readonly [key: Uint8Array, value: Uint8Array]>;

/** Lists of maps that are being read, each a chunk at a time. */
class Lists {
  readonly #open = new Map<number, Entries>();
  #last = 0;

  begin(entries: Entries): Listed {
    this.#last += 1;
    this.#open.set(this.#last, entries);
    return this.next(this.#last);
  }

  next(cursor: number): Listed {
    const parts: Uint8Array[] = [];
    const list = this.#open.get(cursor);
    let over = list === undefined;
    for (let count = 0; list !== undefined && !over && count < CHUNK; count++) {
      const step = list.next();
      if (step.done === true) over = true;
      else parts.push(...step.value);
    }
    if (over) this.#open.delete(cursor);
    return { entries: new Uint8Array(Buffer.concat(parts)), cursor: over ? undefined : cursor };
  }

  leave(cursor: number): void {
    this.#open.get(cursor)?.return?.();
    this.#open.delete(cursor);
  }
}

function* records(packed: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < packed.length; at += size) yield packed.subarray(at, at + size);
}

export class Answers {
  readonly #store: MemoryStore;
  readonly #plane: Pick<Plane, 'attach' | 'detach' | 'policyChanged' | 'close'>;
  readonly #lists = new Lists();

  constructor(store: MemoryStore, plane: Pick<Plane, 'attach' | 'detach' | 'policyChanged' | 'close'>) {
    this.#store = store;
    this.#plane = plane;
  }

  /** Throws what the map or the plane throws. */
  to(call: Call): unknown {
    switch (call.op) {
      case 'get':
        return this.#store.raw(call.map).get(call.key);
      case 'delete':
        return this.#store.raw(call.map).delete(call.key);
      case 'setMany': {
        const map = this.#store.raw(call.map);
        const { size } = map.spec.key;
        const entries = [...records(call.entries, size + map.spec.value.size)];
        return map.setMany(entries.map((entry) => [entry.subarray(0, size), entry.subarray(size)] as const));
      }
      case 'deleteMany': {
        const map = this.#store.raw(call.map);
        return map.deleteMany([...records(call.keys, map.spec.key.size)]);
      }
      case 'list':
        return this.#lists.begin(this.#store.raw(call.map).entries()[Symbol.iterator]());
      case 'next':
        return this.#lists.next(call.cursor);
      case 'leave':
        return this.#lists.leave(call.cursor);
      case 'attach':
        return this.#plane.attach(call.ifindex, call.ifname);
      case 'detach':
        return this.#plane.detach(call.ifindex);
      case 'policyChanged':
        return this.#plane.policyChanged();
      case 'stop':
        return this.#plane.close();
    }
  }
}
