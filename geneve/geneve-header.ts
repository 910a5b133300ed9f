/**
 * Geneve (RFC 8926): the base header and its options.
 *
 *      0                   1                   2                   3
 *     +---+-----------+-+-+-----------+-------------------------------+
 *     |Ver| opt words |O|C| reserved  | protocol type                 |
 *     +---+-----------+-+-+-----------+---------------+---------------+
 *     | virtual network identifier                    | reserved      |
 *     +-----------------------------------------------+---------------+
 *     | option class                  |C| option type |  rsvd | words |  and the option's body,
 *     +-------------------------------+-+-------------+-------+-------+  `words` * 4 bytes
 */

import { type Decoded, short } from './failure.js';
import { type RecordOf, wireHeader } from './field-table.js';

export const GENEVE_HEADER = wireHeader('Geneve header', 'RFC 8926 3.4', [
  ['version', 'u2', '0'],
  ['optionWords', 'u6', 'length of all options, in 4-byte words'],
  ['control', 'u1', 'O: a control packet'],
  ['critical', 'u1', 'C: at least one option is critical'],
  ['reserved', 'zero6', 'reserved'],
  ['protocolType', 'u16', 'ethertype of the inner packet'],
  ['vni', 'u24', 'virtual network identifier'],
  ['reserved2', 'zero8', 'reserved'],
]);
export type GeneveHeader = RecordOf<typeof GENEVE_HEADER>;

export const GENEVE_OPTION_HEADER = wireHeader('Geneve option', 'RFC 8926 3.5', [
  ['class', 'u16', 'namespace of the type'],
  ['type', 'u8', 'the most significant bit says that the option is critical'],
  ['reserved', 'zero3', 'reserved'],
  ['words', 'u5', 'length of the body, in 4-byte words; this header is not counted'],
]);

export const GENEVE_VERSION = 0;
/** Geneve's own port (6081) is taken by CNIs: this is the default of the steering port. */
export const STEERING_PORT = 7081;
/** The bit of an option's type that forbids a receiver to ignore it. */
export const OPTION_CRITICAL = 0x80;

export interface GeneveOption extends RecordOf<typeof GENEVE_OPTION_HEADER> {
  /** A receiver that does not know the option must drop the packet (RFC 8926 3.5). */
  readonly critical: boolean;
  /** A view of the packet. */
  readonly body: Uint8Array;
  /** Of header and body, bytes. */
  readonly length: number;
}

/** The option at byte `offset`. Options end at byte `end`: one that runs past it fails. */
export function decodeGeneveOption(bytes: Uint8Array, offset: number, end: number): Decoded<GeneveOption> {
  const limit = Math.min(end, bytes.length);
  const header = GENEVE_OPTION_HEADER.decode(bytes.subarray(0, limit), offset);
  if ('failure' in header) return header;
  const length = GENEVE_OPTION_HEADER.size + header.words * 4;
  if (offset + length > limit) return short('Geneve option', length, limit - offset);
  return { ...header, critical: (header.type & OPTION_CRITICAL) !== 0, body: bytes.subarray(offset + 4, offset + length), length };
}

/** An option of this class and type around `body`, whose length is a multiple of 4, at most 124. */
export function encodeGeneveOption(option: { readonly class: number; readonly type: number; readonly body: Uint8Array }): Uint8Array {
  const bytes = new Uint8Array(GENEVE_OPTION_HEADER.size + option.body.length);
  GENEVE_OPTION_HEADER.write(bytes, 0, { class: option.class, type: option.type, words: option.body.length / 4 });
  bytes.set(option.body, GENEVE_OPTION_HEADER.size);
  return bytes;
}
