/**
 * The way out of the node: the kernel's route look-up, and what a flow keeps of it. The node has one
 * uplink with a gateway to the firewall's node; the vpn pod's flow is steered there.
 */

import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { SfcflowKey, SfcflowValue } from '../../maps/index.js';
import { CAST, frame, tunnelOf } from '../cast.js';
import { KernelStage } from './cast.js';

const OLD_GATEWAY = '02:00:00:00:00:02';
const NEW_GATEWAY = '02:00:00:00:00:99';
/** More ticks than a route is believed for. */
const LONG_AGO = 1000;

let stage: KernelStage;
let uplink = 0;
const sh = (command: string) => execFileSync('/bin/sh', ['-ec', command], { encoding: 'utf8' });

beforeEach(() => {
  stage = new KernelStage();
  stage.path(1, 1, ['firewall']).pod('vpn', { selects: true }).selects('vpn', 1, 1); // moves this process into the cast's namespace
  sh(`
    echo 1 > /proc/sys/net/ipv4/ip_forward
    ip link add v-uplink mtu 1600 type veth peer name p-uplink
    ip link set v-uplink up; ip link set p-uplink up; ip link set v-vpn up; ip link set p-vpn up
    ip address add 172.30.0.1/24 dev v-uplink
    ip route add 10.244.2.0/24 via 172.30.0.2
  `);
  gateway(OLD_GATEWAY);
  uplink = (JSON.parse(sh('ip -json link show dev v-uplink')) as { ifindex: number }[])[0]?.ifindex ?? 0;
});

afterEach(() => {
  stage.close();
  sh('ip link delete v-uplink');
});

function gateway(mac: string): void {
  sh(`ip neighbour replace 172.30.0.2 lladdr ${mac} dev v-uplink nud permanent`);
}

const request = frame({ from: CAST.client, to: CAST.server });
const destinationMac = (out: Buffer) => out.toString('hex', 0, 6).replace(/..(?=.)/g, '$&:');

function flow(): readonly [SfcflowKey, SfcflowValue] {
  const [entry] = stage.maps.sfcflow.entries();
  if (entry === undefined) throw new Error('no flow was recorded');
  return entry;
}

it('a packet goes straight to the next link, with its Ethernet addresses', () => {
  const out = stage.send(request);
  expect(out.verdict).toBe('redirect');
  expect(destinationMac(out.frame)).toBe(OLD_GATEWAY);
  expect(tunnelOf(out.frame)?.to).toBe(CAST.firewall);
});

it('the second packet leaves the route in the flow, and the third takes it from there', () => {
  stage.send(request);
  expect(flow()[1].next_ifindex).toBe(0);
  stage.send(request);
  expect(flow()[1]).toMatchObject({ next_ifindex: uplink, next_mtu: 1600, next_destination_mac: Uint8Array.of(2, 0, 0, 0, 0, 2) });
  // The route is believed for some ticks only, and this process may be held up for longer: try until it was not.
  const marked = Uint8Array.of(2, 0, 0, 0, 0, 0x42);
  let taken = '';
  for (let tries = 0; taken !== '02:00:00:00:00:42' && tries < 100; tries++) {
    const [key, value] = flow();
    stage.maps.sfcflow.set(key, { ...value, next_destination_mac: marked });
    taken = destinationMac(stage.send(request).frame);
  }
  expect(taken).toBe('02:00:00:00:00:42');
});

it('a route is not believed for long', () => {
  stage.send(request);
  stage.send(request);
  gateway(NEW_GATEWAY);
  const [key, value] = flow();
  stage.maps.sfcflow.set(key, { ...value, next_checked: (value.next_checked - LONG_AGO) >>> 0 });
  expect(destinationMac(stage.send(request).frame)).toBe(NEW_GATEWAY);
  expect(flow()[1].next_destination_mac.at(-1)).toBe(0x99);
});

it('a packet that does not fit the link is dropped and counted, whether the route is kept or not', () => {
  stage.send(request);
  stage.send(request);
  const large = frame({ from: CAST.client, to: CAST.server, payload: 'x'.repeat(1600) });
  expect(stage.send(large)).toMatchObject({ verdict: 'drop', counted: { 'too-big': 1 } });
  expect(stage.send(request).verdict).toBe('redirect');
});

it('a hop that is routed nowhere is left to the stack', () => {
  stage.send(request);
  stage.send(request);
  const [key, value] = flow();
  stage.maps.sfcflow.set(key, { ...value, next_ifindex: 0 });
  sh('ip route delete 10.244.2.0/24');
  const out = stage.send(request);
  expect(out.verdict).toBe('pass');
  expect(tunnelOf(out.frame)?.to).toBe(CAST.firewall);
});
