import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf } from '../test/fixtures/wire/index.js';
import { clientHash, type FlowTuple, flowHash, outerSourcePort } from './index.js';

const ipv4: FlowTuple = {
  source: bytesOf('c0a84d0a'),
  destination: bytesOf('cb00710a'),
  sourcePort: 40000,
  destinationPort: 9000,
  protocol: 6,
};
const ipv6: FlowTuple = {
  ...ipv4,
  source: bytesOf('20010db8 00770000 00000000 00000010'),
  destination: bytesOf('20010db8 01130000 00000000 00000010'),
};

describe('the flow hash', () => {
  it('is the number that the definition gives when it is computed by hand, in another language', () => {
    expect(flowHash(ipv4)).toBe(0xea8f73b6);
    expect(flowHash({ ...ipv4, protocol: 17 })).toBe(0xa54fcfd1);
    expect(flowHash(ipv6)).toBe(0x7a2eba25);
    expect(clientHash(ipv4)).toBe(0x35249b12);
    expect(clientHash(ipv6)).toBe(0xf5d553c3);
  });

  it('is an unsigned 32-bit number', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.nat({ max: 65535 }), (addresses, sourcePort) => {
        const hash = flowHash({ ...ipv4, source: addresses.subarray(0, 4), destination: addresses.subarray(4), sourcePort });
        expect(hash).toBe(hash >>> 0);
      }),
    );
  });

  it('changes with every part of the 5-tuple', () => {
    const other = [
      ipv4,
      { ...ipv4, source: bytesOf('c0a84d0b') },
      { ...ipv4, destination: bytesOf('cb00710b') },
      { ...ipv4, sourcePort: 40001 },
      { ...ipv4, destinationPort: 9001 },
      { ...ipv4, protocol: 17 },
      { ...ipv4, source: ipv4.destination, destination: ipv4.source },
      ipv6,
    ].map(flowHash);
    expect(new Set(other).size).toBe(other.length);
  });

  it('spreads the flows of one client over backends and source ports', () => {
    const slots = new Map<number, number>();
    const ports = new Set<number>();
    for (let sourcePort = 1024; sourcePort < 1024 + 9000; sourcePort++) {
      const hash = flowHash({ ...ipv4, sourcePort });
      slots.set(hash % 3, (slots.get(hash % 3) ?? 0) + 1);
      ports.add(outerSourcePort(hash, false));
    }
    for (const count of slots.values()) expect(Math.abs(count - 3000)).toBeLessThan(300);
    // 9000 balls into 16,384 boxes leave about 6,900 boxes with one at least.
    expect(ports.size).toBeGreaterThan(6500);
  });
});

describe('the outer source port', () => {
  it('has bit 15 set, the direction in bit 0, and the hash between them', () => {
    expect(outerSourcePort(0, false)).toBe(0x8000);
    expect(outerSourcePort(0, true)).toBe(0x8001);
    expect(outerSourcePort(0xffffffff, false)).toBe(0xfffe);
    expect(outerSourcePort(0xffffffff, true)).toBe(0xffff);
  });
});
