import { describe, expect, it } from 'vitest';
import { createMemoryStore, EMPTY_FLOW, FAMILY, FLOW_FLAG, FLOW_ROLE, mapCodecs, typedMaps } from '../../maps/index.js';
import { ip, type Story, story } from './cast.js';
import { ClientsSeen, clientsPeriodMs } from './clients.js';
import { Reconciler } from './reconciler.js';

const PATH = 257;

function running(told: Story = { paths: { 1: ['10.2.0.1', '10.2.0.2'] }, affinityTimeout: 60 }) {
  const store = createMemoryStore();
  const reconciler = new Reconciler(store, () => 1000);
  reconciler.reconcile(story(told));
  return { maps: typedMaps(store), observed: reconciler.observed };
}

const { key: KEY, value: VALUE } = mapCodecs('sfcflow');

/** A client's flow that was seen last at this time, and the instance that it is at: the bytes of its entry. */
function flow(client: string, last_seen: number, instance = '10.2.0.1', next_path = PATH) {
  const [a, b] = [ip(client), ip('192.0.2.1')];
  const forwardAToB = Buffer.compare(a, b) < 0;
  const [address_a, address_b] = forwardAToB ? [a, b] : [b, a];
  const key = {
    ifindex: 7,
    family: FAMILY.ipv4,
    protocol: 6,
    visit: 0,
    address_a,
    address_b,
    port_a: 1024 + (last_seen % 1000),
    port_b: 443,
  };
  const flags = FLOW_FLAG.nextHop | FLOW_FLAG.resolved | (forwardAToB ? FLOW_FLAG.forwardAToB : 0);
  const value = {
    ...EMPTY_FLOW,
    role: FLOW_ROLE.source,
    path: next_path,
    next_path,
    next_hop: ip(instance),
    next_family: FAMILY.ipv4,
    flags,
  };
  return [KEY.encode(key), VALUE.encode({ ...value, last_seen })] as const;
}

const client = (text: string, path = PATH) => ({ path, family: FAMILY.ipv4, client: ip(text) });
const entry = (last_seen: number, instance = '10.2.0.1') => ({ last_seen, backend: ip(instance), backend_family: FAMILY.ipv4 });

describe('clients that are remembered', () => {
  it.each(['10.8.0.2', '203.0.113.7'])('are as old as the last packet of their last flow, whichever side of it they are: %s', (address) => {
    const { maps, observed } = running();
    maps.sfcaffinity.set(client(address), entry(100));
    const seen = new ClientsSeen(observed);
    for (const last of [300, 700, 500]) seen.see(...flow(address, last));
    expect(seen.write(maps)).toBe(1);
    expect(maps.sfcaffinity.get(client(address))).toEqual(entry(700));
  });

  it('never become older, nor ones that are not remembered', () => {
    const { maps, observed } = running();
    maps.sfcaffinity.set(client('10.8.0.2'), entry(900));
    const seen = new ClientsSeen(observed);
    seen.see(...flow('10.8.0.2', 700));
    seen.see(...flow('10.8.0.3', 700));
    expect(seen.write(maps)).toBe(0);
    expect([...maps.sfcaffinity.entries()]).toEqual([[client('10.8.0.2'), entry(900)]]);
  });

  it('are not seen in flows at an instance that they had before, or on another path', () => {
    const { maps, observed } = running();
    maps.sfcaffinity.set(client('10.8.0.2'), entry(100, '10.2.0.2'));
    const seen = new ClientsSeen(observed);
    seen.see(...flow('10.8.0.2', 700, '10.2.0.1'));
    seen.see(...flow('10.8.0.2', 800, '10.2.0.2', 513));
    expect(seen.write(maps)).toBe(0);
  });

  it('cost no walk where no path has session affinity, else one each quarter of the shortest time-out', () => {
    const { observed } = running({ paths: { 1: ['10.2.0.1'] } });
    expect(clientsPeriodMs(observed)).toBeUndefined();
    const period = (affinityTimeout: number) => clientsPeriodMs(running({ paths: { 1: ['10.2.0.1'] }, affinityTimeout }).observed);
    expect([period(1), period(60), period(10_800)]).toEqual([1000, 15_000, 30_000]);
  });
});
