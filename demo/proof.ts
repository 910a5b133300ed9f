/**
 * From captures to a verdict: did every request and every reply go through the functions, in order?
 * Pure: frames in, plain data out. Packets are matched by the id in their payload, because the proxy
 * changes their addresses on the way.
 */

import type { Frame } from '../capture/index.js';
import { type RequestResult, type Role, recognise, type Transport } from './testbed/index.js';

/** Where packets were captured: an interface `eth0`. */
export interface Point {
  readonly name: string;
  readonly role: Exclude<Role, 'plain'> | 'server';
  /** Of the interface: tells what came in from what went out. */
  readonly mac: string;
  readonly addresses: readonly string[];
  readonly packets: readonly { readonly timestamp: number; readonly frame: Frame }[];
}

/** What became of one request. */
export interface Journey {
  readonly transport: Transport;
  readonly id: string;
  readonly answered: boolean;
  /** Firewalls and proxies that the request went in and out of; one each when all is well. */
  readonly request: { readonly firewalls: readonly string[]; readonly proxies: readonly string[] };
  readonly reply: { readonly firewalls: readonly string[]; readonly proxies: readonly string[] };
  /** Firewall in, firewall out, proxy in, proxy out, server: by the clock of the captures. */
  readonly requestInOrder: boolean;
  /** Server, proxy in, proxy out, firewall in, firewall out, vpn. */
  readonly replyInOrder: boolean;
  /** The reply came back through the same firewall and proxy. */
  readonly sameWay: boolean;
  /** It was seen at the server without a firewall having seen it, or not from a proxy's address. */
  readonly unsteered: boolean;
  /** What is wrong, in words; empty when nothing. */
  readonly faults: readonly string[];
}

export interface Totals {
  readonly sent: number;
  readonly answered: number;
  readonly requestsThroughFirewall: number;
  readonly requestsThroughProxy: number;
  readonly repliesThroughFirewall: number;
  readonly repliesThroughProxy: number;
  /** Requests that reached the server unsteered. */
  readonly unsteered: number;
  /** Any other packets that reached the server, or the vpn pod from it, without passing a firewall: handshakes too. */
  readonly strayPackets: number;
}

export interface Verdict {
  readonly journeys: readonly Journey[];
  readonly totals: Readonly<Record<Transport, Totals>>;
  /** Source addresses of what reached the server. */
  readonly seenAtServer: readonly string[];
  /** Why it does not hold; empty: every request and reply was steered as it should be. */
  readonly faults: readonly string[];
}

type Direction = 'in' | 'out';

interface Sighting {
  readonly point: Point;
  readonly direction: Direction;
  readonly timestamp: number;
  readonly frame: Frame;
  readonly said: { readonly kind: 'request' | 'reply'; readonly id: string } | undefined;
}

/** Judges one run. `server` is the address and port that the requests went to. */
export function judge(
  points: readonly Point[],
  results: readonly RequestResult[],
  server: { readonly address: string; readonly port: number },
): Verdict {
  const sightings = points.flatMap(sightingsOf);
  const proxies = new Set(points.filter(({ role }) => role === 'proxy').flatMap(({ addresses }) => addresses));
  const told = new Map<string, Sighting[]>();
  for (const sighting of sightings) {
    if (sighting.said === undefined) continue;
    const key = keyOf(sighting.frame.protocol, sighting.said.kind, sighting.said.id);
    const list = told.get(key);
    if (list === undefined) told.set(key, [sighting]);
    else list.push(sighting);
  }
  const journeys = results.map((result) =>
    journeyOf(
      result,
      told.get(keyOf(result.transport, 'request', result.id)) ?? [],
      told.get(keyOf(result.transport, 'reply', result.id)) ?? [],
      proxies,
    ),
  );
  const stray = { tcp: strays(sightings, 'tcp', server, proxies), udp: strays(sightings, 'udp', server, proxies) };
  const totals = {
    tcp: totalsOf('tcp', journeys, packetsOf(stray.tcp)),
    udp: totalsOf('udp', journeys, packetsOf(stray.udp)),
  };
  const seenAtServer = [
    ...new Set(sightings.filter(({ point, direction }) => point.role === 'server' && direction === 'in').map(({ frame }) => frame.source)),
  ].sort();
  const faults = journeys.flatMap((journey) => journey.faults.map((fault) => `${journey.transport} ${journey.id}: ${fault}`));
  for (const transport of ['tcp', 'udp'] as const) {
    if (totals[transport].sent === 0) faults.push(`no ${transport} request was sent`);
    if (stray[transport].size > 0) faults.push(strayFault(transport, stray[transport]));
  }
  for (const address of seenAtServer) if (!proxies.has(address)) faults.push(`the server saw ${address}, which is no proxy`);
  return { journeys, totals, seenAtServer, faults };
}

const keyOf = (transport: Transport, kind: 'request' | 'reply', id: string): string => `${transport} ${kind} ${id}`;

function sightingsOf(point: Point): Sighting[] {
  return point.packets.flatMap(({ timestamp, frame }): Sighting[] => {
    const direction = frame.destinationMac === point.mac ? 'in' : frame.sourceMac === point.mac ? 'out' : undefined;
    if (direction === undefined) return [];
    const said = recogniseIn(frame);
    return [{ point, direction, timestamp, frame, said }];
  });
}

/** What a frame says. Only the words at the start of a payload count; the rest is padding. */
export function recogniseIn(frame: Frame): ReturnType<typeof recognise> {
  return recognise(Buffer.from(frame.payload.subarray(0, 80)).toString('latin1'));
}

function journeyOf(result: RequestResult, request: readonly Sighting[], reply: readonly Sighting[], proxies: ReadonlySet<string>): Journey {
  const faults: string[] = [];
  const way = (sightings: readonly Sighting[]) => ({ firewalls: through(sightings, 'firewall'), proxies: through(sightings, 'proxy') });
  const there = way(request);
  const back = way(reply);
  const [firewall] = there.firewalls;
  const [proxy] = there.proxies;
  const requestInOrder = inOrder(request, [
    [firewall, 'in'],
    [firewall, 'out'],
    [proxy, 'in'],
    [proxy, 'out'],
    ['server', 'in'],
  ]);
  const replyInOrder = inOrder(reply, [
    ['server', 'out'],
    [back.proxies[0], 'in'],
    [back.proxies[0], 'out'],
    [back.firewalls[0], 'in'],
    [back.firewalls[0], 'out'],
    ['vpn', 'in'],
  ]);
  const sameWay = there.firewalls.join() === back.firewalls.join() && there.proxies.join() === back.proxies.join();
  const arrivals = request.filter(({ point, direction }) => point.role === 'server' && direction === 'in');
  const unsteered = arrivals.some(({ frame }) => there.firewalls.length === 0 || !proxies.has(frame.source));
  if (!result.answered) faults.push(`not answered: ${result.error}`);
  if (there.firewalls.length !== 1) faults.push(`the request passed ${there.firewalls.length} firewalls`);
  if (there.proxies.length !== 1) faults.push(`the request passed ${there.proxies.length} proxies`);
  if (!requestInOrder) faults.push('the request was not seen at firewall, proxy and server in this order');
  if (!replyInOrder) faults.push('the reply was not seen at server, proxy, firewall and vpn pod in this order');
  if (!sameWay) faults.push(`the reply came by ${[...back.proxies, ...back.firewalls].join(', ') || 'no function'}`);
  if (unsteered) faults.push('reached the server unsteered');
  // A datagram is sent once and never again by anybody: a second one was made on the way. TCP may repeat itself.
  const returns = reply.filter(({ point, direction }) => point.role === 'vpn' && direction === 'in');
  if (result.transport === 'udp' && arrivals.length > 1) faults.push(`the request arrived ${arrivals.length} times`);
  if (result.transport === 'udp' && returns.length > 1) faults.push(`the reply came back ${returns.length} times`);
  return {
    transport: result.transport,
    id: result.id,
    answered: result.answered,
    request: there,
    reply: back,
    requestInOrder,
    replyInOrder,
    sameWay,
    unsteered,
    faults,
  };
}

/** The pods of a role that the packet went into and came out of, sorted. */
function through(sightings: readonly Sighting[], role: Point['role']): readonly string[] {
  const names = (direction: Direction) =>
    new Set(
      sightings.filter((sighting) => sighting.point.role === role && sighting.direction === direction).map(({ point }) => point.name),
    );
  const out = names('out');
  return [...names('in')].filter((name) => out.has(name)).sort();
}

/** Were all stations seen, none before the one ahead of it? All captures read one clock, in microseconds: equal is possible. */
function inOrder(
  sightings: readonly Sighting[],
  stations: readonly (readonly [name: string | undefined, direction: Direction])[],
): boolean {
  let before = Number.NEGATIVE_INFINITY;
  for (const [name, direction] of stations) {
    const times = sightings
      .filter((sighting) => sighting.point.name === name && sighting.direction === direction)
      .map(({ timestamp }) => timestamp);
    const first = Math.min(...times);
    if (times.length === 0 || first < before) return false;
    before = first;
  }
  return true;
}

/** Packets that passed no firewall, by what they belong to: the id of a request, or the ports of a connection. */
type Strays = ReadonlyMap<string, number>;

/**
 * Packets beyond those with an id (handshakes, acknowledgements, ends of connections, also of those that
 * began before) are matched by number: of each connection no more may arrive at the server than a firewall
 * sent on, and no more replies at the vpn pod than a firewall sent back. A connection is known on both sides
 * of the proxy by the id of its request; one without a request, by its ports: the proxy changes the
 * address, and keeps the port where nobody else has it.
 */
function strays(
  sightings: readonly Sighting[],
  transport: Transport,
  server: { readonly address: string },
  proxies: ReadonlySet<string>,
): Strays {
  const count = new Map<string, { firewallThere: number; firewallBack: number; server: number; vpn: number }>();
  const ids = new Map<string, string>();
  const stray = new Map<string, number>();
  const add = (what: string, packets: number): void => {
    if (packets > 0) stray.set(what, (stray.get(what) ?? 0) + packets);
  };
  const mine = sightings.filter(({ frame }) => frame.protocol === transport);
  for (const { frame, said } of mine) {
    const known = connectionOf(frame, server.address);
    if (known !== undefined && said?.kind === 'request') ids.set(known.end, said.id);
  }
  for (const { frame, point, direction } of mine) {
    const known = connectionOf(frame, server.address);
    if (known === undefined) {
      if (point.role === 'server' && direction === 'in') add(`${frame.source} to ${frame.destination}`, 1);
      continue;
    }
    const station = stationOf(point.role, direction, known.forward);
    if (station === undefined) continue;
    if (station === 'server' && !proxies.has(frame.source)) {
      add(`${known.end}, which is no proxy`, 1);
      continue;
    }
    const id = ids.get(known.end) ?? known.ports;
    const counted = count.get(id) ?? { firewallThere: 0, firewallBack: 0, server: 0, vpn: 0 };
    counted[station]++;
    count.set(id, counted);
  }
  for (const [id, counted] of count) {
    add(id, counted.server - counted.firewallThere);
    add(`${id} back`, counted.vpn - counted.firewallBack);
  }
  return stray;
}

interface Connection {
  readonly forward: boolean;
  /** Address of the client as it is seen at this place, and both ports. */
  readonly end: string;
  readonly ports: string;
}

/** The connection with the server that a frame belongs to. */
function connectionOf(frame: Frame, server: string): Connection | undefined {
  const { source, sourcePort, destination, destinationPort } = frame;
  const ends = (client: string, ports: string) => ({ end: `${client} ${ports}`, ports });
  if (destination === server) return { forward: true, ...ends(source, `port ${sourcePort} to ${destinationPort}`) };
  if (source === server) return { forward: false, ...ends(destination, `port ${destinationPort} to ${sourcePort}`) };
  return undefined;
}

function stationOf(role: Point['role'], direction: Direction, forward: boolean) {
  if (role === 'firewall' && direction === 'out') return forward ? 'firewallThere' : 'firewallBack';
  if (role === 'server' && direction === 'in') return 'server';
  return role === 'vpn' && direction === 'in' && !forward ? 'vpn' : undefined;
}

const packetsOf = (strays: Strays): number => [...strays.values()].reduce((sum, packets) => sum + packets, 0);

/** Strays that are named; of more, the number. */
const MOST_NAMED = 4;

function strayFault(transport: Transport, strays: Strays): string {
  const named = [...strays].slice(0, MOST_NAMED).map(([what, packets]) => `${packets} of ${what}`);
  const more = strays.size > MOST_NAMED ? `, and ${strays.size - MOST_NAMED} more` : '';
  return `${packetsOf(strays)} ${transport} packets passed no firewall: ${named.join(', ')}${more}`;
}

function totalsOf(transport: Transport, all: readonly Journey[], strayPackets: number): Totals {
  const journeys = all.filter((journey) => journey.transport === transport);
  const number = (holds: (journey: Journey) => boolean): number => journeys.filter(holds).length;
  return {
    sent: journeys.length,
    answered: number(({ answered }) => answered),
    requestsThroughFirewall: number(({ request }) => request.firewalls.length > 0),
    requestsThroughProxy: number(({ request, requestInOrder }) => request.proxies.length > 0 && requestInOrder),
    repliesThroughFirewall: number(({ reply, replyInOrder }) => reply.firewalls.length > 0 && replyInOrder),
    repliesThroughProxy: number(({ reply }) => reply.proxies.length > 0),
    unsteered: number(({ unsteered }) => unsteered),
    strayPackets,
  };
}
