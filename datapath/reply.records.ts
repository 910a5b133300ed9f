/**
 * Replies that come past the chain: from a destination outside, where no function has hidden the source
 * address. Packet records in words, run on every datapath. The story: a client behind the vpn pod, a
 * firewall, a proxy that translates nothing, a server outside.
 *
 *     reply ─► vpn's node ═(1,0)═► firewall ═(2,0)═► proxy's node ─► proxy ═► firewall ═► vpn
 *                            not entered       entered from behind
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CAST, checksum, frame, type Stage, tunnelOf, withUdpChecksum } from './cast.js';

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function replyRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']).path(3, 2, ['firewall']).path(3, 1, ['proxy']);
  });

  afterAll(() => stage?.close());

  const request = frame({ from: CAST.client, to: CAST.server });
  const reply = frame({ from: CAST.server, to: CAST.client, sourcePort: 80, destinationPort: 4000 });

  /** One chain, the firewall its only function; the request has left the cluster. */
  function behindOne(): void {
    stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).pod('firewall');
    const wrapped = stage.as('vpn').send(request).frame;
    stage.as('firewall').receive(wrapped);
    stage.send(request);
  }

  /** Firewall, then proxy: of one chain, or of two that join. */
  function behindTwo(chains: 'one chain' | 'two chains'): void {
    stage.pod('vpn', { selects: true }).pod('firewall', { selects: true }).pod('proxy');
    if (chains === 'one chain') stage.selects('vpn', 3, 2);
    else stage.selects('vpn', 1, 1).selects('firewall', 2, 1);
    const first = stage.as('vpn').send(request).frame;
    stage.as('firewall').receive(first);
    const second = stage.send(request).frame;
    stage.as('proxy').receive(second);
    stage.send(request);
  }

  describe('a reply that comes plain to the source of its flow', () => {
    it('goes to the function, with the service index of a destination', () => {
      behindOne();
      const out = stage.as('vpn').receive(reply);
      expect(out).toMatchObject({ verdict: 'redirect', counted: { 'reply-entered': 1 } });
      expect(tunnelOf(out.frame)).toEqual({ from: CAST.vpn, to: CAST.firewall, reply: true, spi: 1, si: 0, ttl: 63 });
      expect(out.frame.subarray(14 + 48)).toEqual(Buffer.from(reply).subarray(14));
    });

    it('is received by the function as if the server had sent it there', () => {
      behindOne();
      const entered = stage.as('vpn').receive(reply).frame;
      const out = stage.as('firewall').receive(entered);
      expect(out).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      expect(out.frame.subarray(14)).toEqual(Buffer.from(reply).subarray(14));
    });

    it('goes from there to the source, which receives it and does not send it back again', () => {
      behindOne();
      const entered = stage.as('vpn').receive(reply).frame;
      stage.as('firewall').receive(entered);
      const back = stage.send(reply);
      expect(tunnelOf(back.frame)).toMatchObject({ from: CAST.firewall, to: CAST.vpn, reply: true, si: 1 });
      const out = stage.as('vpn').receive(back.frame);
      expect(out).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      expect(out.frame).toEqual(Buffer.from(reply));
    });

    it('of a flow that nothing steers is the pod’s', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: ['198.51.100.0', 24] });
      stage.send(request);
      expect(stage.receive(reply)).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('of a flow that somebody opened to the pod is the pod’s, both ways', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      const opened = frame({ from: CAST.server, to: CAST.vpn, sourcePort: 9, destinationPort: 443 });
      stage.receive(opened);
      expect(stage.receive(opened)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(stage.send(frame({ from: CAST.vpn, to: CAST.server, sourcePort: 443, destinationPort: 9 })).counted).toEqual({});
      expect([...stage.maps.sfcflow.entries()].map(([, { packets, reply_packets }]) => [packets, reply_packets])).toEqual([[2, 1]]);
    });

    it('in fragments is the pod’s: they carry no ports', () => {
      behindOne();
      expect(stage.as('vpn').receive(frame({ from: CAST.server, to: CAST.client, fragment: 0x10 })).verdict).toBe('pass');
    });
  });

  describe.each(['one chain', 'two chains'] as const)('on the way back through two functions of %s', (chains) => {
    const [first, second] = chains === 'one chain' ? [{ spi: 3 }, { spi: 3 }] : [{ spi: 1 }, { spi: 2 }];

    it('the first hands it on without entering it, to the instance that the request took', () => {
      behindTwo(chains);
      const entered = stage.as('vpn').receive(reply).frame;
      expect(tunnelOf(entered)).toMatchObject({ to: CAST.firewall, ...first, si: 0, ttl: 63 });
      const out = stage.as('firewall').receive(entered);
      expect(out).toMatchObject({ verdict: 'redirect', counted: { 'reply-relayed': 1 } });
      expect(tunnelOf(out.frame)).toEqual({ from: CAST.firewall, to: CAST.proxy, reply: true, ...second, si: 0, ttl: 62 });
      expect(out.frame.length).toBe(entered.length);
      expect(out.frame.subarray(14 + 48)).toEqual(Buffer.from(reply).subarray(14));
      expect(checksum(out.frame.subarray(14, 34))).toBe(0);
    });

    it('the last receives it, and it goes back over both to the source', () => {
      behindTwo(chains);
      const entered = stage.as('vpn').receive(reply).frame;
      const relayed = stage.as('firewall').receive(entered).frame;
      const atProxy = stage.as('proxy').receive(relayed);
      expect(atProxy).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      const toFirewall = stage.send(reply);
      expect(tunnelOf(toFirewall.frame)).toMatchObject({ from: CAST.proxy, to: CAST.firewall, reply: true, si: 1 });
      expect(stage.as('firewall').receive(toFirewall.frame)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      const toVpn = stage.send(reply);
      expect(tunnelOf(toVpn.frame)).toMatchObject({ from: CAST.firewall, to: CAST.vpn, reply: true, spi: first.spi });
      expect(stage.as('vpn').receive(toVpn.frame)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
    });

    it('it dies where its TTL ends', () => {
      behindTwo(chains);
      const entered = stage.as('vpn').receive(reply).frame;
      entered.writeUInt16BE((1 << 6) | 2, 54);
      expect(stage.as('firewall').receive(entered)).toMatchObject({ verdict: 'drop', counted: { 'nsh-ttl': 1 } });
    });

    it('options of others stay with it', () => {
      behindTwo(chains);
      const plain = stage.as('vpn').receive(reply).frame;
      const other = Buffer.from('0102030101020304', 'hex'); // not critical, one word
      const entered = Buffer.concat([plain.subarray(0, 50), other, plain.subarray(50)]);
      entered.writeUInt8(5, 42);
      entered.writeUInt16BE(entered.length - 14, 16);
      entered.writeUInt16BE(entered.length - 34, 38);
      // Another implementation's has a UDP checksum, which covers the addresses: none is left of it.
      const out = stage.as('firewall').receive(withUdpChecksum(entered));
      expect(out.counted).toEqual({ 'reply-relayed': 1 });
      expect(out.frame.subarray(50, 58)).toEqual(other);
      expect(out.frame.readUInt32BE(66)).toBe(second.spi * 256);
      expect(out.frame.readUInt16BE(40)).toBe(0);
    });
  });

  describe('what only looks like one', () => {
    it('a destination’s own reply is delivered to the last function, as ever', () => {
      const inside = frame({ from: CAST.client, to: CAST.destination });
      const answer = frame({ from: CAST.destination, to: CAST.client, sourcePort: 80, destinationPort: 4000 });
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).pod('firewall').pod('destination');
      const wrapped = stage.as('vpn').send(inside).frame;
      stage.as('firewall').receive(wrapped);
      const atEnd = stage.send(inside).frame;
      stage.as('destination').receive(atEnd);
      const back = stage.send(answer).frame;
      expect(tunnelOf(back)).toMatchObject({ to: CAST.firewall, reply: true, si: 0 });
      expect(stage.as('firewall').receive(back)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
    });

    it.each<[string, (packet: Buffer) => void]>([
      ['another hop', (packet) => packet.set([10, 244, 3, 9], 26)],
      ['another path', (packet) => packet.writeUInt32BE(9 * 256, 58)],
      ['a service index that is not 0', (packet) => packet.writeUInt8(1, 61)],
    ])('from %s is not handed on: the function receives it', (_, change) => {
      behindTwo('two chains');
      stage.path(9, 1, ['firewall']);
      const entered = stage.as('vpn').receive(reply).frame;
      change(entered);
      expect(stage.as('firewall').receive(entered)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
    });

    it('a forward packet is not', () => {
      behindTwo('two chains');
      const entered = stage.as('vpn').receive(reply).frame;
      entered.writeUInt16BE(entered.readUInt16BE(34) & ~1, 34);
      expect(stage.as('firewall').receive(entered).counted).toEqual({ decapsulated: 1 });
    });
  });
}
