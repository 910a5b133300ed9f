import { expect, it } from 'vitest';
import { formatAddressPort, formatEntry, formatFlow, formatMapAddress, formatPath, formatSelector } from './format.js';
import { FLOW_FLAG, FLOW_ROLE } from './layouts.js';
import { EMPTY_FLOW, type SfcflowKey, type SfcflowValue } from './records.js';

function address(...bytes: number[]): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, index) => bytes[index] ?? 0);
}

const key: SfcflowKey = {
  ifindex: 12,
  family: 1,
  protocol: 17,
  visit: 0,
  address_a: address(10, 8, 0, 2),
  address_b: address(203, 0, 113, 9),
  port_a: 40000,
  port_b: 53,
};
const value: SfcflowValue = {
  ...EMPTY_FLOW,
  path: 0x101,
  next_hop: address(10, 1, 2, 5),
  previous_local: address(10, 1, 1, 4),
  next_local: address(10, 1, 1, 4),
  endpoint: 3783,
  generation: 1,
  role: FLOW_ROLE.source,
  flags: FLOW_FLAG.forwardAToB | FLOW_FLAG.nextHop | FLOW_FLAG.resolved,
  next_family: 1,
  ttl: 64,
  last_seen: 5,
  packets: 2,
  bytes: 300,
  reply_packets: 1,
  reply_bytes: 90,
  next_ifindex: 3,
  next_destination_mac: Uint8Array.of(2, 0, 0, 0, 0, 0x1f),
};

it('a selector reads as the walkthrough prints it', () => {
  const select = { prefix_len: 96, endpoint: 3783, family: 1, flags: 1, port: 0, protocol: 6, address: address(10, 0, 2, 12) };
  expect(formatSelector(select, { cidr_prefix_len: 32, last_port: 0, path: 0x101 })).toEqual({
    selector: '3783, egress, 0/TCP, 10.0.2.12/32',
    path: '/32 (1, 1)',
  });
  const dns = { ...select, prefix_len: 64 + 32, family: 2, port: 53, protocol: 17, address: address(0x20, 0x01, 0x0d, 0xb8) };
  expect(formatSelector(dns, { cidr_prefix_len: 32, last_port: 53, path: 0xffffffff })).toEqual({
    selector: '3783, egress, 53/UDP, 2001:db8::/32',
    path: '/32 (16777215, 255)',
  });
});

it('a selector of a range shows both ends, one of any protocol says so, and an exception leads nowhere', () => {
  const select = { prefix_len: 96, endpoint: 3783, family: 1, flags: 1, port: 8000, protocol: 6, address: address(10, 0, 2, 12) };
  expect(formatSelector(select, { cidr_prefix_len: 32, last_port: 8999, path: 0x101 }).selector).toBe(
    '3783, egress, 8000-8999/TCP, 10.0.2.12/32',
  );
  const any = { ...select, prefix_len: 72, flags: 0, port: 0, protocol: 0, address: address(10) };
  expect(formatSelector(any, { cidr_prefix_len: 0, last_port: 0, path: 0 })).toEqual({
    selector: '3783, ingress, 0/Any, 10.0.0.0/8',
    path: '-',
  });
});

it('a path is its identifier and its index', () => {
  expect(formatPath(0x101)).toBe('(1, 1)');
  expect(formatPath(0xffffff00)).toBe('(16777215, 0)');
});

it('addresses are canonical, bracketed before a port, and empty when unset', () => {
  expect(formatMapAddress(address(10, 4, 10, 124), 1)).toBe('10.4.10.124');
  expect(formatMapAddress(address(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a), 2)).toBe('2001:db8::a');
  expect(formatAddressPort(address(), 2, 443)).toBe('[::]:443');
  expect(formatMapAddress(address(1), 0)).toBe('');
});

it('a flow reads in its forward direction, whichever side sorts first', () => {
  const forward = formatFlow(key, value);
  expect(forward).toMatchObject({ source: '10.8.0.2:40000', destination: '203.0.113.9:53', protocol: 'UDP', endpoint: 3783 });
  expect(forward).toMatchObject({ path: '(1, 1)', nextPath: '', previousHop: '', nextHop: '10.1.2.5', packets: 2, replyBytes: 90 });
  const backward = formatFlow(key, { ...value, flags: FLOW_FLAG.previousHop, previous_hop: address(10, 1, 1, 9), previous_family: 1 });
  expect(backward).toMatchObject({ source: '203.0.113.9:53', destination: '10.8.0.2:40000', previousHop: '10.1.1.9', nextHop: '' });
});

it('an entry of any map is flat text and numbers under its field names', () => {
  expect(formatEntry(key, value)).toMatchObject({
    address_a: '10.8.0.2',
    path: '(1, 1)',
    previous_hop: '',
    next_hop: '10.1.2.5',
    previous_local: '',
    next_local: '10.1.1.4',
    next_destination_mac: '02:00:00:00:00:1f',
    previous_destination_mac: '',
    port_b: 53,
  });
  const pod = { id: 3783, flags: 1, mtu: 1500, generation: 2, ipv4: Uint8Array.of(10, 1, 1, 4), ipv6: address() };
  expect(formatEntry({ ifindex: 4 }, pod)).toEqual({ ...pod, ifindex: 4, ipv4: '10.1.1.4', ipv6: '' });
});
