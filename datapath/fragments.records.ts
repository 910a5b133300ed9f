/**
 * Fragments, of both families. The first one carries the ports; what it says is kept for the others, which go the same way. One
 * whose datagram nobody knows does not slip past the functions.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINT_FLAG } from '../maps/index.js';
import { addressFor, frame, type Stage, tunnelOf, type Version } from './cast.js';

const FIRST = 0x2000;
const MIDDLE = 0x2010;
const LAST = 0x0020;

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function fragmentRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });
  beforeEach(() => stage.clear());
  afterAll(() => stage?.close());

  describe.each<Version>([4, 6])('IPv%d', (version) => {
    const client = addressFor('client', version);
    const server = addressFor('server', version);
    const everything = { cidr: [version === 6 ? '::' : '0.0.0.0', 0] as [string, number] };
    const part = (fragment: number, more: Partial<Parameters<typeof frame>[0]> = {}) =>
      frame({ from: client, to: server, fragment, ...more });
    const spiOf = (fragment: number) => tunnelOf(stage.as('vpn').send(part(fragment)).frame)?.spi;

    beforeEach(() => {
      stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']);
      stage.pod('vpn', { selects: 'ports' }).selects('vpn', 1, 1, { ...everything, port: 80 });
      stage.pod('firewall', { isFunction: true }).pod('proxy', { isFunction: true });
    });

    it('all fragments of a datagram are steered by the port that its first one tells', () => {
      expect([FIRST, MIDDLE, LAST].map(spiOf)).toEqual([1, 1, 1]);
      expect(stage.maps.sfcflow.size()).toBe(1);
      expect([...stage.maps.sfcflow.entries()][0]?.[1]).toMatchObject({ packets: 3 });
    });

    it('the later ones in any order, and again', () => {
      expect([FIRST, LAST, MIDDLE, LAST].map(spiOf)).toEqual([1, 1, 1, 1]);
    });

    it('one that comes before the first is dropped and counted; those behind it go on', () => {
      expect(stage.as('vpn').send(part(LAST))).toMatchObject({ verdict: 'drop', counted: { fragment: 1 } });
      expect([FIRST, MIDDLE].map(spiOf)).toEqual([1, 1]);
    });

    it('of a datagram that nothing selects pass, in any order, as those of a pod that nothing selects do', () => {
      const other = { destinationPort: 81 };
      expect(stage.as('vpn').send(part(FIRST, other))).toMatchObject({ verdict: 'pass', counted: {} });
      expect(stage.send(part(LAST, other))).toMatchObject({ verdict: 'pass', counted: {} });
      stage.pod('destination');
      for (const fragment of [LAST, FIRST, MIDDLE]) expect(stage.send(part(fragment))).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('another datagram between the same hosts has its own first one', () => {
      spiOf(FIRST);
      const other = Buffer.from(part(LAST));
      other.writeUInt16BE(0x4321, version === 6 ? 14 + 40 + 6 : 18);
      expect(stage.as('vpn').send(other)).toMatchObject({ verdict: 'drop', counted: { fragment: 1 } });
    });

    it('half a minute later nobody waits for them any more', () => {
      spiOf(FIRST);
      stage.age(29);
      expect(spiOf(MIDDLE)).toBe(1);
      stage.age(2);
      expect(stage.as('vpn').send(part(LAST))).toMatchObject({ verdict: 'drop', counted: { fragment: 1 } });
    });

    it('a first one that is too short to tell its port is malformed', () => {
      const short = Buffer.from(part(FIRST, { payload: '' })).subarray(0, -2);
      short.writeUInt16BE(version === 6 ? 8 + 6 : 26, version === 6 ? 18 : 16);
      expect(stage.as('vpn').send(short)).toMatchObject({ verdict: 'drop', counted: { malformed: 1 } });
    });

    it('through a chain, out of it, and back', () => {
      stage.pod('firewall', { selects: true, isFunction: true }).selects('firewall', 2, 1, everything);
      for (const fragment of [FIRST, LAST]) {
        const wrapped = stage.as('vpn').send(part(fragment)).frame;
        expect(stage.as('firewall').receive(wrapped)).toMatchObject({ verdict: 'pass', frame: Buffer.from(part(fragment)) });
        const onward = stage.as('firewall').send(part(fragment));
        expect(onward.counted).toEqual({ 'steered-next': 1 });
        stage.as('proxy').receive(onward.frame);
        expect(stage.as('proxy').send(part(fragment)).counted).toEqual({ 'left-cluster': 1 });
      }
      for (const fragment of [FIRST, LAST]) {
        const reply = frame({ from: server, to: client, sourcePort: 80, destinationPort: 4000, fragment });
        const back = stage.as('proxy').send(reply);
        expect(back.counted).toEqual({ 'steered-reply': 1 });
        stage.as('firewall').receive(back.frame);
        expect(stage.as('firewall').send(reply).counted).toEqual({ 'steered-reply': 1 });
      }
    });

    it('a function that sends one whose datagram nobody knows does not let it past the rest of the chain', () => {
      expect(stage.as('firewall').send(part(LAST))).toMatchObject({ verdict: 'drop', counted: { fragment: 1 } });
    });

    it('of a reply that comes plain enter the chain together, and are relayed together', () => {
      stage
        .path(3, 2, ['firewall'])
        .path(3, 1, ['proxy'])
        .selects('vpn', 3, 2, { ...everything, port: 80 });
      const request = frame({ from: client, to: server });
      stage.as('firewall').receive(stage.as('vpn').send(request).frame);
      stage.as('proxy').receive(stage.as('firewall').send(request).frame);
      for (const fragment of [FIRST, LAST]) {
        const reply = frame({ from: server, to: client, sourcePort: 80, destinationPort: 4000, fragment });
        const entered = stage.as('vpn').receive(reply);
        expect(entered.counted).toEqual({ 'reply-entered': 1 });
        expect(stage.as('firewall').receive(entered.frame).counted).toEqual({ 'reply-relayed': 1 });
      }
    });

    it('to a pod whose ingress is selected go through its chain together; one that comes too early is dropped', () => {
      const { selectsPorts } = ENDPOINT_FLAG;
      stage.pod('destination', { ingress: selectsPorts }).selects('destination', 1, 1, { ...everything, port: 80, ingress: true });
      const inward = (fragment: number) => frame({ from: server, to: addressFor('destination', version), fragment });
      expect(stage.receive(inward(LAST))).toMatchObject({ verdict: 'drop', counted: { fragment: 1 } });
      for (const fragment of [FIRST, LAST]) expect(stage.receive(inward(fragment)).counted).toEqual({ 'steered-ingress': 1 });
    });

    it('out of another chain meet the ingress of their destination together', () => {
      stage
        .pod('destination', { ingress: ENDPOINT_FLAG.selectsPorts })
        .selects('destination', 2, 1, { ...everything, port: 80, ingress: true });
      const inside = (fragment: number) => frame({ from: client, to: addressFor('destination', version), fragment });
      for (const fragment of [FIRST, LAST]) {
        stage.as('firewall').receive(stage.as('vpn').send(inside(fragment)).frame);
        const last = stage.as('firewall').send(inside(fragment)).frame;
        expect(stage.as('destination').receive(last).counted).toEqual({ 'steered-ingress': 1 });
      }
    });

    it('of a wrapped packet are none: nobody has to fragment what says that it must not be', () => {
      const wrapped = Buffer.from(stage.as('vpn').send(frame({ from: client, to: server })).frame);
      wrapped.writeUInt16BE(FIRST, 20);
      expect(stage.as('firewall').receive(wrapped)).toMatchObject({ verdict: 'drop', counted: { 'outer-malformed': 1 } });
    });
  });

  it('a later IPv6 fragment that does not tell its protocol is dropped where anything is selected, as long as nobody knows it', () => {
    const part = (fragment: number) => {
      const bytes = Buffer.from(frame({ from: addressFor('client', 6), to: addressFor('server', 6), fragment, protocol: 'tcp' }));
      bytes.writeUInt8(60, 14 + 40); // destination options stand behind the fragment header
      return bytes;
    };
    stage
      .path(1, 1, ['firewall'])
      .pod('vpn', { selects: 'ports' })
      .selects('vpn', 1, 1, { cidr: ['::', 0], port: 443, protocol: 6 });
    expect(stage.send(part(LAST))).toMatchObject({ verdict: 'drop', counted: { fragment: 1 } });
    stage.pod('vpn');
    expect(stage.send(part(LAST))).toMatchObject({ verdict: 'pass', counted: {} });
  });
}
