/** What the keeper makes of what it is told; the tables here are a list in memory, the real ones are `test/guard*.root.test.ts`. */

import { describe, expect, it } from 'vitest';
import type { GuardChange, GuardState } from '../../datapath/index.js';
import { SfcError } from '../../errors/index.js';
import type { Link, Route } from '../discovery/index.js';
import type { HostFacts } from './decide.js';
import { GuardKeeper, type KeeperOptions } from './keeper.js';

const link = (ifindex: number, ifname: string, master = ''): Link => ({
  ifindex,
  ifname,
  kind: 'veth',
  ethernet: true,
  mtu: 1500,
  master,
  peer: undefined,
});
const route = (network: string, prefixLength: number, dev: string): Route => ({ network, prefixLength, type: 'unicast', dev, gateway: '' });

/** A way out (2), and two interfaces of pods (7, 8), of which the pods are known or not. */
function facts(endpoints: readonly (readonly [number, string])[] = [], gone: readonly number[] = []): HostFacts {
  return {
    links: [link(2, 'eth0'), link(7, 'v-vpn'), link(8, 'v-next')].filter(({ ifindex }) => !gone.includes(ifindex)),
    routes: [route('172.30.0.0', 24, 'eth0'), route('10.244.1.10', 32, 'v-vpn'), route('10.244.1.11', 32, 'v-next')],
    ranges: ['10.244.1.0/24'],
    endpoints: new Map(endpoints),
    except: [],
  };
}

function stage(mode: KeeperOptions['mode'] = 'on') {
  const tables = {
    state: undefined as GuardState | undefined,
    refuses: '',
    received: new Map<string, number>(),
    ask() {
      if (this.refuses !== '') throw new SfcError('GUARD_UNAVAILABLE', this.refuses);
    },
    read() {
      this.ask();
      return this.state;
    },
    install(settled: Iterable<number>, begun: Iterable<number>) {
      this.ask();
      const held = { fromPod: 0, toPod: 0 };
      this.state = { settled: new Set(settled), begun: new Set(begun), met: new Map(), held, gone: new Set(), current: true };
    },
    change({ settle = [], hold = [], begin = [], forget = [] }: GuardChange) {
      this.ask();
      if (this.state === undefined) throw new SfcError('GUARD_UNAVAILABLE', 'No such file or directory');
      const without = [...hold, ...forget];
      const settled = [...this.state.settled, ...settle].filter((one) => !without.includes(one));
      this.state = { ...this.state, settled: new Set(settled), begun: new Set([...this.state.begun, ...begin]) };
    },
    settled() {
      return [...(this.state?.settled ?? [])].sort((a, b) => a - b);
    },
  };
  const logged: string[] = [];
  const say = (_: object, message: string) => void logged.push(message);
  const log = { debug: say, info: say, warn: say, error: say };
  const start = () => new GuardKeeper({ mode, tables, received: () => tables.received, wait: async () => undefined, log });
  return { tables, logged, start, keeper: start() };
}

const VPN = { ifindex: 7, ifname: 'v-vpn', selected: true };

describe('the keeper of the guard', () => {
  it('puts it in place with what is no pod’s, and settles a pod when nothing is missing of it', () => {
    const { keeper, tables } = stage();
    keeper.open(facts([[7, '']]), [7], []);
    expect(tables.settled()).toEqual([2]);
    keeper.close(facts([[7, 'its endpoint entry is not in the maps']]));
    expect(tables.settled()).toEqual([2]);
    expect(keeper.view().holding).toEqual([
      { interface: 'v-vpn', ifindex: 7, why: 'its endpoint entry is not in the maps' },
      { interface: 'v-next', ifindex: 8, why: 'it leads to 10.244.1.11/32, and no pod is known at it' },
    ]);
    keeper.close(facts([[7, '']]));
    expect(tables.settled()).toEqual([2, 7]);
  });

  it('holds a pod that ends before its entries go, and one whose interface becomes another’s', () => {
    const { keeper, tables } = stage();
    keeper.open(facts(), [], []);
    keeper.close(
      facts([
        [7, ''],
        [8, ''],
      ]),
    );
    keeper.open(facts([[8, '']]), [8], [7]);
    expect(tables.settled()).toEqual([2]);
  });

  it('finds after a restart what was settled, and leaves it so while something is missing', () => {
    const { start, keeper, tables } = stage();
    keeper.open(facts(), [], []);
    keeper.close(facts([[7, '']]));
    const next = start();
    next.open(facts([[7, '']]), [], []);
    next.close(facts([[7, 'v-vpn: ENODEV']]));
    expect(tables.settled()).toEqual([2, 7]);
  });

  it('puts it back as it was when somebody has taken it away', () => {
    const { keeper, tables } = stage();
    keeper.open(facts(), [], []);
    keeper.close(facts([[7, '']]));
    tables.state = undefined;
    keeper.open(facts([[7, '']]), [], []);
    expect(tables.settled()).toEqual([2, 7]);
  });

  it('says once that it cannot be had, goes on, and says nothing when it can again', () => {
    const { keeper, tables, logged } = stage();
    tables.refuses = 'nftables: Operation not permitted';
    keeper.open(facts(), [], []);
    keeper.close(facts());
    expect(keeper.view()).toMatchObject({ state: 'unavailable', why: 'nftables: Operation not permitted', holding: [] });
    expect(logged).toEqual(['the guard cannot be had, new pods are not held: nftables: Operation not permitted']);
    tables.refuses = '';
    keeper.open(facts(), [], []);
    expect(keeper.view()).toMatchObject({ state: 'on', why: '' });
  });

  it('lets nothing else be done without it where it is required', () => {
    const { keeper, tables } = stage('required');
    tables.refuses = 'nftables: Operation not permitted';
    expect(() => keeper.open(facts(), [], [])).toThrow(expect.objectContaining({ code: 'GUARD_UNAVAILABLE' }));
  });

  it('asks nothing of nftables when it is off', () => {
    const { keeper, tables } = stage('off');
    tables.refuses = 'must not be asked';
    keeper.open(facts(), [7], []);
    keeper.close(facts());
    expect(keeper.view()).toMatchObject({ state: 'off', why: '' });
    expect(keeper.isSettled(7)).toBe(true);
  });

  describe('counts as unsteered', () => {
    const begin = async (received: number, met: number, before: (one: ReturnType<typeof stage>) => void = () => undefined) => {
      const one = stage();
      one.keeper.open(facts([], [7]), [], []);
      before(one);
      one.tables.received.set('v-vpn', received);
      if (one.tables.state !== undefined) one.tables.state = { ...one.tables.state, met: new Map([[7, met]]) };
      one.keeper.open(facts([[7, '']]), [7], []);
      await one.keeper.beginning([VPN]);
      return one;
    };

    it('nothing, where the guard has seen all that was received', async () => {
      const { keeper, tables } = await begin(21, 21);
      expect(keeper.view().unsteered).toBe(0);
      expect(tables.state?.begun.has(7)).toBe(true);
    });

    it('what it has not seen, once', async () => {
      const { keeper, tables } = await begin(21, 16);
      tables.received.set('v-vpn', 500);
      await keeper.beginning([VPN]);
      expect(keeper.view().unsteered).toBe(5);
    });

    it('everything, where there is no guard', async () => {
      const { keeper } = await begin(21, 0, ({ tables }) => {
        tables.refuses = 'nftables: Operation not permitted';
      });
      expect(keeper.view().unsteered).toBe(21);
    });

    it('nothing of interfaces that were there before the first guard: nobody knows what they have sent since when', async () => {
      const { keeper, tables } = stage();
      tables.received.set('v-vpn', 1000);
      keeper.open(facts([[7, '']]), [7], []);
      await keeper.beginning([VPN]);
      expect(keeper.view().unsteered).toBe(0);
    });
  });
});
