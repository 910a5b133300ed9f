import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../geneve/index.js';
import { AddressTable } from './address-table.js';
import { steeringVersion } from './steering-version.js';

function bytesOf(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an address: ${text}`);
  return address.bytes.slice(0, address.family === 1 ? 4 : 16);
}

/** The start of an IP header that is addressed to `text`, somewhere in a buffer. */
function packetTo(text: string): { readonly view: DataView; readonly start: number; readonly length: number } {
  const ipv6 = text.includes(':');
  const bytes = new Uint8Array(100);
  bytes[7] = ipv6 ? 0x60 : 0x45;
  bytes.set(bytesOf(text), 7 + (ipv6 ? 24 : 16));
  return { view: new DataView(bytes.buffer), start: 7, length: ipv6 ? 40 : 20 };
}

describe('a table of addresses', () => {
  const table = new AddressTable<string>();
  const find = (text: string, less = 0) => {
    const { view, start, length } = packetTo(text);
    return table.ofDestination(view, start, length - less);
  };
  // The second and the third of IPv6 have one number: their words are put together alike.
  const twins = ['fd44:1::1f', 'fd44:1::1:0'];
  for (const address of ['10.244.1.10', 'fd44:1::10', ...twins]) table.set(address.includes(':') ? 6 : 4, bytesOf(address), address);

  it.each(['10.244.1.10', 'fd44:1::10', ...twins])('finds what belongs to %s', (address) => {
    expect(find(address)).toBe(address);
  });

  it.each(['10.244.1.11', 'fd44:1::11', 'fd45:1::10', 'fd44:1:0:1::10', 'fd44:1::1:10', '::'])('finds nothing for %s', (address) => {
    expect(find(address)).toBeUndefined();
  });

  it('finds nothing where the header is cut, or of no version', () => {
    for (const address of ['10.244.1.10', 'fd44:1::10']) expect(find(address, 1)).toBeUndefined();
    expect(table.ofDestination(new DataView(new ArrayBuffer(40)), 0, 40)).toBeUndefined();
    expect(table.ofDestination(new DataView(new ArrayBuffer(40)), 0, 0)).toBeUndefined();
  });

  it('takes another value in place of the first, and forgets every address of one', () => {
    const other = new AddressTable<string>();
    const { view, start, length } = packetTo('fd44:1::10');
    other.set(6, bytesOf('fd44:1::10'), 'first');
    other.set(6, bytesOf('fd44:1::10'), 'second');
    other.set(4, bytesOf('10.244.1.10'), 'second');
    expect(other.ofDestination(view, start, length)).toBe('second');
    other.deleteAll('first');
    expect(other.ofDestination(view, start, length)).toBe('second');
    other.deleteAll('second');
    expect(other.ofDestination(view, start, length)).toBeUndefined();
  });
});

describe('a packet', () => {
  const packet = (version: 4 | 6, change: Readonly<Record<number, number>> = {}, length = 100): [DataView, number, number, number] => {
    const bytes = new Uint8Array(120);
    const [ip, protocol] = version === 4 ? [20, 9] : [40, 6];
    bytes[3] = version === 4 ? 0x45 : 0x60;
    bytes[3 + protocol] = 17;
    new DataView(bytes.buffer).setUint16(3 + ip + 2, 7081);
    for (const [at, value] of Object.entries(change)) bytes[3 + Number(at)] = value;
    return [new DataView(bytes.buffer), 3, length, 7081];
  };

  it.each([4, 6] as const)('of IPv%i to the steering port is in a tunnel of ours', (version) => {
    expect(steeringVersion(...packet(version))).toBe(version);
  });

  it.each([
    ['to another port', packet(4, { 23: 1 })],
    ['to another port, IPv6', packet(6, { 43: 1 })],
    ['of TCP', packet(4, { 9: 6 })],
    ['of TCP, IPv6', packet(6, { 6: 6 })],
    ['behind IPv4 options', packet(4, { 0: 0x46 })],
    ['of no version', packet(4, { 0: 0 })],
    ['cut in its UDP header', packet(4, {}, 27)],
    ['cut in its UDP header, IPv6', packet(6, {}, 47)],
    ['of no bytes', packet(4, {}, 0)],
  ])('%s is not', (_, given) => {
    expect(steeringVersion(...given)).toBe(0);
  });
});
