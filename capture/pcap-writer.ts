/** Writing captures: classic pcap, microseconds, little-endian (draft-ietf-opsawg-pcap). */

import { SfcError } from '../errors/index.js';
import { GLOBAL_HEADER_LENGTH, MAGIC, MAXIMUM_LENGTH, RECORD_HEADER_LENGTH } from './pcap-framing.js';
import type { CapturedPacket } from './pcap-reader.js';

export const LINK_TYPE = { ethernet: 1, raw: 101, cooked: 113, cookedV2: 276 } as const;

/** The file's header. `snapshotLength` in bytes, at most 262,144. */
export function pcapHeader(linkType: number, snapshotLength: number = MAXIMUM_LENGTH): Uint8Array {
  const header = Buffer.alloc(GLOBAL_HEADER_LENGTH);
  header.writeUInt32LE(MAGIC.micro, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapshotLength, 16);
  header.writeUInt32LE(linkType, 20);
  return header;
}

/** One record. Throws `CAPTURE_INVALID` for a packet that no reader would take. */
export function pcapRecord(packet: Omit<CapturedPacket, 'linkType'>): Uint8Array {
  const { data, originalLength, timestamp } = packet;
  if (data.length > MAXIMUM_LENGTH)
    throw new SfcError('CAPTURE_INVALID', `a packet of ${data.length} bytes; at most ${MAXIMUM_LENGTH} fit a record`);
  if (originalLength < data.length) throw new SfcError('CAPTURE_INVALID', `${data.length} bytes captured of a packet of ${originalLength}`);
  const record = Buffer.alloc(RECORD_HEADER_LENGTH + data.length);
  record.writeUInt32LE(Math.floor(timestamp / 1_000_000), 0);
  record.writeUInt32LE(timestamp % 1_000_000, 4);
  record.writeUInt32LE(data.length, 8);
  record.writeUInt32LE(originalLength, 12);
  record.set(data, RECORD_HEADER_LENGTH);
  return record;
}

/** A whole file. Every packet must be of the one link type. */
export function writePcap(linkType: number, packets: Iterable<Omit<CapturedPacket, 'linkType'>>): Uint8Array {
  return Buffer.concat([pcapHeader(linkType), ...Array.from(packets, pcapRecord)]);
}
