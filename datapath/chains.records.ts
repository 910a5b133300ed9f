/**
 * Long chains, and several over one pod. Packet records in words, run on every datapath. A chain has up to
 * 255 service indexes; of the functions behind them a packet passes 62, because each takes one of the NSH
 * TTL (RFC 8300 2.2), which begins at 63 and ends with 1.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CAST, checksum, frame, type Name, type Stage, tunnelOf } from './cast.js';

const IP = 14;
const LONGEST = 255;
const PASSED = 62;

function routed(bytes: Uint8Array): Buffer {
  const out = Buffer.from(bytes);
  out.writeUInt8(out.readUInt8(IP + 8) - 1, IP + 8);
  out.writeUInt16BE(0, IP + 10);
  out.writeUInt16BE(checksum(out.subarray(IP, IP + 20)), IP + 10);
  return out;
}

const podAt = (address: string | undefined): Name => {
  const name = (Object.keys(CAST) as Name[]).find((one) => CAST[one] === address);
  if (name === undefined) throw new Error(`${address} is nobody`);
  return name;
};

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function chainRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    for (const name of ['firewall', 'proxy', 'destination'] as const) stage.pod(name);
    stage.pod('vpn', { selects: true });
  });

  afterAll(() => stage?.close());

  const toPort = (destinationPort: number) => frame({ from: CAST.client, to: CAST.server, destinationPort, ttl: 255 });
  const fromPort = (sourcePort: number) => frame({ from: CAST.server, to: CAST.client, sourcePort, destinationPort: 4000, ttl: 255 });

  /** Firewall and proxy in turns. */
  function chainOf(length: number): void {
    for (let si = 1; si <= length; si++) stage.path(5, si, [(length - si) % 2 === 0 ? 'firewall' : 'proxy'], { revisits: true });
    stage.selects('vpn', 5, length);
  }

  /** Service indexes at which a packet is received, until it is plain, dropped or at the vpn pod; the last outcome. */
  function walk(first: Buffer): { readonly indexes: readonly number[]; readonly counted: Readonly<Record<string, number>> } {
    const indexes: number[] = [];
    let wrapped = first;
    for (;;) {
      const tunnel = tunnelOf(wrapped);
      const at = podAt(tunnel?.to);
      const inside = stage.as(at).receive(wrapped);
      indexes.push(tunnel?.si ?? -1);
      if (inside.verdict !== 'pass' || at === 'vpn') return { indexes, counted: inside.counted };
      const out = stage.send(routed(inside.frame));
      if (out.verdict === 'drop' || tunnelOf(out.frame) === undefined) return { indexes, counted: out.counted };
      wrapped = out.frame;
    }
  }

  const downFrom = (si: number, many: number) => Array.from({ length: many }, (_, index) => si - index);

  describe('a long chain', () => {
    it(`hands a packet on at every service index, ${LONGEST} to 1`, () => {
      chainOf(LONGEST);
      const fresh = stage.as('vpn').send(toPort(80)).frame;
      expect(tunnelOf(fresh)).toEqual({ from: CAST.vpn, to: CAST.firewall, reply: false, spi: 5, si: LONGEST, ttl: 63 });
      for (let si = LONGEST; si > 0; si--) {
        const at: Name = (LONGEST - si) % 2 === 0 ? 'firewall' : 'proxy';
        const arriving = stage.as('vpn').send(frame({ from: CAST.client, to: CAST.server, sourcePort: 5000 + si })).frame;
        arriving.set(CAST[at].split('.').map(Number), 30);
        arriving.writeUInt8(si, 61);
        const out = stage.send(routed(stage.as(at).receive(arriving).frame));
        expect(tunnelOf(out.frame)?.si, `from ${si}`).toBe(si === 1 ? undefined : si - 1);
      }
    });

    it(`of ${PASSED} functions is passed by requests, and by replies that came past it`, () => {
      chainOf(PASSED);
      expect(walk(stage.as('vpn').send(toPort(80)).frame)).toEqual({ indexes: downFrom(PASSED, PASSED), counted: { 'left-cluster': 1 } });
      let entered = stage.as('vpn').receive(fromPort(80));
      for (let hop = 1; hop < PASSED; hop++) entered = stage.as(podAt(tunnelOf(entered.frame)?.to)).receive(entered.frame);
      expect(tunnelOf(entered.frame)).toMatchObject({ reply: true, si: 0, ttl: 2 });
      const inside = stage.as(podAt(tunnelOf(entered.frame)?.to)).receive(entered.frame);
      expect(inside).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      expect(walk(stage.send(routed(inside.frame)).frame).indexes).toEqual(downFrom(PASSED, PASSED).toReversed());
    });

    it(`of ${PASSED} functions is passed by a destination's replies`, () => {
      chainOf(PASSED);
      const inside = frame({ from: CAST.client, to: CAST.destination, ttl: 255 });
      const there = walk(stage.as('vpn').send(inside).frame);
      expect(there.indexes).toEqual([...downFrom(PASSED, PASSED), 0]);
      const answer = frame({ from: CAST.destination, to: CAST.client, sourcePort: 80, destinationPort: 4000, ttl: 255 });
      expect(walk(stage.as('destination').send(answer).frame).indexes).toEqual([0, ...downFrom(PASSED, PASSED).toReversed()]);
    });

    it.each([PASSED + 1, LONGEST])('of %i functions ends behind the 63rd: the NSH TTL lets no packet further', (length) => {
      chainOf(length);
      expect(walk(stage.as('vpn').send(toPort(80)).frame)).toEqual({ indexes: downFrom(length, PASSED + 1), counted: { 'nsh-ttl': 1 } });
    });
  });

  describe('a pod that is selected for several chains by port', () => {
    /** Port 80: firewall, proxy; port 443: the proxy alone; every other: the firewall alone. */
    beforeEach(() => {
      stage.path(1, 2, ['firewall']).path(1, 1, ['proxy']).path(2, 1, ['proxy']).path(3, 1, ['firewall']);
      stage.selects('vpn', 1, 2, { port: 80 }).selects('vpn', 2, 1, { port: 443 }).selects('vpn', 3, 1);
    });

    const CHAINS: readonly (readonly [port: number, spi: number, ...functions: Name[]])[] = [
      [80, 1, 'firewall', 'proxy'],
      [443, 2, 'proxy'],
      [8080, 3, 'firewall'],
    ];

    it('sends each flow through the chain of its port, and its replies back through the same', () => {
      const there = new Map<number, string[]>();
      for (const [port] of CHAINS) {
        const way: string[] = [];
        let wrapped = stage.as('vpn').send(toPort(port)).frame;
        for (let tunnel = tunnelOf(wrapped); tunnel !== undefined; tunnel = tunnelOf(wrapped)) {
          way.push(`${tunnel.spi} ${podAt(tunnel.to)}`);
          wrapped = stage.send(routed(stage.as(podAt(tunnel.to)).receive(wrapped).frame)).frame;
        }
        there.set(port, way);
      }
      // All flows are open, and the replies come one after the other.
      for (const [port, spi, ...functions] of CHAINS) {
        expect(there.get(port)).toEqual(functions.map((name) => `${spi} ${name}`));
        let out = stage.as('vpn').receive(fromPort(port));
        for (let hop = 0; hop < functions.length; hop++) out = stage.as(podAt(tunnelOf(out.frame)?.to)).receive(out.frame);
        const back: string[] = [];
        for (let wrapped = stage.send(routed(out.frame)).frame; ; ) {
          const tunnel = tunnelOf(wrapped);
          back.push(`${tunnel?.spi} ${podAt(tunnel?.to)}`);
          const inside = stage.as(podAt(tunnel?.to)).receive(wrapped);
          if (podAt(tunnel?.to) === 'vpn') break;
          wrapped = stage.send(routed(inside.frame)).frame;
        }
        expect(back).toEqual([...functions.slice(0, -1).toReversed(), 'vpn'].map((name) => `${spi} ${name}`));
      }
    });
  });
}
