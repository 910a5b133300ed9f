import { describe, expect, it } from 'vitest';
import { type OuterVersion, unwrapVirtioHeader, VIRTIO_HEADER, wrapVirtioHeader } from './virtio-header.js';

const ETHERNET = 14;
/** By version of the outer IP header: its length, all that stands before the packet, and the type's bit. */
const TUNNELS = [
  [4, { ip: 20, overhead: 48, bit: 0x20 }],
  [6, { ip: 40, overhead: 68, bit: 0x40 }],
] as const;

interface Fields {
  readonly flags: number;
  readonly type: number;
  readonly headers: number;
  readonly size: number;
  readonly start: number;
  readonly offset: number;
}

/** Segments of many frames' length, as the kernel hands them over: 20 or 40 bytes of IP, 32 of TCP or 8 of UDP, the sum missing. */
const SEGMENTS = {
  'TCP over IPv4': { flags: 1, type: 1, headers: 52, size: 1448, start: 20, offset: 16 },
  'TCP over IPv6': { flags: 1, type: 4, headers: 72, size: 1428, start: 40, offset: 16 },
  'TCP over IPv6 that met congestion': { flags: 1, type: 0x84, headers: 72, size: 1428, start: 40, offset: 16 },
  'UDP over IPv6': { flags: 1, type: 5, headers: 48, size: 1432, start: 40, offset: 6 },
} as const;
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

const moved = (fields: Fields, by: number): Fields => ({ ...fields, headers: fields.headers + by, start: fields.start + by });

describe.each([['little', true] as const, ['big', false] as const])('a virtio header on a %s-endian machine', (_, little) => {
  const wrap = (fields: Fields, overhead: number, outer: OuterVersion = 4) => {
    const view = new DataView(new ArrayBuffer(100));
    write(view, 0, fields, little);
    wrapVirtioHeader(view, 0, 40, ETHERNET, ETHERNET, overhead, outer, little);
    return { fields: read(view, 40, little), tunnel: [view.getUint16(60, true), view.getUint16(62, true)] };
  };
  const unwrap = (fields: Fields, overhead: number) => {
    const view = new DataView(new ArrayBuffer(100));
    write(view, 0, fields, little);
    unwrapVirtioHeader(view, 0, 40, overhead, ETHERNET, little);
    return read(view, 40, little);
  };

  describe.each(Object.entries(SEGMENTS))('of a whole segment of %s', (_, segment) => {
    it.each(TUNNELS)('says, wrapped in IPv%i, that it is in such a UDP tunnel, and where its headers have moved', (outer, tunnel) => {
      expect(wrap(segment, tunnel.overhead, outer)).toEqual({
        fields: { ...moved(segment, ETHERNET + tunnel.overhead), type: segment.type | tunnel.bit },
        // The outer UDP header stands behind link and outer IP header, the inner IP header behind all of it.
        tunnel: [ETHERNET + tunnel.ip, ETHERNET + tunnel.overhead],
      });
    });

    it.each(TUNNELS)('is, unwrapped of IPv%i, what it was before, behind its link header', (outer, { overhead }) => {
      expect(unwrap(wrap(segment, overhead, outer).fields, overhead)).toEqual(moved(segment, ETHERNET));
    });

    it('moves, where it is not wrapped, by the link header alone', () => {
      expect(wrap(segment, 0)).toEqual({ fields: moved(segment, ETHERNET), tunnel: [0, 0] });
      expect(unwrap(wrap(segment, 0).fields, 0)).toEqual(moved(segment, ETHERNET));
    });
  });

  it.each(TUNNELS)(
    'of a frame’s segment moves by the outer headers of IPv%i alone, and of one in that tunnel not at all',
    (outer, tunnel) => {
      const view = new DataView(new ArrayBuffer(100));
      const segment = SEGMENTS['TCP over IPv4'];
      write(view, 0, moved(segment, ETHERNET), little);
      wrapVirtioHeader(view, 0, 40, 0, ETHERNET, tunnel.overhead, outer, little);
      const wrapped = { ...moved(segment, ETHERNET + tunnel.overhead), type: segment.type | tunnel.bit };
      const places = [ETHERNET + tunnel.ip, ETHERNET + tunnel.overhead];
      expect([read(view, 40, little), view.getUint16(60, true), view.getUint16(62, true)]).toEqual([wrapped, ...places]);
      wrapVirtioHeader(view, 40, 70, 0, ETHERNET, 0, outer, little);
      expect([read(view, 70, little), view.getUint16(90, true), view.getUint16(92, true)]).toEqual([wrapped, ...places]);
    },
  );

  it.each([
    ['IPv4', 'IPv6', TUNNELS[0], TUNNELS[1]],
    ['IPv6', 'IPv4', TUNNELS[1], TUNNELS[0]],
  ] as const)(
    'of a segment in a tunnel over %s that goes on over %s is that of the other tunnel',
    (_, __, [first, before], [second, after]) => {
      const view = new DataView(new ArrayBuffer(100));
      const segment = SEGMENTS['TCP over IPv6'];
      write(view, 0, moved(segment, ETHERNET), little);
      wrapVirtioHeader(view, 0, 40, 0, ETHERNET, before.overhead, first, little);
      wrapVirtioHeader(view, 40, 70, 0, ETHERNET, after.overhead - before.overhead, second, little);
      expect(read(view, 70, little)).toEqual({ ...moved(segment, ETHERNET + after.overhead), type: segment.type | after.bit });
      expect([view.getUint16(90, true), view.getUint16(92, true)]).toEqual([ETHERNET + after.ip, ETHERNET + after.overhead]);
    },
  );

  it.each(TUNNELS)('of a finished packet stays one, wrapped in IPv%i or not', (outer, { overhead }) => {
    expect(wrap(finished, overhead, outer)).toEqual({ fields: finished, tunnel: [0, 0] });
    expect(wrap(finished, 0)).toEqual({ fields: finished, tunnel: [0, 0] });
    expect(unwrap(wrap(finished, overhead, outer).fields, overhead)).toEqual(finished);
  });

  it.each(TUNNELS)('of a packet with a missing sum keeps it missing, in its new place, in IPv%i', (outer, { overhead }) => {
    const unsummed = { ...finished, flags: 1, start: 20, offset: 6 };
    expect(wrap(unsummed, overhead, outer).fields).toEqual({ ...unsummed, start: 20 + ETHERNET + overhead });
  });

  it.each(TUNNELS)('forgets, unwrapped, a sum that was missing in the outer headers of IPv%i', (_, { ip, overhead }) => {
    expect(unwrap({ ...finished, flags: 1, start: ETHERNET + ip, offset: 6 }, overhead)).toEqual(finished);
  });

  it('is clean where nothing was said, whatever stood there', () => {
    const view = new DataView(new Uint8Array(100).fill(0xff).buffer);
    write(view, 0, finished, little);
    wrapVirtioHeader(view, 0, 40, ETHERNET, ETHERNET, 48, 4, little);
    expect([...new Uint8Array(view.buffer, 50, VIRTIO_HEADER - 10)]).toEqual(new Array(VIRTIO_HEADER - 10).fill(0));
  });
});
