/** Every field table: encoder and decoder against each other, reserved bits, short bytes, a buffer that begins elsewhere. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wireHeader } from './field-table.js';
import { WIRE_HEADERS, type WireHeader } from './index.js';

type Fields = Readonly<Record<string, number | Uint8Array>>;

/** What was read; a test that needs it has failed where there is nothing. */
function read(header: WireHeader, bytes: Uint8Array): Fields {
  const decoded = header.decode(bytes);
  if ('failure' in decoded) throw new Error(`${header.name} is short`);
  return decoded as Fields;
}

/** Records with every value that the fields hold. */
function records(header: WireHeader): fc.Arbitrary<Record<string, number | Uint8Array>> {
  const values = header.fields.filter(({ kind }) => kind !== 'reserved');
  return fc.record(
    Object.fromEntries(
      values.map(({ name, kind, width }) => [
        name,
        kind === 'bytes' ? fc.uint8Array({ minLength: width / 8, maxLength: width / 8 }) : fc.nat({ max: 2 ** width - 1 }),
      ]),
    ),
  );
}

describe.each(WIRE_HEADERS.map((header) => [header.name, header] as const))('%s', (_, header) => {
  const { size, fields } = header;

  it('has fields one after the other that fill it', () => {
    let at = 0;
    for (const { offset, width } of fields) {
      expect(offset).toBe(at);
      at += width;
    }
    expect(at).toBe(size * 8);
  });

  it('is read back as it was written, wherever it stands', () => {
    fc.assert(
      fc.property(records(header), fc.nat({ max: 9 }), fc.nat({ max: 9 }), (record, before, offset) => {
        const bytes = new Uint8Array(before + offset + size + 3).fill(0xff).subarray(before);
        header.write(bytes, offset, record);
        expect(header.decode(bytes, offset)).toEqual(record);
        expect(bytes.subarray(offset, offset + size)).toEqual(header.encode(record));
        expect([...bytes.subarray(0, offset), ...bytes.subarray(offset + size)].every((byte) => byte === 0xff)).toBe(true);
      }),
    );
  });

  it('reads any bytes, ignores reserved bits and writes them as zero', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
        const clean = Uint8Array.from(bytes);
        for (const { kind, offset, width } of fields)
          if (kind === 'reserved')
            for (let bit = offset; bit < offset + width; bit++) clean[bit >> 3] = (clean[bit >> 3] ?? 0) & ~(0x80 >> (bit & 7));
        const record = read(header, bytes);
        expect(record).toEqual(header.decode(clean));
        expect(header.encode(record)).toEqual(clean);
      }),
    );
  });

  it('is short, by name, of every byte that is missing', () => {
    const bytes = new Uint8Array(size + 5);
    for (let there = 0; there < size; there++) {
      const failure = { part: header.name, problem: 'short', wanted: size, found: there };
      expect(header.decode(bytes.subarray(0, there))).toEqual({ failure });
      expect(header.decode(bytes, bytes.length - there)).toEqual({ failure });
    }
    expect(header.decode(bytes, bytes.length + 1)).toMatchObject({ failure: { found: 0 } });
  });

  it('is rewritten in place from what was read there', () => {
    const bytes = Uint8Array.from({ length: size }, (_, index) => index * 37 + 1);
    const record = read(header, bytes);
    const clean = header.encode(record);
    header.write(bytes, 0, record);
    expect(bytes).toEqual(clean);
  });

  it.each(fields.filter(({ kind }) => kind !== 'reserved').map((field) => [field.name, field] as const))(
    'refuses what %s cannot hold',
    (name, field) => {
      const good = read(header, new Uint8Array(size));
      const refused: unknown[] = field.kind === 'bytes' ? [new Uint8Array(field.width / 8 + 1)] : [2 ** field.width, -1, 0.5, Number.NaN];
      for (const value of refused) expect(() => header.encode({ ...good, [name]: value as number })).toThrow(RangeError);
      for (const value of [undefined, '1', null])
        expect(() => header.encode({ ...good, [name]: value as unknown as number })).toThrow(TypeError);
    },
  );

  it('is not written where it has no room', () => {
    const record = read(header, new Uint8Array(size));
    expect(() => header.write(new Uint8Array(size), 1, record)).toThrow(`${header.name}: no room`);
  });
});

describe('a table', () => {
  it('cannot hold odd bits, a field wider than a word, or bytes between bits', () => {
    expect(() => wireHeader('odd', '', [['a', 'u4', '']])).toThrow('odd: 0.5 bytes');
    expect(() =>
      wireHeader('wide', '', [
        ['a', 'u4', ''],
        ['b', 'u32', ''],
        ['c', 'zero4', ''],
      ]),
    ).toThrow('wide.b: u32');
    expect(() =>
      wireHeader('skew', '', [
        ['a', 'u4', ''],
        ['b', 'bytes4', ''],
        ['c', 'zero4', ''],
      ]),
    ).toThrow('skew.b: bytes4');
  });

  it('reads fields across bytes from the most significant bit on', () => {
    const header = wireHeader('mixed', '', [
      ['a', 'u3', ''],
      ['b', 'u13', ''],
      ['c', 'zero1', ''],
      ['d', 'u31', ''],
    ]);
    expect(header.encode({ a: 5, b: 1, d: 0x7fffffff })).toEqual(Uint8Array.of(0xa0, 0x01, 0x7f, 0xff, 0xff, 0xff));
    expect(header.decode(Uint8Array.of(0xbf, 0xff, 0x80, 0, 0, 1))).toEqual({ a: 5, b: 0x1fff, d: 1 });
  });
});
