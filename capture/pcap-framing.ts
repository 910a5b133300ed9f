/**
 * The framing of a classic pcap file, checked while it streams in: what is handed on is one whole
 * global header, then whole records, each of a length that was checked before a byte of it was kept.
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

export type ByteOrder = 'big' | 'little';

export function readU32(bytes: Buffer, offset: number, order: ByteOrder): number {
  return order === 'big' ? bytes.readUInt32BE(offset) : bytes.readUInt32LE(offset);
}

function readU16(bytes: Buffer, offset: number, order: ByteOrder): number {
  return order === 'big' ? bytes.readUInt16BE(offset) : bytes.readUInt16LE(offset);
}

/** Cuts a byte stream into the global header and records. One for each file. */
export class PcapFraming {
  readonly #name: string;
  #pending: Buffer[] = [];
  #held = 0;
  /** Bytes that must be there before the next step; known lengths only. */
  #wanted = GLOBAL_HEADER_LENGTH;
  #order: ByteOrder | undefined;
  #bodyKnown = false;
  #offset = 0;

  /** `name`: the file, for messages. */
  constructor(name: string) {
    this.#name = name;
  }

  /**
   * Takes the next bytes and yields the frames that are now whole. Throws `CAPTURE_INVALID` at the
   * first byte that cannot be: nothing is handed on of a record whose length is not credible.
   */
  *push(chunk: Buffer): Generator<Buffer> {
    this.#pending.push(chunk);
    this.#held += chunk.length;
    while (this.#held >= this.#wanted) {
      const held = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending, this.#held);
      const taken = this.#step(held);
      const rest = held.subarray(taken);
      this.#pending = rest.length === 0 ? [] : [rest];
      this.#held = rest.length;
      if (taken > 0) yield held.subarray(0, taken);
    }
  }

  /** The stream has ended. Throws `CAPTURE_INVALID` when it ended inside a header or a record. */
  finish(): void {
    if (this.#order === undefined) this.#fail(`${this.#held} bytes where a pcap header takes ${GLOBAL_HEADER_LENGTH}`);
    if (this.#held > 0)
      this.#fail(`truncated: ends after ${this.#held} bytes of a record that needs ${this.#bodyKnown ? this.#wanted : 'at least 16'}`);
  }

  /** Reads what has become readable; returns the length of the frame that is whole, or 0 when only its length became known. */
  #step(held: Buffer): number {
    if (this.#order === undefined) {
      this.#order = this.#globalHeader(held);
    } else if (!this.#bodyKnown) {
      const captured = readU32(held, 8, this.#order);
      const original = readU32(held, 12, this.#order);
      if (captured > MAXIMUM_LENGTH) this.#fail(`a record claims ${captured} captured bytes; at most ${MAXIMUM_LENGTH} are read`);
      if (original < captured) this.#fail(`a record claims ${captured} bytes captured of a packet of ${original}`);
      this.#bodyKnown = true;
      this.#wanted = RECORD_HEADER_LENGTH + captured;
      return 0;
    }
    const taken = this.#wanted;
    this.#offset += taken;
    this.#wanted = RECORD_HEADER_LENGTH;
    this.#bodyKnown = false;
    return taken;
  }

  #globalHeader(held: Buffer): ByteOrder {
    const big = held.readUInt32BE(0);
    const little = held.readUInt32LE(0);
    if (big === MAGIC.pcapng) this.#fail('pcapng, which is not read');
    if (big === MAGIC.nano || little === MAGIC.nano) this.#fail('pcap with nanosecond timestamps, which is not read');
    if (big !== MAGIC.micro && little !== MAGIC.micro) this.#fail(`no pcap file: it starts with 0x${big.toString(16).padStart(8, '0')}`);
    const order: ByteOrder = big === MAGIC.micro ? 'big' : 'little';
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
