/** Wire codecs: bytes in, values out, no I/O. What cannot be decoded is a `Failure`, never an exception. */

export * from './address.js';
export * from './checksum.js';
export * from './decapsulate.js';
export * from './describe.js';
export * from './description.js';
export * from './ecn.js';
export * from './encapsulate.js';
export * from './ethernet.js';
export {
  type Decoded,
  DROP_REASONS,
  type DropFailure,
  type DropReason,
  type Failed,
  type Failure,
  formatFailure,
} from './failure.js';
export type { RecordOf, WireField, WireFieldKind, WireHeader, WireRecord } from './field-table.js';
export * from './flow-hash.js';
export * from './format.js';
export * from './geneve-header.js';
export * from './headers.js';
export * from './ipv4.js';
export * from './ipv6.js';
export * from './nsh.js';
export * from './packet.js';
export * from './transport.js';
