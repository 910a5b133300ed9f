/** Writing captures: classic pcap, little-endian (draft-ietf-opsawg-pcap). */

import { SfcError } from '../errors/index.js';
import { GLOBAL_HEADER_LENGTH, MAGIC, MAXIMUM_LENGTH, RECORD_HEADER_LENGTH } from './pcap-framing.js';
import type { CapturedPacket } from './pcap-reader.js';

export const LINK_TYPE = { ethernet: 1, raw: 101, cooked: 113, rawIpv4: 228, rawIpv6: 229, cookedV2: 276 } as const;

const MICROSECONDS = 1_000_000;
const LAST_SECOND = 0xffff_ffff;

/** The file's header. `snapshotLength` in bytes, at most 262,144. */
export function pcapHeader(linkType: number, snapshotLength: number = MAXIMUM_LENGTH, nanoseconds = false): Uint8Array {
  const header = Buffer.alloc(GLOBAL_HEADER_LENGTH);
  header.writeUInt32LE(nanoseconds ? MAGIC.nano : MAGIC.micro, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapshotLength, 16);
  header.writeUInt32LE(linkType, 20);
  return header;
}

/** `timestamp` past the year 2106, which only a broken capture has, stands as the last second there is. */
function writeRecordHeader(bytes: Buffer, at: number, timestamp: number, fraction: number, captured: number, original: number): void {
  bytes.writeUInt32LE(Math.min(LAST_SECOND, Math.floor(timestamp / MICROSECONDS)), at);
  bytes.writeUInt32LE(fraction, at + 4);
  bytes.writeUInt32LE(captured, at + 8);
  bytes.writeUInt32LE(original, at + 12);
}

/** One record of a file of microseconds. Throws `CAPTURE_INVALID` for a packet that no reader would take. */
export function pcapRecord(packet: Omit<CapturedPacket, 'linkType'>): Uint8Array {
  const { data, originalLength, timestamp } = packet;
  if (data.length > MAXIMUM_LENGTH)
    throw new SfcError('CAPTURE_INVALID', `a packet of ${data.length} bytes; at most ${MAXIMUM_LENGTH} fit a record`);
  if (originalLength < data.length) throw new SfcError('CAPTURE_INVALID', `${data.length} bytes captured of a packet of ${originalLength}`);
  const record = Buffer.alloc(RECORD_HEADER_LENGTH + data.length);
  writeRecordHeader(record, 0, timestamp, timestamp % MICROSECONDS, data.length, originalLength);
  record.set(data, RECORD_HEADER_LENGTH);
  return record;
}

/** A whole file. Every packet must be of the one link type. */
export function writePcap(linkType: number, packets: Iterable<Omit<CapturedPacket, 'linkType'>>): Uint8Array {
  return Buffer.concat([pcapHeader(linkType), ...Array.from(packets, pcapRecord)]);
}

/** Room for this many bytes is kept between two writes; a batch that needs more gets more. */
const ROOM = 262_144;

/**
 * Writes a capture of any length piece by piece, with bounded memory. Records are gathered until
 * `flush`, which hands them to the sink and waits until it has taken them.
 */
export class PcapStreamWriter {
  readonly #sink: (bytes: Uint8Array) => Promise<void>;
  readonly #nanoseconds: boolean;
  #bytes = Buffer.allocUnsafe(ROOM);
  #used = 0;
  packets = 0;

  constructor(sink: (bytes: Uint8Array) => Promise<void>, linkType: number, nanoseconds: boolean) {
    this.#sink = sink;
    this.#nanoseconds = nanoseconds;
    this.#bytes.set(pcapHeader(linkType, MAXIMUM_LENGTH, nanoseconds));
    this.#used = GLOBAL_HEADER_LENGTH;
  }

  /** Adds one record of a link header and what follows it, together at most 262,144 bytes. `of`: whose times it has. */
  add(of: Pick<CapturedPacket, 'timestamp' | 'nanoseconds'>, head: Uint8Array, body: Uint8Array, originalLength: number): void {
    const length = head.length + body.length;
    const end = this.#used + RECORD_HEADER_LENGTH + length;
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(2 * end);
      this.#bytes.copy(grown, 0, 0, this.#used);
      this.#bytes = grown;
    }
    const micro = of.timestamp % MICROSECONDS;
    const fraction = this.#nanoseconds ? micro * 1000 + (of.nanoseconds ?? 0) : micro;
    writeRecordHeader(this.#bytes, this.#used, of.timestamp, fraction, length, Math.max(length, originalLength));
    this.#bytes.set(head, this.#used + RECORD_HEADER_LENGTH);
    this.#bytes.set(body, this.#used + RECORD_HEADER_LENGTH + head.length);
    this.#used = end;
    this.packets += 1;
  }

  async flush(): Promise<void> {
    if (this.#used === 0) return;
    await this.#sink(this.#bytes.subarray(0, this.#used));
    this.#used = 0;
    if (this.#bytes.length > 4 * ROOM) this.#bytes = Buffer.allocUnsafe(ROOM);
  }
}
