/** The cast: vpn is endpoint 3783 of this node, the firewall chain is path (1, 1), the proxy chain (2, 1). */

import { describe, expect, it } from 'vitest';
import { FAMILY, MAP_NAMES, MAPS } from '../layouts.js';
import { EMPTY_FLOW, type SfcflowKey, type SfcflowValue, type SfcselectKey } from '../records.js';
import { mapCodecs, PerCpuMap, perCpuStride, typedMaps } from '../typed.js';
import { ArrayMap } from './array-map.js';
import { createMemoryStore } from './store.js';

const FIREWALL = (1 << 8) | 1;
const PROXY = (2 << 8) | 1;
const full = expect.objectContaining({ code: 'MAP_FULL' });
const refused = expect.objectContaining({ code: 'MAP_IO' });

function address(...bytes: number[]): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, index) => bytes[index] ?? 0);
}

function selector(destination: Uint8Array, bits: number, port = 0, family: number = FAMILY.ipv4): SfcselectKey {
  return { prefix_len: 64 + bits, endpoint: 3783, family, flags: 1, port, protocol: 6, address: destination };
}

const atSource: SfcflowValue = {
  ...EMPTY_FLOW,
  path: FIREWALL,
  next_path: FIREWALL,
  endpoint: 3783,
  generation: 1,
  role: 1,
  flags: 1,
  ttl: 64,
};

function flow(port: number): SfcflowKey {
  return {
    ifindex: 12,
    family: 1,
    protocol: 6,
    visit: 0,
    address_a: address(10, 8, 0, 2),
    address_b: address(203, 0, 113, 9),
    port_a: port,
    port_b: 443,
  };
}

describe('selectors in memory', () => {
  it('are found by the longest prefix, no longer than the key asks', () => {
    const { sfcselect } = typedMaps(createMemoryStore());
    sfcselect.set(selector(address(), 0), { cidr_prefix_len: 0, last_port: 0, path: FIREWALL });
    sfcselect.set(selector(address(10, 0, 2), 24), { cidr_prefix_len: 24, last_port: 0, path: PROXY });
    expect(sfcselect.get(selector(address(10, 0, 2, 12), 32))?.path).toBe(PROXY);
    expect(sfcselect.get(selector(address(10, 0, 2, 12), 23))?.path).toBe(FIREWALL);
    expect(sfcselect.get(selector(address(10, 0, 3, 12), 32))?.path).toBe(FIREWALL);
    expect(sfcselect.get(selector(address(10, 0, 3, 12), 32, 443))).toBeUndefined();
  });

  it('are one entry when two spellings name one prefix, and come back with host bits zero', () => {
    const { sfcselect } = typedMaps(createMemoryStore());
    sfcselect.set(selector(address(10, 0, 2, 12), 24), { cidr_prefix_len: 24, last_port: 0, path: FIREWALL });
    sfcselect.set(selector(address(10, 0, 2, 99), 24), { cidr_prefix_len: 24, last_port: 0, path: PROXY });
    expect([...sfcselect.entries()]).toEqual([[selector(address(10, 0, 2), 24), { cidr_prefix_len: 24, last_port: 0, path: PROXY }]]);
  });

  it('are deleted only by their own prefix', () => {
    const { sfcselect } = typedMaps(createMemoryStore());
    sfcselect.set(selector(address(10, 0, 2), 24), { cidr_prefix_len: 24, last_port: 0, path: PROXY });
    expect(sfcselect.delete(selector(address(10, 0, 2, 12), 32))).toBe(false);
    expect(sfcselect.delete(selector(address(10, 0, 2), 24))).toBe(true);
    expect(sfcselect.delete(selector(address(10, 0, 2), 24))).toBe(false);
  });

  it.each(['LE', 'BE'] as const)('answer the classifier, which asks in numbers (%s host)', (order) => {
    const store = createMemoryStore({}, order);
    const { sfcselect } = typedMaps(store, order);
    const server = address(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9);
    sfcselect.set(selector(address(203, 0, 113), 24, 443), { cidr_prefix_len: 24, last_port: 0, path: 0xffffff01 });
    sfcselect.set(selector(server, 128, 0, FAMILY.ipv6), { cidr_prefix_len: 128, last_port: 0, path: PROXY });
    const v4 = store.select.lookup(3783, FAMILY.ipv4, 1, 443, 6, 0xcb007109, 0, 0, 0);
    const v6 = store.select.lookup(3783, FAMILY.ipv6, 1, 0, 6, 0x20010db8, 0, 0, 9);
    expect([store.select.path(v4), store.select.cidrPrefixLength(v4)]).toEqual([0xffffff01, 24]);
    expect([store.select.path(v6), store.select.cidrPrefixLength(v6)]).toEqual([PROXY, 128]);
    expect(store.select.lookup(3783, FAMILY.ipv4, 1, 80, 6, 0xcb007109, 0, 0, 0)).toBe(-1);
    expect(store.select.lookup(3784, FAMILY.ipv4, 1, 443, 6, 0xcb007109, 0, 0, 0)).toBe(-1);
  });

  it('refuse a batch that does not fit as a whole, and keep what they had', () => {
    const { sfcselect } = typedMaps(createMemoryStore({ sfcselect: 2 }));
    const value = { cidr_prefix_len: 32, last_port: 0, path: FIREWALL };
    sfcselect.set(selector(address(10, 0, 0, 1), 32), value);
    const before = [...sfcselect.entries()];
    const batch = [1, 2, 3].map((last) => [selector(address(10, 0, 0, last), 32), { ...value, path: PROXY }] as const);
    expect(() => sfcselect.setMany(batch)).toThrow(full);
    expect([...sfcselect.entries()]).toEqual(before);
    sfcselect.setMany([...batch.slice(0, 2), ...batch.slice(0, 2)]);
    expect(sfcselect.size()).toBe(2);
  });

  it('refuse a prefix length outside the address', () => {
    const { sfcselect } = typedMaps(createMemoryStore());
    const value = { cidr_prefix_len: 0, last_port: 0, path: FIREWALL };
    expect(() => sfcselect.set(selector(address(), -1), value)).toThrow(refused);
    expect(() => sfcselect.set(selector(address(), 129), value)).toThrow(refused);
    expect(sfcselect.get(selector(address(), 129))).toBeUndefined();
  });
});

describe('ranges of ports in memory', () => {
  const entry = (port: number, bits: number) => ({ prefix_len: 32 + bits, endpoint: 3783, flags: 1, protocol: 6, port });

  it('are found by the longest prefix of the port', () => {
    const { sfcports } = typedMaps(createMemoryStore());
    sfcports.set(entry(8000, 10), { first_port: 8000 });
    sfcports.set(entry(8080, 16), { first_port: 0 });
    expect(sfcports.get(entry(8063, 16))).toEqual({ first_port: 8000 });
    expect(sfcports.get(entry(8080, 16))).toEqual({ first_port: 0 });
    expect(sfcports.get(entry(80, 16))).toBeUndefined();
    expect([...sfcports.entries()].map(([key]) => key)).toEqual([entry(8000 & ~63, 10), entry(8080, 16)]);
    expect(sfcports.delete(entry(8001, 10))).toBe(true);
    expect(sfcports.size()).toBe(1);
  });

  it('refuse a prefix length outside the port', () => {
    const { sfcports } = typedMaps(createMemoryStore());
    for (const bits of [-1, 17]) expect(() => sfcports.set(entry(0, bits), { first_port: 1 })).toThrow(refused);
    expect(sfcports.get(entry(80, 17))).toBeUndefined();
  });

  it.each(['LE', 'BE'] as const)('answer the classifier, which asks in numbers (%s host)', (order) => {
    const store = createMemoryStore({}, order);
    const { sfcports } = typedMaps(store, order);
    sfcports.set(entry(0xf000, 4), { first_port: 0xf001 });
    sfcports.set(entry(0xf080, 16), { first_port: 0 });
    const asked = [0xf001, 0xffff, 0xf080, 0xe000].map((port) => store.ports.lookup(3783, 1, 6, port));
    expect(asked).toEqual([0xf001, 0xf001, 0xf080, 0xe000]);
    expect(store.ports.lookup(3783, 0, 6, 0xf001)).toBe(0xf001);
    expect(store.ports.lookup(3783, 1, 17, 0xffff)).toBe(0xffff);
    expect(store.ports.lookup(3784, 1, 6, 0xffff)).toBe(0xffff);
  });
});

it('peers are matched by family and longest range', () => {
  const { peer } = typedMaps(createMemoryStore());
  peer.set({ prefix_len: 32 + 8, family: FAMILY.ipv4, address: address(10) }, { flags: 1, ifindex: 0 });
  peer.set({ prefix_len: 32 + 24, family: FAMILY.ipv4, address: address(10, 4, 10) }, { flags: 3, ifindex: 0 });
  expect(peer.get({ prefix_len: 64, family: FAMILY.ipv4, address: address(10, 4, 10, 124) })).toEqual({ flags: 3, ifindex: 0 });
  expect(peer.get({ prefix_len: 64, family: FAMILY.ipv4, address: address(10, 4, 11, 1) })).toEqual({ flags: 1, ifindex: 0 });
  expect(peer.get({ prefix_len: 160, family: FAMILY.ipv6, address: address(10, 4, 10, 124) })).toBeUndefined();
  expect([...peer.entries()].length).toBe(2);
});

describe('a hash map in memory', () => {
  const value = {
    service_address: address(10, 96, 0, 7),
    family: 1,
    flags: 0,
    failure_policy: 0,
    affinity_timeout: 0,
    backend_base: 0,
    backend_slots: 0,
  };

  it('keeps copies of what it is given and hands out copies', () => {
    const raw = createMemoryStore().raw('sfcpath');
    const key = Uint8Array.of(0, 0, 1, 1);
    const given = new Uint8Array(32).fill(7);
    raw.set(key, given);
    given.fill(8);
    raw.get(key)?.fill(9);
    expect(raw.get(key)).toEqual(new Uint8Array(32).fill(7));
  });

  it('refuses a new key when full, alone or in a batch, and still replaces', () => {
    const { sfcpath } = typedMaps(createMemoryStore({ sfcpath: 1 }));
    sfcpath.set({ path: FIREWALL }, value);
    expect(() => sfcpath.set({ path: PROXY }, value)).toThrow(full);
    expect(() =>
      sfcpath.setMany([
        [{ path: FIREWALL }, { ...value, flags: 1 }],
        [{ path: PROXY }, value],
      ]),
    ).toThrow(full);
    expect([...sfcpath.entries()]).toEqual([[{ path: FIREWALL }, value]]);
    sfcpath.set({ path: FIREWALL }, { ...value, flags: 1 });
    expect(sfcpath.get({ path: FIREWALL })?.flags).toBe(1);
  });

  it('refuses bytes of the wrong width', () => {
    const raw = createMemoryStore().raw('sfcpath');
    expect(() => raw.get(new Uint8Array(3))).toThrow(refused);
    expect(() => raw.set(new Uint8Array(4), new Uint8Array(31))).toThrow(refused);
  });
});

describe('the flow map in memory', () => {
  it('makes room by forgetting the flow that was used longest ago', () => {
    const { sfcflow } = typedMaps(createMemoryStore({ sfcflow: 2 }));
    sfcflow.set(flow(1), atSource);
    sfcflow.set(flow(2), atSource);
    expect(sfcflow.get(flow(1))).toEqual(atSource);
    sfcflow.set(flow(3), atSource);
    expect([...sfcflow.entries()].map(([key]) => key.port_a).sort()).toEqual([1, 3]);
  });

  it('does not count a dump as use, and lets entries be read while it is dumped', () => {
    const { sfcflow } = typedMaps(createMemoryStore({ sfcflow: 2 }));
    sfcflow.setMany([
      [flow(1), atSource],
      [flow(2), atSource],
    ]);
    expect([...sfcflow.entries()].length).toBe(2);
    sfcflow.set(flow(3), atSource);
    const ports: number[] = [];
    for (const [key] of sfcflow.entries()) {
      sfcflow.get(key);
      ports.push(key.port_a);
    }
    expect(ports).toEqual([2, 3]);
  });
});

describe('an array in memory', () => {
  it('has every slot from the start, and no slot past its end', () => {
    const { sfcbackend } = typedMaps(createMemoryStore({ sfcbackend: 3 }));
    const firewall = { address: address(10, 1, 1, 5), family: 1 };
    sfcbackend.set({ slot: 2 }, firewall);
    expect([...sfcbackend.entries()].map(([, value]) => value.family)).toEqual([0, 0, 1]);
    expect([sfcbackend.size(), sfcbackend.get({ slot: 2 }), sfcbackend.get({ slot: 3 })]).toEqual([3, firewall, undefined]);
    expect(() =>
      sfcbackend.setMany([
        [{ slot: 0 }, firewall],
        [{ slot: 3 }, firewall],
      ]),
    ).toThrow(full);
    expect(sfcbackend.get({ slot: 0 })?.family).toBe(0);
    expect(() => sfcbackend.delete({ slot: 2 })).toThrow(refused);
  });

  it('sums counters over CPUs, each rounded up to 8 bytes', () => {
    const cpus = new Uint8Array(3 * perCpuStride(16));
    const view = new DataView(cpus.buffer);
    [5, 500, 7, 700, 0, 0].forEach((count, index) => {
      view.setUint32(8 * index, count, true);
    });
    const threeCpus = new ArrayMap({ ...MAPS.metrics, value: { ...MAPS.metrics.value, size: cpus.length } }, 1, 'LE');
    threeCpus.set(new Uint8Array(4), cpus);
    const { key, value } = mapCodecs('metrics', 'LE');
    const metrics = new PerCpuMap(threeCpus, key, value);
    expect(metrics.get({ slot: 0 })).toEqual({ packets: 12, bytes: 1200 });
    expect([...metrics.entries()]).toEqual([[{ slot: 0 }, { packets: 12, bytes: 1200 }]]);
    expect([perCpuStride(16), perCpuStride(20)]).toEqual([16, 24]);
  });

  it('starts with every counter at zero', () => {
    expect(typedMaps(createMemoryStore()).metrics.get({ slot: 64 })).toEqual({ packets: 0, bytes: 0 });
  });
});

it.each(MAP_NAMES)('map %s has the capacity of its layout, or the one asked for', (name) => {
  expect(createMemoryStore().raw(name).capacity).toBe(MAPS[name].capacity);
  expect(createMemoryStore({ [name]: 5 }).raw(name).capacity).toBe(5);
});
