/**
 * ICMP errors: those of others follow the flow that they are about, both ways; those about the tunnel itself teach its size; and
 * what does not fit, or is rejected, is answered by an error of our own.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FAILURE_POLICY } from '../maps/index.js';
import { addressFor, checksum, frame, type Segment, type Stage, tunnelOf, type Version } from './cast.js';

const ETHERNET = 14;
const TIME_EXCEEDED = 11;
const UNREACHABLE = 3;

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function icmpRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });
  beforeEach(() => stage.clear());
  afterAll(() => stage?.close());

  describe.each<Version>([4, 6])('IPv%d', (version) => {
    const client = addressFor('client', version);
    const server = addressFor('server', version);
    const firewall = addressFor('firewall', version);
    const router = version === 6 ? 'fd00::192.0.2.1' : '192.0.2.1';
    const header = version === 6 ? 40 : 20;
    const everything = { cidr: [version === 6 ? '::' : '0.0.0.0', 0] as [string, number] };
    const request = frame({ from: client, to: server });
    const reply = frame({ from: server, to: client, sourcePort: 80, destinationPort: 4000 });
    /** An error about a packet, to who sent that. */
    const about = (packet: Uint8Array, from: string, more: Partial<Segment> = {}) => {
      const to = packet === reply ? server : client;
      return frame({ from, to, protocol: 'icmp', icmpType: TIME_EXCEEDED, about: packet.subarray(ETHERNET), ...more });
    };

    beforeEach(() => {
      stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']);
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, everything);
      stage.pod('firewall', { selects: true, isFunction: true }).selects('firewall', 2, 1, everything);
      stage.pod('proxy', { isFunction: true });
    });

    /** The request has gone through both functions. */
    function established(): void {
      stage.as('firewall').receive(stage.as('vpn').send(request).frame);
      stage.as('proxy').receive(stage.as('firewall').send(request).frame);
      stage.as('proxy').send(request);
    }

    describe('an error of somebody else', () => {
      it('of a function goes back to who sent the packet: traceroute sees it', () => {
        established();
        const error = about(request, firewall);
        const out = stage.as('firewall').send(error);
        expect(out.counted).toEqual({ 'steered-reply': 1 });
        expect(tunnelOf(out.frame)).toMatchObject({ to: '10.244.1.2', reply: true, spi: 1, si: 1 });
        expect(stage.as('vpn').receive(out.frame)).toMatchObject({ verdict: 'pass', frame: Buffer.from(error) });
      });

      it('from outside walks back over both functions, as replies do', () => {
        established();
        const error = about(request, router);
        const first = stage.as('proxy').send(error);
        expect(tunnelOf(first.frame)).toMatchObject({ to: '10.244.2.2', reply: true, spi: 2 });
        expect(stage.as('firewall').receive(first.frame).frame).toEqual(Buffer.from(error));
        expect(tunnelOf(stage.as('firewall').send(error).frame)).toMatchObject({ to: '10.244.1.2', reply: true, spi: 1 });
      });

      it('from outside that comes plain to the source enters the chain, as replies do', () => {
        established();
        expect(stage.as('vpn').receive(about(request, router)).counted).toEqual({ 'reply-entered': 1 });
      });

      it('of the client about a reply goes forward with the flow', () => {
        established();
        const error = about(reply, client, { icmpType: UNREACHABLE });
        const out = stage.as('vpn').send(error);
        expect(out.counted).toEqual({ 'steered-source': 1 });
        expect(stage.as('firewall').receive(out.frame)).toMatchObject({ verdict: 'pass', frame: Buffer.from(error) });
        expect(tunnelOf(stage.as('firewall').send(error).frame)).toMatchObject({ to: '10.244.3.2', spi: 2, ttl: 62 });
      });

      it('about a ping follows the ping', () => {
        const ping = frame({ from: client, to: server, protocol: 'icmp' });
        stage.pod('vpn', { alsoSelects: 32 }).selects('vpn', 1, 1, { ...everything, protocol: 0 });
        stage.as('firewall').receive(stage.as('vpn').send(ping).frame);
        expect(stage.as('firewall').send(about(ping, firewall)).counted).toEqual({ 'steered-reply': 1 });
      });

      it('leaves no trace in the flow but that it was counted', () => {
        established();
        const of = () => [...stage.maps.sfcflow.entries()].find(([, { role, path }]) => role === 2 && path === 0x101)?.[1];
        const before = of();
        stage.as('firewall').send(about(request, firewall));
        expect(of()).toMatchObject({ tcp_state: before?.tcp_state, ttl: before?.ttl, reply_packets: (before?.reply_packets ?? 0) + 1 });
      });

      it.each<[string, () => Uint8Array]>([
        ['about a flow that nobody knows', () => about(frame({ from: client, to: server, sourcePort: 4001 }), firewall)],
        ['that repeats too little', () => about(request.subarray(0, ETHERNET + header + 7), firewall)],
        ['about an error', () => about(about(request, router), firewall)],
        [
          'to somebody who did not send the packet',
          () => frame({ from: router, to: addressFor('vpn', version), protocol: 'icmp', icmpType: 3, about: request.subarray(ETHERNET) }),
        ],
      ])('%s passes plainly', (_, error) => {
        established();
        expect(stage.as('firewall').send(error())).toMatchObject({ verdict: 'pass', counted: {} });
      });
    });

    describe('an error about the tunnel', () => {
      const narrow = 1000 + (version === 6 ? 400 : 0);
      /** A router between vpn and firewall refuses the wrapped request, repeating so much of it. */
      const refuse = (wrapped: Uint8Array, says = narrow, repeat = 500) =>
        frame({
          from: '192.0.2.1',
          to: '10.244.1.2',
          protocol: 'icmp',
          icmpType: UNREACHABLE,
          about: wrapped.subarray(ETHERNET, ETHERNET + repeat),
          says,
        });
      const large = (fill: number) => frame({ from: client, to: server, payload: 'x'.repeat(fill - header - 8) });

      it('is not for the pod, which sent no such packet: it teaches the size of the path', () => {
        const wrapped = stage.as('vpn').send(request).frame;
        expect(stage.as('vpn').receive(refuse(wrapped))).toMatchObject({ verdict: 'drop', counted: { 'tunnel-error': 1 } });
        expect([...stage.maps.sfcflow.entries()][0]?.[1]).toMatchObject({ next_path_mtu: narrow });
        expect(stage.as('vpn').send(large(narrow - 48)).counted).toEqual({ 'steered-source': 1 });
        const out = stage.as('vpn').send(large(narrow - 47));
        expect(out).toMatchObject({ verdict: 'drop', counted: { 'too-big': 1 } });
        expectError(out.answer, {
          from: server,
          to: client,
          mtu: Math.max(narrow - 48, version === 6 ? 1280 : 0),
          about: large(narrow - 47),
        });
      });

      it('about a reply teaches the size of the way back', () => {
        established();
        const wrapped = stage.as('firewall').send(reply).frame;
        stage.as('firewall').receive(
          frame({
            from: '192.0.2.1',
            to: '10.244.2.2',
            protocol: 'icmp',
            icmpType: UNREACHABLE,
            about: wrapped.subarray(ETHERNET),
            says: narrow,
          }),
        );
        const big = frame({ from: server, to: client, sourcePort: 80, destinationPort: 4000, payload: 'x'.repeat(1400) });
        const out = stage.as('firewall').send(big);
        expect(out).toMatchObject({ verdict: 'drop', counted: { 'too-big': 1 } });
        expectError(out.answer, { from: client, to: server, mtu: Math.max(narrow - 48, version === 6 ? 1280 : 0), about: big });
      });

      it.each<[string, (wrapped: Buffer) => Uint8Array]>([
        ['tells less than any path carries', (wrapped) => refuse(wrapped, 500)],
        ['repeats too little to tell the flow', (wrapped) => refuse(wrapped, narrow, 48 + header + 7)],
        ['is about a packet to another hop', (wrapped) => refuse(wrapped.fill(9, 33, 34))],
        ['is about a flow that nobody knows', (wrapped) => refuse(wrapped.fill(9, 62 + header, 63 + header))],
        [
          'is of another kind',
          (wrapped) =>
            frame({ from: '192.0.2.1', to: '10.244.1.2', protocol: 'icmp', icmpType: UNREACHABLE, about: wrapped.subarray(ETHERNET) }),
        ],
      ])('that %s teaches nothing', (_, error) => {
        const wrapped = stage.as('vpn').send(request).frame;
        expect(stage.as('vpn').receive(error(wrapped))).toMatchObject({ verdict: 'drop', counted: { 'tunnel-error': 1 } });
        expect([...stage.maps.sfcflow.entries()][0]?.[1]).toMatchObject({ next_path_mtu: 0 });
      });

      it('is forgotten with the hop', () => {
        const wrapped = stage.as('vpn').send(request).frame;
        stage.as('vpn').receive(refuse(wrapped));
        stage.selects('vpn', 2, 1, everything).pod('vpn', { selects: true, generation: 2 });
        expect(stage.send(large(1400)).counted).toEqual({ 'steered-source': 1 });
      });
    });

    describe('a chain without an instance that rejects', () => {
      beforeEach(() =>
        stage.path(1, 1, [], { failurePolicy: FAILURE_POLICY.reject }).path(2, 1, [], { failurePolicy: FAILURE_POLICY.reject }),
      );

      it('answers TCP by a RST', () => {
        stage.selects('vpn', 1, 1, { ...everything, protocol: 6 });
        const syn = frame({ from: client, to: server, protocol: 'tcp', tcpFlags: 2, sequence: 7, payload: '' });
        const out = stage.as('vpn').send(syn);
        expect(out).toMatchObject({ verdict: 'drop', counted: { rejected: 1 } });
        const tcp = out.answer?.subarray(ETHERNET + header);
        expect([tcp?.readUInt16BE(0), tcp?.readUInt16BE(2), tcp?.readUInt32BE(8), tcp?.readUInt8(13)]).toEqual([80, 4000, 8, 0x14]);
        const rst = frame({ from: client, to: server, protocol: 'tcp', tcpFlags: 4 });
        expect(stage.as('vpn').send(rst)).toMatchObject({ verdict: 'drop', answer: undefined, counted: { rejected: 1 } });
      });

      it('answers everything else by an error: prohibited', () => {
        const out = stage.as('vpn').send(request);
        expect(out).toMatchObject({ verdict: 'drop', counted: { rejected: 1 } });
        expectError(out.answer, { from: server, to: client, about: request });
      });

      it('behind its first function too, and at a pod’s way in', () => {
        stage.path(1, 1, ['firewall']);
        stage.as('firewall').receive(stage.as('vpn').send(request).frame);
        expectError(stage.as('firewall').send(request).answer, { from: server, to: client, about: request });
        const inward = frame({ from: server, to: addressFor('destination', version) });
        stage.pod('destination', { ingress: 4 }).selects('destination', 2, 1, { ...everything, ingress: true });
        const out = stage.receive(inward);
        expect(out.counted).toEqual({ rejected: 1 });
        expectError(out.answer, { from: addressFor('destination', version), to: server, about: inward });
      });

      it('answers nobody who cannot be answered', () => {
        for (const from of version === 6 ? ['::', '::1', 'ff02::1'] : ['0.0.0.0', '127.0.0.1', '224.0.0.1'])
          expect(stage.as('vpn').send(frame({ from, to: server })).answer).toBeUndefined();
      });
    });

    /** An ICMP error as we make it: whom it comes from, whom it goes to, what it says, and the packet that it repeats. */
    function expectError(answer: Buffer | undefined, expected: { from: string; to: string; mtu?: number; about: Uint8Array }): void {
      if (answer === undefined) throw new Error('there is no answer');
      const icmp = ETHERNET + header;
      const { mtu = 0 } = expected;
      const ends = frame({ from: expected.from, to: expected.to });
      const addresses = version === 6 ? [ETHERNET + 8, ETHERNET + 40] : [ETHERNET + 12, ETHERNET + 20];
      expect(answer.subarray(...addresses)).toEqual(Buffer.from(ends.subarray(...addresses)));
      const code = version === 6 ? (mtu > 0 ? '0200' : '0101') : mtu > 0 ? '0304' : '030d';
      expect(answer.subarray(icmp, icmp + 2).toString('hex')).toBe(code);
      expect(answer.readUInt32BE(icmp + 4)).toBe(mtu);
      const repeated = answer.subarray(icmp + 8);
      expect(repeated.length).toBeGreaterThanOrEqual(Math.min(expected.about.length - ETHERNET, header + 8));
      expect(repeated).toEqual(Buffer.from(expected.about.subarray(ETHERNET, ETHERNET + repeated.length)));
      const message = answer.subarray(icmp);
      const pseudo =
        version === 6 ? Buffer.concat([answer.subarray(ETHERNET + 8, icmp), Buffer.from([0, 58, 0, message.length])]) : Buffer.alloc(0);
      expect(checksum(Buffer.concat([pseudo, message, Buffer.alloc(message.length & 1)]))).toBe(0);
    }
  });
}
