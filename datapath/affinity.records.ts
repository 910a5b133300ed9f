/** Which instance a client has: session affinity, its time-out, and instances that come and go. Packet records in words, run on every datapath. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bytesOf, CAST, frame, type Stage, tunnelOf } from './cast.js';

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function affinityRecords(open: () => Stage): void {
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

  describe('a client, on a path with session affinity,', () => {
    const TIMEOUT = 10;
    const from = (client: string, sourcePort: number, to: string = CAST.server) => frame({ from: client, to, sourcePort });
    const OTHER = '192.168.77.6';

    function sticky(...backends: ('firewall' | 'proxy')[]): Stage {
      return stage.path(1, 1, backends, { affinityTimeout: TIMEOUT });
    }
    /** Where a flow of the client goes. */
    const instance = (client: string, sourcePort: number, to?: string) => tunnelOf(stage.send(from(client, sourcePort, to)).frame)?.to;

    beforeEach(() => {
      stage.pod('vpn', { selects: true }).selects('vpn', 1, 1);
      sticky('firewall');
    });

    it('is recorded with its instance at its first flow', () => {
      expect(instance(CAST.client, 4000)).toBe(CAST.firewall);
      const entries = [...stage.maps.sfcaffinity.entries()];
      expect(entries).toEqual([
        [
          { path: 0x101, family: 1, client: bytesOf(CAST.client) },
          { last_seen: expect.any(Number), backend: bytesOf(CAST.firewall), backend_family: 1 },
        ],
      ]);
      expect(entries[0]?.[1].last_seen).toBeGreaterThan(0);
    });

    it('stays with it, whatever the destination, when the table of backends changes', () => {
      instance(CAST.client, 4000);
      sticky('proxy');
      expect(instance(CAST.client, 4001)).toBe(CAST.firewall);
      expect(instance(CAST.client, 4002, '198.51.100.7')).toBe(CAST.firewall);
      expect(stage.maps.sfcaffinity.size()).toBe(1);
    });

    it('is not another client, who gets an instance of the table of now', () => {
      instance(CAST.client, 4000);
      sticky('proxy');
      expect(instance(OTHER, 4000)).toBe(CAST.proxy);
      expect(instance(CAST.client, 4001)).toBe(CAST.firewall);
      expect(stage.maps.sfcaffinity.size()).toBe(2);
    });

    it('gets an instance of the table of now when it has been away for longer than the time-out', () => {
      instance(CAST.client, 4000);
      sticky('proxy');
      stage.age(TIMEOUT + 1);
      expect(instance(CAST.client, 4001)).toBe(CAST.proxy);
      sticky('firewall');
      expect(instance(CAST.client, 4002)).toBe(CAST.proxy);
      // The flow that it had before is a live flow like any other.
      expect(instance(CAST.client, 4000)).toBe(CAST.firewall);
    });

    it('is seen anew with every flow', () => {
      instance(CAST.client, 4000);
      sticky('proxy');
      for (const port of [4001, 4002, 4003]) {
        stage.age(TIMEOUT - 4);
        expect(instance(CAST.client, port)).toBe(CAST.firewall);
      }
    });

    it('is not recorded where no instance is ready, and has none then', () => {
      instance(CAST.client, 4000);
      sticky();
      expect(stage.send(from(CAST.client, 4001))).toMatchObject({ verdict: 'drop', counted: { 'no-backend': 1 } });
      expect(stage.send(from(OTHER, 4001))).toMatchObject({ verdict: 'drop', counted: { 'no-backend': 1 } });
      expect(stage.maps.sfcaffinity.size()).toBe(1);
    });

    it('is told apart by path', () => {
      stage.path(2, 1, ['proxy'], { affinityTimeout: TIMEOUT }).selects('vpn', 2, 1, { cidr: ['203.0.113.0', 24] });
      expect([instance(CAST.client, 4000), instance(CAST.client, 4001, '198.51.100.7')]).toEqual([CAST.proxy, CAST.firewall]);
      expect(stage.maps.sfcaffinity.size()).toBe(2);
    });

    it('stays with one instance behind a function too', () => {
      stage.path(3, 2, ['firewall']).path(3, 1, ['proxy'], { affinityTimeout: TIMEOUT }).selects('vpn', 3, 2);
      const next = (sourcePort: number) => {
        const wrapped = stage.as('vpn').send(from(CAST.client, sourcePort)).frame;
        stage.as('firewall').receive(wrapped);
        return tunnelOf(stage.send(from(CAST.client, sourcePort)).frame)?.to;
      };
      stage.pod('firewall');
      expect(next(4000)).toBe(CAST.proxy);
      stage.path(3, 1, ['destination'], { affinityTimeout: TIMEOUT });
      expect(next(4001)).toBe(CAST.proxy);
      stage.age(TIMEOUT + 1);
      expect(next(4002)).toBe(CAST.destination);
    });
  });

  it('a client without session affinity is nowhere recorded', () => {
    stage.pod('vpn', { selects: true }).selects('vpn', 1, 1).send(request);
    expect(stage.maps.sfcaffinity.size()).toBe(0);
  });
}
