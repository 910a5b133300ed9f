/**
 * The framing of a classic pcap file, checked while it streams in: what is handed on is one whole
 * global header, then runs of whole records, each of a length that was checked before a byte of it
 * was kept.
 *
 *   | global header, 24 bytes | record header, 16 | captured bytes | record header, 16 | ...
 *
 * Format: draft-ietf-opsawg-pcap. Integers are in the writer's byte order, which the magic shows.
 */

import { SfcError } from '../errors/index.js';

export const GLOBAL_HEADER_LENGTH = 24;
export const RECORD_HEADER_LENGTH = 16;
/** libpcap's own bound (MAXIMUM_SNAPLEN), and ours for every declared length. */
export const MAXIMUM_LENGTH = 262_144;

export const MAGIC = { micro: 0xa1b2c3d4, nano: 0xa1b23c4d, pcapng: 0x0a0d0d0a } as const;

/** The first two bytes of a compressed file, and what unpacks it. */
const COMPRESSED: ReadonlyMap<number, string> = new Map([
  [0x1f8b, 'zcat'],
  [0x28b5, 'zstdcat'],
  [0x425a, 'bzcat'],
  [0xfd37, 'xzcat'],
]);

export type ByteOrder = 'big' | 'little';

function readU32(bytes: Buffer, offset: number, order: ByteOrder): number {
  return order === 'big' ? bytes.readUInt32BE(offset) : bytes.readUInt32LE(offset);
}

function readU16(bytes: Buffer, offset: number, order: ByteOrder): number {
  return order === 'big' ? bytes.readUInt16BE(offset) : bytes.readUInt16LE(offset);
}

/** Cuts a byte stream into the global header and runs of records. One for each file. */
export class PcapFraming {
  readonly #name: string;
  #pending: Buffer[] = [];
  #held = 0;
  /** Bytes that must be there before the next step; known lengths only. */
  #wanted = GLOBAL_HEADER_LENGTH;
  #order: ByteOrder | undefined;
  #nanoseconds = false;
  #bodyKnown = false;
  #offset = 0;

  /** `name`: the file, for messages. */
  constructor(name: string) {
    this.#name = name;
  }

  /** The fractions of its timestamps are nanoseconds; known from the global header on. */
  get nanoseconds(): boolean {
    return this.#nanoseconds;
  }

  /** Bytes handed on: where the first record stands that is not whole, or cannot be. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Takes the next bytes and yields what is now whole: the global header alone, or one or more
   * records. Throws `CAPTURE_INVALID` at the first byte that cannot be, after everything before it was
   * handed on: nothing is of a record whose length is not credible.
   */
  *push(chunk: Buffer): Generator<Buffer> {
    this.#pending.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#wanted) return;
    let held = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending, this.#held);
    if (this.#order === undefined) {
      this.#order = this.#globalHeader(held);
      yield held.subarray(0, this.#take(GLOBAL_HEADER_LENGTH));
      held = held.subarray(GLOBAL_HEADER_LENGTH);
    }
    const start = this.#offset;
    let refusal: unknown;
    try {
      while (held.length - (this.#offset - start) >= this.#wanted) this.#step(held, this.#offset - start);
    } catch (error) {
      refusal = error;
    }
    const whole = this.#offset - start;
    if (whole > 0) yield held.subarray(0, whole);
    if (refusal !== undefined) throw refusal;
    const rest = held.subarray(whole);
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
  }

  /** The stream has ended. Throws `CAPTURE_INVALID` when it ended inside a header or a record. */
  finish(): void {
    if (this.#order === undefined) this.#fail(`${this.#held} bytes where a pcap header takes ${GLOBAL_HEADER_LENGTH}`);
    if (this.#held > 0)
      this.#fail(`truncated: ends after ${this.#held} bytes of a record that needs ${this.#bodyKnown ? this.#wanted : 'at least 16'}`);
  }

  /** Reads what has become readable of the record at `at`: its length, then the whole of it. */
  #step(held: Buffer, at: number): void {
    if (this.#bodyKnown) {
      this.#take(this.#wanted);
      return;
    }
    const captured = readU32(held, at + 8, this.#order as ByteOrder);
    const original = readU32(held, at + 12, this.#order as ByteOrder);
    if (captured > MAXIMUM_LENGTH) this.#fail(`a record claims ${captured} captured bytes; at most ${MAXIMUM_LENGTH} are read`);
    if (original < captured) this.#fail(`a record claims ${captured} bytes captured of a packet of ${original}`);
    this.#bodyKnown = true;
    this.#wanted = RECORD_HEADER_LENGTH + captured;
  }

  /** So many bytes are whole; a record header comes next. */
  #take(length: number): number {
    this.#offset += length;
    this.#wanted = RECORD_HEADER_LENGTH;
    this.#bodyKnown = false;
    return length;
  }

  #globalHeader(held: Buffer): ByteOrder {
    const big = held.readUInt32BE(0);
    const little = held.readUInt32LE(0);
    if (big === MAGIC.pcapng) this.#fail('pcapng, which is not read');
    const unpacker = COMPRESSED.get(big >>> 16);
    if (unpacker !== undefined) this.#fail(`a compressed file, which is not read; unpack it first (${unpacker})`);
    const magic = [MAGIC.micro, MAGIC.nano].find((one) => one === big || one === little);
    if (magic === undefined) this.#fail(`no pcap file: it starts with 0x${big.toString(16).padStart(8, '0')}`);
    this.#nanoseconds = magic === MAGIC.nano;
    const order: ByteOrder = magic === big ? 'big' : 'little';
    const version = `${readU16(held, 4, order)}.${readU16(held, 6, order)}`;
    if (version !== '2.4') this.#fail(`pcap version ${version}; 2.4 is read`);
    const snapshot = readU32(held, 16, order);
    if (snapshot > MAXIMUM_LENGTH) this.#fail(`a snapshot length of ${snapshot}; at most ${MAXIMUM_LENGTH} is read`);
    return order;
  }

  #fail(what: string): never {
    throw new SfcError('CAPTURE_INVALID', `${this.#name}: at byte ${this.#offset}: ${what}`);
  }
}
