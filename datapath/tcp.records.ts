/** How a flow entry follows a TCP connection: packet records in words, run on every datapath. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TCP_STATE } from '../maps/index.js';
import { CAST, frame, type Stage, tunnelOf } from './cast.js';

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function tcpRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, ['firewall']);
  });

  afterAll(() => stage?.close());

  describe('a TCP connection', () => {
    const [FIN, SYN, RST, ACK] = [0x01, 0x02, 0x04, 0x10];
    const sends = (tcpFlags: number) => frame({ from: CAST.client, to: CAST.server, protocol: 'tcp', tcpFlags });
    const answers = (tcpFlags: number) =>
      frame({ from: CAST.server, to: CAST.client, protocol: 'tcp', sourcePort: 80, destinationPort: 4000, tcpFlags });
    const stateOf = (role: number) => [...stage.maps.sfcflow.entries()].find(([, value]) => value.role === role)?.[1].tcp_state;
    const { established, handshake, closingForward, closingReply, closed, reset } = TCP_STATE;

    it.each<[string, (readonly [forward: boolean, tcpFlags: number, state: number])[]]>([
      [
        'opens with the third packet',
        [
          [true, SYN, handshake],
          [false, SYN | ACK, handshake],
          [true, ACK, established],
        ],
      ],
      [
        'that its SYN is sent again stays half-open',
        [
          [true, SYN, handshake],
          [true, SYN, handshake],
          [false, SYN | ACK, handshake],
        ],
      ],
      [
        'met in its middle is open',
        [
          [true, ACK, established],
          [false, ACK, established],
        ],
      ],
      [
        'is closed when both ends have closed, the opener first',
        [
          [true, ACK, established],
          [true, FIN | ACK, closingForward],
          [false, ACK, closingForward],
          [false, FIN | ACK, closed],
          [true, ACK, closed],
        ],
      ],
      [
        'is closed when both ends have closed, the other first',
        [
          [true, ACK, established],
          [false, FIN | ACK, closingReply],
          [true, FIN | ACK, closed],
        ],
      ],
      [
        'closes once for a FIN that is sent again',
        [
          [true, ACK, established],
          [true, FIN | ACK, closingForward],
          [true, FIN | ACK, closingForward],
        ],
      ],
      [
        'is reset by either end, for good',
        [
          [true, SYN, handshake],
          [false, RST | ACK, reset],
          [true, ACK, reset],
          [false, FIN, reset],
        ],
      ],
      [
        'does not open on an answer that came without the opener',
        [
          [true, SYN, handshake],
          [false, ACK, handshake],
        ],
      ],
      [
        'that is open is not disturbed by a SYN',
        [
          [true, ACK, established],
          [true, SYN, established],
          [false, SYN, established],
        ],
      ],
      [
        'begins anew on the same ports when the last one is over',
        [
          [true, ACK, established],
          [true, RST, reset],
          [true, SYN, handshake],
          [true, ACK, established],
        ],
      ],
    ])('%s', (_, packets) => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: 6 }).pod('firewall');
      for (const [forward, tcpFlags, state] of packets) {
        const wrapped = forward ? stage.as('vpn').send(sends(tcpFlags)) : stage.as('firewall').send(answers(tcpFlags));
        stage.as(forward ? 'firewall' : 'vpn').receive(wrapped.frame);
        expect([stateOf(1), stateOf(2)]).toEqual([state, state]);
      }
    });

    it('that begins anew, and that nothing selects any more, is the pod’s, and so are its answers', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: 6 });
      for (const flags of [SYN, RST]) stage.send(sends(flags));
      stage.unselects('vpn', { protocol: 6 });
      expect(stage.send(sends(SYN))).toMatchObject({ verdict: 'pass', counted: {} });
      expect(stage.receive(answers(SYN | ACK))).toMatchObject({ verdict: 'pass', counted: {} });
    });

    it('that begins anew is placed anew, and its counters begin at nothing', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: 6 });
      stage.send(sends(SYN));
      stage.path(1, 1, ['proxy']);
      expect(tunnelOf(stage.send(sends(SYN)).frame)?.to).toBe(CAST.firewall);
      stage.send(sends(RST));
      expect(tunnelOf(stage.send(sends(SYN)).frame)?.to).toBe(CAST.proxy);
      expect([...stage.maps.sfcflow.entries()].map(([, { packets }]) => packets)).toEqual([1]);
    });

    it('opened to a selected pod is followed by its answers', () => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: 6 });
      stage.receive(frame({ from: CAST.server, to: CAST.vpn, protocol: 'tcp', sourcePort: 80, destinationPort: 4000, tcpFlags: SYN }));
      expect(stateOf(4)).toBe(handshake);
      stage.send(frame({ from: CAST.vpn, to: CAST.server, protocol: 'tcp', tcpFlags: RST | ACK }));
      expect(stateOf(4)).toBe(reset);
      expect([...stage.maps.sfcflow.entries()].map(([, { reply_packets }]) => reply_packets)).toEqual([1]);
    });
  });
}
