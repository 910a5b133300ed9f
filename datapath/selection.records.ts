/** What selects a packet: ranges, exceptions, protocols, and which of several wins. Packet records in words, run on every datapath. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encapsulate, NSH_TTL_CLASSIFIER, type Tunnel, toSi, toSpi } from '../geneve/index.js';
import { ENDPOINT_FLAG, FLOW_ROLE } from '../maps/index.js';
import { addressOf, CAST, frame, type Name, type Stage, tunnelOf } from './cast.js';

const between = (source: Name, destination: Name) => ({ source: addressOf(CAST[source]), destination: addressOf(CAST[destination]) });

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function selectionRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']);
  });

  afterAll(() => stage?.close());

  const request = frame({ from: CAST.client, to: CAST.server });

  describe('a selection of ranges and exceptions', () => {
    const { selectsRanges, selectsAnyProtocol } = ENDPOINT_FLAG;
    const spiOf = (destinationPort: number, settings: object = {}) =>
      tunnelOf(stage.send(frame({ from: CAST.client, to: CAST.server, destinationPort, ...settings })).frame)?.spi;
    /** The server's own address and its network. */
    const host: [string, number] = ['203.0.113.10', 32];
    const network: [string, number] = ['203.0.113.0', 24];

    it('takes every port of a range, and none beside it', () => {
      stage.pod('vpn', { selects: true, alsoSelects: selectsRanges }).selects('vpn', 1, 1, { port: 8000, lastPort: 8127 });
      stage.range('vpn', 8000, 10, 8000).range('vpn', 8064, 10, 8000).range('vpn', 8064, 10, 8000);
      expect([7999, 8000, 8063, 8064, 8127, 8128].map((port) => spiOf(port))).toEqual([undefined, 1, 1, 1, 1, undefined]);
    });

    it('finds a port in the middle of a range by itself, and ports that are in none', () => {
      stage.pod('vpn', { selects: true, alsoSelects: selectsRanges }).range('vpn', 8000, 10, 8000).range('vpn', 8010, 16, 0);
      stage.selects('vpn', 1, 1, { port: 8000, lastPort: 8063 }).selects('vpn', 2, 1, { port: 8010 }).selects('vpn', 2, 1, { port: 53 });
      expect([8009, 8010, 8011, 53].map((port) => spiOf(port))).toEqual([1, 2, 1, 2]);
    });

    it('looks for no range where the pod has none', () => {
      stage.pod('vpn', { selects: true }).range('vpn', 8000, 10, 8000).selects('vpn', 1, 1, { port: 8000, lastPort: 8063 });
      expect([8000, 8001].map((port) => spiOf(port))).toEqual([1, undefined]);
    });

    it('lets an exception pass', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: network }).selects('vpn', 0, 0, { cidr: host, foundAs: 0 });
      expect(stage.send(request)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(tunnelOf(stage.send(frame({ from: CAST.client, to: '203.0.113.11' })).frame)?.spi).toBe(1);
    });

    it('finds behind an exception what the other look-ups find', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 2, 1).selects('vpn', 0, 0, { cidr: host, port: 80, foundAs: 0 });
      stage.selects('vpn', 1, 1, { cidr: network, port: 80 });
      expect(spiOf(80)).toBe(2);
    });

    it('compares an exception by the prefix of what takes its place', () => {
      // A wide selector takes the place of an excepted one: it must not count as long as the exception is.
      stage.pod('vpn', { selects: true }).selects('vpn', 2, 1, { cidr: host, port: 80, foundAs: 8 });
      stage.selects('vpn', 1, 1, { cidr: network });
      expect(spiOf(80)).toBe(1);
    });

    it('of any protocol takes TCP and UDP too, after those that name the protocol', () => {
      stage.pod('vpn', { alsoSelects: selectsAnyProtocol }).selects('vpn', 1, 1, { protocol: 0 });
      expect([spiOf(80), spiOf(80, { protocol: 'tcp' })]).toEqual([1, 1]);
      stage.clear();
      stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']);
      stage.pod('vpn', { selects: true, alsoSelects: selectsAnyProtocol }).selects('vpn', 1, 1, { protocol: 0 }).selects('vpn', 2, 1);
      expect([spiOf(80), spiOf(80, { protocol: 'tcp' })]).toEqual([2, 1]);
    });
  });

  describe('a flow that was there before it was selected', () => {
    const answer = frame({ from: CAST.server, to: CAST.vpn, sourcePort: 80, destinationPort: 4000 });
    const own = frame({ from: CAST.vpn, to: CAST.server });
    const elsewhere: [string, number] = ['198.51.100.0', 24];
    const roles = () => [...stage.maps.sfcflow.entries()].map(([, { role }]) => role);
    /** A selector comes that means it; the pod has others already. */
    const select = () => stage.pod('vpn', { selects: true, generation: 2 }).selects('vpn', 1, 1);

    it('takes its chain with the pod’s next packet, though an answer comes first', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: elsewhere });
      expect(stage.send(own)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(roles()).toEqual([FLOW_ROLE.outbound]);
      select();
      expect(stage.receive(answer)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(stage.send(own).counted).toEqual({ 'steered-source': 1 });
      expect(roles()).toEqual([FLOW_ROLE.source]);
      expect(stage.receive(answer).counted).toEqual({ 'reply-entered': 1 });
    });

    it('is not classified again as long as nothing changes', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: elsewhere });
      stage.send(own);
      stage.selects('vpn', 1, 1); // the agent has not said so yet
      expect(stage.send(own)).toMatchObject({ verdict: 'pass', counted: {} });
      select();
      expect(stage.send(own).counted).toEqual({ 'steered-source': 1 });
    });

    it('that somebody opened to the pod stays that one’s', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: elsewhere });
      stage.receive(answer);
      expect(roles()).toEqual([FLOW_ROLE.inbound]);
      select();
      expect(stage.send(own)).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('of TCP leaves no entry: its SYN tells', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { cidr: elsewhere });
      for (const tcpFlags of [2, 16]) stage.send(frame({ from: CAST.vpn, to: CAST.server, protocol: 'tcp', tcpFlags }));
      expect(roles()).toEqual([]);
    });
  });

  describe('a protocol other than TCP and UDP', () => {
    const { selectsAnyProtocol } = ENDPOINT_FLAG;
    const sctp = (from: string, to: string, sourcePort: number, destinationPort: number) =>
      frame({ from, to, protocol: 'sctp', sourcePort, destinationPort });
    const ping = (from: string, to: string, icmpType: number, id = 77) => frame({ from, to, protocol: 'icmp', icmpType, sourcePort: id });
    const gre = (from: string, to: string) => frame({ from, to, protocol: 'gre' });

    const stories: readonly (readonly [string, number, Uint8Array, Uint8Array, number])[] = [
      ['an SCTP packet', 132, sctp(CAST.client, CAST.server, 4000, 9899), sctp(CAST.server, CAST.client, 9899, 4000), 9899],
      ['a ping', 1, ping(CAST.client, CAST.server, 8), ping(CAST.server, CAST.client, 0), 77],
      ['a packet of a protocol without ports', 47, gre(CAST.client, CAST.server), gre(CAST.server, CAST.client), 0],
    ];

    const firstHop: Tunnel = { ...between('vpn', 'firewall'), spi: toSpi(1), si: toSi(1), ttl: NSH_TTL_CLASSIFIER, reply: false };

    describe.each(stories)('%s', (_, protocol, asked, answered, port) => {
      it('is steered there and back where a selector says so', () => {
        const selected = { alsoSelects: selectsAnyProtocol | ENDPOINT_FLAG.selectsAllPorts };
        const wrapped = stage.pod('vpn', selected).selects('vpn', 1, 1, { protocol }).send(asked);
        expect(tunnelOf(wrapped.frame)).toMatchObject({ to: CAST.firewall, spi: 1 });
        expect(Uint8Array.from(wrapped.frame.subarray(14))).toEqual(encapsulate(asked.subarray(14), firstHop));
        expect([...stage.maps.sfcflow.entries()][0]?.[0]).toMatchObject({ protocol });
        expect([...stage.maps.sfcflow.entries()].flatMap(([key]) => [key.port_a, key.port_b])).toContain(port);
        expect(stage.pod('firewall').receive(wrapped.frame).frame).toEqual(Buffer.from(asked));
        const back = stage.send(answered);
        expect(tunnelOf(back.frame)).toMatchObject({ to: CAST.vpn, reply: true });
        expect(stage.as('vpn').receive(back.frame).frame).toEqual(Buffer.from(answered));
      });

      it('is steered by a selector of any protocol', () => {
        const out = stage.pod('vpn', { alsoSelects: selectsAnyProtocol }).selects('vpn', 1, 1, { protocol: 0 }).send(asked);
        expect(tunnelOf(out.frame)?.spi).toBe(1);
      });

      it('passes where the pod has no such selector, whatever the maps hold', () => {
        const out = stage
          .pod('vpn', { selects: true })
          .selects('vpn', 1, 1, { protocol })
          .selects('vpn', 1, 1, { protocol: 0 })
          .send(asked);
        expect(out).toMatchObject({ verdict: 'pass', counted: {} });
        expect(tunnelOf(out.frame)).toBeUndefined();
        stage.receive(frame({ from: CAST.server, to: CAST.vpn, protocol: 'icmp' }));
        expect(stage.maps.sfcflow.size()).toBe(0);
      });
    });

    it('is selected by its port', () => {
      stage.pod('vpn', { selects: true, alsoSelects: selectsAnyProtocol }).selects('vpn', 1, 1, { protocol: 132, port: 9899 });
      expect(tunnelOf(stage.send(sctp(CAST.client, CAST.server, 4000, 9899)).frame)?.spi).toBe(1);
      expect(tunnelOf(stage.send(sctp(CAST.client, CAST.server, 4000, 9900)).frame)).toBeUndefined();
    });

    it('answers a ping that somebody sent to a selected pod without steering the answer', () => {
      stage.pod('vpn', { alsoSelects: selectsAnyProtocol }).selects('vpn', 1, 1, { protocol: 0 });
      stage.receive(ping(CAST.server, CAST.vpn, 8));
      expect(tunnelOf(stage.send(ping(CAST.vpn, CAST.server, 0)).frame)).toBeUndefined();
      expect(tunnelOf(stage.send(ping(CAST.vpn, CAST.server, 8, 78)).frame)?.spi).toBe(1);
    });

    it('passes an ICMP error untouched', () => {
      stage.pod('vpn', { alsoSelects: selectsAnyProtocol }).selects('vpn', 1, 1, { protocol: 0 });
      for (const icmpType of [3, 11]) {
        const error = ping(CAST.client, CAST.server, icmpType);
        expect(stage.send(error)).toMatchObject({ verdict: 'pass', frame: Buffer.from(error), counted: {} });
      }
    });

    it.each([
      ['SCTP header of 11 bytes', sctp(CAST.client, CAST.server, 1, 2), 20 + 11],
      ['ICMP header of 7 bytes', ping(CAST.client, CAST.server, 8), 20 + 7],
    ])('drops a cut %s where such packets are selected', (_, whole, length) => {
      const cut = Buffer.from(whole.subarray(0, 14 + length));
      cut.writeUInt16BE(length, 16);
      stage.pod('vpn', { alsoSelects: selectsAnyProtocol }).selects('vpn', 1, 1, { protocol: 0 });
      expect(stage.send(cut)).toMatchObject({ verdict: 'drop', counted: { malformed: 1 } });
      expect(stage.pod('vpn', { selects: true }).send(cut)).toMatchObject({ verdict: 'pass', counted: {} });
    });
  });
}
