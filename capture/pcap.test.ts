import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SfcError } from '../errors/index.js';
import {
  type CapturedPacket,
  LINK_TYPE,
  MAXIMUM_LENGTH,
  PcapStreamWriter,
  pcapHeader,
  pcapRecord,
  readCapture,
  readPcap,
  readPcapBatches,
  writePcap,
} from './index.js';

async function all(...chunks: Uint8Array[]): Promise<CapturedPacket[]> {
  const packets: CapturedPacket[] = [];
  for await (const packet of readPcap(chunks)) packets.push(packet);
  return packets;
}

async function refusal(...chunks: Uint8Array[]): Promise<{ code: string; message: string }> {
  try {
    await all(...chunks);
  } catch (error) {
    if (error instanceof SfcError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('it was read');
}

const packet = (data: string, timestamp = 1_700_000_000_123_456) => ({
  timestamp,
  originalLength: data.length / 2,
  data: Uint8Array.from(Buffer.from(data, 'hex')),
});

/** As a big-endian machine writes it. `tcpdump -tt -nr` (4.99) reads: 1700000000.123456 [|ether], link-type EN10MB, snapshot length 262144. */
const BIG_ENDIAN = Buffer.from('a1b2c3d400020004000000000000000000040000000000016553f1000001e24000000003000000040a0b0c', 'hex');

describe('a capture that was written', () => {
  it('is read back as it was, whatever the pieces it arrives in', async () => {
    const record = fc.record({
      timestamp: fc.integer({ min: 0, max: 4_294_967_295_999_999 }),
      data: fc.uint8Array({ maxLength: 300 }),
      cut: fc.nat({ max: 1000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 8 }), fc.integer({ min: 1, max: 64 }), async (records, piece) => {
        const packets = records.map(({ timestamp, data, cut }) => ({ timestamp, data, originalLength: data.length + cut }));
        const file = writePcap(LINK_TYPE.ethernet, packets);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < file.length; at += piece) pieces.push(file.subarray(at, at + piece));
        const read = await all(...pieces);
        expect(read.map(({ timestamp, originalLength, data }) => ({ timestamp, originalLength, data: Uint8Array.from(data) }))).toEqual(
          packets.map(({ timestamp, originalLength, data }) => ({ timestamp, originalLength, data })),
        );
        expect(read.every(({ linkType }) => linkType === LINK_TYPE.ethernet)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('is read from a file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pcap-'));
    try {
      await writeFile(join(directory, 'a.pcap'), writePcap(LINK_TYPE.raw, [packet('4500'), packet('4501')]));
      expect((await readCapture(join(directory, 'a.pcap'))).map(({ data }) => Buffer.from(data).toString('hex'))).toEqual(['4500', '4501']);
      await expect(readCapture(join(directory, 'none.pcap'))).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('a capture of either byte order', () => {
  it('is read, big-endian', async () => {
    const [read] = await all(BIG_ENDIAN);
    expect(read).toMatchObject({ timestamp: 1_700_000_000_123_456, originalLength: 4, linkType: 1 });
    expect(Buffer.from(read?.data ?? []).toString('hex')).toBe('0a0b0c');
  });

  it('leaves the bits of the frame check sequence out of the link type', async () => {
    const [read] = await all(pcapHeader(0x5400_0001), pcapRecord(packet('00')));
    expect(read?.linkType).toBe(1);
  });
});

/** Written by editcap (`-t 0.000000789 -F nsecpcap`); `tcpdump -tt --nano -nr` reads: 1700000000.123456789 IP [|ip], link-type RAW. */
const NANOSECONDS = Buffer.from('4d3cb2a1020004000000000000000000000004006500000000f1536515cd5b07040000002800000045000028', 'hex');

describe('a capture of nanoseconds', () => {
  const expected = { timestamp: 1_700_000_000_123_456, nanoseconds: 789, originalLength: 40, linkType: LINK_TYPE.raw };

  it('is read to the nanosecond, in either byte order', async () => {
    const turned = Buffer.from(NANOSECONDS);
    for (const [at, size] of [
      [0, 4],
      [4, 2],
      [6, 2],
      [16, 4],
      [20, 4],
      [24, 4],
      [28, 4],
      [32, 4],
      [36, 4],
    ] as const)
      turned.subarray(at, at + size).reverse();
    for (const bytes of [NANOSECONDS, turned]) expect(await all(bytes)).toMatchObject([expected]);
  });

  it('is written as one', async () => {
    const pieces: Uint8Array[] = [];
    const writer = new PcapStreamWriter(async (bytes) => void pieces.push(Uint8Array.from(bytes)), LINK_TYPE.raw, true);
    const [packet] = await all(NANOSECONDS);
    if (packet === undefined) throw new Error('nothing was read');
    writer.add(packet, new Uint8Array(0), packet.data, packet.originalLength);
    await writer.flush();
    expect(Buffer.concat(pieces).toString('hex')).toBe(NANOSECONDS.toString('hex'));
  });
});

describe('a capture piece by piece', () => {
  const file = writePcap(LINK_TYPE.ethernet, [packet('01'), packet('0203'), packet('040506')]);

  it('comes in batches: the header, then what each piece completes, each with how far the file was read', async () => {
    const batches: [number, number][] = [];
    const cut = 24 + 17 + 3;
    for await (const { packets, bytes } of readPcapBatches([file.subarray(0, cut), file.subarray(cut)]))
      batches.push([packets.length, bytes]);
    expect(batches).toEqual([
      [0, 24],
      [1, 24 + 17],
      [2, file.length],
    ]);
  });

  it('is asked for the next piece only when the one before was taken', async () => {
    let given = 0;
    function* pieces(): Generator<Uint8Array> {
      for (let at = 0; at < file.length; at += 10) {
        given += 1;
        yield file.subarray(at, at + 10);
      }
    }
    for await (const { packets } of readPcapBatches(pieces())) if (packets.length > 0) break;
    expect(given).toBe(5);
  });
});

describe('a stream writer', () => {
  it('writes what the whole file would be, whatever is flushed when, and grows for a batch that is large', async () => {
    const packets = Array.from({ length: 500 }, (_, n) => ({
      timestamp: n * 1_000_001,
      originalLength: 2000 + n,
      data: new Uint8Array(1000 + n).fill(n),
    }));
    for (const every of [1, 7, 500]) {
      const pieces: Uint8Array[] = [];
      const writer = new PcapStreamWriter(async (bytes) => void pieces.push(Uint8Array.from(bytes)), LINK_TYPE.raw, false);
      for (const [n, one] of packets.entries()) {
        writer.add(one, one.data.subarray(0, 10), one.data.subarray(10), one.originalLength);
        if (n % every === 0) await writer.flush();
      }
      await writer.flush();
      expect(writer.packets).toBe(packets.length);
      expect(Buffer.compare(Buffer.concat(pieces), writePcap(LINK_TYPE.raw, packets))).toBe(0);
    }
  });
});

describe('a file that is something else', () => {
  const header = Buffer.from(pcapHeader(LINK_TYPE.ethernet));
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(header);
    change(bytes);
    return bytes;
  };

  it.each([
    ['pcapng', Buffer.concat([Buffer.from('0a0d0d0a', 'hex'), Buffer.alloc(40)]), 'pcapng'],
    ['gzip', Buffer.concat([Buffer.from('1f8b0800', 'hex'), Buffer.alloc(40)]), 'unpack it first (zcat)'],
    ['zstd', Buffer.concat([Buffer.from('28b52ffd', 'hex'), Buffer.alloc(40)]), 'unpack it first (zstdcat)'],
    ['text', Buffer.from('apiVersion: networking.gke.io/v1\n'), 'no pcap file: it starts with 0x61706956'],
    ['version 2.3', changed((bytes) => bytes.writeUInt16LE(3, 6)), 'version 2.3'],
    // pcap-parser alone takes this one: it compares the two numbers with the wrong connective.
    ['version 9.4', changed((bytes) => bytes.writeUInt16LE(9, 4)), 'version 9.4'],
    ['a snapshot length past the bound', changed((bytes) => bytes.writeUInt32LE(MAXIMUM_LENGTH + 1, 16)), 'snapshot length'],
    ['nothing at all', Buffer.alloc(0), '0 bytes where a pcap header takes 24'],
  ])('%s is refused by name', async (_, bytes, words) => {
    const refused = await refusal(bytes);
    expect(refused.code).toBe('CAPTURE_INVALID');
    expect(refused.message).toContain(words);
  });
});

describe('a hostile record', () => {
  const claiming = (captured: number, original = captured): Uint8Array => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(captured, 8);
    record.writeUInt32LE(original, 12);
    return record;
  };

  it.each([MAXIMUM_LENGTH + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])(
    'that claims %d bytes is refused before it is waited for',
    async (length) => {
      let asked = 0;
      function* endless(): Generator<Uint8Array> {
        yield Buffer.concat([pcapHeader(1), pcapRecord(packet('aa')), claiming(length)]);
        for (; asked < 1000; asked++) yield Buffer.alloc(65_536);
      }
      const before: CapturedPacket[] = [];
      await expect(async () => {
        for await (const one of readPcap(endless())) before.push(one);
      }).rejects.toMatchObject({ code: 'CAPTURE_INVALID', message: expect.stringContaining(`claims ${length} captured bytes`) });
      expect(before).toHaveLength(1);
      expect(asked).toBe(0);
    },
  );

  it('that captured more than there was is refused', async () => {
    expect((await refusal(pcapHeader(1), claiming(8, 4), Buffer.alloc(8))).message).toContain('8 bytes captured of a packet of 4');
  });

  it('of length zero is a packet without bytes, and very many of them end', async () => {
    const records = Buffer.concat(Array.from({ length: 20_000 }, () => claiming(0, 60)));
    expect(await all(pcapHeader(1), records)).toHaveLength(20_000);
  });

  it('of the greatest length is read, also a byte at a time', async () => {
    const data = Buffer.alloc(MAXIMUM_LENGTH, 7);
    expect(await all(pcapHeader(1), pcapRecord({ timestamp: 0, originalLength: data.length, data }))).toHaveLength(1);
    const drops = Array.from(writePcap(1, [packet('00'.repeat(4000))]), (byte) => Uint8Array.of(byte));
    expect(await all(...drops)).toHaveLength(1);
  });

  it('cut off anywhere is an error, and every record before the cut was read', async () => {
    const first = pcapRecord(packet('0102'));
    const file = Buffer.concat([pcapHeader(1), first, pcapRecord(packet('030405'))]);
    for (let length = 0; length < file.length; length++) {
      const whole = length === 24 || length === 24 + first.length;
      const packets: CapturedPacket[] = [];
      const reading = (async () => {
        for await (const one of readPcap([file.subarray(0, length)])) packets.push(one);
      })();
      if (whole) await reading;
      else await expect(reading, `${length} bytes`).rejects.toMatchObject({ code: 'CAPTURE_INVALID' });
      expect(packets).toHaveLength(length >= 24 + first.length ? 1 : 0);
    }
  });

  it('made of any bytes is read or refused, never anything else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (bytes, headed) => {
        try {
          await all(...(headed ? [pcapHeader(1), bytes] : [bytes]));
        } catch (error) {
          expect(error).toMatchObject({ code: 'CAPTURE_INVALID' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a packet that cannot be written', () => {
  it('is refused', () => {
    expect(() => pcapRecord({ timestamp: 0, originalLength: 1, data: new Uint8Array(2) })).toThrow('2 bytes captured of a packet of 1');
    const data = new Uint8Array(MAXIMUM_LENGTH + 1);
    expect(() => pcapRecord({ timestamp: 0, originalLength: data.length, data })).toThrow('at most 262144');
  });
});
