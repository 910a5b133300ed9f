/**
 * A function without an instance, behind another one. Packet records in words, run on every datapath: what the chain's failure
 * policy says is asked for each packet, and nothing of it is remembered.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FAILURE_POLICY } from '../maps/index.js';
import { CAST, frame, type Stage, tunnelOf } from './cast.js';

/** Declares the records' tests for the datapath that `open` puts on stage. */
export function outageRecords(open: () => Stage): void {
  let stage: Stage;

  beforeAll(() => {
    stage = open();
  });
  afterAll(() => stage?.close());

  const request = frame({ from: CAST.client, to: CAST.server });
  const answer = frame({ from: CAST.server, to: CAST.client, sourcePort: 80, destinationPort: 4000 });
  const { bypass, reject, drop } = FAILURE_POLICY;

  /** Firewall and proxy in one chain, of which nothing is known yet at the firewall. */
  beforeEach(() => {
    stage.clear();
    stage.path(3, 2, ['firewall']).path(3, 1, ['proxy']);
    stage.pod('vpn', { selects: true }).selects('vpn', 3, 2).pod('firewall');
  });

  const arrive = () => stage.as('firewall').receive(stage.as('vpn').send(request).frame);
  const goOn = () => stage.as('firewall').send(request);
  const plain = { verdict: 'pass', counted: { bypassed: 1 }, frame: Buffer.from(request) };

  describe('behind a function whose successor has no instance, in a chain that is bypassed', () => {
    beforeEach(() => {
      stage.path(3, 1, [], { failurePolicy: bypass });
    });

    it('a packet goes on plain, counted as bypassed: the first one and the next', () => {
      arrive();
      expect(goOn()).toMatchObject(plain);
      arrive();
      expect(goOn()).toMatchObject(plain);
    });

    it('the same flow goes to an instance as soon as there is one', () => {
      arrive();
      goOn();
      stage.path(3, 1, ['proxy'], { failurePolicy: bypass });
      arrive();
      const out = goOn();
      expect(tunnelOf(out.frame)).toMatchObject({ to: CAST.proxy, spi: 3, si: 1 });
      expect(out.counted).toEqual({ 'steered-next': 1 });
    });

    it('it passes the functions that follow, too', () => {
      stage.path(4, 3, ['firewall']).path(4, 2, [], { failurePolicy: bypass }).path(4, 1, ['proxy']).selects('vpn', 4, 3);
      arrive();
      expect(goOn()).toMatchObject(plain);
    });

    it.each([
      ['dropped', drop, { 'no-backend': 1 }],
      ['rejected', reject, { rejected: 1 }],
    ] as const)('it is %s when the policy of the chain changes to that', (_, failurePolicy, counted) => {
      arrive();
      goOn();
      stage.path(3, 1, [], { failurePolicy });
      expect(goOn()).toMatchObject({ verdict: 'drop', counted });
    });

    it('its replies, which come past the chain, go through the function that has seen it', () => {
      arrive();
      goOn();
      const entered = stage.as('vpn').receive(answer);
      expect(tunnelOf(entered.frame)).toMatchObject({ to: CAST.firewall, si: 0 });
      expect(stage.as('firewall').receive(entered.frame)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
      expect(tunnelOf(stage.as('firewall').send(answer).frame)).toMatchObject({ to: CAST.vpn, spi: 3, si: 2 });
    });
  });

  it('a flow whose way on is bypassed after it had one forgets its old hop: replies do not go there', () => {
    const joined = (spi: number) => stage.pod('firewall', { selects: true, generation: spi }).selects('firewall', spi, 1);
    stage.path(1, 1, ['firewall']).path(2, 1, ['proxy']).path(4, 1, [], { failurePolicy: bypass }).selects('vpn', 1, 1);
    joined(2);
    arrive();
    expect(tunnelOf(goOn().frame)).toMatchObject({ to: CAST.proxy, spi: 2 });
    joined(4);
    expect(goOn()).toMatchObject(plain);
    const entered = stage.as('vpn').receive(answer);
    expect(stage.as('firewall').receive(entered.frame)).toMatchObject({ verdict: 'pass', counted: { decapsulated: 1 } });
  });
}
