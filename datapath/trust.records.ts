/** Whom a node believes. Each record is an attack, and how it ends: refused, counted, and nothing learned. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addressFor, frame, type Stage, tunnelOf, type Version } from './cast.js';

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function trustRecords(open: () => Stage): void {
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
    const pathAt = version === 6 ? 78 : 58;
    const request = (sourcePort = 4000) => frame({ from: client, to: server, sourcePort });
    const instance = version === 6 ? 'firewall6' : 'firewall';

    beforeEach(() => {
      stage.path(1, 1, [instance]);
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1, everything);
      stage.pod('firewall', { isFunction: true });
    });

    it('a pod wraps a packet itself, to go past its selectors or to speak for another: only the datapath may', () => {
      const forged = stage.as('vpn').send(request()).frame;
      for (const pod of ['vpn', 'firewall'] as const)
        expect(stage.as(pod).send(forged)).toMatchObject({ verdict: 'drop', counted: { 'spoofed-encap': 1 } });
    });

    it('it does so in fragments, so that the port stands in the first one only: that one is dropped', () => {
      const first = frame({
        from: addressFor('firewall', version),
        to: addressFor('vpn', version),
        destinationPort: 7081,
        fragment: 0x2000,
      });
      expect(stage.as('firewall').send(first)).toMatchObject({ verdict: 'drop', counted: { 'spoofed-encap': 1 } });
    });

    it('somebody who is no peer wraps a packet: it is not believed, and no flow is learned', () => {
      stage.peer(version === 6 ? ['fd00::10.244.0.0', 112] : ['10.244.0.0', 16], undefined);
      const forged = stage.as('vpn').send(request()).frame;
      expect(stage.as('firewall').receive(forged)).toMatchObject({ verdict: 'drop', counted: { 'not-a-peer': 1 } });
      expect([...stage.maps.sfcflow.entries()].some(([, { role }]) => role === 2)).toBe(false);
    });

    it.each([1, 0])('a path that is none of ours, service index %d, is refused and not learned', (si) => {
      const forged = Buffer.from(stage.as('vpn').send(request()).frame);
      forged.writeUInt32BE(0x0bad * 256 + si, pathAt);
      if (version === 6) forged.writeUInt16BE(0, 60); // without a checksum, which would not fit
      expect(stage.as('firewall').receive(forged)).toMatchObject({ verdict: 'drop', counted: { 'unknown-path': 1 } });
      expect([...stage.maps.sfcflow.entries()].some(([, { role }]) => role === 2)).toBe(false);
    });

    it('a packet to another pod’s address, put to this one, is not opened', () => {
      const wrapped = stage.as('vpn').send(request()).frame;
      stage.pod('proxy');
      expect(stage.receive(wrapped)).toMatchObject({ verdict: 'pass', counted: {}, frame: Buffer.from(wrapped) });
    });

    it('a known flow’s packet from a hop that is no peer does not take its replies over', () => {
      const wrapped = Buffer.from(stage.as('vpn').send(request()).frame);
      stage.as('firewall').receive(wrapped);
      const forged = Buffer.from(wrapped);
      if (version === 6) {
        forged.set(Buffer.from('20010db8000000000000000000000bad', 'hex'), 22);
        forged.writeUInt16BE(0, 60);
      } else forged.set([198, 51, 100, 13], 26);
      expect(stage.as('firewall').receive(forged)).toMatchObject({ verdict: 'drop', counted: { 'not-a-peer': 1 } });
      const reply = frame({ from: server, to: client, sourcePort: 80, destinationPort: 4000 });
      expect(tunnelOf(stage.as('firewall').send(reply).frame)?.to).toBe(tunnelOf(wrapped)?.from);
    });

    // A limit (docs/trust.md): functions send in others' names by trade, so that a flow may come from another hop at any time.
    it('a known flow’s packet from another peer takes its replies over, until the flow’s own next packet', () => {
      const wrapped = Buffer.from(stage.as('vpn').send(request()).frame);
      const reply = frame({ from: server, to: client, sourcePort: 80, destinationPort: 4000 });
      const repliesGoTo = (bytes: Uint8Array) => {
        expect(stage.as('firewall').receive(bytes).counted).toEqual({ decapsulated: 1 });
        return tunnelOf(stage.as('firewall').send(reply).frame)?.to;
      };
      stage.pod('proxy', { selects: true }).selects('proxy', 1, 1, everything);
      const another = stage.as('proxy').send(request()).frame;
      expect([wrapped, another, wrapped].map(repliesGoTo)).toEqual([wrapped, another, wrapped].map((bytes) => tunnelOf(bytes)?.from));
    });

    describe('a pod that may send in its own name only', () => {
      const own = addressFor('vpn', version);
      beforeEach(() => stage.pod('vpn', { selects: true, ownSource: true }));

      it('does not take over a flow at a function by sending in a client’s name, steered or not', () => {
        expect(stage.as('vpn').send(request())).toMatchObject({ verdict: 'drop', counted: { 'spoofed-source': 1 } });
        stage.unselects('vpn', everything);
        expect(stage.as('vpn').send(request())).toMatchObject({ verdict: 'drop', counted: { 'spoofed-source': 1 } });
        expect(stage.maps.sfcflow.size()).toBe(0);
      });

      it('sends in its own name, and answers what came to it', () => {
        expect(stage.as('vpn').send(frame({ from: own, to: server })).counted).toEqual({ 'steered-source': 1 });
        const inward = frame({ from: server, to: own, sourcePort: 5000, destinationPort: 22 });
        stage.as('vpn').receive(inward);
        const answer = frame({ from: own, to: server, sourcePort: 22, destinationPort: 5000 });
        expect(stage.as('vpn').send(answer)).toMatchObject({ verdict: 'pass', counted: {} });
      });

      it('asks its neighbours, and for an address, as every pod does', () => {
        const asks =
          version === 6
            ? [
                frame({ from: '::', to: 'ff02::1:ff00:1', protocol: 'icmp', icmpType: 135 }),
                frame({ from: 'fe80::1', to: 'ff02::2', protocol: 'icmp', icmpType: 133 }),
              ]
            : [frame({ from: '0.0.0.0', to: '255.255.255.255', sourcePort: 68, destinationPort: 67 })];
        for (const ask of asks) expect(stage.as('vpn').send(ask)).toMatchObject({ verdict: 'pass', counted: {} });
      });
    });

    describe('a pod that opens more flows than it may have', () => {
      it('opens no more of them; those that it has go on', () => {
        stage.quota('vpn', 3, 1);
        expect([1, 2].map((port) => stage.as('vpn').send(request(port)).counted)).toEqual([
          { 'steered-source': 1 },
          { 'steered-source': 1 },
        ]);
        expect(stage.send(request(3))).toMatchObject({ verdict: 'drop', counted: { 'flow-limit': 1 } });
        expect(stage.send(request(1)).counted).toEqual({ 'steered-source': 1 });
        expect(stage.maps.sfcflow.size()).toBe(2);
      });

      it('takes nothing from another pod', () => {
        stage.quota('vpn', 0).pod('proxy', { selects: true }).selects('proxy', 1, 1, everything);
        expect(stage.as('vpn').send(request()).counted).toEqual({ 'flow-limit': 1 });
        expect(stage.as('proxy').send(request()).counted).toEqual({ 'steered-source': 1 });
      });

      it('may again when it has been counted anew, and always while no agent counts', () => {
        stage.quota('vpn', 1, 1);
        expect(stage.as('vpn').send(request()).counted).toEqual({ 'flow-limit': 1 });
        stage.quota('vpn', 1, 0);
        expect(stage.as('vpn').send(request()).counted).toEqual({ 'steered-source': 1 });
        stage.quota('vpn', 1, 1, 60);
        expect(stage.as('vpn').send(request(2)).counted).toEqual({ 'steered-source': 1 });
      });

      it('is not the function that many pods’ flows come to: they were let in where they began', () => {
        stage.quota('firewall', 0);
        expect(stage.as('firewall').receive(stage.as('vpn').send(request()).frame).counted).toEqual({ decapsulated: 1 });
        expect(stage.as('firewall').send(request()).counted).toEqual({ 'left-cluster': 1 });
      });

      it('may be flooded from outside: its ingress takes no more, and what nothing steers is not remembered', () => {
        stage
          .quota('destination', 1)
          .pod('destination', { ingress: 4 })
          .selects('destination', 1, 1, { ...everything, ingress: true });
        const inward = (sourcePort: number) => frame({ from: server, to: addressFor('destination', version), sourcePort });
        expect(stage.receive(inward(1)).counted).toEqual({ 'steered-ingress': 1 });
        expect(stage.receive(inward(2))).toMatchObject({ verdict: 'drop', counted: { 'flow-limit': 1 } });
        stage.quota('proxy', 0).pod('proxy', { selects: true });
        expect(stage.receive(frame({ from: server, to: addressFor('proxy', version) }))).toMatchObject({ verdict: 'pass', counted: {} });
        expect(stage.maps.sfcflow.size()).toBe(1);
      });
    });
  });
}
