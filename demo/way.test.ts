/** The judge of ways on trial: it must see what is wrong, or its verdict is worth nothing. */

import { describe, expect, it } from 'vitest';
import type { Frame } from '../capture/index.js';
import type { Point } from './proof.js';
import type { RequestResult } from './testbed/index.js';
import { judgeWay } from './way.js';

const ROLES = { vpn: 'vpn', f1: 'firewall', f2: 'firewall', i1: 'inspector', i2: 'inspector', server: 'server' } as const;
type Name = keyof typeof ROLES;
const NAMES = Object.keys(ROLES) as Name[];
const mac = (name: Name) => `02:00:00:00:00:0${NAMES.indexOf(name)}`;

/** A small film of captures: what is seen where, one microsecond after the other. */
class Film {
  readonly #packets = new Map<Name, Point['packets'][number][]>(NAMES.map((name) => [name, []]));
  #clock = 1_000_000;

  see(name: Name, direction: 'in' | 'out', kind: 'request' | 'reply'): this {
    const other = '02:ff:00:00:00:00';
    const frame: Frame = {
      sourceMac: direction === 'out' ? mac(name) : other,
      destinationMac: direction === 'in' ? mac(name) : other,
      family: 4,
      source: kind === 'request' ? '192.168.77.10' : '203.0.113.10',
      destination: kind === 'request' ? '203.0.113.10' : '192.168.77.10',
      protocol: 'udp',
      sourcePort: 40_000,
      destinationPort: 9000,
      payload: Buffer.from(`${kind} udp-1 .\n`),
    };
    this.#packets.get(name)?.push({ timestamp: this.#clock++, frame });
    return this;
  }

  request(...pods: Name[]): this {
    for (const pod of pods) this.see(pod, 'in', 'request').see(pod, 'out', 'request');
    return this.see('server', 'in', 'request');
  }

  reply(...pods: Name[]): this {
    this.see('server', 'out', 'reply');
    for (const pod of pods) this.see(pod, 'in', 'reply').see(pod, 'out', 'reply');
    return this.see('vpn', 'in', 'reply');
  }

  verdict(answered = true, chain: readonly ('firewall' | 'inspector')[] = ['firewall', 'inspector']) {
    const points = NAMES.map(
      (name): Point => ({ name, role: ROLES[name], mac: mac(name), addresses: [], packets: this.#packets.get(name) ?? [] }),
    );
    const result: RequestResult = {
      transport: 'udp',
      id: 'udp-1',
      server: '203.0.113.10',
      source: '',
      sourcePort: 0,
      answered,
      seenAs: '',
      error: answered ? '' : 'silence',
    };
    return judgeWay(points, [result], chain);
  }
}

describe('a way', () => {
  it('through every function and back through the same is faultless', () => {
    const { faults, totals, journeys, seenAtServer } = new Film().request('f2', 'i1').reply('i1', 'f2').verdict();
    expect(faults).toEqual([]);
    expect(totals.udp).toEqual({ sent: 1, answered: 1, inOrder: 1, inReverse: 1, unsteered: 0 });
    expect(journeys[0]).toMatchObject({ request: ['f2', 'i1'], reply: ['i1', 'f2'] });
    expect(seenAtServer).toEqual(['192.168.77.10']);
  });

  it.each<[string, Film, RegExp]>([
    ['past every function', new Film().request().reply('i1', 'f1'), /the request passed no function/],
    ['past one of them', new Film().request('f1').reply('i1', 'f1'), /the request passed f1/],
    ['in the wrong order', new Film().request('i1', 'f1').reply('f1', 'i1'), /the request passed i1, f1/],
    ['back past the chain', new Film().request('f1', 'i1').reply(), /the reply passed no function/],
    ['back through another instance', new Film().request('f1', 'i1').reply('i1', 'f2'), /the reply passed i1, f2/],
    ['back in the same order', new Film().request('f1', 'i1').reply('f1', 'i1'), /the reply passed f1, i1/],
    [
      'into a function and never out',
      new Film().see('f1', 'in', 'request').see('server', 'in', 'request'),
      /the request passed no function/,
    ],
    ['to the server twice', new Film().request('f1', 'i1').see('server', 'in', 'request').reply('i1', 'f1'), /arrived 2 times/],
    [
      'to the source before it went back',
      new Film().request('f1', 'i1').see('vpn', 'in', 'reply').reply('i1', 'f1'),
      /without having passed every function/,
    ],
    [
      'to the server before the functions saw it',
      new Film().see('server', 'in', 'request').request('f1', 'i1').reply('i1', 'f1'),
      /without having passed every function/,
    ],
  ])('%s is seen', (_, film, fault) => {
    expect(film.verdict().faults.join('\n')).toMatch(fault);
  });

  describe('through one pod twice', () => {
    const verdict = (film: Film) => film.verdict(true, ['firewall', 'inspector', 'firewall']);

    it('is faultless when it comes to it at both positions, there and back', () => {
      const { faults, journeys } = verdict(new Film().request('f1', 'i1', 'f1').reply('f1', 'i1', 'f1'));
      expect(faults).toEqual([]);
      expect(journeys[0]).toMatchObject({ request: ['f1', 'i1', 'f1'], reply: ['f1', 'i1', 'f1'] });
    });

    it.each<[string, Film, RegExp]>([
      ['once only', new Film().request('f1', 'i1').reply('f1', 'i1', 'f1'), /the request passed f1, i1$/m],
      ['thrice', new Film().request('f1', 'i1', 'f1', 'f1').reply('f1', 'i1', 'f1'), /the request passed f1, i1, f1, f1$/m],
      ['and back once', new Film().request('f1', 'i1', 'f1').reply('i1', 'f1'), /the reply passed i1, f1$/m],
      ['but in another order', new Film().request('f1', 'f1', 'i1').reply('f1', 'i1', 'f1'), /the request passed f1, f1, i1$/m],
      ['at two instances, and back at one', new Film().request('f1', 'i1', 'f2').reply('f2', 'i1', 'f2'), /the reply passed f2, i1, f2$/m],
    ])('%s, it is seen', (_, film, fault) => {
      expect(verdict(film).faults.join('\n')).toMatch(fault);
    });
  });

  it('without an answer is told with its reason', () => {
    const { faults, totals } = new Film().request('f1', 'i1').verdict(false);
    expect(faults).toEqual(['udp udp-1: not answered: silence']);
    expect(totals.udp).toMatchObject({ answered: 0, inReverse: 0, unsteered: 0 });
  });
});
