import { describe, expect, it } from 'vitest';
import { SfcError } from '../../errors/index.js';
import {
  createMemoryStore,
  EMPTY_FLOW,
  FAMILY,
  FLOW_FLAG,
  FLOW_ROLE,
  type MapName,
  type MapStore,
  type RawMap,
  typedMaps,
} from '../../maps/index.js';
import { ip, type Story, story } from './cast.js';
import { Reconciler } from './reconciler.js';

const vpn = { selector: 'vpn-to-firewall', endpoint: 107, spi: 1 };
const usual: Story = { paths: { 1: ['10.2.0.1', '10.2.0.2'] }, endpoints: { 7: 107 }, selects: [vpn], peers: ['10.2.0.0/16'] };

/** A clock that the test moves, in ms. */
function clock() {
  let now = 1000;
  return { now: () => now, pass: (ms: number) => (now += ms) };
}

/** A store whose map `name` refuses to set while `broken()` says so. */
function failing(store: MapStore, name: MapName, broken: (setsBefore: number) => boolean): MapStore {
  let sets = 0;
  const raw = (wanted: MapName): RawMap => {
    const map = store.raw(wanted);
    if (wanted !== name) return map;
    return new Proxy(map, {
      get(target, property) {
        if (property === 'set') {
          return (key: Uint8Array, value: Uint8Array) => {
            if (broken(sets++)) throw new SfcError('MAP_IO', `${name}: EIO`);
            target.set(key, value);
          };
        }
        const value: unknown = Reflect.get(target, property);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  return { kind: store.kind, raw, pinPath: (wanted) => store.pinPath(wanted), close: () => store.close() };
}

const flowKey = (ifindex: number, port: number) => ({
  ifindex,
  family: FAMILY.ipv4,
  protocol: 6,
  visit: 0,
  address_a: ip('10.1.1.7'),
  address_b: ip('192.0.2.1'),
  port_a: port,
  port_b: 443,
});

const flow = (role: number, nextHop: string, flags: number) => ({
  ...EMPTY_FLOW,
  path: role === FLOW_ROLE.source ? 257 : 513,
  next_path: 257,
  next_hop: ip(nextHop),
  next_family: FAMILY.ipv4,
  next_ifindex: 3,
  endpoint: 107,
  generation: 2,
  role,
  flags,
  ttl: 64,
  last_seen: 5,
  packets: 3,
  bytes: 300,
});

const DECIDED = FLOW_FLAG.forwardAToB | FLOW_FLAG.nextHop | FLOW_FLAG.resolved;

describe('the reconciler', () => {
  it('fills empty maps', () => {
    const store = createMemoryStore();
    const result = new Reconciler(store, clock().now).reconcile(story(usual));
    expect(result).toMatchObject({ refusals: [], owed: [] });
    const maps = typedMaps(store);
    expect([...maps.sfcselect.entries()]).toMatchObject([[{ endpoint: 107, prefix_len: 64 }, { path: 257 }]]);
    expect(maps.sfcpath.get({ path: 257 })).toMatchObject({ backend_slots: 7, failure_policy: 0 });
    expect(maps.sfcbackend.get({ slot: 1 })?.address).toEqual(ip('10.2.0.2'));
    expect(maps.endpoint.get({ ifindex: 7 })).toMatchObject({ id: 107, flags: 1 | 4, generation: 2 });
  });

  it('adopts what an agent before it left: nothing is written again', () => {
    const store = createMemoryStore();
    new Reconciler(store, clock().now).reconcile(story(usual));
    const touched: string[] = [];
    const guarded = failing(store, 'sfcselect', () => touched.push('set') > 0);
    expect(new Reconciler(guarded, clock().now).reconcile(story(usual))).toMatchObject({ changes: 0, owed: [] });
    expect(touched).toEqual([]);
  });

  it('gives a fresh slice and frees the old one once no packet can be reading it', () => {
    const store = createMemoryStore();
    const time = clock();
    const reconciler = new Reconciler(store, time.now);
    reconciler.reconcile(story(usual));
    const target = story({ ...usual, paths: { 1: ['10.2.0.2'] } });
    expect(reconciler.reconcile(target).againInMs).toBe(1000);
    const maps = typedMaps(store);
    expect(maps.sfcpath.get({ path: 257 })?.backend_base).toBe(7);
    expect(maps.sfcbackend.get({ slot: 0 })?.family).toBe(FAMILY.ipv4);
    time.pass(1000);
    reconciler.reconcile(target);
    expect(maps.sfcbackend.get({ slot: 0 })?.family).toBe(0);
    expect(reconciler.reconcile(target).againInMs).toBe(undefined);
  });

  it('applies a selector whole or not at all when the map fails in the middle, and repairs it later', () => {
    const store = createMemoryStore();
    const time = clock();
    const reconciler = new Reconciler(
      failing(store, 'sfcselect', (sets) => sets === 2),
      time.now,
    );
    const two = [0, 1, 2].map((index) => ({ ...vpn, cidr: `10.${index}.0.0/16` }));
    const target = story({ ...usual, selects: two });
    const first = reconciler.reconcile(target);
    expect(first.owed).toMatchObject([{ action: 'select-set', attempts: 1, error: 'sfcselect: EIO', selector: 'vpn-to-firewall' }]);
    expect(store.raw('sfcselect').size()).toBe(0);
    expect(reconciler.reconcile(target).changes).toBe(0);
    time.pass(first.againInMs ?? 0);
    expect(reconciler.reconcile(target).owed).toEqual([]);
    expect(store.raw('sfcselect').size()).toBe(3);
    expect(typedMaps(store).endpoint.get({ ifindex: 7 })?.generation).toBe(2);
  });

  it.each(['sfcselect', 'sfcports'] as const)('applies ranges that need each other all or not at all when %s fails', (map) => {
    const store = createMemoryStore();
    const time = clock();
    const reconciler = new Reconciler(
      failing(store, map, (sets) => sets === 1),
      time.now,
    );
    const together = ['narrow', 'range'];
    const range = { selector: 'range', endpoint: 107, spi: 1, port: 8000, together };
    const target = story({
      ...usual,
      selects: [range, { ...range, selector: 'narrow', port: 8010 }],
      ports: [
        { endpoint: 107, port: 8000, bits: 10, firstPort: 8000, together },
        { endpoint: 107, port: 8010, bits: 16, firstPort: 0, together },
      ],
    });
    const first = reconciler.reconcile(target);
    expect(first.owed).toHaveLength(1);
    expect([store.raw('sfcselect').size(), store.raw('sfcports').size()]).toEqual([0, 0]);
    time.pass(first.againInMs ?? 0);
    expect(reconciler.reconcile(target).owed).toEqual([]);
    expect([store.raw('sfcselect').size(), store.raw('sfcports').size()]).toEqual([2, 2]);
    expect(reconciler.reconcile(target).changes).toBe(0);
  });

  it('waits longer after each failure', () => {
    const time = clock();
    const reconciler = new Reconciler(
      failing(createMemoryStore(), 'sfcpath', () => true),
      time.now,
    );
    const waits = [0, 1, 2].map(() => {
      const wait = reconciler.reconcile(story(usual)).againInMs ?? 0;
      time.pass(wait);
      return wait;
    });
    expect(waits).toEqual([100, 200, 400]);
  });

  it('never sets a selector whose path could not be set', () => {
    const store = createMemoryStore();
    const result = new Reconciler(
      failing(store, 'sfcpath', () => true),
      clock().now,
    ).reconcile(story(usual));
    expect(result.owed.map(({ action }) => action)).toEqual(['path-set']);
    expect(store.raw('sfcselect').size()).toBe(0);
  });

  it('refuses what exceeds the capacity and keeps what ran', () => {
    const store = createMemoryStore({ sfcselect: 16 });
    const reconciler = new Reconciler(store, clock().now);
    reconciler.reconcile(story(usual));
    const many = Array.from({ length: 16 }, (_, index) => ({ ...vpn, selector: 'a-many', cidr: `10.${index}.0.0/16` }));
    const result = reconciler.reconcile(story({ ...usual, selects: [...many, vpn] }));
    expect(result.refusals).toMatchObject([{ what: 'selector', name: 'a-many', transient: false }]);
    expect(store.raw('sfcselect').size()).toBe(1);
  });
});

describe('the sweep', () => {
  function running() {
    const store = createMemoryStore();
    const time = clock();
    const reconciler = new Reconciler(store, time.now);
    reconciler.reconcile(story(usual));
    return { maps: typedMaps(store), reconciler, time };
  }

  it('ends source flows to a backend that went away, and only those', () => {
    const { maps, reconciler } = running();
    maps.sfcflow.set(flowKey(7, 1), flow(FLOW_ROLE.source, '10.2.0.1', DECIDED));
    maps.sfcflow.set(flowKey(7, 2), flow(FLOW_ROLE.source, '10.2.0.2', DECIDED));
    const result = reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] } }));
    expect(result.swept).toMatchObject({ deleted: 1, reopened: 0 });
    expect(maps.sfcflow.get(flowKey(7, 1))).toBe(undefined);
    expect(maps.sfcflow.get(flowKey(7, 2))).toBeDefined();
  });

  it('ends ingress flows to a backend that went away', () => {
    const { maps, reconciler } = running();
    maps.sfcflow.set(flowKey(7, 1), { ...flow(FLOW_ROLE.ingress, '10.2.0.1', DECIDED), next_path: 257 });
    maps.sfcflow.set(flowKey(7, 2), { ...flow(FLOW_ROLE.ingress, '10.2.0.2', DECIDED), next_path: 257 });
    const result = reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] } }));
    expect(result.swept).toMatchObject({ deleted: 1, reopened: 0 });
    expect(maps.sfcflow.get(flowKey(7, 1))).toBe(undefined);
  });

  it('sweeps once more a second later, for packets that were in flight', () => {
    const { maps, reconciler, time } = running();
    const target = story({ ...usual, paths: { 1: ['10.2.0.2'] } });
    reconciler.reconcile(target);
    maps.sfcflow.set(flowKey(7, 1), flow(FLOW_ROLE.source, '10.2.0.1', DECIDED));
    expect(reconciler.reconcile(target).swept).toBe(undefined);
    time.pass(1000);
    expect(reconciler.reconcile(target).swept).toMatchObject({ deleted: 1, reopened: 0 });
  });

  it('lets a function choose its next hop again, and keeps where the flow came from', () => {
    const { maps, reconciler } = running();
    const flags = DECIDED | FLOW_FLAG.previousHop;
    maps.sfcflow.set(flowKey(7, 1), { ...flow(FLOW_ROLE.function, '10.2.0.1', flags), previous_hop: ip('10.9.0.1'), previous_family: 1 });
    reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] } }));
    expect(maps.sfcflow.get(flowKey(7, 1))).toMatchObject({
      flags: FLOW_FLAG.forwardAToB | FLOW_FLAG.previousHop,
      next_hop: new Uint8Array(16),
      next_ifindex: 0, // nor the way to it
      previous_hop: ip('10.9.0.1'),
      packets: 3,
    });
  });

  it('moves no flow of instances that stay when a function is scaled out or in', () => {
    const { maps, reconciler } = running();
    const flags = DECIDED | FLOW_FLAG.previousHop;
    const kept = [
      [flowKey(7, 1), flow(FLOW_ROLE.source, '10.2.0.2', DECIDED)],
      [flowKey(7, 2), flow(FLOW_ROLE.function, '10.2.0.2', flags)],
    ] as const;
    maps.sfcflow.setMany(kept);
    for (const instances of [['10.2.0.1', '10.2.0.2', '10.2.0.3'], ['10.2.0.2', '10.2.0.3'], ['10.2.0.2']]) {
      reconciler.reconcile(story({ ...usual, paths: { 1: instances } }));
      for (const [key, value] of kept) expect(maps.sfcflow.get(key)).toEqual(value);
    }
  });

  it('leaves flows with an instance that takes no new ones, and ends them when it goes though no table changes', () => {
    const { maps, reconciler, time } = running();
    maps.sfcflow.set(flowKey(7, 1), flow(FLOW_ROLE.source, '10.2.0.1', DECIDED));
    reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] }, others: { 1: ['10.2.0.1'] } }));
    time.pass(1000);
    reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] }, others: { 1: ['10.2.0.1'] } }));
    expect(maps.sfcflow.get(flowKey(7, 1))).toBeDefined();
    const result = reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] } }));
    expect(result.swept).toMatchObject({ deleted: 1 });
  });

  it('leaves flows of a gone instance alone where the chain says so', () => {
    const { maps, reconciler } = running();
    const staying = flow(FLOW_ROLE.source, '10.2.0.1', DECIDED);
    maps.sfcflow.set(flowKey(7, 1), staying);
    maps.sfcflow.set(flowKey(7, 2), { ...staying, role: FLOW_ROLE.function });
    const result = reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] }, onInstanceLoss: 'Stay' }));
    expect(result.swept).toEqual({ deleted: 0, reopened: 0, reset: 0, clients: 0 });
    expect(maps.sfcflow.get(flowKey(7, 1))).toEqual(staying);
  });

  it('marks TCP source flows of a gone instance where the chain resets them, once, and moves the others', () => {
    const { maps, reconciler, time } = running();
    const [tcp, udp, function_, ingress] = [flowKey(7, 1), { ...flowKey(7, 2), protocol: 17 }, flowKey(7, 3), flowKey(7, 4)];
    const lost = flow(FLOW_ROLE.source, '10.2.0.1', DECIDED);
    maps.sfcflow.set(tcp, lost);
    maps.sfcflow.set(udp, lost);
    maps.sfcflow.set(function_, { ...lost, role: FLOW_ROLE.function });
    maps.sfcflow.set(ingress, { ...lost, role: FLOW_ROLE.ingress });
    const target = story({ ...usual, paths: { 1: ['10.2.0.2'] }, onInstanceLoss: 'Reset' });
    expect(reconciler.reconcile(target).swept).toEqual({ deleted: 1, reopened: 0, reset: 3, clients: 0 });
    // Not resolved: the next packet leaves the straight way, and there the mark is found. Where the flow went is kept.
    const marked = { ...lost, flags: FLOW_FLAG.forwardAToB | FLOW_FLAG.nextHop | FLOW_FLAG.reset };
    expect(maps.sfcflow.get(tcp)).toEqual(marked);
    time.pass(1000);
    expect(reconciler.reconcile(target).swept).toMatchObject({ reset: 0 });
  });

  it('leaves a function alone whose next hop is a destination at service index 0', () => {
    const { maps, reconciler } = running();
    const leaving = { ...flow(FLOW_ROLE.function, '10.7.0.1', DECIDED), next_path: 256 };
    maps.sfcflow.set(flowKey(7, 1), leaving);
    reconciler.reconcile(story({ ...usual, paths: { 1: ['10.2.0.2'] } }));
    expect(maps.sfcflow.get(flowKey(7, 1))).toEqual(leaving);
  });

  it('ends every flow of an endpoint that is gone', () => {
    const { maps, reconciler } = running();
    maps.sfcflow.set(flowKey(7, 1), flow(FLOW_ROLE.destination, '0.0.0.0', FLOW_FLAG.forwardAToB));
    reconciler.reconcile(story({ ...usual, endpoints: {}, selects: [] }));
    expect(maps.sfcflow.size()).toBe(0);
    expect(maps.endpoint.size()).toBe(0);
  });

  it('ends what an agent that died in between left behind', () => {
    const { maps, reconciler } = running();
    maps.sfcflow.set(flowKey(7, 1), flow(FLOW_ROLE.source, '10.2.0.9', DECIDED));
    expect(reconciler.reconcile(story(usual)).swept).toBe(undefined);
    const next = new Reconciler(
      { kind: 'memory', raw: (name) => rawOf(maps, name), pinPath: () => undefined, close: () => undefined },
      clock().now,
    );
    expect(next.reconcile(story(usual)).swept).toMatchObject({ deleted: 1, reopened: 0 });
  });
});

describe('clients that are remembered', () => {
  const sticky: Story = { ...usual, affinityTimeout: 60 };
  const client = (last: number, path = 257) => ({ path, family: FAMILY.ipv4, client: ip(`10.8.0.${last}`) });
  const at = (text: string) => ({ last_seen: 5, backend: ip(text), backend_family: FAMILY.ipv4 });

  function running() {
    const store = createMemoryStore();
    const time = clock();
    const reconciler = new Reconciler(store, time.now);
    reconciler.reconcile(story(sticky));
    return { maps: typedMaps(store), reconciler, time };
  }

  it('are forgotten when their instance goes, and only those', () => {
    const { maps, reconciler, time } = running();
    maps.sfcaffinity.set(client(1), at('10.2.0.1'));
    maps.sfcaffinity.set(client(2), at('10.2.0.2'));
    const target = story({ ...sticky, paths: { 1: ['10.2.0.2'] } });
    expect(reconciler.reconcile(target).swept).toMatchObject({ clients: 1 });
    expect([...maps.sfcaffinity.entries()].map(([key]) => key)).toEqual([client(2)]);
    // One that a packet in flight brings back is forgotten a second later.
    maps.sfcaffinity.set(client(1), at('10.2.0.1'));
    time.pass(1000);
    expect(reconciler.reconcile(target).swept).toMatchObject({ clients: 1 });
  });

  it('are forgotten when their instance takes no new flows any more, while its flows stay', () => {
    const { maps, reconciler } = running();
    maps.sfcaffinity.set(client(1), at('10.2.0.1'));
    maps.sfcflow.set(flowKey(7, 1), flow(FLOW_ROLE.source, '10.2.0.1', DECIDED));
    const result = reconciler.reconcile(story({ ...sticky, paths: { 1: ['10.2.0.2'] }, others: { 1: ['10.2.0.1'] } }));
    expect(result.swept).toEqual({ deleted: 0, reopened: 0, reset: 0, clients: 1 });
  });

  it("are forgotten with their path: its number may be another chain's next", () => {
    const { maps, reconciler } = running();
    maps.sfcaffinity.set(client(1), at('10.2.0.1'));
    reconciler.reconcile(story({ ...sticky, paths: {}, selects: [] }));
    expect(maps.sfcaffinity.size()).toBe(0);
  });

  it('are found by the next agent, too', () => {
    const { maps, time } = running();
    maps.sfcaffinity.set(client(1), at('10.2.0.9'));
    maps.sfcaffinity.set(client(2), at('10.2.0.2'));
    const store: MapStore = { kind: 'memory', raw: (name) => rawOf(maps, name), pinPath: () => undefined, close: () => undefined };
    expect(new Reconciler(store, time.now).reconcile(story(sticky)).swept).toMatchObject({ clients: 1 });
  });
});

function rawOf(maps: ReturnType<typeof typedMaps>, name: MapName): RawMap {
  return maps[name].raw;
}
