import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createMemoryStore, type MapStore, mapCodecs, TCP_STATE, typedMaps } from '../../maps/index.js';
import { ExpiryReader, FlowCollector, timeoutOf } from './index.js';

const TIMEOUTS = { established: 21_600, halfOpen: 60, closed: 10, udp: 60 };
const [TCP, UDP, SCTP] = [6, 17, 132];
const address = (last: number) => Uint8Array.of(10, 0, 0, last, ...new Array(12).fill(0));
const keyOf = (protocol: number, port: number) => ({
  ifindex: 7,
  family: 1,
  protocol,
  visit: 0,
  address_a: address(1),
  address_b: address(2),
  port_a: port,
  port_b: 443,
});

/** An entry as the datapath would have written it at `last_seen`. */
function flow(state: number, last_seen: number) {
  const empty = mapCodecs('sfcflow').value.decode(new Uint8Array(mapCodecs('sfcflow').value.layout.size));
  return { ...empty, tcp_state: state, last_seen };
}

describe('a flow', () => {
  it.each<[string, number, number, number]>([
    ['an open TCP connection', TCP, TCP_STATE.established, 21_600],
    ['a TCP connection that opens', TCP, TCP_STATE.handshake, 60],
    ['a TCP connection that its opener has closed', TCP, TCP_STATE.closingForward, 60],
    ['a TCP connection that the other end has closed', TCP, TCP_STATE.closingReply, 60],
    ['a closed TCP connection', TCP, TCP_STATE.closed, 10],
    ['a TCP connection that was reset', TCP, TCP_STATE.reset, 10],
    ['UDP', UDP, 0, 60],
    ['any other protocol', SCTP, 0, 60],
  ])('of %s is kept for its time and no longer', (_, protocol, state, seconds) => {
    expect(timeoutOf(protocol, state, TIMEOUTS)).toBe(seconds);
    // Past 2^32 ns, and past what 32 bits of the stamp hold.
    const seen = 5_000_000_000_123;
    for (const little of [true, false]) {
      const { key, value } = mapCodecs('sfcflow', little ? 'LE' : 'BE');
      const reader = new ExpiryReader(TIMEOUTS, little);
      const bytes = [key.encode(keyOf(protocol, 1)), value.encode(flow(state, seen))] as const;
      expect(reader.isExpired(...bytes, seen + seconds * 1e9)).toBe(false);
      expect(reader.isExpired(...bytes, seen + seconds * 1e9 + 1024)).toBe(true);
      expect(reader.isExpired(...bytes, seen - 1e9), 'a stamp from another CPU, a little ahead').toBe(false);
    }
  });
});

describe('the collector', () => {
  const running: FlowCollector[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.close()));
  });

  const SECOND = 1e9;
  function collecting(store: MapStore, now: () => number, troubles: string[] = []): FlowCollector {
    const flows = store.raw('sfcflow');
    const collector = new FlowCollector({
      flows,
      timeouts: TIMEOUTS,
      now,
      onTrouble: (text) => text !== '' && troubles.push(text),
      pauseMs: () => 5,
    });
    running.push(collector);
    return collector;
  }
  const ports = (store: MapStore) => [...typedMaps(store).sfcflow.entries()].map(([{ port_a }]) => port_a).sort((a, b) => a - b);

  it('forgets what was idle for too long, as time goes by, and nothing else', async () => {
    const store = createMemoryStore();
    const { sfcflow } = typedMaps(store);
    sfcflow.set(keyOf(TCP, 1), flow(TCP_STATE.established, 100 * SECOND));
    sfcflow.set(keyOf(TCP, 2), flow(TCP_STATE.closed, 100 * SECOND));
    sfcflow.set(keyOf(UDP, 3), flow(0, 100 * SECOND));
    let now = 105 * SECOND;
    const collector = collecting(store, () => now);
    await expect.poll(() => collector.collected.walked).toBe(3);
    expect(ports(store)).toEqual([1, 2, 3]);
    now = 111 * SECOND;
    await expect.poll(() => ports(store)).toEqual([1, 3]);
    now = 161 * SECOND;
    await expect.poll(() => ports(store)).toEqual([1]);
    now = 21_701 * SECOND;
    await expect.poll(() => ports(store)).toEqual([]);
    await expect.poll(() => collector.collected).toEqual({ walked: 0, expired: 3 });
  });

  it('walks a large table a slice at a time: the event loop turns meanwhile', async () => {
    const store = createMemoryStore({ sfcflow: 50_000 });
    const { sfcflow } = typedMaps(store);
    sfcflow.setMany(
      Array.from({ length: 50_000 }, (_, n) => [{ ...keyOf(UDP, n % 50_000), port_b: 1 }, flow(0, n % 2 === 0 ? 0 : 100 * SECOND)]),
    );
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    const collector = collecting(store, () => 100 * SECOND);
    await expect.poll(() => collector.collected.walked, { timeout: 20_000 }).toBeGreaterThan(0);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
    expect(sfcflow.size()).toBe(25_000);
    expect(collector.collected.expired).toBe(25_000);
  });

  it('tells of a map that cannot be read, and goes on when it can again', async () => {
    const store = createMemoryStore();
    typedMaps(store).sfcflow.set(keyOf(UDP, 1), flow(0, 0));
    let broken = true;
    const flows = store.raw('sfcflow');
    const entries = flows.entries.bind(flows);
    flows.entries = () => {
      if (broken) throw new Error('EPERM');
      return entries();
    };
    const troubles: string[] = [];
    collecting(store, () => 100 * SECOND, troubles);
    await expect.poll(() => troubles.length).toBeGreaterThan(1);
    expect(new Set(troubles)).toEqual(new Set(['EPERM']));
    broken = false;
    await expect.poll(() => ports(store)).toEqual([]);
  });

  it('that was closed walks no more', async () => {
    const store = createMemoryStore();
    const collector = collecting(store, () => 100 * SECOND);
    await collector.close();
    typedMaps(store).sfcflow.set(keyOf(UDP, 1), flow(0, 0));
    await sleep(30);
    expect(ports(store)).toEqual([1]);
  });
});
