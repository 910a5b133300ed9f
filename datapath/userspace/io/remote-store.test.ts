import { describe, expect, it } from 'vitest';
import { createMemoryStore, ENDPOINT_FLAG, MAPS, typedMaps } from '../../../maps/index.js';
import { Answers } from './answers.js';
import { type Call, CHUNK } from './calls.js';
import { remoteStore } from './remote-store.js';

/** A store at the other end of the calls, with every call that it was asked, as the packet thread would be. */
function pair(capacities: Partial<Record<'sfcpath' | 'peer', number>> = {}) {
  const there = createMemoryStore(capacities);
  const asked: Call[] = [];
  const plane = { attach: () => undefined, detach: () => undefined, policyChanged: () => undefined, close: () => undefined };
  const answers = new Answers(there, plane);
  const here = remoteStore(
    capacities,
    (call) => {
      asked.push(call);
      // As through a MessagePort: nothing is shared.
      return structuredClone(answers.to(structuredClone(call)));
    },
    (map) => there.raw(map).size(),
  );
  return { here, there, asked };
}

const key = (index: number) => {
  const bytes = new Uint8Array(MAPS.sfcpath.key.size);
  new DataView(bytes.buffer).setUint32(0, index);
  return bytes;
};
const value = (fill: number) => new Uint8Array(MAPS.sfcpath.value.size).fill(fill);

describe('the maps of the packet thread, from the agent', () => {
  it('are read and written as if they were here', () => {
    const { here, there } = pair();
    const map = here.raw('sfcpath');
    map.set(key(1), value(7));
    expect(there.raw('sfcpath').get(key(1))).toEqual(value(7));
    expect(map.get(key(1))).toEqual(value(7));
    expect(map.get(key(2))).toBeUndefined();
    expect(map.size()).toBe(1);
    expect(map.delete(key(1))).toBe(true);
    expect(map.delete(key(1))).toBe(false);
    expect(there.raw('sfcpath').size()).toBe(0);
  });

  it('are written with one call however many entries there are, and listed a chunk at a time', () => {
    const { here, asked } = pair();
    const map = here.raw('sfcpath');
    const entries = Array.from({ length: 2 * CHUNK + 1 }, (_, index) => [key(index), value(index)] as const);
    map.setMany(entries);
    expect(asked.map(({ op }) => op)).toEqual(['setMany']);
    expect([...map.entries()].sort(([a], [b]) => Buffer.compare(a, b))).toEqual(entries);
    // Two chunks that are full, one of a single entry.
    expect(asked.slice(1).map(({ op }) => op)).toEqual(['list', 'next', 'next']);
    map.deleteMany(entries.slice(1).map(([each]) => each));
    expect([...map.entries()]).toEqual([entries[0]]);
  });

  it('forget a list that is not read to its end', () => {
    const { here, asked } = pair();
    here.raw('sfcpath').setMany(Array.from({ length: CHUNK + 1 }, (_, index) => [key(index), value(index)] as const));
    for (const _ of here.raw('sfcpath').entries()) break;
    expect(asked.at(-1)?.op).toBe('leave');
    // A list that came whole is not open any more.
    for (const _ of here.raw('endpoint').entries()) break;
    expect(asked.at(-1)?.op).toBe('list');
  });

  it('refuse what does not fit, in the same words as the map itself, and change nothing', () => {
    const { here, there, asked } = pair({ sfcpath: 2 });
    const map = here.raw('sfcpath');
    const three = [1, 2, 3].map((index) => [key(index), value(index)] as const);
    expect(() => map.setMany(three)).toThrow(expect.objectContaining({ code: 'MAP_FULL' }));
    expect(there.raw('sfcpath').size()).toBe(0);
    expect(() => map.set(new Uint8Array(3), value(1))).toThrow(expect.objectContaining({ code: 'MAP_IO' }));
    expect(asked).toHaveLength(1);
  });

  it('serve the typed maps', () => {
    const { here } = pair();
    const { endpoint } = typedMaps(here);
    const [ipv4, ipv6] = [Uint8Array.of(10, 244, 1, 10), new Uint8Array(16)];
    endpoint.set({ ifindex: 7 }, { id: 42, flags: ENDPOINT_FLAG.ipv4, mtu: 1500, generation: 1, ipv4, ipv6 });
    expect(endpoint.get({ ifindex: 7 })?.id).toBe(42);
  });
});
