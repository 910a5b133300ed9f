import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileAllocations } from './allocations.js';
import { tryLock } from './lock-file.js';
import { type AllocationRequest, allocate, emptyState, LAST_SERVICE_PATH_ID } from './state.js';

const CIDR = '10.96.0.0/16';
const chains = (...names: string[]): AllocationRequest => ({ chains: names.map((name) => ({ name })), services: [], reserved: [] });
const ids = (result: { allocation: { servicePathIds: ReadonlyMap<string, number> } }) =>
  Object.fromEntries(result.allocation.servicePathIds);

describe('service path ids', () => {
  it('start at 1 in the order of the names', () => {
    expect(ids(allocate(emptyState(), chains('proxy', 'firewall'), CIDR))).toEqual({ firewall: 1, proxy: 2 });
  });

  it('stay when chains come and go', () => {
    const first = allocate(emptyState(), chains('firewall', 'proxy'), CIDR);
    const second = allocate(first.next, chains('audit', 'proxy'), CIDR);
    expect(ids(second)).toEqual({ audit: 3, proxy: 2 });
  });

  it('of a deleted chain go to no other, and back to it when it returns', () => {
    const first = allocate(emptyState(), chains('firewall'), CIDR);
    const second = allocate(first.next, chains('proxy'), CIDR);
    const third = allocate(second.next, chains('firewall', 'proxy'), CIDR);
    expect(ids(third)).toEqual({ firewall: 1, proxy: 2 });
  });

  it('are reused after the range has been used up, the longest deleted first', () => {
    const used = { ...emptyState(), nextServicePathId: LAST_SERVICE_PATH_ID + 1, deletions: 2 };
    const state = { ...used, chains: { old: { servicePathId: 7, deleted: 1 }, newer: { servicePathId: 8, deleted: 2 } } };
    const first = allocate(state, chains('a'), CIDR);
    expect(ids(first)).toEqual({ a: 7 });
    const second = allocate(first.next, chains('a', 'b'), CIDR);
    expect(ids(second)).toEqual({ a: 7, b: 8 });
    expect(() => allocate(second.next, chains('a', 'b', 'c'), CIDR)).toThrow('all service path ids');
  });

  it('given in a manifest are honoured, also outside the range, and avoided by others', () => {
    const request = { ...chains('b', 'c'), chains: [{ name: 'a', given: 16_777_214 }, { name: 'b' }, { name: 'z', given: 1 }] };
    expect(ids(allocate(emptyState(), request, CIDR))).toEqual({ a: 16_777_214, b: 2, z: 1 });
  });

  it('that are remembered, and were reserved for probes since, are given anew', () => {
    const state = { ...emptyState(), chains: { firewall: { servicePathId: 16_777_215 }, proxy: { servicePathId: 3 } } };
    expect(ids(allocate(state, chains('firewall', 'proxy'), CIDR))).toEqual({ firewall: 1, proxy: 3 });
  });

  it('move when a manifest names one for another chain', () => {
    const first = allocate(emptyState(), chains('firewall'), CIDR);
    const second = allocate(first.next, { ...chains(), chains: [{ name: 'firewall' }, { name: 'proxy', given: 1 }] }, CIDR);
    expect(ids(second)).toEqual({ firewall: 2, proxy: 1 });
  });
});

describe('service addresses', () => {
  const services = (list: AllocationRequest['services'], reserved: string[] = []): AllocationRequest => ({
    chains: [],
    services: list,
    reserved,
  });
  const addresses = (result: ReturnType<typeof allocate>) => Object.fromEntries(result.allocation.serviceAddresses);

  it('come from the range, without its first two', () => {
    expect(addresses(allocate(emptyState(), services([{ key: 'b/b' }, { key: 'a/a' }]), CIDR))).toEqual({
      'a/a': '10.96.0.2',
      'b/b': '10.96.0.3',
    });
  });

  it('of a Service in the manifests win, and nobody else gets them', () => {
    const result = allocate(emptyState(), services([{ key: 'a/a' }, { key: 'b/b', given: '10.96.0.2' }], ['10.96.0.3']), CIDR);
    expect(addresses(result)).toEqual({ 'a/a': '10.96.0.4', 'b/b': '10.96.0.2' });
  });

  it('move when a Service of the manifests takes a remembered one', () => {
    const first = allocate(emptyState(), services([{ key: 'a/a' }]), CIDR);
    const second = allocate(first.next, services([{ key: 'a/a' }], ['10.96.0.2']), CIDR);
    expect(addresses(second)).toEqual({ 'a/a': '10.96.0.3' });
  });

  describe('of two families', () => {
    const DUAL = '10.96.0.0/16,fd00:96::/112';
    const mixed = services([{ key: 'a/a' }, { key: 'b/b', family: 2 }, { key: 'c/c', family: 1 }, { key: 'd/d', family: 2 }]);

    it('are of the family of the function’s pods, of the first range where they do not tell', () => {
      const expected = { 'a/a': '10.96.0.2', 'b/b': 'fd00:96::2', 'c/c': '10.96.0.3', 'd/d': 'fd00:96::3' };
      expect(addresses(allocate(emptyState(), mixed, DUAL))).toEqual(expected);
      const other = allocate(emptyState(), mixed, 'fd00:96::/112,10.96.0.0/16');
      expect(addresses(other)).toEqual({ 'a/a': 'fd00:96::2', 'b/b': 'fd00:96::3', 'c/c': '10.96.0.2', 'd/d': 'fd00:96::4' });
    });

    it('are of the one range that there is, whatever the pods are', () => {
      const expected = { 'a/a': 'fd00:96::2', 'b/b': 'fd00:96::3', 'c/c': 'fd00:96::4', 'd/d': 'fd00:96::5' };
      expect(addresses(allocate(emptyState(), mixed, 'fd00:96::/112'))).toEqual(expected);
    });

    it('stay when a range is added, and when the pods change their family; those of a range that is taken away move', () => {
      const list = [{ key: 'a/a', family: 2 as const }, { key: 'b/b' }];
      const first = allocate(emptyState(), services(list), CIDR);
      expect(first.next).not.toHaveProperty('nextServiceOffset6');
      const both = allocate(first.next, services([...list, { key: 'c/c', family: 2 }]), DUAL);
      expect(addresses(both)).toEqual({ 'a/a': '10.96.0.2', 'b/b': '10.96.0.3', 'c/c': 'fd00:96::2' });
      expect(addresses(allocate(both.next, services([{ key: 'c/c', family: 1 }]), DUAL))).toEqual({ 'c/c': 'fd00:96::2' });
      const single = allocate(both.next, services([...list, { key: 'c/c', family: 2 }]), CIDR);
      expect(addresses(single)).toEqual({ 'a/a': '10.96.0.2', 'b/b': '10.96.0.3', 'c/c': '10.96.0.4' });
    });

    it('wrap around in a small range, and are taken from the beginning of a large one', () => {
      const list = Array.from({ length: 5 }, (_, index) => ({ key: `n/${index}` }));
      expect(addresses(allocate(emptyState(), services(list), 'fd00:96::8/125'))).toMatchObject({
        'n/0': 'fd00:96::a',
        'n/4': 'fd00:96::e',
      });
      const used = { ...emptyState(), nextServiceOffset6: 7 };
      expect(addresses(allocate(used, services(list.slice(0, 1)), 'fd00:96::8/125'))).toEqual({ 'n/0': 'fd00:96::a' });
      expect(() => allocate(emptyState(), services([...list, { key: 'n/5' }]), 'fd00:96::8/125')).toThrow(
        'no address is left in serviceCidr fd00:96::8/125',
      );
      expect(addresses(allocate(emptyState(), services(list.slice(0, 1)), 'fd00:96::/48'))).toEqual({ 'n/0': 'fd00:96::2' });
    });
  });

  it.each([
    ['10.0.0.0/40', 'serviceCidr 10.0.0.0/40 is neither an IPv4 range of /1 to /29 nor an IPv6 range of /1 to /125'],
    ['fd00::/126', 'serviceCidr fd00::/126 is neither'],
    ['10.96.0.0/16,', 'serviceCidr 10.96.0.0/16,: "" is neither'],
    ['10.96.0.0/16, fd00::/112', '" fd00::/112" is neither'],
    ['10.96.0.0/16,10.97.0.0/16', 'has two ranges of IPv4, and may have one of each family'],
    ['10.96.0.0/16,fd00::/112,10.97.0.0/16', 'has 3 ranges, and may have one of each family'],
  ])('are not given out of %j', (cidr, why) => {
    expect(() => allocate(emptyState(), services([]), cidr)).toThrow(why);
  });

  it('are refused when the range is full', () => {
    const list = Array.from({ length: 6 }, (_, index) => ({ key: `n/${index}` }));
    expect(() => allocate(emptyState(), services(list), '10.96.0.0/29')).toThrow('no address is left');
    expect(addresses(allocate(emptyState(), services(list.slice(1)), '10.96.0.0/29'))).toMatchObject({ 'n/5': '10.96.0.6' });
  });
});

describe('the allocations file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sfc-allocations-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('gives the same answer to an agent that starts later', async () => {
    const file = join(directory, 'deep', 'allocations.json');
    await fileAllocations(file, CIDR).allocate(chains('b'));
    const later = await fileAllocations(file, CIDR).allocate(chains('a', 'b'));
    expect(Object.fromEntries(later.servicePathIds)).toEqual({ a: 2, b: 1 });
  });

  it.each([
    ['text that is no JSON', '{"version":1,'],
    ['another version', JSON.stringify({ ...emptyState(), version: 2 })],
    ['a wrong field', JSON.stringify({ ...emptyState(), chains: { a: { servicePathId: 0 } } })],
  ])('with %s is refused and left as it is', async (_what, text) => {
    const file = join(directory, 'allocations.json');
    writeFileSync(file, text);
    await expect(fileAllocations(file, CIDR).allocate(chains('a'))).rejects.toMatchObject({ code: 'ALLOCATION_STATE' });
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('keeps addresses of both families', async () => {
    const file = join(directory, 'allocations.json');
    const request: AllocationRequest = { chains: [], services: [{ key: 'a/a' }, { key: 'b/b', family: 2 }], reserved: [] };
    const first = await fileAllocations(file, `${CIDR},fd00:96::/112`).allocate(request);
    expect([...first.serviceAddresses.values()]).toEqual(['10.96.0.2', 'fd00:96::2']);
    expect(await fileAllocations(file, `${CIDR},fd00:96::/112`).allocate(request)).toEqual(first);
  });

  it('takes over the lock of a process that died', async () => {
    const file = join(directory, 'allocations.json');
    writeFileSync(`${file}.lock`, '4194304 1\n');
    const result = await fileAllocations(file, CIDR).allocate(chains('a'));
    expect(result.servicePathIds.get('a')).toBe(1);
  });

  it('is not opened past a lock that a live process holds', () => {
    const path = join(directory, 'lock');
    const held = tryLock(path);
    expect(typeof held).toBe('object');
    expect(tryLock(path)).toBe(process.pid);
    if (typeof held === 'object') held.release();
    expect(typeof tryLock(path)).toBe('object');
  });

  it('never gives one id twice to two processes that allocate at the same time', async () => {
    const file = join(directory, 'allocations.json');
    // The runner's loader lets a plain Node process import the TypeScript module.
    const script = `
      import { runnerImport } from 'vite';
      const { module } = await runnerImport('${new URL('./allocations.ts', import.meta.url).pathname}');
      const [file, prefix] = process.argv.slice(1);
      const given = {};
      for (let index = 0; index < 40; index++) {
        const name = prefix + index;
        const answer = await module.fileAllocations(file, '${CIDR}').allocate({ chains: [{ name }], services: [{ key: name }], reserved: [] });
        given[answer.servicePathIds.get(name)] = answer.serviceAddresses.get(name);
      }
      console.log(JSON.stringify(given));`;
    const run = promisify(execFile);
    const outputs = await Promise.all(
      ['a', 'b'].map((prefix) => run(process.execPath, ['--input-type=module', '-e', script, file, prefix], { cwd: process.cwd() })),
    );
    const given = outputs.map(({ stdout }) => JSON.parse(stdout) as Record<string, string>);
    expect(new Set(given.flatMap((one) => Object.keys(one))).size).toBe(80);
    expect(new Set(given.flatMap((one) => Object.values(one))).size).toBe(80);
  }, 30_000);
});
