/** What is marked for the node's netfilter: answers that come past their chain, and what leaves a chain plainly. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HALF_SEEN_MARK, PEER_FLAG, PEER_STATIC_BITS } from '../../maps/index.js';
import { addressFor, addressOf, frame, type Name, type Segment, type Version } from '../cast.js';
import { KernelStage } from './cast.js';
import { type PacketMeta, testRun } from './test-run.js';

const PASS = -1;

let stage: KernelStage;
beforeAll(() => {
  stage = new KernelStage();
});
afterAll(() => stage?.close());

describe.each<Version>([4, 6])('IPv%d', (version) => {
  const at = (name: Name) => addressFor(name, version);
  const request: Segment = { from: at('vpn'), to: at('server'), protocol: 'tcp' };
  const answer: Segment = { from: at('server'), to: at('vpn'), protocol: 'tcp', sourcePort: 80, destinationPort: 4000 };
  /** Comes to the node by a link that is no pod's. */
  const arrives = (segment: Segment | Uint8Array, meta: PacketMeta = {}) => {
    const bytes = segment instanceof Uint8Array ? segment : frame(segment);
    const out = testRun(stage.datapath.programs.from_uplink, bytes, stage.ifindexOf('destination'), meta);
    expect(Buffer.from(out.frame)).toEqual(Buffer.from(bytes));
    return { verdict: out.verdict, mark: out.mark };
  };
  const marked = { verdict: PASS, mark: HALF_SEEN_MARK };
  const unmarked = { verdict: PASS, mark: 0 };

  beforeEach(() => {
    stage.clear();
    stage.path(1, 1, [version === 6 ? 'firewall6' : 'firewall']);
    stage.pod('firewall', { isFunction: true });
    stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: 6, cidr: [version === 6 ? '::' : '0.0.0.0', 0] });
    const { bytes, family } = addressOf(at('vpn'));
    const key = { prefix_len: PEER_STATIC_BITS + (version === 6 ? 128 : 32), family, address: bytes };
    stage.maps.peer.set(key, { flags: PEER_FLAG.trusted | PEER_FLAG.decapsulates, ifindex: stage.ifindexOf('vpn') });
  });

  it('an answer to what a pod here has steered is marked', () => {
    stage.as('vpn').send(frame(request));
    expect(arrives(answer)).toEqual(marked);
  });

  it('so is an ICMP error about it, and one about the tunnel', () => {
    const wrapped = stage.as('vpn').send(frame(request)).frame;
    const router = at('client');
    const about = (bytes: Uint8Array): Segment => ({
      from: router,
      to: at('vpn'),
      protocol: 'icmp',
      icmpType: 3,
      about: bytes.subarray(14),
    });
    expect(arrives(about(frame(request)))).toEqual(marked);
    expect(arrives(about(wrapped.subarray(0, 150)))).toEqual(marked);
  });

  it('nothing else is: what nobody here has asked, what others receive, what comes in a tunnel', () => {
    const wrapped = stage.as('vpn').send(frame(request)).frame;
    expect(arrives({ ...answer, sourcePort: 81 })).toEqual(unmarked);
    expect(arrives({ ...answer, to: at('proxy') })).toEqual(unmarked);
    expect(arrives({ ...answer, to: at('client') })).toEqual(unmarked);
    expect(arrives(wrapped)).toEqual(unmarked);
    stage.as('vpn').send(frame({ ...request, protocol: 'udp' }));
    expect(arrives({ ...answer, protocol: 'udp' })).toEqual(unmarked);
  });

  it('nor is what somebody has opened to the pod', () => {
    stage.as('vpn').receive(frame({ ...answer, tcpFlags: 2 }));
    expect(arrives(answer)).toEqual(unmarked);
  });

  it('later fragments of an answer are marked as the first is', () => {
    stage.as('vpn').send(frame(request));
    const MORE = 0x2000;
    const [first, later] = [MORE, 1].map((fragment) => ({ ...answer, fragment }));
    expect(arrives(later as Segment)).toEqual(unmarked);
    expect(arrives(first as Segment)).toEqual(marked);
    expect(arrives(later as Segment)).toEqual(marked);
  });

  it('a mark that somebody else has set stays', () => {
    stage.as('vpn').send(frame(request));
    expect(arrives(answer, { mark: 0x1234 })).toEqual({ verdict: PASS, mark: 0x1234 });
  });

  it('what leaves its chain plainly is marked, each packet of it', () => {
    const wrapped = stage.as('vpn').send(frame(request)).frame;
    stage.as('firewall').receive(wrapped);
    for (const _ of ['first', 'established']) {
      const out = testRun(stage.datapath.programs.from_pod, frame(request), stage.ifindexOf('firewall'));
      expect({ verdict: out.verdict, mark: out.mark }).toEqual(marked);
    }
    const own = testRun(stage.datapath.programs.from_pod, frame({ ...request, from: at('firewall') }), stage.ifindexOf('firewall'));
    expect({ verdict: own.verdict, mark: own.mark }).toEqual(unmarked);
  });
});
