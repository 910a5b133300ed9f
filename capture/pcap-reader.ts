/**
 * Reading captures: the one module that touches the pcap-parser package. That package is old: it
 * believes declared lengths, keeps everything it cannot use yet, and says nothing of a truncated
 * tail. So `PcapFraming` checks every length first and feeds it one whole record at a time.
 */

import { EventEmitter } from 'node:events';
import { createReadStream } from 'node:fs';
import { parse } from 'pcap-parser';
import { SfcError } from '../errors/index.js';
import { PcapFraming } from './pcap-framing.js';

export interface CapturedPacket {
  /** Microseconds since 1970. */
  readonly timestamp: number;
  /** Length on the wire; `data` is shorter when the capture cut it. */
  readonly originalLength: number;
  /** LINKTYPE_ number: 1 = Ethernet, 101 = raw IP, 113 and 276 = Linux cooked. */
  readonly linkType: number;
  readonly data: Uint8Array;
}

/** What pcap-parser takes for a stream; it is only ever given whole frames. */
class FrameStream extends EventEmitter {
  pause(): void {}
  resume(): void {}
}

/**
 * The packets of a classic pcap file (microseconds, either byte order), as it streams in. A path, or
 * the bytes in pieces. Throws `CAPTURE_INVALID` at the first thing that cannot be: another format
 * (named), a length that is not credible, a truncated tail. Packets before it were yielded.
 */
export async function* readPcap(
  source: string | AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  name = nameOf(source),
): AsyncGenerator<CapturedPacket> {
  const framing = new PcapFraming(name);
  const stream = new FrameStream();
  const parsed: CapturedPacket[] = [];
  let linkType = 0;
  let refused: Error | undefined;
  parse(stream)
    // The link type shares its 32 bits with the length of a frame check sequence (upper bits).
    .on('globalHeader', (header) => {
      linkType = header.linkLayerType & 0xffff;
    })
    .on('packet', ({ header, data }) => {
      parsed.push({
        timestamp: header.timestampSeconds * 1_000_000 + header.timestampMicroseconds,
        originalLength: header.originalLength,
        linkType,
        data,
      });
    })
    .on('error', (error) => {
      refused = error;
    });
  for await (const chunk of typeof source === 'string' ? chunksOf(source) : source) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (const frame of framing.push(bytes)) {
      stream.emit('data', frame);
      if (refused !== undefined) throw new SfcError('CAPTURE_INVALID', `${name}: ${refused.message}`, { cause: refused });
      yield* parsed.splice(0);
    }
  }
  framing.finish();
}

/** All packets of a file at once. Throws `CAPTURE_INVALID`. */
export async function readCapture(file: string): Promise<readonly CapturedPacket[]> {
  const packets: CapturedPacket[] = [];
  for await (const packet of readPcap(file)) packets.push(packet);
  return packets;
}

async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new SfcError('CAPTURE_INVALID', `${file}: ${(cause as Error).message}`, { cause });
  }
}

function nameOf(source: unknown): string {
  return typeof source === 'string' ? source : 'capture';
}
