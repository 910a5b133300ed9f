import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENDPOINT_FLAG } from '../../maps/index.js';
import { type Story, story } from './cast.js';
import { applyToMirror, type Change, sliceText } from './changes.js';
import { emptyObserved, type Observed, selectKeyText, type Target } from './model.js';
import { planChanges } from './plan.js';

const ROOMY = { sfcselect: 1000, sfcports: 1000, sfcpath: 100, sfcbackend: 1000, endpoint: 100, peer: 100 };

/** What every packet relies on, at every moment. */
function checkInvariants(observed: Observed, slots: ReadonlyMap<number, string>): void {
  for (const [text, { key, value }] of observed.selects) {
    expect(value.path === 0 || observed.paths.has(value.path), `selector ${text} names a missing path`).toBe(true);
    const endpoint = [...observed.endpoints.values()].find(({ id }) => id === key.endpoint);
    if (endpoint === undefined) continue;
    const { selectsAllPorts, selectsPorts, selectsAnyProtocol } = ENDPOINT_FLAG;
    const egress =
      key.protocol === 0
        ? selectsAnyProtocol
        : (key.port === 0 ? selectsAllPorts : selectsPorts) | (key.protocol === 6 ? 0 : selectsAnyProtocol);
    const flag = key.flags === 1 ? egress : egress * 16;
    expect(endpoint.flags & flag, `endpoint ${key.endpoint} does not know that it selects`).toBe(flag);
  }
  for (const { key } of observed.ports.values()) {
    const endpoint = [...observed.endpoints.values()].find(({ id }) => id === key.endpoint);
    const flag = key.flags === 1 ? ENDPOINT_FLAG.selectsRanges : ENDPOINT_FLAG.ingressRanges;
    if (endpoint !== undefined) expect(endpoint.flags & flag, `endpoint ${key.endpoint} does not know of its ranges`).toBe(flag);
  }
  for (const [path, { value, table }] of observed.paths) {
    const held = Array.from({ length: value.backend_slots }, (_, index) => slots.get(value.backend_base + index));
    const wanted = table.slots.map((slot) => `${slot.family}:${Buffer.from(slot.address).toString('hex')}`);
    expect(held, `path ${path} has a torn table`).toEqual(wanted);
  }
}

function fill(slots: Map<number, string>, change: Change): void {
  if (change.kind === 'backends-fill') {
    change.table.slots.forEach((slot, index) => {
      slots.set(change.slice.base + index, `${slot.family}:${Buffer.from(slot.address).toString('hex')}`);
    });
  } else if (change.kind === 'backends-free')
    for (let index = 0; index < change.slice.slots; index++) slots.delete(change.slice.base + index);
}

/** Few, so that paths come to have the same instances, and share a table. */
const address = fc.integer({ min: 1, max: 3 }).map((last) => `10.2.0.${last}`);
const stories: fc.Arbitrary<Story> = fc
  .record({
    paths: fc.dictionary(fc.integer({ min: 1, max: 5 }).map(String), fc.uniqueArray(address, { maxLength: 3 }), { minKeys: 1 }),
    endpoints: fc.dictionary(fc.integer({ min: 1, max: 5 }).map(String), fc.constant(0)),
    wishes: fc.array(
      fc.record({
        selector: fc.constantFrom('a', 'b', 'c'),
        ifindex: fc.nat(),
        path: fc.nat(),
        cidr: fc.constantFrom('0.0.0.0/0', '10.0.0.0/8', '10.9.0.0/16'),
        port: fc.constantFrom(0, 80),
        protocol: fc.constantFrom(6, 6, 132, 0),
        ingress: fc.boolean(),
        bits: fc.option(fc.constantFrom(8, 10), { nil: undefined }),
        exception: fc.boolean(),
      }),
      { maxLength: 12 },
    ),
    peers: fc.uniqueArray(fc.constantFrom('10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16')),
  })
  .map(({ paths, endpoints, wishes, peers }) => {
    const ifindexes = Object.keys(endpoints);
    const spis = Object.keys(paths);
    const selects =
      ifindexes.length === 0
        ? []
        : wishes.map((wish) => ({
            selector: wish.selector,
            endpoint: 100 + Number(ifindexes[wish.ifindex % ifindexes.length]),
            spi: wish.exception ? 0 : Number(spis[wish.path % spis.length]),
            cidr: wish.cidr,
            port: wish.protocol === 0 ? 0 : wish.port,
            protocol: wish.protocol,
            ingress: wish.ingress,
            together: wish.exception ? ['b'] : [],
          }));
    const ports = selects.flatMap(({ endpoint, selector, ingress }, index) => {
      const bits = wishes[index]?.bits;
      return bits === undefined ? [] : [{ endpoint, ingress, port: 0x5000, bits, firstPort: 0x5000 + bits, together: [selector] }];
    });
    return { paths, endpoints: Object.fromEntries(ifindexes.map((ifindex) => [ifindex, 100 + Number(ifindex)])), selects, ports, peers };
  });

function converge(target: Target, observed: Observed, slots: Map<number, string>, check: () => void): void {
  for (const change of planChanges(target, observed, ROOMY, new Set(observed.filled.keys())).changes) {
    fill(slots, change);
    applyToMirror(observed, change);
    check();
  }
}

describe('a plan', () => {
  it('never shows a packet a selector without its path, or a path without its table, at any prefix', () => {
    fc.assert(
      fc.property(fc.array(stories, { minLength: 1, maxLength: 5 }), (sequence) => {
        const observed = emptyObserved();
        const slots = new Map<number, string>();
        for (const wanted of sequence) {
          const target = story(wanted);
          converge(target, observed, slots, () => checkInvariants(observed, slots));
          expect([...observed.selects.keys()].sort()).toEqual([...target.selects.keys()].sort());
          expect([...observed.ports.keys()].sort()).toEqual([...target.ports.keys()].sort());
          expect([...observed.paths.keys()].sort()).toEqual([...target.paths.keys()].sort());
          for (const endpoint of observed.endpoints.values()) expect(endpoint.generation % 2).toBe(0);
        }
      }),
    );
  });

  it('is empty once the maps hold what is wanted', () => {
    fc.assert(
      fc.property(stories, (wanted) => {
        const observed = emptyObserved();
        converge(story(wanted), observed, new Map(), () => undefined);
        expect(planChanges(story(wanted), observed, ROOMY).changes).toEqual([]);
      }),
    );
  });

  it('finishes what a dead agent began, from any prefix', () => {
    fc.assert(
      fc.property(stories, stories, fc.nat(), (first, second, cut) => {
        const observed = emptyObserved();
        const slots = new Map<number, string>();
        converge(story(first), observed, slots, () => undefined);
        const { changes } = planChanges(story(second), observed, ROOMY);
        for (const change of changes.slice(0, cut % (changes.length + 1))) {
          fill(slots, change);
          applyToMirror(observed, change);
        }
        // What a new agent does not know: slices that no path names.
        observed.filled.clear();
        converge(story(second), observed, slots, () => checkInvariants(observed, slots));
        for (const endpoint of observed.endpoints.values()) expect(endpoint.generation % 2).toBe(0);
        expect(
          planChanges(story(second), observed, ROOMY, new Set(observed.filled.keys())).changes.filter(
            ({ kind }) => kind !== 'backends-free',
          ),
        ).toEqual([]);
      }),
    );
  });

  it('gives paths with the same instances one table, and frees it when the last of them has left it', () => {
    const observed = emptyObserved();
    const slots = new Map<number, string>();
    const bases = (paths: Readonly<Record<number, readonly string[]>>) => {
      converge(story({ paths }), observed, slots, () => checkInvariants(observed, slots));
      converge(story({ paths }), observed, slots, () => checkInvariants(observed, slots)); // what was left is free
      return [1, 2, 3].map((spi) => observed.paths.get(spi * 256 + 1)?.value.backend_base);
    };
    const [one, two] = [['10.2.0.1'], ['10.2.0.2']];
    expect(bases({ 1: one, 2: one, 3: two })).toEqual([0, 0, 7]);
    expect(slots.size).toBe(14);
    expect(bases({ 1: one, 2: two, 3: two })).toEqual([0, 7, 7]);
    expect(bases({ 1: two, 2: two, 3: two })).toEqual([7, 7, 7]);
    expect(slots.size).toBe(7);
    expect(bases({ 1: two, 2: one, 3: one })).toEqual([7, 0, 0]);
    expect(bases({ 3: one })).toEqual([undefined, undefined, 0]);
    expect(bases({})).toEqual([undefined, undefined, undefined]);
    expect(slots.size).toBe(0);
  });

  const vpn = { selector: 'vpn-to-firewall', endpoint: 107, spi: 1 };
  const before: Story = {
    paths: { 1: ['10.2.0.1', '10.2.0.2'], 2: ['10.3.0.1'] },
    endpoints: { 7: 107, 8: 108 },
    selects: [vpn],
    peers: ['10.2.0.0/16'],
  };

  function settled(): Observed {
    const observed = emptyObserved();
    converge(story(before), observed, new Map(), () => undefined);
    return observed;
  }

  it('flips a path to a fresh slice and leaves the old one readable', () => {
    const observed = settled();
    const old = observed.paths.get(257)?.value;
    const { changes } = planChanges(story({ ...before, paths: { ...before.paths, 1: ['10.2.0.2'] } }), observed, ROOMY);
    expect(changes.map(({ kind }) => kind)).toEqual(['backends-fill', 'path-set', 'endpoint-set', 'endpoint-set']);
    for (const change of changes) applyToMirror(observed, change);
    expect(observed.paths.get(257)?.value.backend_base).not.toBe(old?.backend_base);
    expect([...observed.filled.keys()]).toEqual([sliceText({ base: old?.backend_base ?? -1, slots: 7 })]);
  });

  it('raises the generation of those whose path changed, and of nobody else', () => {
    const observed = settled();
    const generation = (ifindex: number) => observed.endpoints.get(ifindex)?.generation;
    const [vpnBefore, otherBefore] = [generation(7), generation(8)];
    for (const change of planChanges(story({ ...before, paths: { ...before.paths, 1: ['10.2.0.2'] } }), observed, ROOMY).changes) {
      applyToMirror(observed, change);
    }
    expect(generation(7)).toBe((vpnBefore ?? 0) + 2);
    expect(generation(8)).toBe(otherBefore);
  });

  it('keeps the generation when only the MTU changes', () => {
    const observed = settled();
    const target = story(before);
    const wanted = target.endpoints.get(7);
    if (wanted === undefined) throw new Error('no endpoint 7');
    const { changes } = planChanges({ ...target, endpoints: new Map(target.endpoints).set(7, { ...wanted, mtu: 9000 }) }, observed, ROOMY);
    expect(changes).toMatchObject([{ kind: 'endpoint-set', value: { mtu: 9000, generation: observed.endpoints.get(7)?.generation } }]);
  });

  it('refuses a selector that does not fit as a whole, and keeps the others', () => {
    const many = Array.from({ length: 10 }, (_, index) => ({ selector: 'aa-many', endpoint: 107, spi: 2, cidr: `10.${index}.0.0/16` }));
    const observed = settled();
    const plan = planChanges(story({ ...before, selects: [vpn, ...many] }), observed, { ...ROOMY, sfcselect: 10 });
    expect(plan.refusals).toEqual([
      { what: 'selector', name: 'aa-many', message: 'sfcselect is full: 10 entries wanted beside 1, capacity 10', transient: false },
    ]);
    expect(plan.changes).toEqual([]);
  });

  describe('of ranges that need each other', () => {
    const range = { selector: 'range', endpoint: 107, spi: 1, port: 8000, together: ['narrow', 'range'] };
    const narrow = { ...range, selector: 'narrow', spi: 2, port: 8010 };
    const ports = [
      { endpoint: 107, port: 8000, bits: 10, firstPort: 8000, together: ['narrow', 'range'] },
      { endpoint: 107, port: 8010, bits: 16, firstPort: 0, together: ['narrow', 'range'] },
    ];
    const target = story({ ...before, selects: [vpn, range, narrow], ports });

    it('has the parts of a range there before the range, and both behind what they lead to', () => {
      const kinds = planChanges(target, settled(), ROOMY).changes.map((change) =>
        change.kind === 'ports-set' ? `ports-set /${change.key.prefix_len - 32}` : change.kind,
      );
      expect(kinds).toEqual(['endpoint-set', 'select-set', 'select-set', 'ports-set /16', 'ports-set /10', 'endpoint-set']);
    });

    it('takes the range away before its parts, and both before what they lead to', () => {
      const observed = settled();
      converge(target, observed, new Map(), () => undefined);
      const kinds = planChanges(story(before), observed, ROOMY).changes.map((change) =>
        change.kind === 'ports-delete' ? `ports-delete /${change.key.prefix_len - 32}` : change.kind,
      );
      expect(kinds).toEqual(['endpoint-set', 'ports-delete /10', 'ports-delete /16', 'select-delete', 'select-delete', 'endpoint-set']);
    });

    it.each([
      ['sfcselect', { sfcselect: 2 }, 'sfcselect is full: 2 entries wanted beside 1, capacity 2'],
      ['sfcports', { sfcports: 1 }, 'sfcports is full: 2 entries wanted beside 0, capacity 1'],
    ])('refuses all of them where %s has no room for one', (_, capacity, message) => {
      const plan = planChanges(target, settled(), { ...ROOMY, ...capacity });
      expect(plan.refusals).toEqual(['narrow', 'range'].map((name) => ({ what: 'selector', name, message, transient: false })));
      expect(plan.changes).toEqual([]);
    });

    it('refuses all of them where the path of one has no room', () => {
      const blocked = story({
        ...before,
        paths: { ...before.paths, 3: ['10.4.0.1'] },
        selects: [vpn, range, { ...narrow, spi: 3 }],
        ports,
      });
      const plan = planChanges(blocked, settled(), { ...ROOMY, sfcbackend: 20 });
      expect(plan.refusals.map(({ what, name }) => `${what} ${name}`)).toEqual(['path 769', 'selector range', 'selector narrow']);
      expect(plan.changes).toEqual([]);
    });
  });

  it('refuses a path without room for its table, together with its selectors', () => {
    const third = { selector: 'third', endpoint: 108, spi: 3 };
    const target = story({ ...before, paths: { ...before.paths, 3: ['10.4.0.1'] }, selects: [vpn, third] });
    const plan = planChanges(target, settled(), { ...ROOMY, sfcbackend: 20 });
    expect(plan.refusals.map(({ what, name }) => `${what} ${name}`)).toEqual(['path 769', 'selector third']);
    expect(plan.changes).toEqual([]);
  });

  it('replaces everything in a full map in two passes', () => {
    const observed = settled();
    const target = story({ ...before, selects: [{ ...vpn, cidr: '10.0.0.0/8' }] });
    const first = planChanges(target, observed, { ...ROOMY, sfcselect: 1 });
    expect(first.refusals).toMatchObject([{ name: 'vpn-to-firewall', transient: true }]);
    for (const change of first.changes) applyToMirror(observed, change);
    const second = planChanges(target, observed, { ...ROOMY, sfcselect: 1 });
    expect(second.refusals).toEqual([]);
    for (const change of second.changes) applyToMirror(observed, change);
    expect([...observed.selects.values()].map(({ key }) => selectKeyText(key))).toEqual([...target.selects.keys()]);
  });
});
