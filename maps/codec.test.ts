import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCodec, type LayoutRecord } from './codec.js';
import { type Field, type Layout, MAP_NAMES, MAPS } from './layouts.js';
import { mapCodecs } from './typed.js';

const layouts: readonly Layout[] = MAP_NAMES.flatMap((name) => [MAPS[name].key, MAPS[name].value]);
const client = Uint8Array.of(10, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

function fieldsOf(layout: Layout): readonly Field[] {
  return layout.fields.filter((field) => field.kind !== 'pad');
}

function limitOf(field: Field): number {
  return field.width === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * field.width) - 1;
}

/** Any record of a layout, with the smallest and largest integers among them. */
function records(layout: Layout): fc.Arbitrary<LayoutRecord> {
  const arbitraries = fieldsOf(layout).map((field) => {
    const value: fc.Arbitrary<number | Uint8Array> =
      field.kind === 'uint'
        ? fc.maxSafeNat().map((n) => n % (limitOf(field) + 1))
        : fc.uint8Array({ minLength: field.width, maxLength: field.width });
    const edge = field.kind === 'uint' ? fc.constantFrom(0, limitOf(field)) : value;
    return [field.name, fc.oneof(value, edge)] as const;
  });
  return fc.record(Object.fromEntries(arbitraries));
}

describe.each(layouts.map((layout) => [layout.name, layout] as const))('the codec of %s', (_, layout) => {
  const codec = createCodec<LayoutRecord>(layout);
  const zero = codec.decode(new Uint8Array(layout.size));

  it('gives back every record it encoded, in either byte order', () => {
    for (const order of ['LE', 'BE'] as const) {
      const ordered = createCodec<LayoutRecord>(layout, order);
      fc.assert(
        fc.property(records(layout), (record) => {
          expect(ordered.decode(ordered.encode(record))).toEqual({ ...record });
        }),
      );
    }
  });

  it('refuses a record with any one field left out, by name', () => {
    for (const field of fieldsOf(layout)) {
      const { [field.name]: _left, ...rest } = zero;
      expect(() => codec.encode(rest)).toThrow(`${layout.name}.${field.name}`);
    }
  });

  it('refuses a value wider than its field, and integers that are none', () => {
    for (const field of fieldsOf(layout)) {
      const wrong =
        field.kind === 'uint' ? [limitOf(field) + 1, -1, 0.5, Number.NaN] : [new Uint8Array(field.width + 1), new Uint8Array(0)];
      for (const value of wrong) expect(() => codec.encode({ ...zero, [field.name]: value })).toThrow(RangeError);
    }
  });

  it('refuses a value of the wrong type', () => {
    for (const field of fieldsOf(layout)) {
      const value = field.kind === 'uint' ? new Uint8Array(field.width) : 1;
      expect(() => codec.encode({ ...zero, [field.name]: value })).toThrow(TypeError);
    }
  });

  it('writes zeros as padding and does not read it', () => {
    const noise = new Uint8Array(layout.size);
    for (const field of layout.fields) if (field.kind === 'pad') noise.fill(0xa5, field.offset, field.offset + field.width);
    expect(codec.decode(noise)).toEqual(zero);
    expect(codec.encode(codec.decode(noise))).toEqual(new Uint8Array(layout.size));
  });

  it('refuses bytes of another length', () => {
    expect(() => codec.decode(new Uint8Array(layout.size - 1))).toThrow(expect.objectContaining({ code: 'LAYOUT_DRIFT' }));
    expect(() => codec.decode(new Uint8Array(layout.size + 1))).toThrow(expect.objectContaining({ code: 'LAYOUT_DRIFT' }));
  });

  it('reads bytes that do not start at offset 0 of their buffer', () => {
    fc.assert(
      fc.property(records(layout), (record) => {
        const backing = new Uint8Array(layout.size + 3).fill(0xff);
        backing.set(codec.encode(record), 3);
        expect(codec.decode(backing.subarray(3))).toEqual({ ...record });
      }),
    );
  });
});

describe('the bytes of a key', () => {
  const selector = { prefix_len: 96, endpoint: 3783, family: 1, flags: 1, port: 443, protocol: 6, address: client };

  it('keeps packet fields big-endian and kernel fields in host order', () => {
    const little = Buffer.from(mapCodecs('sfcselect', 'LE').key.encode(selector)).toString('hex');
    const big = Buffer.from(mapCodecs('sfcselect', 'BE').key.encode(selector)).toString('hex');
    expect(little).toBe('60000000c70e010101bb06000a080002000000000000000000000000');
    expect(big).toBe('000000600ec7010101bb06000a080002000000000000000000000000');
  });

  it('writes a path as SPI then SI, as the NSH header has it', () => {
    expect([...mapCodecs('sfcpath').key.encode({ path: (0x010203 << 8) | 4 })]).toEqual([1, 2, 3, 4]);
  });

  it('refuses to read a counter that a number cannot hold', () => {
    const { value } = mapCodecs('metrics', 'LE');
    const bytes = value.encode({ packets: Number.MAX_SAFE_INTEGER, bytes: 0 });
    expect(value.decode(bytes).packets).toBe(Number.MAX_SAFE_INTEGER);
    bytes[6] = 0x20;
    expect(() => value.decode(bytes)).toThrow('metrics_value.packets');
  });
});
