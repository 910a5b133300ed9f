/**
 * Headers as tables of fields. From one table come the header's decoder, its encoder, its TypeScript
 * type and its part of docs/reference/wire.md.
 *
 * Everything is big-endian. Offsets and widths are in bits, counted as the RFCs draw them: bit 0 is
 * the most significant bit of the first byte.
 */

import { type Decoded, short } from './failure.js';

export type WireFieldKind = 'uint' | 'bytes' | 'reserved';

export interface WireField {
  readonly name: string;
  readonly offset: number;
  readonly width: number;
  readonly kind: WireFieldKind;
  /** Of a reserved field: what a sender writes. A receiver ignores what is there. */
  readonly reserved?: number;
  readonly doc: string;
}

/** `u` numbers, `bytes` addresses (width in bytes), `zero` reserved bits. */
type FieldType = `u${number}` | `bytes${number}` | `zero${number}`;
type Draft = readonly [name: string, type: FieldType, doc: string];

type ValueNames<Drafts extends readonly Draft[]> = {
  [Index in keyof Drafts]: Drafts[Index][1] extends `zero${number}` ? never : Drafts[Index][0];
}[number];

/** A header's fields by name, reserved ones left out: integers as numbers, addresses as bytes. */
export type WireRecord<Drafts extends readonly Draft[]> = {
  readonly [Name in ValueNames<Drafts>]: Extract<Drafts[number], readonly [Name, ...unknown[]]>[1] extends `bytes${number}`
    ? Uint8Array
    : number;
};

export interface WireHeader<T = Readonly<Record<string, number | Uint8Array>>> {
  /** As failures and the documentation name it. */
  readonly name: string;
  /** The document that defines it. */
  readonly source: string;
  /** Bytes. */
  readonly size: number;
  readonly fields: readonly WireField[];
  /** The header at byte `offset`. Byte fields are views of `bytes`. Fails, naming the header, when fewer than `size` bytes are there. */
  decode(bytes: Uint8Array, offset?: number): Decoded<T>;
  /** A fresh array of `size` bytes. A value of the wrong type is a TypeError, one that does not fit a RangeError. */
  encode(record: T): Uint8Array;
  /** The same into `target` at byte `offset`, over whatever is there; the record may be one decoded from that place. */
  write(target: Uint8Array, offset: number, record: T): void;
}

/** The record type of a header. */
export type RecordOf<H> = H extends WireHeader<infer T> ? T : never;

/** Lays fields one after the other. A field that no 32-bit word covers, or a size in odd bits, is a mistake here. */
export function wireHeader<const Drafts extends readonly Draft[]>(
  name: string,
  source: string,
  drafts: Drafts,
): WireHeader<WireRecord<Drafts>> {
  const fields = layFields(name, drafts);
  const size = fields.reduce((bits, field) => bits + field.width, 0) / 8;
  if (!Number.isInteger(size)) throw new Error(`${name}: ${size} bytes; fill it with reserved bits`);
  const values = fields.filter((field) => field.kind !== 'reserved');

  function decode(bytes: Uint8Array, offset = 0): Decoded<WireRecord<Drafts>> {
    if (bytes.length - offset < size) return short(name, size, Math.max(0, bytes.length - offset));
    const record: Record<string, number | Uint8Array> = {};
    for (const field of values) {
      const at = offset + (field.offset >>> 3);
      record[field.name] = field.kind === 'bytes' ? bytes.subarray(at, at + field.width / 8) : readBits(bytes, at, field);
    }
    return record as WireRecord<Drafts>;
  }

  function write(target: Uint8Array, offset: number, record: WireRecord<Drafts>): void {
    if (target.length - offset < size) throw new RangeError(`${name}: no room for ${size} bytes at ${offset} of ${target.length}`);
    for (const field of fields) {
      const value = field.reserved ?? (record as Record<string, unknown>)[field.name];
      const at = offset + (field.offset >>> 3);
      if (field.kind === 'bytes') target.set(checkedBytes(name, field, value), at);
      else writeBits(target, at, field, checkedUint(name, field, value));
    }
  }

  function encode(record: WireRecord<Drafts>): Uint8Array {
    const bytes = new Uint8Array(size);
    write(bytes, 0, record);
    return bytes;
  }

  return { name, source, size, fields, decode, encode, write };
}

function layFields(header: string, drafts: readonly Draft[]): readonly WireField[] {
  let offset = 0;
  return drafts.map(([name, type, doc]) => {
    const [, letters, digits] = /^(u|bytes|zero)(\d+)$/.exec(type) ?? [];
    const kind = letters === 'u' ? 'uint' : letters === 'bytes' ? 'bytes' : 'reserved';
    const width = Number(digits) * (kind === 'bytes' ? 8 : 1);
    if (kind === 'bytes' ? offset % 8 !== 0 : (offset % 8) + width > 32)
      throw new Error(`${header}.${name}: ${type} cannot stand at bit ${offset}`);
    const field = { name, offset, width, kind, doc, ...(kind === 'reserved' ? { reserved: 0 } : {}) } satisfies WireField;
    offset += width;
    return field;
  });
}

/** Bytes that the field touches, and how far its last bit stands from the end of them. */
function spanOf({ offset, width }: WireField): readonly [bytes: number, shift: number] {
  const bits = (offset & 7) + width;
  const bytes = (bits + 7) >>> 3;
  return [bytes, bytes * 8 - bits];
}

function readBits(bytes: Uint8Array, at: number, field: WireField): number {
  const [span, shift] = spanOf(field);
  let word = 0;
  for (let i = 0; i < span; i++) word = word * 256 + (bytes[at + i] ?? 0);
  return (word >>> shift) % 2 ** field.width;
}

function writeBits(target: Uint8Array, at: number, field: WireField, value: number): void {
  const [span, shift] = spanOf(field);
  const word = value * 2 ** shift;
  const mask = (2 ** field.width - 1) * 2 ** shift;
  for (let i = 0; i < span; i++) {
    const down = 8 * (span - 1 - i);
    target[at + i] = ((target[at + i] ?? 0) & ~(mask >>> down)) | (word >>> down);
  }
}

function checkedUint(header: string, field: WireField, value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${header}.${field.name}: a number wanted, got ${typeof value}`);
  const limit = 2 ** field.width - 1;
  if (!Number.isInteger(value) || value < 0 || value > limit)
    throw new RangeError(`${header}.${field.name}: ${value} is not an integer from 0 to ${limit}`);
  return value;
}

function checkedBytes(header: string, field: WireField, value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${header}.${field.name}: bytes wanted, got ${typeof value}`);
  if (value.length * 8 !== field.width)
    throw new RangeError(`${header}.${field.name}: ${field.width / 8} bytes wanted, got ${value.length}`);
  return value;
}
