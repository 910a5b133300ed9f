/** Packets in words: what the frozen packets do not show. */

import { describe, expect, it } from 'vitest';
import { bytesOf, DROPPED, STEERED } from '../test/fixtures/wire/index.js';
import { decodePacket, formatPacket, withTos } from './index.js';

const named = (name: string): Uint8Array => {
  const found = [...STEERED, ...DROPPED].find((fixture) => fixture.name === name);
  if (found === undefined) throw new Error(`no packet is called ${name}`);
  return found.bytes;
};
const IPV4 = '45000000 00000000 40000000 0a000001 0a000002';

describe('a packet in words', () => {
  it('nests, with every layer', () => {
    expect(decodePacket(named('TCP SYN from the classifier to the first function'))).toMatchObject({
      ip: { version: 4, source: '10.244.1.10', destination: '10.244.2.11', ttl: 64, tos: 0, protocol: 17, length: 108, checksum: 'good' },
      transport: { kind: 'udp', destinationPort: 7081, checksum: 'absent' },
      steering: {
        reply: false,
        geneve: { version: 0, optionWords: 3, control: 0, critical: 1, protocolType: 0x0800, vni: 0 },
        options: [{ class: 0x0132, type: 0x82, critical: true, length: 12 }],
        nsh: { version: 0, oam: 0, ttl: 63, words: 2, mdType: 2, nextProtocol: 1, spi: 1, si: 1 },
      },
      payload: 0,
      inner: {
        ip: { version: 4, source: '192.168.77.10', destination: '203.0.113.10', length: 60, checksum: 'good' },
        transport: { kind: 'tcp', sourcePort: 40000, destinationPort: 9000, flags: ['SYN'], sequence: 1, window: 64240, checksum: 'good' },
        payload: 0,
      },
    });
  });

  it('says of each checksum how it is', () => {
    const packet = Uint8Array.from(STEERED[1]?.last ?? []);
    expect(decodePacket(packet)).toMatchObject({ ip: { checksum: 'good' }, transport: { checksum: 'good' }, payload: 5 });
    expect(decodePacket(packet.subarray(0, 32))).toMatchObject({ transport: { checksum: 'unknown' }, payload: 4 });
    packet[32] = 0;
    expect(decodePacket(packet)).toMatchObject({ ip: { checksum: 'good' }, transport: { checksum: 'bad' } });
    packet[8] = 1;
    expect(decodePacket(packet)).toMatchObject({ ip: { checksum: 'bad' } });
  });

  it('takes the length of UDP for what its checksum covers', () => {
    const padded = bytesOf('45000024 12340000 40110000 c0a84d0a cb00710a 9c402328 000db2db 68656c6c 6f 000000');
    expect(decodePacket(padded)).toMatchObject({ transport: { checksum: 'good' } });
  });

  it('reads the ports of a first fragment and no ports in a later one', () => {
    expect(decodePacket(named('first fragment of a UDP packet')).inner).toMatchObject({
      ip: { fragment: { offset: 0, more: true } },
      transport: { sourcePort: 40000, checksum: 'unknown' },
    });
    const later = decodePacket(named('later fragment of a UDP packet, without ports')).inner;
    expect(later?.ip?.fragment).toEqual({ offset: 24, more: false });
    expect(later?.transport).toBeUndefined();
  });

  it.each([
    ['SCTP', bytesOf(`${IPV4.replace('45000000', '45000014').replace('40000000', '40840000')}`), '10.0.0.1 > 10.0.0.2 SCTP len 20'],
    [
      'a number',
      bytesOf(`${IPV4.replace('45000000', '45000014').replace('40000000', '40fd0000')}`),
      '10.0.0.1 > 10.0.0.2 protocol 253 len 20',
    ],
    ['nothing', new Uint8Array(0), 'no IP packet [IP header: 20 bytes wanted, 0 there]'],
    ['no IP version', bytesOf('00'), 'no IP packet [IP version: 4 or 6 wanted, 0 found]'],
    [
      'a tunnel without NSH',
      named('no option'),
      '10.244.1.10 > 10.244.2.11 geneve without NSH forward [drop geneve-no-nsh: NSH option: 12 bytes wanted, 0 there] | 192.168.77.10:40000 > 203.0.113.10:9000 UDP len 33',
    ],
    [
      'congestion that cannot be told',
      withTos(named('UDP from a function to the next, on a joined chain'), 3),
      '10.244.2.11 > 10.244.3.12 geneve (2, 1) ttl 62 forward [drop ecn: inner ECN: a packet that can carry congestion wanted, 0 found] | 192.168.77.10:40000 > 203.0.113.10:9000 UDP len 33',
    ],
    [
      'a capture that was cut',
      named('TCP SYN from the classifier to the first function').subarray(0, 80),
      '10.244.1.10 > 10.244.2.11 geneve (1, 1) ttl 63 forward [IPv4 packet: 108 bytes wanted, 80 there] | 192.168.77.10 > 203.0.113.10 TCP len 60 [TCP header: 20 bytes wanted, 12 there]',
    ],
  ])('is one line: %s', (_, bytes, line) => {
    expect(formatPacket(decodePacket(bytes))).toBe(line);
  });
});
