/** Whole packets out of a raw socket, of both families, seen by a packet socket: in a network namespace of their own. */

import { execFileSync } from 'node:child_process';
import { endianness } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeIpv4, encodeIpv6, parseAddress } from '../geneve/index.js';
import { addressOf, closeFd, enterFreshNetwork, openSocket, readAt } from './libc.js';
import { openRawIp, type RawIp } from './raw-ip.js';

const ETHERNET = 14;
let raw: RawIp;
let listener: number;
const room = new Uint8Array(2048);

beforeAll(() => {
  enterFreshNetwork();
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  const ETH_P_ALL = endianness() === 'LE' ? 0x0300 : 0x0003; // big-endian, whatever the machine is
  listener = openSocket(17, 3 | 0x800, ETH_P_ALL, 'open a packet socket');
  raw = openRawIp();
});

afterAll(() => {
  raw?.close();
  closeFd(listener);
});

const address = (text: string) => {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

/** Frames on the loopback interface since the last call. */
function seen(): string[] {
  const frames: string[] = [];
  for (let length = readAt(listener, addressOf(room), room.length); length >= 0; length = readAt(listener, addressOf(room), room.length))
    frames.push(Buffer.from(room.subarray(ETHERNET, length)).toString('hex'));
  return frames;
}

const payload = Buffer.from('0fa000500008000000000000', 'hex').subarray(0, 8);

it('an IPv4 packet leaves as it is, whatever its source', () => {
  const fields = {
    tos: 0,
    totalLength: 28,
    identification: 7,
    dontFragment: 1,
    moreFragments: 0,
    fragmentOffset: 0,
    ttl: 61,
    protocol: 17,
  };
  const header = encodeIpv4({
    ...fields,
    source: address('10.244.1.9').bytes.subarray(0, 4),
    destination: address('127.0.0.1').bytes.subarray(0, 4),
  });
  const packet = Buffer.concat([header, payload]);
  expect(raw.send(packet, address('127.0.0.1'))).toBe('');
  expect(seen()).toContain(packet.toString('hex'));
});

it('an IPv6 packet leaves as it is, whatever its source', () => {
  const fields = { trafficClass: 0, flowLabel: 0, payloadLength: 8, nextHeader: 17, hopLimit: 61 };
  const header = encodeIpv6({ ...fields, source: address('fd00::9').bytes, destination: address('::1').bytes });
  const packet = Buffer.concat([header, payload]);
  expect(raw.send(packet, address('::1'))).toBe('');
  expect(seen()).toContain(packet.toString('hex'));
});

it('a destination without a way to it is an errno', () => {
  expect(raw.send(new Uint8Array(28).fill(0x45, 0, 1), address('192.0.2.1'))).toBe('ENETUNREACH');
});
