/**
 * From captures to a verdict for any chain: did every request pass one instance of each function, in the
 * chain's order, and its reply the same instances in reverse? A pod may have several positions of the
 * chain: each time that a packet went in and came out is a passage. Pure. Packets are matched by the id in
 * their payload, because a function may change their addresses.
 */

import { type Point, recogniseIn } from './proof.js';
import type { RequestResult, Role, Transport } from './testbed/index.js';

/** A function's pod as a packet passed it: when it went in, and came out. */
interface Passage {
  readonly pod: string;
  readonly role: string;
  readonly into: number;
  readonly out: number;
}

export interface WayJourney {
  readonly transport: Transport;
  readonly id: string;
  /** Names of the pods, in the order in which the request passed them. */
  readonly request: readonly string[];
  /** The same of the reply. */
  readonly reply: readonly string[];
  readonly faults: readonly string[];
}

export interface WayTotals {
  readonly sent: number;
  readonly answered: number;
  /** Requests that passed every function in order. */
  readonly inOrder: number;
  /** Replies that passed the same instances in reverse. */
  readonly inReverse: number;
  /** Requests at the server, and replies at the source, that a function had not seen. */
  readonly unsteered: number;
}

export interface WayVerdict {
  readonly journeys: readonly WayJourney[];
  readonly totals: Readonly<Record<Transport, WayTotals>>;
  /** Source addresses of what reached the server. */
  readonly seenAtServer: readonly string[];
  readonly faults: readonly string[];
}

type Kind = 'request' | 'reply';
interface Sighting {
  readonly point: Point;
  readonly direction: 'in' | 'out';
  readonly timestamp: number;
}

/** @param chain roles of the functions, in the chain's order */
export function judgeWay(points: readonly Point[], results: readonly RequestResult[], chain: readonly Role[]): WayVerdict {
  const seen = new Map<string, Sighting[]>();
  const sources = new Set<string>();
  for (const point of points) {
    for (const { timestamp, frame } of point.packets) {
      const direction = frame.destinationMac === point.mac ? 'in' : frame.sourceMac === point.mac ? 'out' : undefined;
      if (direction === undefined) continue;
      if (point.role === 'server' && direction === 'in') sources.add(frame.source);
      const said = recogniseIn(frame);
      if (said === undefined) continue;
      const key = `${frame.protocol} ${said.kind} ${said.id}`;
      const list = seen.get(key) ?? [];
      list.push({ point, direction, timestamp });
      seen.set(key, list);
    }
  }
  const of = ({ transport, id }: RequestResult, kind: Kind) => seen.get(`${transport} ${kind} ${id}`) ?? [];
  const judged = results.map((result) => journeyOf(result, of(result, 'request'), of(result, 'reply'), chain));
  const totals = (transport: Transport): WayTotals => {
    const mine = judged.filter(({ journey }) => journey.transport === transport);
    const count = (holds: (one: (typeof judged)[number]) => boolean) => mine.filter(holds).length;
    return {
      sent: mine.length,
      answered: count(({ answered }) => answered),
      inOrder: count(({ inOrder }) => inOrder),
      inReverse: count(({ inReverse }) => inReverse),
      unsteered: count(({ unsteered }) => unsteered),
    };
  };
  return {
    journeys: judged.map(({ journey }) => journey),
    totals: { tcp: totals('tcp'), udp: totals('udp') },
    seenAtServer: [...sources].sort(),
    faults: judged.flatMap(({ journey: { transport, id, faults } }) => faults.map((fault) => `${transport} ${id}: ${fault}`)),
  };
}

function journeyOf(result: RequestResult, request: readonly Sighting[], reply: readonly Sighting[], chain: readonly Role[]) {
  const faults: string[] = [];
  // A TCP segment may be sent again, by its ends: its first way is judged. Of a datagram everything is.
  const most = (role: string) => (result.transport === 'tcp' ? chain.filter((one) => one === role).length : Number.POSITIVE_INFINITY);
  const there = passages(request, most);
  const back = passages(reply, most);
  const [names, namesBack] = [there, back].map((passed) => passed.map(({ pod }) => pod));
  const arrivals = timesAt(request, 'server', 'in');
  const returns = timesAt(reply, 'vpn', 'in');
  const inOrder = there.map(({ role }) => role).join() === chain.join() && isBefore(there, arrivals);
  const inReverse =
    (names ?? []).toReversed().join() === (namesBack ?? []).join() && isBefore(back, returns) && back.length === chain.length;
  // A packet at its end that some function has not sent on before.
  const unsteered = [there, back].some((passed, index) =>
    [arrivals, returns][index]?.some((time) => passed.filter(({ out }) => out <= time).length < chain.length),
  );
  if (!result.answered) faults.push(`not answered: ${result.error}`);
  if (!inOrder) faults.push(`the request passed ${names?.join(', ') || 'no function'}`);
  if (result.answered && !inReverse) faults.push(`the reply passed ${namesBack?.join(', ') || 'no function'}`);
  if (unsteered) faults.push('arrived without having passed every function');
  // A datagram is sent once and never again by anybody: a second one was made on the way. TCP may repeat itself.
  if (result.transport === 'udp' && arrivals.length > 1) faults.push(`the request arrived ${arrivals.length} times`);
  if (result.transport === 'udp' && returns.length > 1) faults.push(`the reply came back ${returns.length} times`);
  const journey: WayJourney = { transport: result.transport, id: result.id, request: names ?? [], reply: namesBack ?? [], faults };
  return { journey, answered: result.answered, inOrder, inReverse, unsteered };
}

/** Functions' pods that the packet went into and came out of, each time that it did but no more than `most`, by when it went in. */
function passages(sightings: readonly Sighting[], most: (role: string) => number): Passage[] {
  const byPod = new Map<string, Sighting[]>();
  for (const sighting of sightings) {
    const { role, name } = sighting.point;
    if (role === 'server' || role === 'vpn') continue;
    byPod.set(name, [...(byPod.get(name) ?? []), sighting]);
  }
  return [...byPod]
    .flatMap(([pod, list]) => {
      const role = list[0]?.point.role ?? '';
      const times = (direction: 'in' | 'out') =>
        list.flatMap((one) => (one.direction === direction ? [one.timestamp] : [])).sort((one, other) => one - other);
      const outs = times('out');
      const passed = times('in').flatMap((into, index) => (outs[index] === undefined ? [] : [{ pod, role, into, out: outs[index] }]));
      return passed.slice(0, most(role));
    })
    .sort((one, other) => one.into - other.into);
}

function timesAt(sightings: readonly Sighting[], role: Point['role'], direction: 'in' | 'out'): readonly number[] {
  return sightings.filter((sighting) => sighting.point.role === role && sighting.direction === direction).map(({ timestamp }) => timestamp);
}

/** Each passage ends before the next begins and the last before the packet arrives. All captures read one clock, in microseconds: equal is possible. */
function isBefore(passed: readonly Passage[], arrivals: readonly number[]): boolean {
  const ends = passed.flatMap(({ into, out }) => [into, out]);
  const times = [...ends, Math.min(...arrivals)];
  return arrivals.length > 0 && times.every((time, index) => index === 0 || time >= (times[index - 1] ?? time));
}
