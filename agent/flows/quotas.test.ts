import { afterEach, describe, expect, it } from 'vitest';
import { createMemoryStore, EMPTY_FLOW, FAMILY, FLOW_ROLE, type MapStore, mapCodecs, typedMaps } from '../../maps/index.js';
import { FlowCollector, Quotas } from './index.js';

const SECOND = 1e9;
const NOW = 5_000 * SECOND;
const UDP = 17;
/** Of one, two and three bytes. */
const [VPN, SHOP, FIREWALL] = [7, 300, 70_000];
const { key: KEY, value: VALUE } = mapCodecs('sfcflow');

const keyOf = (ifindex: number, port: number) => ({
  ifindex,
  family: FAMILY.ipv4,
  protocol: UDP,
  visit: 0,
  address_a: new Uint8Array(16),
  address_b: new Uint8Array(16),
  port_a: port,
  port_b: 443,
});
const flow = (role: number, last_seen = NOW) => ({ ...EMPTY_FLOW, role, last_seen });

function node(limit = 100, store: MapStore = createMemoryStore()) {
  const maps = typedMaps(store);
  const clock = { now: NOW };
  const start = (other = limit) => new Quotas({ map: maps.sfcquota, limit: other, now: () => clock.now });
  const quotas = start();
  const of = (ifindex: number) => maps.sfcquota.get({ ifindex });
  /** What the datapath does when it lets a flow in. */
  const open = (ifindex: number, flows = 1) => {
    const quota = of(ifindex);
    if (quota !== undefined) maps.sfcquota.set({ ifindex }, { ...quota, flows: quota.flows + flows });
  };
  /** A walk that meets so many flows of each interface. */
  const walk = (flows: Readonly<Record<number, number>>, meanwhile = () => {}) => {
    const visitor = quotas.begin();
    for (const [ifindex, many] of Object.entries(flows))
      for (let port = 0; port < many; port++) visitor.see(KEY.encode(keyOf(Number(ifindex), port)), VALUE.encode(flow(FLOW_ROLE.source)));
    meanwhile();
    visitor.end();
  };
  return { store, maps, clock, quotas, start, of, open, walk };
}

describe('the quota of a pod', () => {
  it('is there as soon as the pod is followed, and goes with it', () => {
    const { quotas, of, maps } = node();
    quotas.follow([VPN, SHOP]);
    expect(of(VPN)).toEqual({ limit: 100, flows: 0, counted_at: NOW });
    quotas.follow([SHOP, FIREWALL]);
    expect([...maps.sfcquota.entries()].map(([{ ifindex }]) => ifindex).sort()).toEqual([SHOP, FIREWALL]);
  });

  it('is left alone while its pod stays: what was let in since the last walk goes on counting', () => {
    const { quotas, of, open } = node();
    quotas.follow([VPN]);
    open(VPN, 5);
    quotas.follow([VPN, SHOP]);
    expect(of(VPN)?.flows).toBe(5);
  });

  it('has the flows that a walk found, of each interface its own, and when', () => {
    const { quotas, of, walk, clock } = node();
    quotas.follow([VPN, SHOP, FIREWALL]);
    clock.now += 3 * SECOND;
    walk({ [VPN]: 4, [SHOP]: 1 });
    expect([VPN, SHOP, FIREWALL].map((one) => of(one)?.flows)).toEqual([4, 1, 0]);
    expect(of(VPN)).toMatchObject({ limit: 100, counted_at: clock.now });
    expect([quotas.flowsOf(VPN), quotas.flowsOf(FIREWALL)]).toEqual([4, 0]);
  });

  it.each([
    ['source', 1],
    ['function', 0],
    ['destination', 0],
    ['inbound', 1],
    ['ingress', 1],
    ['outbound', 1],
  ] as const)('has a flow of which the pod is %s: %i', (role, flows) => {
    const { quotas, of } = node();
    quotas.follow([VPN]);
    const visitor = quotas.begin();
    visitor.see(KEY.encode(keyOf(VPN, 1)), VALUE.encode(flow(FLOW_ROLE[role])));
    visitor.end();
    expect(of(VPN)?.flows).toBe(flows);
  });

  it('has what was opened while the walk went on, met by it or not', () => {
    const { quotas, of, open, walk } = node();
    quotas.follow([VPN]);
    open(VPN, 10);
    walk({ [VPN]: 8 }, () => open(VPN, 3));
    expect(of(VPN)?.flows).toBe(11);
    walk({ [VPN]: 10 });
    expect(of(VPN)?.flows).toBe(10);
  });

  it('of a pod that came while a walk went on is what the datapath has let in', () => {
    const { quotas, of, open, walk } = node();
    walk({}, () => {
      quotas.follow([VPN]);
      open(VPN, 2);
    });
    expect(of(VPN)?.flows).toBe(2);
  });

  it('of a pod that went while a walk went on does not come back', () => {
    const { quotas, maps, walk } = node();
    quotas.follow([VPN]);
    walk({ [VPN]: 3 }, () => quotas.follow([]));
    expect(maps.sfcquota.size()).toBe(0);
  });

  it('is adopted by the next agent, with a limit that may be another', () => {
    const { quotas, of, open, start } = node();
    quotas.follow([VPN, SHOP]);
    open(VPN, 7);
    const next = start(50);
    next.follow([VPN]);
    expect([of(VPN)?.flows, of(SHOP)]).toEqual([7, undefined]);
    const visitor = next.begin();
    visitor.end();
    expect(of(VPN)).toMatchObject({ limit: 50, flows: 0 });
  });

  it('is none where there is no limit, though flows are counted, and one that was there goes', () => {
    const { quotas, maps, start } = node();
    quotas.follow([VPN]);
    const next = start(0);
    expect(maps.sfcquota.size()).toBe(0);
    next.follow([VPN]);
    const visitor = next.begin();
    visitor.see(KEY.encode(keyOf(VPN, 1)), VALUE.encode(flow(FLOW_ROLE.source)));
    visitor.end();
    expect([maps.sfcquota.size(), next.flowsOf(VPN), next.full.size]).toEqual([0, 1, 0]);
  });

  it('is full from its limit on, also one that it reached and left between two walks, and until a tenth is free', () => {
    const { quotas, open, walk } = node(20);
    const isFull = () => quotas.full.has(VPN);
    quotas.follow([VPN]);
    walk({ [VPN]: 19 });
    expect(isFull()).toBe(false);
    open(VPN);
    walk({ [VPN]: 19 });
    expect(isFull()).toBe(true);
    walk({ [VPN]: 18 });
    expect(isFull()).toBe(true);
    walk({ [VPN]: 17 });
    expect(isFull()).toBe(false);
    walk({ [VPN]: 18 });
    expect(isFull()).toBe(false);
    walk({ [VPN]: 20 });
    expect(isFull()).toBe(true);
  });
});

describe('quotas in the collector’s walk', () => {
  const running: FlowCollector[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.close()));
  });

  function collecting(of: ReturnType<typeof node>, troubles: string[] = []): FlowCollector {
    const collector = new FlowCollector({
      flows: of.store.raw('sfcflow'),
      timeouts: { established: 21_600, halfOpen: 60, closed: 10, udp: 60 },
      now: () => of.clock.now,
      onTrouble: (text) => text !== '' && troubles.push(text),
      visitors: () => [of.quotas.begin()],
      pauseMs: () => 5,
    });
    running.push(collector);
    return collector;
  }

  it('do not count a flow that has expired: its pod may open another', async () => {
    const vpn = node();
    const { sfcflow } = vpn.maps;
    vpn.quotas.follow([VPN]);
    sfcflow.set(keyOf(VPN, 1), flow(FLOW_ROLE.source));
    sfcflow.set(keyOf(VPN, 2), flow(FLOW_ROLE.source, NOW - 61 * SECOND));
    sfcflow.set(keyOf(VPN, 3), flow(FLOW_ROLE.function));
    collecting(vpn);
    await expect.poll(() => vpn.of(VPN)?.flows).toBe(1);
    expect(sfcflow.size()).toBe(2);
    vpn.clock.now += 61 * SECOND;
    await expect.poll(() => vpn.of(VPN)?.flows).toBe(0);
    await expect.poll(() => vpn.of(VPN)?.counted_at).toBe(vpn.clock.now);
  });

  it('are of whole walks: one that breaks off in the middle leaves the count and its time as they were', async () => {
    const vpn = node(100_000, createMemoryStore({ sfcflow: 10_000 }));
    vpn.quotas.follow([VPN]);
    vpn.maps.sfcflow.setMany(Array.from({ length: 10_000 }, (_, port) => [keyOf(VPN, port), flow(FLOW_ROLE.source)]));
    const flows = vpn.store.raw('sfcflow');
    const entries = flows.entries.bind(flows);
    let breaksAfter = 5000;
    flows.entries = function* () {
      let left = breaksAfter;
      for (const entry of entries()) {
        if (left-- === 0) throw new Error('EPERM');
        yield entry;
      }
    };
    const troubles: string[] = [];
    vpn.clock.now += SECOND;
    collecting(vpn, troubles);
    await expect.poll(() => troubles.length).toBeGreaterThan(1);
    expect(vpn.of(VPN)).toEqual({ limit: 100_000, flows: 0, counted_at: NOW });
    breaksAfter = Number.POSITIVE_INFINITY;
    await expect.poll(() => vpn.of(VPN)?.flows).toBe(10_000);
  });
});
