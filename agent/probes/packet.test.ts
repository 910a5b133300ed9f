import { describe, expect, it } from 'vitest';
import { decodePacket, parseAddress } from '../../geneve/index.js';
import type { Address } from '../../policy/index.js';
import { nodeAddress } from './node-address.js';
import { probePacket } from './packet.js';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

describe.each([
  ['IPv4', '10.244.2.11', '10.244.1.10', '172.30.0.1'],
  ['IPv6', 'fd00:2::11', 'fd00:1::10', 'fd00::1'],
])('a probe over %s', (_, instance, pod, node) => {
  const bytes = probePacket({
    instance: address(instance),
    pod: address(pod),
    node: address(node),
    port: 7082,
    sequence: 0xfedcba98,
    steeringPort: 7081,
  });

  it('goes from a pod of the node to the instance, on the path that no chain has', () => {
    expect(decodePacket(bytes)).toMatchObject({
      ip: { source: pod, destination: instance },
      transport: { destinationPort: 7081 },
      steering: { reply: false, nsh: { spi: 0xffffff, si: 1, ttl: 63 } },
    });
    expect(decodePacket(bytes)).not.toHaveProperty('drop');
  });

  it('asks the function to pass on a datagram of the node to that pod, with right checksums', () => {
    expect(decodePacket(bytes).inner).toMatchObject({
      ip: { source: node, destination: pod, ttl: 64, checksum: instance.includes(':') ? 'absent' : 'good' },
      transport: { kind: 'udp', sourcePort: 7082, destinationPort: 7082, checksum: 'good' },
      payload: 8,
    });
    expect(Buffer.from(bytes.subarray(-8)).toString('hex')).toBe('73666370fedcba98');
  });
});

describe('the node’s own address', () => {
  const info = (text: string, internal = false) => ({
    address: text,
    internal,
    netmask: '',
    mac: '',
    cidr: null,
    ...(text.includes(':') ? { family: 'IPv6' as const, scopeid: 0 } : { family: 'IPv4' as const }),
  });

  it('is the first that is of more than one machine or link', () => {
    const interfaces = {
      lo: [info('127.0.0.1', true), info('::1', true)],
      v: [info('169.254.1.1'), info('fe80::1')],
      eth0: [info('172.30.0.1'), info('fd00::1')],
      eth1: [info('10.0.0.1')],
    };
    expect(nodeAddress(1, interfaces)?.text).toBe('172.30.0.1');
    expect(nodeAddress(2, interfaces)?.text).toBe('fd00::1');
    expect(nodeAddress(2, { lo: interfaces.lo })).toBeUndefined();
  });
});
