/**
 * A chain that has one pod at two positions or more: firewall, proxy, firewall, with one instance each.
 * Packet records in words, run on every datapath. The functions forward as routers do: one TTL less.
 *
 *     vpn ═(3,3)═► firewall ═(3,2)═► proxy ═(3,1)═► firewall ─► server or ═(3,0)═► destination
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CAST, checksum, frame, type Name, type Segment, type Stage, tunnelOf } from './cast.js';

const IP = 14;

/** The packet as a router sends it on. */
function routed(bytes: Uint8Array, hops = 1): Buffer {
  const out = Buffer.from(bytes);
  out.writeUInt8(out.readUInt8(IP + 8) - hops, IP + 8);
  out.writeUInt16BE(0, IP + 10);
  out.writeUInt16BE(checksum(out.subarray(IP, IP + 20)), IP + 10);
  return out;
}

/** A packet inside a pod, and the pod. */
interface Inside {
  readonly at: Name;
  readonly packet: Buffer;
}

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function visitRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    for (const name of ['firewall', 'proxy', 'destination'] as const) stage.pod(name);
    stage.pod('vpn', { selects: true });
    chainOf('firewall', 'proxy', 'firewall');
  });

  afterAll(() => stage?.close());

  const ports = (n: number) => ({ sourcePort: 4000 + n, destinationPort: 80 });
  const request = (segment: Partial<Segment> = {}) => frame({ from: CAST.client, to: CAST.server, ...ports(0), ...segment });
  const reply = (segment: Partial<Segment> = {}) =>
    frame({ from: CAST.server, to: CAST.client, sourcePort: 80, destinationPort: 4000, ...segment });

  /** Chain 3 through these pods; which of them has another position the agent says. */
  function chainOf(...pods: readonly Name[]): void {
    pods.forEach((name, position) => {
      stage.path(3, pods.length - position, [name], { revisits: pods.filter((other) => other === name).length > 1 });
    });
    stage.selects('vpn', 3, pods.length);
  }

  /** The wrapped packet goes into the pod that it is for. */
  function into(wrapped: Buffer): Inside {
    const to = tunnelOf(wrapped)?.to;
    const at = (Object.keys(CAST) as Name[]).find((name) => CAST[name] === to);
    if (at === undefined) throw new Error('not wrapped, or for nobody');
    const out = stage.as(at).receive(wrapped);
    expect(out).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
    return { at, packet: out.frame };
  }

  /** The pod that has the packet routes it on. */
  function onward({ at, packet }: Inside, hops = 1): Buffer {
    return stage.as(at).send(routed(packet, hops)).frame;
  }

  /** Path and pod at every hop of a packet until it is plain; the plain packet, or the one in the last pod. */
  function walk(first: Buffer, hops = 1): { readonly way: readonly string[]; readonly last: Buffer } {
    const way: string[] = [];
    let wrapped = first;
    for (let tunnel = tunnelOf(wrapped); tunnel !== undefined; tunnel = tunnelOf(wrapped)) {
      const inside = into(wrapped);
      way.push(`(${tunnel.spi},${tunnel.si}) ${inside.at}`);
      if (inside.at === 'vpn' || inside.at === 'destination') return { way, last: inside.packet };
      wrapped = onward(inside, hops);
    }
    return { way, last: wrapped };
  }

  const send = (bytes: Uint8Array) => stage.as('vpn').send(bytes).frame;
  const THERE = ['(3,3) firewall', '(3,2) proxy', '(3,1) firewall'];
  const BACK = ['(3,1) proxy', '(3,2) firewall', '(3,3) vpn'];

  /** A reply that came plain to the vpn pod's node, relayed to the end of the chain; into the last function. */
  function returned(bytes: Uint8Array): { readonly relays: readonly string[]; readonly inside: Inside } {
    const relays: string[] = [];
    let wrapped = stage.as('vpn').receive(bytes).frame;
    for (;;) {
      const tunnel = tunnelOf(wrapped);
      const at = (Object.keys(CAST) as Name[]).find((name) => CAST[name] === tunnel?.to) as Name;
      const out = stage.as(at).receive(wrapped);
      relays.push(`${at} ${tunnel?.ttl}`);
      if (out.verdict === 'pass') return { relays, inside: { at, packet: out.frame } };
      wrapped = out.frame;
    }
  }

  describe('a pod at two positions of a chain', () => {
    it('hands every packet of a flow on to the hop after the position that it is at', () => {
      for (let n = 0; n < 3; n++) {
        const { way, last } = walk(send(request()));
        expect(way).toEqual(THERE);
        expect(last).toEqual(routed(request(), 3));
      }
      const visits = [...stage.maps.sfcflow.entries()].filter(([, { endpoint }]) => endpoint === 3);
      expect(visits.map(([{ visit }, { path, packets }]) => [visit, path, packets]).sort()).toEqual([
        [0, 0x303, 3],
        [1, 0x301, 3],
      ]);
    });

    it('tells packets of both positions apart that are inside at once', () => {
      walk(send(request()));
      const early = into(onward(into(onward(into(send(request()))))));
      const late = into(send(request()));
      expect([early.at, late.at]).toEqual(['firewall', 'firewall']);
      expect(tunnelOf(onward(late))).toMatchObject({ to: CAST.proxy, spi: 3, si: 2, ttl: 62 });
      expect(tunnelOf(onward(early))).toBeUndefined();
      expect(tunnelOf(onward(late))).toMatchObject({ to: CAST.proxy });
    });

    it('takes the first packets of many flows through, and each flow by itself', () => {
      for (const protocol of ['udp', 'tcp', 'sctp', 'icmp'] as const) {
        stage.pod('vpn', { selects: true, alsoSelects: 32 }).selects('vpn', 3, 3, { protocol: 0 });
        for (let n = 0; n < 3; n++) expect(walk(send(request({ protocol, ...ports(n) }))).way, protocol).toEqual(THERE);
      }
    });

    it('sends a destination’s replies back by the same positions, in reverse', () => {
      const inside = { to: CAST.destination };
      const answer = { from: CAST.destination };
      for (let n = 0; n < 3; n++) {
        expect(walk(send(request(inside))).way).toEqual([...THERE, '(3,0) destination']);
        const { way, last } = walk(stage.as('destination').send(reply(answer)).frame);
        expect(way).toEqual(['(3,0) firewall', ...BACK]);
        expect(last).toEqual(routed(reply(answer), 3));
      }
    });

    it('sends replies back that came past the chain', () => {
      walk(send(request()));
      for (let n = 0; n < 3; n++) {
        const { relays, inside } = returned(reply());
        expect(relays).toEqual(['firewall 63', 'proxy 62', 'firewall 61']);
        expect(walk(onward(inside)).way).toEqual(BACK);
      }
    });

    it('tells replies apart, too, that are inside at once, and requests beside them', () => {
      walk(send(request()));
      walk(onward(returned(reply()).inside));
      const near = into(onward(into(onward(returned(reply()).inside))));
      const far = returned(reply()).inside;
      const there = into(send(request()));
      expect([near.at, far.at, there.at]).toEqual(['firewall', 'firewall', 'firewall']);
      expect(tunnelOf(onward(far))).toMatchObject({ to: CAST.proxy, reply: true, si: 1 });
      expect(tunnelOf(onward(there))).toMatchObject({ to: CAST.proxy, reply: false, si: 2 });
      expect(tunnelOf(onward(near))).toMatchObject({ to: CAST.vpn, reply: true, si: 3 });
    });

    it('takes packets with whatever TTL they have, and learns it from each', () => {
      for (const ttl of [64, 128, 33, 255, 5, 64]) expect(walk(send(request({ ttl }))).way, `${ttl}`).toEqual(THERE);
    });

    it('may lower the TTL by more than one', () => {
      for (let n = 0; n < 2; n++) expect(walk(send(request()), 3).way).toEqual(THERE);
    });

    it('that does not lower the TTL is taken to send on what arrived last', () => {
      for (let n = 0; n < 3; n++) expect(walk(send(request()), 0).way).toEqual(THERE);
    });

    it('follows a hop that has changed, at the position where it did', () => {
      walk(send(request()));
      // The proxy's node loses its flow, and another instance takes the proxy's place.
      stage.path(3, 2, ['destination']).pod('firewall', { generation: 2 });
      const [, visit] = [...stage.maps.sfcflow.entries()].filter(([key]) => key.visit === 0).find(([, flow]) => flow.endpoint === 3) ?? [];
      const key = [...stage.maps.sfcflow.entries()].find(([, flow]) => flow === visit || (flow.endpoint === 3 && flow.path === 0x303))?.[0];
      if (key === undefined || visit === undefined) throw new Error('no visit 0');
      stage.maps.sfcflow.set(key, { ...visit, flags: visit.flags & ~10 });
      const moved = onward(into(send(request())));
      expect(tunnelOf(moved)).toMatchObject({ to: CAST.destination, si: 2 });
      const again = stage.as('destination').receive(moved).frame;
      const back = into(stage.send(routed(again)).frame);
      expect(back.at).toBe('firewall');
      expect(tunnelOf(onward(back))).toBeUndefined();
      expect(walk(stage.as('firewall').send(reply({ ttl: 50 })).frame).way[0]).toBe('(3,1) destination');
    });

    it('begins anew where the flow table lost it', () => {
      walk(send(request()));
      stage.evict('firewall');
      expect(walk(send(request())).way).toEqual(THERE);
      expect(walk(onward(returned(reply()).inside)).way).toEqual(BACK);
    });
  });

  describe('other chains with a pod more than once', () => {
    it.each<readonly [string, readonly Name[]]>([
      ['one after the other', ['firewall', 'firewall']],
      ['two of them, in turns', ['firewall', 'proxy', 'firewall', 'proxy', 'firewall']],
      ['six times', ['firewall', 'firewall', 'firewall', 'firewall', 'firewall', 'firewall']],
      ['at its ends', ['firewall', 'proxy', 'destination', 'proxy', 'firewall']],
    ])('%s: requests and replies pass every position', (_, pods) => {
      chainOf(...pods);
      stage.selects('vpn', 3, pods.length);
      const step = (at: Name, index: number) => `(3,${pods.length - index}) ${at}`;
      const there = pods.map(step);
      const back = pods
        .slice(0, -1)
        .map(step)
        .toReversed()
        .map((text, index) => text.replace(/,\d+/, `,${index + 1}`));
      const through = (first: Buffer): string[] => {
        const way: string[] = [];
        for (let wrapped = first, tunnel = tunnelOf(wrapped); tunnel !== undefined; tunnel = tunnelOf(wrapped)) {
          const inside = into(wrapped);
          way.push(`(${tunnel.spi},${tunnel.si}) ${inside.at}`);
          if (inside.at === 'vpn') break;
          wrapped = onward(inside);
        }
        return way;
      };
      for (let n = 0; n < 2; n++) {
        expect(through(send(request()))).toEqual(there);
        expect(through(onward(returned(reply()).inside))).toEqual([...back, `(3,${pods.length}) vpn`]);
      }
    });
  });

  describe('what is no second position', () => {
    it('another service index of a chain that has the pod once: the chain has changed, and so has the entry', () => {
      chainOf('firewall', 'proxy');
      walk(send(request()));
      stage.path(3, 1, ['firewall']);
      const moved = send(request());
      moved.writeUInt8(1, 61);
      expect(tunnelOf(onward(into(moved)))).toBeUndefined();
      const entries = [...stage.maps.sfcflow.entries()].filter(([, { endpoint }]) => endpoint === 3);
      expect(entries.map(([{ visit }, { path }]) => [visit, path])).toEqual([[0, 0x301]]);
    });

    it('another chain', () => {
      walk(send(request()));
      stage.path(4, 1, ['firewall'], { revisits: true }).selects('vpn', 4, 1).pod('vpn', { selects: true, generation: 2 });
      expect(walk(send(request())).way).toEqual(['(4,1) firewall']);
      expect(walk(send(request())).way).toEqual(['(4,1) firewall']);
    });
  });
}
