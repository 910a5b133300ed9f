import { describe, expect, it } from 'vitest';
import { unwrapVirtioHeader, VIRTIO_HEADER, wrapVirtioHeader } from './virtio-header.js';

const ETHERNET = 14;
const OVERHEAD = 48;

interface Fields {
  readonly flags: number;
  readonly type: number;
  readonly headers: number;
  readonly size: number;
  readonly start: number;
  readonly offset: number;
}

/** A TCP segment of many frames' length, as the kernel hands it over: 20 bytes of IPv4, 32 of TCP, the sum missing. */
const segment: Fields = { flags: 1, type: 1, headers: 52, size: 1448, start: 20, offset: 16 };
const finished: Fields = { flags: 0, type: 0, headers: 0, size: 0, start: 0, offset: 0 };

function write(view: DataView, at: number, { flags, type, headers, size, start, offset }: Fields, little: boolean): void {
  view.setUint8(at, flags);
  view.setUint8(at + 1, type);
  [headers, size, start, offset].forEach((word, index) => {
    view.setUint16(at + 2 + 2 * index, word, little);
  });
}

function read(view: DataView, at: number, little: boolean): Fields {
  const word = (index: number) => view.getUint16(at + 2 + 2 * index, little);
  return { flags: view.getUint8(at), type: view.getUint8(at + 1), headers: word(0), size: word(1), start: word(2), offset: word(3) };
}

describe.each([['little', true] as const, ['big', false] as const])('a virtio header on a %s-endian machine', (_, little) => {
  const wrap = (fields: Fields, overhead: number) => {
    const view = new DataView(new ArrayBuffer(100));
    write(view, 0, fields, little);
    wrapVirtioHeader(view, 0, 40, ETHERNET, ETHERNET, overhead, little);
    return { fields: read(view, 40, little), tunnel: [view.getUint16(60, true), view.getUint16(62, true)] };
  };
  const unwrap = (fields: Fields, overhead: number) => {
    const view = new DataView(new ArrayBuffer(100));
    write(view, 0, fields, little);
    unwrapVirtioHeader(view, 0, 40, overhead, ETHERNET, little);
    return read(view, 40, little);
  };

  it('of a whole segment says, wrapped, that it is one in a UDP tunnel over IPv4, and where its headers have moved', () => {
    expect(wrap(segment, OVERHEAD)).toEqual({
      fields: { flags: 1, type: 0x21, headers: 52 + 14 + 48, size: 1448, start: 20 + 14 + 48, offset: 16 },
      // The outer UDP header stands behind link and outer IPv4 header, the inner IP header behind all of it.
      tunnel: [14 + 20, 14 + 48],
    });
  });

  it('of a segment that is not wrapped moves by the link header alone', () => {
    expect(wrap(segment, 0)).toEqual({ fields: { ...segment, headers: 66, start: 34 }, tunnel: [0, 0] });
  });

  it('of a whole frame’s segment moves by the outer headers alone, and of one in a tunnel not at all', () => {
    const view = new DataView(new ArrayBuffer(100));
    const framed = { ...segment, headers: 66, start: 34 };
    write(view, 0, framed, little);
    wrapVirtioHeader(view, 0, 40, 0, ETHERNET, OVERHEAD, little);
    const wrapped = { flags: 1, type: 0x21, headers: 66 + 48, size: 1448, start: 34 + 48, offset: 16 };
    expect([read(view, 40, little), view.getUint16(60, true), view.getUint16(62, true)]).toEqual([wrapped, 34, 62]);
    wrapVirtioHeader(view, 40, 70, 0, ETHERNET, 0, little);
    expect([read(view, 70, little), view.getUint16(90, true), view.getUint16(92, true)]).toEqual([wrapped, 34, 62]);
  });

  it('of a finished packet stays one, wrapped or not', () => {
    expect(wrap(finished, OVERHEAD)).toEqual({ fields: finished, tunnel: [0, 0] });
    expect(wrap(finished, 0)).toEqual({ fields: finished, tunnel: [0, 0] });
  });

  it('of a packet with a missing sum keeps it missing, in its new place', () => {
    const unsummed = { ...finished, flags: 1, start: 20, offset: 6 };
    expect(wrap(unsummed, OVERHEAD).fields).toEqual({ ...unsummed, start: 20 + 14 + 48 });
  });

  it('is, unwrapped, what it was before, behind its link header', () => {
    expect(unwrap(wrap(segment, OVERHEAD).fields, OVERHEAD)).toEqual({ ...segment, headers: 66, start: 34 });
    expect(unwrap(wrap(finished, OVERHEAD).fields, OVERHEAD)).toEqual(finished);
    expect(unwrap(wrap(segment, 0).fields, 0)).toEqual({ ...segment, headers: 66, start: 34 });
  });

  it('forgets, unwrapped, a sum that was missing in the outer headers', () => {
    expect(unwrap({ ...finished, flags: 1, start: 14 + 20, offset: 6 }, OVERHEAD)).toEqual(finished);
  });

  it('is clean where nothing was said, whatever stood there', () => {
    const view = new DataView(new Uint8Array(100).fill(0xff).buffer);
    write(view, 0, finished, little);
    wrapVirtioHeader(view, 0, 40, ETHERNET, ETHERNET, OVERHEAD, little);
    expect([...new Uint8Array(view.buffer, 50, VIRTIO_HEADER - 10)]).toEqual(new Array(VIRTIO_HEADER - 10).fill(0));
  });
});
