/**
 * The prober over the real pipeline: what it sends goes through the firewall's and back to the vpn's node, as long as
 * the firewall passes packets on. The clock is the test's.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { addressOf, CAST, checksum, type Name } from '../../datapath/cast.js';
import { UserspaceStage } from '../../datapath/userspace/cast.js';
import { SfcError } from '../../errors/index.js';
import type { DesiredPath, Probe, Si, Spi } from '../../policy/index.js';
import { aimsOf } from './aims.js';
import { failure, Prober } from './prober.js';

const ETHERNET = Buffer.from('0200000000010200000000020800', 'hex');
const PROBE: Probe = { periodMs: 200, failureThreshold: 3, successThreshold: 2, port: 7082 };

const pathOf = (names: readonly Name[], probe: Probe | null = PROBE): DesiredPath => ({
  spi: 1 as Spi,
  si: 1 as Si,
  chain: 'firewall',
  failurePolicy: 'Drop',
  serviceFunction: 'firewall',
  serviceAddress: addressOf('10.96.0.2'),
  affinityTimeout: undefined,
  onInstanceLoss: 'Move',
  revisits: false,
  backends: [],
  others: [],
  probe: probe ?? undefined,
  ready: names.map((name) => ({ pod: `pods/${name}`, address: addressOf(CAST[name]), node: 'node2', weight: 100 })),
});
const pods = [addressOf(CAST.vpn), addressOf(CAST.destination)];

let stage: UserspaceStage;
let prober: Prober | undefined;
/** Do not pass anything on. */
const hung = new Set<Name>();
const sentFrom: string[] = [];
const logged: string[] = [];
let refusal = '';
let turned = 0;
/** Added to the clock, ms. */
let leap = 0;

/** Through the instance, which routes it, and back; or nowhere. */
function way(packet: Uint8Array): string {
  if (refusal !== '') return refusal;
  const nameOf = (at: number) => {
    const text = packet.subarray(at, at + 4).join('.');
    return (Object.keys(CAST) as Name[]).find((name) => CAST[name] === text) as Name;
  };
  const [from, to] = [nameOf(12), nameOf(16)];
  sentFrom.push(from);
  const inside = stage.as(to).receive(Buffer.concat([ETHERNET, packet])).frame;
  if (hung.has(to)) return '';
  inside.writeUInt8(inside.readUInt8(22) - 1, 22);
  inside.writeUInt16BE(0, 24);
  inside.writeUInt16BE(checksum(inside.subarray(14, 34)), 24);
  const back = stage.send(inside).frame;
  stage.as(from).receive(back);
  return '';
}

function start(): Prober {
  const log = {
    debug: () => undefined,
    info: (_: object, message: string) => logged.push(message),
    warn: (_: object, message: string) => logged.push(message),
    error: (_: object, message: string) => logged.push(message),
  };
  prober = new Prober({
    answers: stage.maps.sfcprobe,
    send: (packet) => way(packet),
    nodeAddress: () => addressOf('172.30.0.1'),
    steeringPort: 7081,
    clock: { wall: () => new Date(), monotonic: () => performance.now() + leap },
    log,
    onChange: () => {
      turned += 1;
    },
  });
  return prober;
}

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  stage = new UserspaceStage();
  for (const name of ['vpn', 'firewall', 'proxy', 'destination'] as const) stage.pod(name);
  hung.clear();
  sentFrom.length = 0;
  logged.length = 0;
  refusal = '';
  turned = 0;
  leap = 0;
});

afterEach(() => {
  prober?.close();
  stage.close();
  vi.useRealTimers();
});

const failing = () => [...(prober?.probed().values() ?? [])].flatMap(({ fails, aim }) => (fails ? [aim.pod] : []));

describe('the prober', () => {
  it('asks each instance once a period, from two pods in turn, and all pass', () => {
    start().aim(aimsOf([pathOf(['firewall', 'proxy'])], pods));
    vi.advanceTimersByTime(10 * PROBE.periodMs);
    expect(sentFrom.length).toBeGreaterThanOrEqual(18);
    expect(sentFrom.length).toBeLessThanOrEqual(22);
    expect(new Set(sentFrom)).toEqual(new Set(['vpn', 'destination']));
    expect([...(prober?.probed().values() ?? [])]).toMatchObject([
      { fails: false, judged: true, trouble: '' },
      { fails: false, judged: true, trouble: '' },
    ]);
    expect(prober?.counts).toMatchObject({ unanswered: 0 });
    expect([turned, logged]).toEqual([0, []]);
  });

  it('tells who hangs, why and since when, in time; and that it is back', () => {
    start().aim(aimsOf([pathOf(['firewall', 'proxy'])], pods));
    vi.advanceTimersByTime(1000);
    hung.add('firewall');
    vi.advanceTimersByTime((PROBE.failureThreshold + 1) * PROBE.periodMs + 60);
    expect(failing()).toEqual(['pods/firewall']);
    expect(prober?.fails(addressOf(CAST.firewall), PROBE)).toBe(true);
    expect(prober?.fails(addressOf(CAST.proxy), PROBE)).toBe(false);
    const [one] = prober?.probed().values() ?? [];
    expect(one && failure(one)).toBe('3 probes in a row to UDP port 7082 did not come back');
    expect(Date.parse(one?.since ?? '')).toBeGreaterThan(1000 + 2 * PROBE.periodMs);
    expect(logged).toEqual([
      'pods/firewall fails probes and takes no more packets from here: 3 probes in a row to UDP port 7082 did not come back',
    ]);
    expect(turned).toBe(1);
    hung.clear();
    vi.advanceTimersByTime((PROBE.successThreshold + 1) * PROBE.periodMs + 60);
    expect(failing()).toEqual([]);
    expect([turned, logged[1]]).toEqual([2, 'pods/firewall passes probes again']);
  });

  it('nobody fails because the agent slept: the answers stand in the map', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    vi.advanceTimersByTime(500);
    const { sent } = prober?.counts ?? { sent: 0 };
    leap = 60_000;
    vi.advanceTimersByTime(500);
    expect(failing()).toEqual([]);
    // Nor is what it missed made up for.
    expect((prober?.counts.sent ?? 0) - sent).toBeLessThan(5);
    expect(prober?.counts.unanswered).toBe(0);
  });

  it('one of the two pods that goes without a word lets nobody fail', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    stage.gone('destination');
    vi.advanceTimersByTime(20 * PROBE.periodMs);
    expect(failing()).toEqual([]);
    expect(prober?.counts.unanswered).toBeGreaterThan(5);
  });

  it('what the node itself refuses to send is no verdict on the instance', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    refusal = 'EPERM';
    vi.advanceTimersByTime(20 * PROBE.periodMs);
    expect(failing()).toEqual([]);
    expect([...(prober?.probed().values() ?? [])]).toMatchObject([{ judged: false, trouble: 'EPERM' }]);
    expect(logged).toEqual(['pods/firewall cannot be probed: EPERM']);
  });

  it('the steering port is no port for probes, and who does not fit into the map is not asked: neither fails for it', () => {
    stage.maps.sfcprobe.set = () => {
      throw new SfcError('MAP_FULL', 'map sfcprobe is full');
    };
    start().aim(aimsOf([pathOf(['firewall']), pathOf(['proxy'], { ...PROBE, port: 7081 })], pods));
    vi.advanceTimersByTime(20 * PROBE.periodMs);
    expect(sentFrom).toEqual([]);
    expect(failing()).toEqual([]);
    expect([...(prober?.probed().values() ?? [])].map(({ trouble }) => trouble)).toEqual([
      'it is not in sfcprobe (capacity 4096)',
      'port 7081 is the steering port, to which no pod may send',
    ]);
  });

  it('a way that is gone is one: nothing else would come there', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    vi.advanceTimersByTime(500);
    refusal = 'ENETUNREACH';
    vi.advanceTimersByTime(6 * PROBE.periodMs);
    expect(failing()).toEqual(['pods/firewall']);
    expect(logged.at(-1)).toContain('did not come back (ENETUNREACH)');
  });

  it('who fails does so also when it is asked in another way, until it has passed that', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    hung.add('firewall');
    vi.advanceTimersByTime(6 * PROBE.periodMs);
    const other = { ...PROBE, periodMs: 400 };
    prober?.aim(aimsOf([pathOf(['firewall'], other)], pods));
    expect(prober?.fails(addressOf(CAST.firewall), other)).toBe(true);
    hung.clear();
    vi.advanceTimersByTime(4 * other.periodMs);
    expect(failing()).toEqual([]);
  });

  it('an instance that has left and come again begins anew', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    hung.add('firewall');
    vi.advanceTimersByTime(6 * PROBE.periodMs);
    prober?.aim([]);
    expect(stage.maps.sfcprobe.size()).toBe(0);
    prober?.aim(aimsOf([pathOf(['firewall'])], pods));
    expect(failing()).toEqual([]);
  });

  it('forgets what an agent before it had asked, and believes none of its answers', () => {
    stage.probes('proxy', 7082).probes('firewall', 7082);
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    expect([...stage.maps.sfcprobe.entries()].map(([{ port }, { sequence }]) => [port, sequence])).toEqual([[7082, 0]]);
  });

  it('a map that cannot be read judges nobody, and is told', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    vi.advanceTimersByTime(500);
    const broken = vi.spyOn(stage.maps.sfcprobe, 'entries').mockImplementation(() => {
      throw new SfcError('MAP_IO', 'map sfcprobe: EIO');
    });
    vi.advanceTimersByTime(10_000);
    expect(failing()).toEqual([]);
    expect(logged).toEqual(['probes: the map could not be used; it is tried again']);
    broken.mockRestore();
    vi.advanceTimersByTime(2000);
    expect(failing()).toEqual([]);
  });

  it('after its end it asks nobody', () => {
    start().aim(aimsOf([pathOf(['firewall'])], pods));
    prober?.close();
    vi.advanceTimersByTime(5000);
    prober?.aim(aimsOf([pathOf(['proxy'])], pods));
    vi.advanceTimersByTime(5000);
    expect(sentFrom).toEqual([]);
  });
});

describe('aims', () => {
  it('are the ready instances of functions with a probe, each once for each way of asking', () => {
    const slow = { ...PROBE, periodMs: 1000 };
    const aims = aimsOf([pathOf(['firewall', 'proxy']), pathOf(['firewall']), pathOf(['firewall'], slow), pathOf(['vpn'], null)], pods);
    expect(aims.map(({ pod, probe }) => [pod, probe.periodMs])).toEqual([
      ['pods/firewall', 200],
      ['pods/proxy', 200],
      ['pods/firewall', 1000],
    ]);
  });

  it('no instance is asked from itself, nor from a pod of another family, nor where there is nobody else', () => {
    expect(aimsOf([pathOf(['vpn'])], pods).map(({ from }) => from.map(({ text }) => text))).toEqual([[CAST.destination]]);
    expect(aimsOf([pathOf(['vpn'])], [addressOf(CAST.vpn), addressOf('fd00::1')])).toEqual([]);
    expect(aimsOf([], pods)).toEqual([]);
  });
});
