/** The judge on trial: it must see what is wrong, or its verdict is worth nothing. */

import { describe, expect, it } from 'vitest';
import type { Frame } from '../capture/index.js';
import { judge, type Point } from './proof.js';
import type { RequestResult } from './testbed/index.js';

const SERVER = { address: '203.0.113.10', port: 9000 };
const CLIENT = { address: '192.168.77.10', port: 40_000 };
const PROXY = { address: '10.244.2.20', port: 40_000 };

type End = { readonly address: string; readonly port: number };
type Packet = Point['packets'][number];

const NAMES = ['vpn', 'firewall-1', 'firewall-2', 'proxy-1', 'proxy-2', 'server'] as const;
type Name = (typeof NAMES)[number];
const mac = (name: Name): string => `02:00:00:00:00:0${NAMES.indexOf(name)}`;

/** A small film of captures: what passes where, one microsecond after the other. */
class Film {
  readonly #packets = new Map<Name, Packet[]>(NAMES.map((name) => [name, []]));
  #clock = 1_000_000;

  at(name: Name, direction: 'in' | 'out', from: End, to: End, says: string, protocol: Frame['protocol'] = 'udp'): this {
    const ours = mac(name);
    const other = '02:ff:00:00:00:00';
    const frame: Frame = {
      sourceMac: direction === 'out' ? ours : other,
      destinationMac: direction === 'in' ? ours : other,
      family: 4,
      source: from.address,
      sourcePort: from.port,
      destination: to.address,
      destinationPort: to.port,
      protocol,
      payload: Buffer.from(says),
    };
    this.#packets.get(name)?.push({ timestamp: this.#clock++, frame });
    return this;
  }

  /** In and out again, unchanged. */
  through(name: Name, from: End, to: End, says: string): this {
    return this.at(name, 'in', from, to, says).at(name, 'out', from, to, says);
  }

  request(firewall: Name = 'firewall-1', says = 'request udp-1 .\n'): this {
    return this.through(firewall, CLIENT, SERVER, says)
      .at('proxy-2', 'in', CLIENT, SERVER, says)
      .at('proxy-2', 'out', PROXY, SERVER, says)
      .at('server', 'in', PROXY, SERVER, says);
  }

  reply(firewall: Name = 'firewall-1', says = 'reply udp-1 10.244.2.20 40000 .\n'): this {
    return this.at('server', 'out', SERVER, PROXY, says)
      .at('proxy-2', 'in', SERVER, PROXY, says)
      .at('proxy-2', 'out', SERVER, CLIENT, says)
      .through(firewall, SERVER, CLIENT, says)
      .at('vpn', 'in', SERVER, CLIENT, says);
  }

  points(): Point[] {
    return NAMES.map((name, index) => ({
      name,
      role: name.replace(/-\d$/, '') as Point['role'],
      mac: mac(name),
      addresses: [name === 'server' ? SERVER.address : name === 'proxy-2' ? PROXY.address : `10.244.1.${10 + index}`],
      packets: this.#packets.get(name) ?? [],
    }));
  }
}

const answered: RequestResult = {
  transport: 'udp',
  id: 'udp-1',
  server: SERVER.address,
  source: CLIENT.address,
  sourcePort: CLIENT.port,
  answered: true,
  seenAs: PROXY.address,
  error: '',
};

const verdictOn = (film: Film, result: RequestResult = answered) => {
  const verdict = judge(film.points(), [result], SERVER);
  // Only UDP is in these films.
  return { ...verdict, faults: verdict.faults.filter((fault) => fault !== 'no tcp request was sent') };
};

describe('a request and its reply that pass firewall and proxy in order', () => {
  it('hold, and are counted once', () => {
    const verdict = verdictOn(new Film().request().reply());
    expect(verdict.faults).toEqual([]);
    expect(verdict.totals.udp).toEqual({
      sent: 1,
      answered: 1,
      requestsThroughFirewall: 1,
      requestsThroughProxy: 1,
      repliesThroughFirewall: 1,
      repliesThroughProxy: 1,
      unsteered: 0,
      strayPackets: 0,
    });
    expect(verdict.journeys[0]?.request).toEqual({ firewalls: ['firewall-1'], proxies: ['proxy-2'] });
    expect(verdict.seenAtServer).toEqual([PROXY.address]);
  });

  it('hold at one and the same microsecond', () => {
    const points = new Film().request().reply().points();
    const still = points.map((point) => ({ ...point, packets: point.packets.map((packet) => ({ ...packet, timestamp: 5 })) }));
    expect(judge(still, [answered], SERVER).journeys[0]?.faults).toEqual([]);
  });

  it('do not hold when nothing was sent at all', () => {
    expect(judge(new Film().points(), [], SERVER).faults).toEqual(['no tcp request was sent', 'no udp request was sent']);
  });
});

it('a datagram that comes twice was doubled on the way', () => {
  const there = new Film().request().request().reply();
  expect(verdictOn(there).faults).toEqual(['udp udp-1: the request arrived 2 times']);
  const back = new Film().request().reply().reply();
  expect(verdictOn(back).faults).toEqual(['udp udp-1: the reply came back 2 times']);
});

describe('a request', () => {
  it('that reached the server with its own address is unsteered', () => {
    const verdict = verdictOn(new Film().at('server', 'in', CLIENT, SERVER, 'request udp-1 .\n'), {
      ...answered,
      answered: false,
      error: 'lost',
    });
    expect(verdict.totals.udp).toMatchObject({ requestsThroughFirewall: 0, requestsThroughProxy: 0, unsteered: 1, answered: 0 });
    expect(verdict.faults).toContain('the server saw 192.168.77.10, which is no proxy');
    expect(verdict.faults).toContain('udp udp-1: not answered: lost');
  });

  it('that skipped the firewall but not the proxy is unsteered', () => {
    const says = 'request udp-1 .\n';
    const film = new Film()
      .at('proxy-2', 'in', CLIENT, SERVER, says)
      .at('proxy-2', 'out', PROXY, SERVER, says)
      .at('server', 'in', PROXY, SERVER, says)
      .reply();
    expect(verdictOn(film).totals.udp).toMatchObject({ requestsThroughFirewall: 0, unsteered: 1 });
    expect(verdictOn(film).faults).toContain('udp udp-1: reached the server unsteered');
  });

  it('that passed the proxy first is out of order', () => {
    const says = 'request udp-1 .\n';
    const film = new Film()
      .at('proxy-2', 'in', CLIENT, SERVER, says)
      .at('proxy-2', 'out', PROXY, SERVER, says)
      .through('firewall-1', CLIENT, SERVER, says)
      .at('server', 'in', PROXY, SERVER, says)
      .reply();
    expect(verdictOn(film).faults).toEqual(['udp udp-1: the request was not seen at firewall, proxy and server in this order']);
    expect(verdictOn(film).totals.udp.requestsThroughProxy).toBe(0);
  });

  it('that went into a firewall and never came out did not pass it', () => {
    const film = new Film().at('firewall-1', 'in', CLIENT, SERVER, 'request udp-1 .\n');
    expect(verdictOn(film, { ...answered, answered: false, error: 'lost' }).totals.udp.requestsThroughFirewall).toBe(0);
  });

  it('that passed two firewalls is a fault', () => {
    const film = new Film().through('firewall-2', CLIENT, SERVER, 'request udp-1 .\n').request().reply();
    expect(verdictOn(film).faults).toContain('udp udp-1: the request passed 2 firewalls');
  });
});

describe('a reply', () => {
  it('that came back through another firewall is a fault', () => {
    expect(verdictOn(new Film().request('firewall-1').reply('firewall-2')).faults).toEqual([
      'udp udp-1: the reply came by proxy-2, firewall-2',
    ]);
  });

  it('that skipped the firewall is a fault, and a stray packet', () => {
    const says = 'reply udp-1 10.244.2.20 40000 .\n';
    const film = new Film()
      .request()
      .at('server', 'out', SERVER, PROXY, says)
      .at('proxy-2', 'in', SERVER, PROXY, says)
      .at('proxy-2', 'out', SERVER, CLIENT, says)
      .at('vpn', 'in', SERVER, CLIENT, says);
    const verdict = verdictOn(film);
    expect(verdict.totals.udp).toMatchObject({ repliesThroughFirewall: 0, repliesThroughProxy: 1, strayPackets: 1 });
    expect(verdict.faults).toContain('1 udp packets passed no firewall: 1 of udp-1 back');
  });
});

describe('a packet without an id', () => {
  it('that reaches the server once more often than a firewall sent it is stray', () => {
    const film = new Film().request().at('server', 'in', PROXY, SERVER, '').reply();
    expect(verdictOn(film).totals.udp.strayPackets).toBe(1);
    expect(verdictOn(film.through('firewall-1', CLIENT, SERVER, '')).totals.udp.strayPackets).toBe(0);
  });

  it('of nobody we know is stray, unless a firewall sent it on', () => {
    const other = { address: SERVER.address, port: 53 };
    const film = new Film().request().reply().at('server', 'in', PROXY, other, 'what is this');
    expect(verdictOn(film).faults).toEqual([`1 udp packets passed no firewall: 1 of port ${PROXY.port} to 53`]);
    expect(verdictOn(film.through('firewall-1', { ...CLIENT, port: PROXY.port }, other, '')).faults).toEqual([]);
  });

  it("flooded to a port where it does not belong is nobody else's sighting", () => {
    const film = new Film().request().reply();
    const points = film
      .points()
      .map((point) => (point.name === 'server' ? { ...point, packets: [...point.packets, ...(film.points()[1]?.packets ?? [])] } : point));
    expect(judge(points, [answered], SERVER).journeys[0]?.faults).toEqual([]);
  });
});
