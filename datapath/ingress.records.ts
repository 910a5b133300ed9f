/**
 * Ingress: what somebody sends to a selected pod goes through its chain first, and the pod's answers the
 * same way back. Packet records in words, run on every datapath. The pod is classifier and destination at once:
 *
 *     server ─► destination's way in ═(1,1)═► firewall ═(1,0)═► destination
 *     server ◄─ destination's way in ◄═════ firewall ◄═════ destination
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINT_FLAG, FAILURE_POLICY, FLOW_ROLE, PEER_FLAG } from '../maps/index.js';
import { CAST, frame, type Name, type Stage, tunnelOf } from './cast.js';

const TCP = 6;
const FLAGS = { syn: 0x02, rst: 0x04, ack: 0x10 } as const;
const { selectsAllPorts, selectsPorts, selectsRanges, selectsAnyProtocol } = ENDPOINT_FLAG;

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function ingressRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']).path(3, 2, ['firewall']).path(3, 1, ['proxy']);
    stage.pod('firewall').pod('proxy').pod('destination', { ingress: selectsAllPorts });
  });

  afterAll(() => stage?.close());

  const ends = { from: CAST.server, to: CAST.destination };
  const request = frame(ends);
  const answer = frame({ from: CAST.destination, to: CAST.server, sourcePort: 80, destinationPort: 4000 });
  const ofTcp = (tcpFlags: number) => frame({ ...ends, protocol: 'tcp', tcpFlags });
  /** The bytes arrive at a pod. */
  const at = (name: Name, bytes: Uint8Array) => stage.as(name).receive(bytes);
  const roles = () => [...stage.maps.sfcflow.entries()].map(([, { role }]) => role);

  /** The request has come through the firewall and to the pod. */
  function received(): void {
    stage.selects('destination', 1, 1, { ingress: true });
    at('firewall', at('destination', request).frame);
    at('destination', stage.as('firewall').send(request).frame);
  }

  describe('a packet to a pod whose ingress is selected', () => {
    it('goes to the function, as fresh from the classifier', () => {
      stage.selects('destination', 1, 1, { ingress: true });
      const out = stage.receive(request);
      expect(out).toMatchObject({ verdict: 'redirect', counted: { 'steered-ingress': 1 } });
      expect(tunnelOf(out.frame)).toEqual({ from: CAST.destination, to: CAST.firewall, reply: false, spi: 1, si: 1, ttl: 63 });
      expect(out.frame.subarray(14 + 48)).toEqual(Buffer.from(request).subarray(14));
      expect(stage.receive(request)).toMatchObject({ verdict: 'redirect', counted: { 'steered-ingress': 1 } });
    });

    it('comes back from there, and is the pod’s', () => {
      stage.selects('destination', 1, 1, { ingress: true });
      const entered = stage.receive(request).frame;
      expect(at('firewall', entered)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      const on = stage.send(request);
      expect(on).toMatchObject({ counted: { 'steered-destination': 1 } });
      expect(tunnelOf(on.frame)).toMatchObject({ from: CAST.firewall, to: CAST.destination, spi: 1, si: 0 });
      const out = at('destination', on.frame);
      expect(out).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      expect(out.frame.subarray(14)).toEqual(Buffer.from(request).subarray(14));
    });

    it('goes through every function of its chain', () => {
      stage.selects('destination', 3, 2, { ingress: true });
      const entered = stage.receive(request).frame;
      at('firewall', entered);
      const second = stage.send(request);
      expect(tunnelOf(second.frame)).toMatchObject({ to: CAST.proxy, spi: 3, si: 1 });
      at('proxy', second.frame);
      const on = stage.send(request).frame;
      expect(tunnelOf(on)).toMatchObject({ from: CAST.proxy, to: CAST.destination, spi: 3, si: 0 });
      expect(at('destination', on)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
    });

    it('comes back out of the chain that its own one joins, and the answer goes that way too', () => {
      stage.pod('firewall', { selects: true }).selects('firewall', 2, 1).selects('destination', 1, 1, { ingress: true });
      at('firewall', at('destination', request).frame);
      const second = stage.send(request);
      expect(tunnelOf(second.frame)).toMatchObject({ to: CAST.proxy, spi: 2, si: 1 });
      at('proxy', second.frame);
      const on = stage.send(request).frame;
      expect(tunnelOf(on)).toMatchObject({ from: CAST.proxy, to: CAST.destination, spi: 2, si: 0 });
      for (const _ of ['first', 'known']) expect(at('destination', on)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      at('proxy', stage.send(answer).frame);
      at('firewall', stage.send(answer).frame);
      expect(at('destination', stage.send(answer).frame).counted).toEqual({ 'reply-left': 1 });
    });

    it('is selected by its source, its protocol and the port that it is for', () => {
      stage.pod('destination', { ingress: selectsPorts });
      stage.selects('destination', 1, 1, { ingress: true, port: 80, cidr: ['203.0.113.0', 24] });
      expect(stage.receive(request).counted).toEqual({ 'steered-ingress': 1 });
      for (const other of [{ from: CAST.client }, { destinationPort: 443 }, { protocol: 'tcp' }] as const)
        expect(stage.receive(frame({ ...ends, ...other }))).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('of a port in a range, or of a protocol without ports, is found too', () => {
      stage.pod('destination', { ingress: selectsPorts | selectsRanges | selectsAnyProtocol });
      stage
        .selects('destination', 1, 1, { ingress: true, port: 8000, lastPort: 8063 })
        .range('destination', 8000, 10, 8000, { ingress: true });
      stage.selects('destination', 2, 1, { ingress: true, protocol: 0, cidr: ['203.0.113.0', 24] });
      const spiOf = (settings: object) => tunnelOf(stage.receive(frame({ ...ends, ...settings })).frame)?.spi;
      expect(spiOf({ destinationPort: 8063, from: CAST.client })).toBe(1);
      expect(spiOf({ destinationPort: 8064, from: CAST.client })).toBeUndefined();
      expect(spiOf({ protocol: 'gre' })).toBe(2);
    });

    it('what the pod sends is selected by itself: the other direction’s entries are not its', () => {
      stage.selects('destination', 1, 1, { ingress: true });
      expect(stage.send(frame({ from: CAST.destination, to: CAST.client }))).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('is not for somebody behind the pod: such a pod routes, and is no destination', () => {
      stage.selects('destination', 1, 1, { ingress: true });
      expect(stage.receive(frame({ from: CAST.server, to: CAST.client }))).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('without an instance is dropped, or passes where its chain says so', () => {
      stage.path(1, 1, []).selects('destination', 1, 1, { ingress: true });
      expect(stage.receive(request)).toMatchObject({ verdict: 'drop', counted: { 'no-backend': 1 } });
      stage.path(1, 1, [], { failurePolicy: FAILURE_POLICY.bypass });
      expect(stage.receive(request)).toMatchObject({ verdict: 'pass', counted: { bypassed: 1 } });
    });

    it('is dropped where the chain could not come back: its pod is known to no node', () => {
      stage.selects('destination', 1, 1, { ingress: true }).peer(['10.244.3.9', 32], PEER_FLAG.trusted);
      expect(stage.receive(request)).toMatchObject({ verdict: 'drop', counted: { 'no-way-back': 1 } });
    });
  });

  describe('the answer of a pod whose ingress was steered', () => {
    it('goes back through the chain, and leaves from the pod’s way in for who asked', () => {
      received();
      const back = stage.send(answer);
      expect(back.counted).toEqual({ 'steered-reply': 1 });
      expect(tunnelOf(back.frame)).toMatchObject({ from: CAST.destination, to: CAST.firewall, reply: true, spi: 1, si: 0 });
      expect(at('firewall', back.frame)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      const home = stage.send(answer);
      expect(tunnelOf(home.frame)).toMatchObject({ from: CAST.firewall, to: CAST.destination, reply: true });
      const out = at('destination', home.frame);
      expect(out).toMatchObject({ verdict: 'redirect', counted: { 'reply-left': 1 } });
      expect(out.frame.subarray(14)).toEqual(Buffer.from(answer).subarray(14));
      const [[, flow] = []] = [...stage.maps.sfcflow.entries()].filter(([, { role }]) => role === FLOW_ROLE.ingress);
      expect(flow).toMatchObject({ packets: 1, reply_packets: 2 });
    });

    it('passes when the function has given the request back without a tunnel', () => {
      stage.selects('destination', 1, 1, { ingress: true }).receive(request);
      expect(stage.send(answer)).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('is believed from the chain alone', () => {
      received();
      const back = stage.send(answer).frame;
      at('firewall', back);
      const home = stage.send(answer).frame;
      home.set([10, 244, 9, 9], 26); // another peer, which the flow does not name
      expect(at('destination', home)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      home.set([192, 0, 2, 1], 26);
      expect(stage.receive(home)).toMatchObject({ verdict: 'drop', counted: { 'not-a-peer': 1 } });
    });
  });

  describe('what the pod has opened itself', () => {
    const opening = frame({ from: CAST.destination, to: CAST.server, sourcePort: 80, destinationPort: 4000 });

    it('has its answers without the chain', () => {
      stage.selects('destination', 1, 1, { ingress: true });
      expect(stage.send(opening)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(roles()).toEqual([FLOW_ROLE.outbound]);
      expect(stage.receive(request)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(stage.send(opening)).toMatchObject({ verdict: 'pass', counted: {} });
      expect([...stage.maps.sfcflow.entries()].map(([, { packets, reply_packets }]) => [packets, reply_packets])).toEqual([[2, 1]]);
    });

    it('over TCP is known by its SYN: from the middle of a connection nobody can say who opened it', () => {
      stage.selects('destination', 1, 1, { ingress: true, protocol: TCP });
      const sent = (tcpFlags: number) =>
        stage.send(frame({ from: CAST.destination, to: CAST.server, protocol: 'tcp', tcpFlags, sourcePort: 80, destinationPort: 4000 }));
      sent(FLAGS.ack);
      expect(roles()).toEqual([]);
      sent(FLAGS.syn);
      expect(stage.receive(ofTcp(FLAGS.syn | FLAGS.ack))).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('and that its egress selects, has its answers through the egress chain only', () => {
      stage.pod('destination', { selects: true, ingress: selectsAllPorts });
      stage.selects('destination', 1, 1, { ingress: true }).selects('destination', 2, 1);
      expect(tunnelOf(stage.send(opening).frame)).toMatchObject({ to: CAST.proxy, spi: 2 });
      const out = stage.receive(request);
      expect(out.counted).toEqual({ 'reply-entered': 1 });
      expect(tunnelOf(out.frame)).toMatchObject({ to: CAST.proxy, reply: true, spi: 2, si: 0 });
    });
  });

  describe('a flow that comes out of another chain', () => {
    /** The vpn's chain ends at the destination; the destination's own begins there. */
    function throughTheVpn(): Buffer {
      stage.pod('vpn', { selects: true }).selects('vpn', 2, 1);
      const way = frame({ from: CAST.client, to: CAST.destination });
      at('proxy', stage.as('vpn').send(way).frame);
      return stage.send(way).frame;
    }
    const way = frame({ from: CAST.client, to: CAST.destination });
    const back = frame({ from: CAST.destination, to: CAST.client, sourcePort: 80, destinationPort: 4000 });

    it('joins the pod’s chain, and goes on along it', () => {
      stage.selects('destination', 1, 1, { ingress: true });
      const last = throughTheVpn();
      const out = at('destination', last);
      expect(out).toMatchObject({ verdict: 'redirect', counted: { 'steered-ingress': 1 } });
      expect(tunnelOf(out.frame)).toEqual({ from: CAST.destination, to: CAST.firewall, reply: false, spi: 1, si: 1, ttl: 63 });
      expect(stage.receive(last).counted).toEqual({ 'steered-ingress': 1 });
      at('firewall', out.frame);
      expect(at('destination', stage.as('firewall').send(way).frame)).toMatchObject({
        verdict: 'pass',
        counted: { decapsulated: 1 },
      });
    });

    it('has its answers on their way through both', () => {
      stage.selects('destination', 1, 1, { ingress: true });
      at('firewall', at('destination', throughTheVpn()).frame);
      at('destination', stage.as('firewall').send(way).frame);
      at('firewall', stage.as('destination').send(back).frame);
      const left = at('destination', stage.as('firewall').send(back).frame);
      expect(left.counted).toEqual({ 'reply-left': 1 });
      // From here it is one that comes past the vpn's chain, to the vpn.
      const entered = at('vpn', left.frame);
      expect(tunnelOf(entered.frame)).toMatchObject({ from: CAST.vpn, to: CAST.proxy, reply: true, spi: 2, si: 0 });
    });

    it('enters it too when it was there before the pod was selected', () => {
      stage.pod('destination');
      const last = throughTheVpn();
      expect(at('destination', last).counted).toEqual({ decapsulated: 1 });
      stage.pod('destination', { generation: 2, ingress: selectsAllPorts }).selects('destination', 1, 1, { ingress: true });
      expect(stage.receive(last).counted).toEqual({ 'steered-ingress': 1 });
    });

    it('is the pod’s where its source is not selected', () => {
      stage.selects('destination', 1, 1, { ingress: true, cidr: ['203.0.113.0', 24] });
      expect(at('destination', throughTheVpn())).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
    });
  });

  describe('a change of policy', () => {
    it('takes a flow that was there before, both ways of it', () => {
      stage.pod('destination', { selects: true });
      stage.receive(request);
      expect(roles()).toEqual([FLOW_ROLE.inbound]);
      stage.pod('destination', { selects: true, generation: 2, ingress: selectsAllPorts }).selects('destination', 1, 1, { ingress: true });
      expect(stage.receive(request).counted).toEqual({ 'steered-ingress': 1 });
      expect(roles()).toEqual([FLOW_ROLE.ingress]);
    });

    it('that takes the selector away ends the flow, and its packets pass', () => {
      received();
      stage.unselects('destination', { ingress: true }).pod('destination', { generation: 2, ingress: selectsAllPorts });
      expect(stage.receive(request)).toMatchObject({ verdict: 'pass', counted: {} });
      expect(roles()).toEqual([FLOW_ROLE.function]);
    });

    it('that names another chain moves the flow, which waits there for its way back', () => {
      received();
      stage.selects('destination', 2, 1, { ingress: true }).pod('destination', { generation: 2, ingress: selectsAllPorts });
      expect(tunnelOf(stage.receive(request).frame)).toMatchObject({ to: CAST.proxy, spi: 2, si: 1 });
      expect(stage.send(answer)).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('of something else leaves a flow at the instance that it has', () => {
      received();
      stage.path(1, 1, ['firewall', 'proxy']).pod('destination', { generation: 2, ingress: selectsAllPorts });
      expect(tunnelOf(stage.receive(request).frame)).toMatchObject({ to: CAST.firewall, spi: 1 });
    });
  });

  describe('another connection on the ports of one that is over', () => {
    it('is a flow of its own', () => {
      stage.selects('destination', 1, 1, { ingress: true, protocol: TCP });
      for (const flags of [FLAGS.syn, FLAGS.ack, FLAGS.rst]) stage.receive(ofTcp(flags));
      stage.path(1, 1, ['proxy']);
      expect(tunnelOf(stage.receive(ofTcp(FLAGS.syn)).frame)).toMatchObject({ to: CAST.proxy });
    });

    it('passes when nothing selects it any more', () => {
      stage.selects('destination', 1, 1, { ingress: true, protocol: TCP });
      for (const flags of [FLAGS.syn, FLAGS.rst]) stage.receive(ofTcp(flags));
      stage.unselects('destination', { ingress: true, protocol: TCP });
      expect(stage.receive(ofTcp(FLAGS.syn))).toMatchObject({ verdict: 'pass', counted: {} });
      expect(roles()).toEqual([]);
    });
  });
}
