/** Records to fixed-size bytes and back, from a layout. Padding is zero on encode, ignored on decode. */

import { endianness } from 'node:os';
import { SfcError } from '../errors/index.js';
import type { Field, Layout } from './layouts.js';

export type ByteOrder = 'LE' | 'BE';

/** Order of this machine, which the kernel reads `host` fields in. */
export const HOST_ORDER: ByteOrder = endianness();

/** What a layout can hold: integers as numbers (u64 up to 2^53 - 1), everything else as bytes. */
export type LayoutRecord = { readonly [field: string]: number | Uint8Array };

export interface Codec<T> {
  readonly layout: Layout;
  /**
   * A fresh array of `layout.size` bytes. A field left out or of the wrong type is a TypeError, an
   * integer or byte array of the wrong width a RangeError: both are mistakes of the caller.
   */
  encode(record: T): Uint8Array;
  /** Byte fields are copies. Throws `SfcError` `LAYOUT_DRIFT` when the length is not `layout.size`. */
  decode(bytes: Uint8Array): T;
}

/** The codec of one layout; `T` names its fields (`records.ts`). */
export function createCodec<T extends LayoutRecord>(layout: Layout, hostOrder: ByteOrder = HOST_ORDER): Codec<T> {
  const fields = layout.fields.filter((field) => field.kind !== 'pad');

  function encode(record: T): Uint8Array {
    const bytes = new Uint8Array(layout.size);
    const view = new DataView(bytes.buffer);
    for (const field of fields) {
      const value = record[field.name];
      if (field.kind === 'uint') writeUint(view, layout, field, value, littleEndian(field, hostOrder));
      else bytes.set(checkedBytes(layout, field, value), field.offset);
    }
    return bytes;
  }

  function decode(bytes: Uint8Array): T {
    if (bytes.length !== layout.size) {
      throw new SfcError('LAYOUT_DRIFT', `${layout.name} is ${layout.size} bytes, got ${bytes.length}`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const record: Record<string, number | Uint8Array> = {};
    for (const field of fields) {
      record[field.name] =
        field.kind === 'uint'
          ? readUint(view, layout, field, littleEndian(field, hostOrder))
          : bytes.slice(field.offset, field.offset + field.width);
    }
    return record as T;
  }

  return { layout, encode, decode };
}

function littleEndian(field: Field, hostOrder: ByteOrder): boolean {
  return field.order === 'host' && hostOrder === 'LE';
}

function checkedBytes(layout: Layout, field: Field, value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array))
    throw new TypeError(`${layout.name}.${field.name}: ${field.width} bytes wanted, got ${describe(value)}`);
  if (value.length !== field.width) {
    throw new RangeError(`${layout.name}.${field.name}: ${field.width} bytes wanted, got ${value.length}`);
  }
  return value;
}

function writeUint(view: DataView, layout: Layout, field: Field, value: unknown, little: boolean): void {
  if (typeof value !== 'number') throw new TypeError(`${layout.name}.${field.name}: a number wanted, got ${describe(value)}`);
  const limit = field.width === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (field.width * 8) - 1;
  if (!Number.isInteger(value) || value < 0 || value > limit) {
    throw new RangeError(`${layout.name}.${field.name}: ${value} is not an integer from 0 to ${limit}`);
  }
  if (field.width === 1) view.setUint8(field.offset, value);
  else if (field.width === 2) view.setUint16(field.offset, value, little);
  else if (field.width === 4) view.setUint32(field.offset, value, little);
  else {
    view.setUint32(field.offset + (little ? 4 : 0), Math.floor(value / 2 ** 32), little);
    view.setUint32(field.offset + (little ? 0 : 4), value % 2 ** 32, little);
  }
}

function readUint(view: DataView, layout: Layout, field: Field, little: boolean): number {
  if (field.width === 1) return view.getUint8(field.offset);
  if (field.width === 2) return view.getUint16(field.offset, little);
  if (field.width === 4) return view.getUint32(field.offset, little);
  const high = view.getUint32(field.offset + (little ? 4 : 0), little);
  if (high >= 2 ** 21) throw new RangeError(`${layout.name}.${field.name}: the value is 2^53 or more, which a number cannot hold`);
  return high * 2 ** 32 + view.getUint32(field.offset + (little ? 0 : 4), little);
}

function describe(value: unknown): string {
  return value === undefined ? 'nothing' : typeof value;
}
