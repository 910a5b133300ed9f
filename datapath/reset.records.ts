/**
 * TCP connections whose instance is gone, in a chain with `onInstanceLoss: Reset`: packet records in words, run on
 * every datapath. The story: a client behind the vpn pod, a firewall that has gone, a server outside that answers
 * the client itself.
 *
 *     client ◄─ RST ─ vpn's node ─ RST ─► server        at the next packet of either
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINT_FLAG, FAILURE_POLICY, FLOW_FLAG, TCP_STATE } from '../maps/index.js';
import { CAST, checksum, frame, type Segment, type Stage, tunnelOf } from './cast.js';

const [FIN, SYN, RST, PSH, ACK] = [0x01, 0x02, 0x04, 0x08, 0x10];

/** What a RST says, and that its headers are what they have to be. */
function resetOf(bytes: Buffer) {
  const ip = bytes.subarray(14, 34);
  const tcp = bytes.subarray(34);
  const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, ip.readUInt8(9), 0, tcp.length])]);
  expect({ version: ip.readUInt8(0), length: ip.readUInt16BE(2), id: ip.readUInt16BE(4), fragment: ip.readUInt16BE(6) }).toEqual({
    version: 0x45,
    length: 40,
    id: 0,
    fragment: 0x4000,
  });
  expect({
    ttl: ip.readUInt8(8),
    frame: bytes.length,
    header: tcp.readUInt8(12),
    rest: tcp.readUInt16BE(14) + tcp.readUInt16BE(18),
  }).toEqual({ ttl: 64, frame: 54, header: 0x50, rest: 0 });
  expect([checksum(ip), checksum(Buffer.concat([pseudo, tcp]))]).toEqual([0, 0]);
  return {
    from: `${ip.subarray(12, 16).join('.')}:${tcp.readUInt16BE(0)}`,
    to: `${ip.subarray(16, 20).join('.')}:${tcp.readUInt16BE(2)}`,
    flags: tcp.readUInt8(13),
    sequence: tcp.readUInt32BE(4),
    acknowledgement: tcp.readUInt32BE(8),
  };
}

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function resetRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, ['firewall']).pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: 6 });
  });

  afterAll(() => stage?.close());

  const sends = (segment: Partial<Segment>) => frame({ from: CAST.client, to: CAST.server, protocol: 'tcp', ...segment });
  const answers = (segment: Partial<Segment>) =>
    frame({ from: CAST.server, to: CAST.client, protocol: 'tcp', sourcePort: 80, destinationPort: 4000, ...segment });
  const client = `${CAST.client}:4000`;
  const server = `${CAST.server}:80`;
  const flows = () => [...stage.maps.sfcflow.entries()].map(([, flow]) => flow);

  /** A connection that is open; its firewall then goes. */
  function lost(): void {
    stage.send(sends({ tcpFlags: SYN }));
    stage.send(sends({ tcpFlags: ACK }));
    stage.lose('vpn');
  }

  describe('a packet of the pod whose instance is gone', () => {
    it('tells both ends: the pod from the other end, the other end plainly from the pod', () => {
      lost();
      const out = stage.send(sends({ tcpFlags: PSH | ACK, sequence: 0xfffffffe, acknowledgement: 0x80000001 }));
      expect(out).toMatchObject({ verdict: 'pass', counted: { 'instance-lost': 1 } });
      expect(resetOf(out.frame)).toEqual({
        from: client,
        to: server,
        flags: RST | ACK,
        sequence: 0xfffffffe,
        acknowledgement: 0x80000001,
      });
      expect(resetOf(out.answer ?? Buffer.alloc(0))).toEqual({
        from: server,
        to: client,
        flags: RST,
        sequence: 0x80000001,
        acknowledgement: 0,
      });
    });

    it('keeps its Ethernet addresses; the answer has them exchanged', () => {
      lost();
      const packet = Buffer.from(sends({ tcpFlags: ACK }));
      const { frame: out, answer } = stage.send(packet);
      expect(out.subarray(0, 14)).toEqual(packet.subarray(0, 14));
      expect(answer?.subarray(0, 14)).toEqual(Buffer.concat([packet.subarray(6, 12), packet.subarray(0, 6), packet.subarray(12, 14)]));
    });

    it.each<[string, number, number, number]>([
      ['payload', PSH, 0xffffffff, 4],
      ['a SYN', SYN, 7, 13],
      ['a FIN', FIN, 7, 13],
      ['both', SYN | FIN, 7, 14],
      ['none of its flags', 0, 7, 12],
    ])('without ACK is answered with what it covers: %s', (_, tcpFlags, sequence, acknowledgement) => {
      lost();
      const { answer } = stage.send(sends({ tcpFlags, sequence, acknowledgement: 99 }));
      expect(resetOf(answer ?? Buffer.alloc(0))).toMatchObject({ flags: RST | ACK, sequence: 0, acknowledgement });
    });

    it('leaves its options behind, of IP and of TCP, which are no payload', () => {
      lost();
      const packet = Buffer.from(sends({ tcpFlags: PSH, sequence: 100, payload: 'optionsandhello' }));
      packet.writeUInt8(0x46, 14); // four of what were the ports are options now
      const moved = Buffer.concat([packet.subarray(0, 34), Buffer.from('01010101', 'hex'), packet.subarray(34)]);
      moved.writeUInt16BE(moved.length - 14, 16);
      moved.writeUInt8(8 << 4, 50); // 12 bytes of options in front of three of payload
      const { frame: out, answer } = stage.send(moved);
      expect(resetOf(out)).toMatchObject({ from: client, sequence: 100, flags: RST });
      expect(resetOf(answer ?? Buffer.alloc(0))).toMatchObject({ acknowledgement: 103 });
    });

    it('that says it is shorter than its own header covers nothing', () => {
      lost();
      const packet = Buffer.from(sends({ tcpFlags: 0, sequence: 100 }));
      packet.writeUInt8(15 << 4, 46);
      expect(resetOf(stage.send(packet).answer ?? Buffer.alloc(0))).toMatchObject({ acknowledgement: 100 });
    });

    it('is counted whole, and gives both RSTs its TOS', () => {
      lost();
      const [before] = flows();
      const packet = sends({ tcpFlags: ACK, tos: 0xb8, payload: 'x'.repeat(900) });
      const { frame: out, answer } = stage.send(packet);
      expect([out.readUInt8(15), answer?.readUInt8(15)]).toEqual([0xb8, 0xb8]);
      expect(flows()).toMatchObject([{ packets: (before?.packets ?? 0) + 1, bytes: (before?.bytes ?? 0) + packet.length - 14 }]);
    });

    it('that is a RST is not answered', () => {
      lost();
      const out = stage.send(sends({ tcpFlags: RST, sequence: 5 }));
      expect(out).toMatchObject({ verdict: 'pass', counted: { 'instance-lost': 1 } });
      expect(out.answer).toBeUndefined();
      expect(resetOf(out.frame)).toMatchObject({ to: server, flags: RST, sequence: 5 });
    });

    it('ends the flow, and whatever follows is answered the same way', () => {
      lost();
      for (const tcpFlags of [PSH | ACK, FIN | ACK, ACK]) {
        expect(stage.send(sends({ tcpFlags })).counted).toEqual({ 'instance-lost': 1 });
        expect(flows()).toMatchObject([{ tcp_state: TCP_STATE.reset }]);
        expect((flows()[0]?.flags ?? 0) & FLOW_FLAG.reset).toBe(FLOW_FLAG.reset);
      }
    });

    it('is told so whatever its policy says meanwhile', () => {
      lost();
      stage.unselects('vpn', { protocol: 6 }).pod('vpn', { selects: true, generation: 2 });
      expect(stage.send(sends({ tcpFlags: ACK })).counted).toEqual({ 'instance-lost': 1 });
    });
  });

  describe('of a chain whose second function is lost', () => {
    /** The firewall has sent the connection on to a proxy, which goes. */
    function lostBehind(): void {
      stage
        .path(3, 2, ['firewall'])
        .path(3, 1, ['proxy'])
        .pod('firewall')
        .pod('vpn', { selects: true })
        .selects('vpn', 3, 2, { protocol: 6 });
      for (const tcpFlags of [SYN, ACK]) {
        const { frame: wrapped } = stage.as('vpn').send(sends({ tcpFlags }));
        stage.as('firewall').receive(wrapped);
        stage.send(sends({ tcpFlags }));
      }
      stage.lose('firewall');
    }

    it('the first one’s node tells both ends, the near one through the function', () => {
      lostBehind();
      const out = stage.as('firewall').send(sends({ tcpFlags: ACK, sequence: 5, acknowledgement: 7 }));
      expect(out).toMatchObject({ verdict: 'pass', counted: { 'instance-lost': 1 } });
      expect(resetOf(out.frame)).toMatchObject({ from: client, to: server, flags: RST | ACK, sequence: 5 });
      expect(resetOf(out.answer ?? Buffer.alloc(0))).toMatchObject({ from: server, to: client, flags: RST, sequence: 7 });
      expect(tunnelOf(stage.send(answers({ tcpFlags: RST })).frame)).toMatchObject({ from: CAST.firewall, to: CAST.vpn, reply: true });
    });

    it('another connection on its ports goes to another instance', () => {
      lostBehind();
      stage.as('firewall').send(sends({ tcpFlags: RST }));
      stage.path(3, 1, ['destination']);
      const { frame: wrapped } = stage.as('vpn').send(sends({ tcpFlags: SYN }));
      stage.as('firewall').receive(wrapped);
      expect(tunnelOf(stage.send(sends({ tcpFlags: SYN })).frame)).toMatchObject({ to: CAST.destination, spi: 3, si: 1 });
    });
  });

  describe('of what a pod’s ingress takes', () => {
    it('tells both ends: the pod plainly, who asked by an answer', () => {
      stage.pod('destination', { ingress: ENDPOINT_FLAG.selectsAllPorts }).selects('destination', 1, 1, { protocol: 6, ingress: true });
      const request = (segment: Partial<Segment>) => frame({ from: CAST.server, to: CAST.destination, protocol: 'tcp', ...segment });
      for (const tcpFlags of [SYN, ACK]) stage.receive(request({ tcpFlags }));
      stage.lose('destination');
      const out = stage.receive(request({ tcpFlags: ACK, sequence: 5, acknowledgement: 7 }));
      expect(out).toMatchObject({ verdict: 'pass', counted: { 'instance-lost': 1 } });
      expect(resetOf(out.frame)).toMatchObject({ to: `${CAST.destination}:80`, flags: RST | ACK, sequence: 5 });
      expect(resetOf(out.answer ?? Buffer.alloc(0))).toMatchObject({ from: `${CAST.destination}:80`, flags: RST, sequence: 7 });
      expect(tunnelOf(stage.receive(request({ tcpFlags: SYN })).frame)).toMatchObject({ to: CAST.firewall, spi: 1 });
    });
  });

  describe('a SYN', () => {
    it('after that begins a flow of its own, placed anew', () => {
      lost();
      stage.send(sends({ tcpFlags: ACK }));
      stage.path(1, 1, ['proxy']);
      const out = stage.send(sends({ tcpFlags: SYN }));
      expect(tunnelOf(out.frame)?.to).toBe(CAST.proxy);
      expect(out.answer).toBeUndefined();
      expect(flows()).toMatchObject([{ tcp_state: TCP_STATE.handshake, packets: 1 }]);
      expect(stage.send(sends({ tcpFlags: ACK })).counted).toEqual({ 'steered-source': 1 });
    });

    it.each<[string, () => void, Record<string, number>]>([
      ['that nothing selects', () => stage.unselects('vpn', { protocol: 6 }), {}],
      ['that bypasses its chain', () => stage.path(1, 1, [], { failurePolicy: FAILURE_POLICY.bypass }), { bypassed: 1 }],
    ])('%s begins a connection of its own, which is not reset', (_, change, counted) => {
      lost();
      stage.send(sends({ tcpFlags: ACK }));
      change();
      for (const tcpFlags of [SYN, ACK]) expect(stage.send(sends({ tcpFlags }))).toMatchObject({ verdict: 'pass', counted });
      expect(stage.receive(answers({ tcpFlags: ACK }))).toMatchObject({ verdict: 'pass', counted: {} });
      expect(flows()).toEqual([]);
    });

    it('that is sent again, because its instance went before it was answered, is refused', () => {
      stage.send(sends({ tcpFlags: SYN, sequence: 1, payload: '' }));
      stage.lose('vpn');
      const { answer } = stage.send(sends({ tcpFlags: SYN, sequence: 1, payload: '' }));
      expect(resetOf(answer ?? Buffer.alloc(0))).toMatchObject({ flags: RST | ACK, sequence: 0, acknowledgement: 2 });
      expect(stage.send(sends({ tcpFlags: SYN })).counted).toEqual({ 'steered-source': 1 });
    });
  });

  describe('a reply that comes plainly to a pod whose instance is gone', () => {
    it('tells both ends: the pod with the reply turned, the other end as if from the pod', () => {
      lost();
      const out = stage.receive(answers({ tcpFlags: PSH | ACK, sequence: 1000, acknowledgement: 2000 }));
      expect(out).toMatchObject({ verdict: 'pass', counted: { 'instance-lost': 1 } });
      expect(resetOf(out.frame)).toEqual({ from: server, to: client, flags: RST | ACK, sequence: 1000, acknowledgement: 2000 });
      expect(resetOf(out.answer ?? Buffer.alloc(0))).toEqual({ from: client, to: server, flags: RST, sequence: 2000, acknowledgement: 0 });
      expect(flows()).toMatchObject([{ tcp_state: TCP_STATE.reset, reply_packets: 1 }]);
    });

    it('that is a RST reaches the pod and is not answered', () => {
      lost();
      const out = stage.receive(answers({ tcpFlags: RST | ACK, sequence: 1000, acknowledgement: 2000 }));
      expect(out).toMatchObject({ verdict: 'pass', counted: { 'instance-lost': 1 } });
      expect(out.answer).toBeUndefined();
      expect(resetOf(out.frame)).toMatchObject({ to: client, flags: RST | ACK, sequence: 1000, acknowledgement: 2000 });
    });
  });

  it('nothing of this touches flows that are not marked, nor those of UDP', () => {
    stage.selects('vpn', 1, 1);
    const datagram = frame({ from: CAST.client, to: CAST.server });
    stage.send(datagram);
    stage.lose('vpn');
    const other = stage.send(sends({ tcpFlags: ACK, sourcePort: 9 }));
    expect(other.counted).toEqual({ 'steered-source': 1 });
    expect(other.answer).toBeUndefined();
    expect(stage.send(datagram).counted).toEqual({ 'steered-source': 1 });
  });
}
