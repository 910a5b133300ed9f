import { describe, expect, it } from 'vitest';
import { STEERED } from '../test/fixtures/wire/index.js';
import { checksum, decapsulate, ECN, encapsulate, parseAddress, parsePacket, toSi, toSpi, tosAtExit, withTos } from './index.js';

const { notEct, ect0, ect1, ce } = ECN;

/** RFC 6040, figure 4: inner codepoint, then what leaves for outer Not-ECT, ECT(0), ECT(1), CE. */
const TABLE: [string, number, (number | undefined)[]][] = [
  ['Not-ECT', notEct, [notEct, notEct, notEct, undefined]],
  ['ECT(0)', ect0, [ect0, ect0, ect1, ce]],
  ['ECT(1)', ect1, [ect1, ect1, ect1, ce]],
  ['CE', ce, [ce, ce, ce, ce]],
];

describe('congestion marks at the end of a tunnel', () => {
  it.each(TABLE)('on an inner %s, whatever the DSCPs', (_, inner, leaving) => {
    [notEct, ect0, ect1, ce].forEach((outer, column) => {
      const expected = leaving[column];
      for (const dscp of [0, 46 << 2, 0xfc])
        expect(tosAtExit(dscp | inner, (dscp ^ 0xfc) | outer)).toBe(expected === undefined ? undefined : dscp | expected);
    });
  });

  it.each(STEERED.map((fixture) => [fixture.name, fixture.last] as const))('are written and nothing else changes: %s', (_, packet) => {
    const marked = withTos(packet, 0xff);
    expect(parsePacket(marked)).toMatchObject({ tos: 0xff });
    if (marked[0] === 0x45) expect(checksum(marked.subarray(0, 20))).toBe(0);
    expect(withTos(marked, tosOf(packet))).toEqual(Uint8Array.from(packet));
  });

  it('survive a tunnel that meets none, and are told when it does', () => {
    const [source, destination] = [parseAddress('10.0.0.1'), parseAddress('10.0.0.2')];
    const plain = STEERED[1]?.last ?? new Uint8Array();
    if (source === undefined || destination === undefined) throw new Error('no address');
    for (const [, inner, leaving] of TABLE) {
      const wrapped = encapsulate(withTos(plain, inner), { source, destination, spi: toSpi(1), si: toSi(1), ttl: 63, reply: false });
      if ('failure' in wrapped) throw new Error('not wrapped');
      expect(parsePacket(wrapped)).toMatchObject({ tos: inner });
      expect(decapsulate(wrapped)).toMatchObject({ packet: { tos: inner } });
      const congested = decapsulate(withTos(wrapped, ce));
      if (leaving[3] === undefined) expect(congested).toMatchObject({ failure: { reason: 'ecn' } });
      else expect('inner' in congested && congested.inner).toEqual(withTos(plain, ce));
    }
  });
});

function tosOf(bytes: Uint8Array): number {
  const packet = parsePacket(bytes);
  return 'failure' in packet ? -1 : packet.tos;
}
