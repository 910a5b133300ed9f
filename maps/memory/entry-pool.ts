/**
 * What an LPM trie holds, apart from how it is found: prefix and value of each entry, in pools of
 * fixed-size slots that double as needed. An entry is named by its slot's index.
 *
 *     word  0    1    2       3  4  5  6   7
 *           s0   s1   length  w0 w1 w2 w3  LIVE, or the next free slot
 */

/** A prefix in canonical form: bits of the address words past `length` are zero. Words are signed. */
export interface LpmPrefix {
  /** The static part, which always matches in full. */
  readonly s0: number;
  readonly s1: number;
  /** Bits of the address that count, 0..128. */
  readonly length: number;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

const STRIDE = 8;
const LIVE = -2;
const END = -1;

export class EntryPool {
  readonly #valueSize: number;
  /** Slots at most. */
  readonly #limit: number;
  #prefixes: Int32Array;
  #values: Uint8Array;
  /** Slots that were ever in use. */
  #reach = 0;
  #free = END;

  constructor(valueSize: number, limit: number) {
    this.#valueSize = valueSize;
    this.#limit = limit;
    const slots = Math.min(64, limit);
    this.#prefixes = new Int32Array(slots * STRIDE);
    this.#values = new Uint8Array(slots * valueSize);
  }

  /** Writes a new entry and returns its index. The caller keeps the number of entries under the limit. */
  take(prefix: LpmPrefix, value: Uint8Array): number {
    let entry = this.#free;
    if (entry === END) {
      if (this.#reach * STRIDE === this.#prefixes.length) this.#grow();
      entry = this.#reach;
      this.#reach += 1;
    } else {
      this.#free = this.#prefixes[entry * STRIDE + 7] as number;
    }
    this.#values.set(value, entry * this.#valueSize);
    this.#prefixes.set([prefix.s0, prefix.s1, prefix.length, prefix.w0, prefix.w1, prefix.w2, prefix.w3, LIVE], entry * STRIDE);
    return entry;
  }

  release(entry: number): void {
    this.#prefixes[entry * STRIDE + 7] = this.#free;
    this.#free = entry;
  }

  prefixLength(entry: number): number {
    return this.#prefixes[entry * STRIDE + 2] as number;
  }

  prefix(entry: number): LpmPrefix {
    const [s0 = 0, s1 = 0, length = 0, w0 = 0, w1 = 0, w2 = 0, w3 = 0] = this.#prefixes.subarray(entry * STRIDE, entry * STRIDE + 7);
    return { s0, s1, length, w0, w1, w2, w3 };
  }

  /** A copy. */
  value(entry: number): Uint8Array {
    return this.#values.slice(entry * this.#valueSize, (entry + 1) * this.#valueSize);
  }

  valueByte(entry: number, offset: number): number {
    return this.#values[entry * this.#valueSize + offset] as number;
  }

  /** Unsigned big-endian word at `offset` of the value. */
  valueWord(entry: number, offset: number): number {
    const values = this.#values;
    const at = entry * this.#valueSize + offset;
    return (
      (((values[at] as number) << 24) |
        ((values[at + 1] as number) << 16) |
        ((values[at + 2] as number) << 8) |
        (values[at + 3] as number)) >>>
      0
    );
  }

  /** Indexes of all entries. */
  *live(): IterableIterator<number> {
    for (let entry = 0; entry < this.#reach; entry += 1) {
      if (this.#prefixes[entry * STRIDE + 7] === LIVE) yield entry;
    }
  }

  #grow(): void {
    const slots = Math.min(this.#reach * 2, this.#limit);
    const prefixes = new Int32Array(slots * STRIDE);
    const values = new Uint8Array(slots * this.#valueSize);
    prefixes.set(this.#prefixes);
    values.set(this.#values);
    this.#prefixes = prefixes;
    this.#values = values;
  }
}
