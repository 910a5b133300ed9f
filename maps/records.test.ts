import { expect, it } from 'vitest';
import { MAP_NAMES, MAPS } from './layouts.js';
import type { MapRecords } from './records.js';

type FieldsOf<R> = { readonly [F in keyof R]: R[F] extends number ? 'uint' : 'bytes' };
type Declared = { readonly [N in keyof MapRecords]: { readonly [Half in 'key' | 'value']: FieldsOf<MapRecords[N][Half]> } };

/** The record types once more, as values: the compiler keeps this equal to them, the test to the layouts. */
const declared: Declared = {
  sfcselect: {
    key: { prefix_len: 'uint', endpoint: 'uint', family: 'uint', flags: 'uint', port: 'uint', protocol: 'uint', address: 'bytes' },
    value: { cidr_prefix_len: 'uint', last_port: 'uint', path: 'uint' },
  },
  sfcports: {
    key: { prefix_len: 'uint', endpoint: 'uint', flags: 'uint', protocol: 'uint', port: 'uint' },
    value: { first_port: 'uint' },
  },
  sfcpath: {
    key: { path: 'uint' },
    value: {
      service_address: 'bytes',
      family: 'uint',
      flags: 'uint',
      failure_policy: 'uint',
      affinity_timeout: 'uint',
      backend_base: 'uint',
      backend_slots: 'uint',
    },
  },
  sfcbackend: { key: { slot: 'uint' }, value: { address: 'bytes', family: 'uint' } },
  sfcaffinity: {
    key: { path: 'uint', family: 'uint', client: 'bytes' },
    value: { last_seen: 'uint', backend: 'bytes', backend_family: 'uint' },
  },
  sfcflow: {
    key: {
      ifindex: 'uint',
      family: 'uint',
      protocol: 'uint',
      visit: 'uint',
      address_a: 'bytes',
      address_b: 'bytes',
      port_a: 'uint',
      port_b: 'uint',
    },
    value: {
      path: 'uint',
      next_path: 'uint',
      previous_hop: 'bytes',
      next_hop: 'bytes',
      previous_local: 'bytes',
      next_local: 'bytes',
      endpoint: 'uint',
      role: 'uint',
      flags: 'uint',
      previous_family: 'uint',
      next_family: 'uint',
      ttl: 'uint',
      tcp_state: 'uint',
      generation: 'uint',
      epoch: 'uint',
      last_seen: 'uint',
      last_tick: 'uint',
      arrival_ttl: 'uint',
      reply_ttl: 'uint',
      latest: 'uint',
      packets: 'uint',
      bytes: 'uint',
      reply_packets: 'uint',
      reply_bytes: 'uint',
      next_ifindex: 'uint',
      next_checked: 'uint',
      next_mtu: 'uint',
      next_path_mtu: 'uint',
      next_destination_mac: 'bytes',
      next_source_mac: 'bytes',
      previous_ifindex: 'uint',
      previous_checked: 'uint',
      previous_mtu: 'uint',
      previous_path_mtu: 'uint',
      previous_destination_mac: 'bytes',
      previous_source_mac: 'bytes',
    },
  },
  sfcfragment: {
    key: { ifindex: 'uint', slot: 'uint' },
    value: {
      source: 'bytes',
      destination: 'bytes',
      id: 'uint',
      source_port: 'uint',
      destination_port: 'uint',
      family: 'uint',
      protocol: 'uint',
      last_seen: 'uint',
    },
  },
  sfcquota: { key: { ifindex: 'uint' }, value: { limit: 'uint', flows: 'uint', counted_at: 'uint' } },
  endpoint: {
    key: { ifindex: 'uint' },
    value: { id: 'uint', flags: 'uint', mtu: 'uint', generation: 'uint', ipv4: 'bytes', ipv6: 'bytes' },
  },
  peer: { key: { prefix_len: 'uint', family: 'uint', address: 'bytes' }, value: { flags: 'uint', ifindex: 'uint' } },
  sfcprobe: { key: { address: 'bytes', family: 'uint', port: 'uint' }, value: { answered: 'uint', sequence: 'uint' } },
  metrics: { key: { slot: 'uint' }, value: { packets: 'uint', bytes: 'uint' } },
};

it.each(MAP_NAMES)('the record types of %s name every field of its layouts and no other', (name) => {
  for (const half of ['key', 'value'] as const) {
    const fields = MAPS[name][half].fields.filter((field) => field.kind !== 'pad');
    expect(declared[name][half]).toEqual(Object.fromEntries(fields.map((field) => [field.name, field.kind])));
  }
});

it.each(MAP_NAMES)('no field of %s stands in both its key and its value', (name) => {
  const names = [...MAPS[name].key.fields, ...MAPS[name].value.fields].filter((field) => field.kind !== 'pad').map((field) => field.name);
  expect(new Set(names).size).toBe(names.length);
});
