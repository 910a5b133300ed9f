/**
 * Reading captures: the one module that touches the pcap-parser package. That package is old: it
 * believes declared lengths, keeps everything it cannot use yet, knows no nanoseconds, and says
 * nothing of a truncated tail. So `PcapFraming` checks every length first and feeds it whole records.
 */

import { EventEmitter } from 'node:events';
import { createReadStream } from 'node:fs';
import { parse } from 'pcap-parser';
import { SfcError } from '../errors/index.js';
import { MAGIC, PcapFraming } from './pcap-framing.js';

export interface CapturedPacket {
  /** Microseconds since 1970. */
  readonly timestamp: number;
  /** What a file of nanoseconds says beyond that, 0..999; left out where the file counts microseconds. */
  readonly nanoseconds?: number;
  /** Length on the wire; `data` is shorter when the capture cut it. */
  readonly originalLength: number;
  /** LINKTYPE_ number: 1 = Ethernet, 101 = raw IP, 113 and 276 = Linux cooked. */
  readonly linkType: number;
  readonly data: Uint8Array;
}

/** What became readable at once. */
export interface CaptureBatch {
  /** Of the file. */
  readonly linkType: number;
  /** The file's timestamps are in nanoseconds. */
  readonly nanoseconds: boolean;
  /** Bytes of the file that were read up to the end of this batch. */
  readonly bytes: number;
  /** None in the first batch: it stands for the file's header. */
  readonly packets: readonly CapturedPacket[];
}

/** A path, or the bytes in pieces. */
export type CaptureSource = string | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Bytes a read: a batch is what one read completes, so this bounds the packets in memory. */
const READ_BYTES = 131_072;

/** What pcap-parser takes for a stream; it is only ever given whole records. */
class FrameStream extends EventEmitter {
  pause(): void {}
  resume(): void {}
}

/** The header as pcap-parser knows it: with the magic of microseconds, in the file's byte order. */
function asMicroseconds(header: Buffer): Buffer {
  const copy = Buffer.from(header);
  if (header.readUInt32BE(0) === MAGIC.nano) copy.writeUInt32BE(MAGIC.micro, 0);
  else if (header.readUInt32LE(0) === MAGIC.nano) copy.writeUInt32LE(MAGIC.micro, 0);
  return copy;
}

/**
 * A classic pcap file as it streams in: microseconds or nanoseconds, either byte order. Throws
 * `CAPTURE_INVALID` at the first thing that cannot be: another format (named), a length that is not
 * credible, a truncated tail. Everything before it was yielded. The next piece is asked for when the
 * batch before it was taken.
 */
export async function* readPcapBatches(source: CaptureSource, name = nameOf(source)): AsyncGenerator<CaptureBatch> {
  const framing = new PcapFraming(name);
  const stream = new FrameStream();
  let packets: CapturedPacket[] = [];
  let linkType = 0;
  let nanoseconds = false;
  let refused: Error | undefined;
  parse(stream)
    // The link type shares its 32 bits with the length of a frame check sequence (upper bits).
    .on('globalHeader', (header) => {
      linkType = header.linkLayerType & 0xffff;
    })
    .on('packet', ({ header, data }) => {
      const { timestampSeconds: seconds, timestampMicroseconds: fraction, originalLength } = header;
      if (nanoseconds) {
        const timestamp = seconds * 1_000_000 + Math.floor(fraction / 1000);
        packets.push({ timestamp, nanoseconds: fraction % 1000, originalLength, linkType, data });
      } else packets.push({ timestamp: seconds * 1_000_000 + fraction, originalLength, linkType, data });
    })
    .on('error', (error) => {
      refused = error;
    });
  for await (const chunk of typeof source === 'string' ? chunksOf(source) : source) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let before = framing.offset;
    for (const run of framing.push(bytes)) {
      nanoseconds = framing.nanoseconds;
      stream.emit('data', before === 0 ? asMicroseconds(run) : run);
      if (refused !== undefined) throw new SfcError('CAPTURE_INVALID', `${name}: ${refused.message}`, { cause: refused });
      before += run.length;
      const batch = { linkType, nanoseconds, bytes: before, packets };
      packets = [];
      yield batch;
    }
  }
  framing.finish();
}

/** The packets of `readPcapBatches`, one at a time. */
export async function* readPcap(source: CaptureSource, name = nameOf(source)): AsyncGenerator<CapturedPacket> {
  for await (const { packets } of readPcapBatches(source, name)) yield* packets;
}

/** All packets of a file at once. Throws `CAPTURE_INVALID`, `INPUT_UNREADABLE`. */
export async function readCapture(file: string): Promise<readonly CapturedPacket[]> {
  const packets: CapturedPacket[] = [];
  for await (const batch of readPcapBatches(file)) packets.push(...batch.packets);
  return packets;
}

async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new SfcError('INPUT_UNREADABLE', `${file}: ${(cause as Error).message}`, { cause });
  }
}

function nameOf(source: unknown): string {
  return typeof source === 'string' ? source : 'capture';
}
