/** The columns are made from the API's flat entries; the maps' own formatters are the oracle. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_FLOW,
  FAMILY,
  FLOW_FLAG,
  formatEntry,
  formatFlow,
  formatSelector,
  type SfcflowKey,
  type SfcflowValue,
  type SfcselectKey,
} from '../maps/index.js';
import { mapListing } from './map-columns.js';

const family = fc.constantFrom(FAMILY.ipv4, FAMILY.ipv6);
const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const protocol = fc.constantFrom(0, 1, 6, 17, 58, 132, 253);

function cells(map: 'sfcselect' | 'sfcflow', entry: ReturnType<typeof formatEntry>): Record<string, string | number> {
  return Object.fromEntries(mapListing(map, [entry], 0).columns.map(({ title, value }) => [title, value(entry)]));
}

describe('the columns of any entry', () => {
  it('of sfcselect are what formatSelector says', () => {
    const key: fc.Arbitrary<SfcselectKey> = fc.record({
      prefix_len: fc.integer({ min: 64, max: 192 }),
      endpoint: u16,
      family,
      flags: fc.integer({ min: 0, max: 1 }),
      port: u16,
      protocol,
      address,
    });
    fc.assert(
      fc.property(key, fc.record({ cidr_prefix_len: fc.integer({ min: 0, max: 128 }), last_port: u16, path: u32 }), (select, value) => {
        const { selector, path } = formatSelector(select, value);
        expect(cells('sfcselect', formatEntry(select, value))).toEqual({ SELECTOR: selector, PATH: path });
      }),
    );
  });

  it('of sfcflow are what formatFlow says', () => {
    const key: fc.Arbitrary<SfcflowKey> = fc.record({
      ifindex: u32,
      family,
      protocol,
      visit: fc.constant(0),
      address_a: address,
      address_b: address,
      port_a: u16,
      port_b: u16,
    });
    const value: fc.Arbitrary<SfcflowValue> = fc
      .record({
        path: fc.oneof(fc.constant(0), u32),
        next_path: fc.oneof(fc.constant(0), u32),
        previous_hop: address,
        next_hop: address,
        previous_family: family,
        next_family: family,
        endpoint: u16,
        role: fc.integer({ min: 0, max: 5 }),
        tcp_state: fc.integer({ min: 0, max: 6 }),
        flags: fc.integer({ min: 0, max: 15 }),
        packets: u32,
        bytes: u32,
        reply_packets: u32,
        reply_bytes: u32,
      })
      .map((fields) => ({ ...EMPTY_FLOW, ...fields }));
    fc.assert(
      fc.property(key, value, (flowKey, flow) => {
        const text = formatFlow(flowKey, flow);
        const undecided = (flow.flags & (FLOW_FLAG.nextHop | FLOW_FLAG.resolved)) === 0;
        expect(cells('sfcflow', formatEntry(flowKey, flow))).toEqual({
          ENDPOINT: String(text.endpoint),
          PROTOCOL: text.protocol,
          SOURCE: text.source,
          DESTINATION: text.destination,
          ROLE: text.role,
          STATE: text.state,
          PATH: text.path,
          'NEXT PATH': text.nextPath,
          'PREVIOUS HOP': text.previousHop,
          'NEXT HOP': undecided ? '?' : text.nextHop,
          PACKETS: text.packets,
          BYTES: text.bytes,
          REPLIES: text.replyPackets,
          'REPLY BYTES': text.replyBytes,
          SEEN: '0s ago',
        });
      }),
    );
  });
});

it('a map without a listing shows its fields', () => {
  const entry = { slot: 1, next_hop: '10.0.0.1' };
  const { columns } = mapListing('unknown' as 'sfcflow', [entry], 0);
  expect(columns.map(({ title, value }) => [title, value(entry)])).toEqual([
    ['SLOT', 1],
    ['NEXT HOP', '10.0.0.1'],
  ]);
});
