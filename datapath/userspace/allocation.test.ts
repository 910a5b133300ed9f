/** The steady path allocates nothing: established packets, both ways, and packets that nothing selects. */

import { describe, expect, it } from 'vitest';
import { createMemoryStore, ENDPOINT_FLAG, FLOW_FLAG, typedMaps } from '../../maps/index.js';
import { bytesOf, CAST, frame } from '../cast.js';
import { OVERHEAD, Pipeline, VERDICT } from './index.js';

const VPN = 7;
const FIREWALL = 8;
const PACKETS = 20_000;
/** Bytes of outer headers over IPv4. */
const OVER_IPV4 = 48;

function node(protocol = 17) {
  const store = createMemoryStore({ sfcflow: 1024 });
  const maps = typedMaps(store);
  const flags = ENDPOINT_FLAG.ipv4 | ENDPOINT_FLAG.selectsAllPorts | ENDPOINT_FLAG.selectsPorts;
  const endpoint = { mtu: 1500, generation: 2, ipv6: new Uint8Array(16) };
  maps.endpoint.set({ ifindex: VPN }, { ...endpoint, id: 1, flags, ipv4: bytesOf(CAST.vpn).slice(0, 4) });
  maps.endpoint.set({ ifindex: FIREWALL }, { ...endpoint, id: 2, flags: ENDPOINT_FLAG.ipv4, ipv4: bytesOf(CAST.firewall).slice(0, 4) });
  maps.peer.set({ prefix_len: 32 + 16, family: 1, address: bytesOf('10.244.0.0') }, { flags: 3, ifindex: 0 });
  maps.sfcbackend.set({ slot: 0 }, { address: bytesOf(CAST.firewall), family: 1 });
  const path = { service_address: bytesOf('10.96.0.1'), family: 1, flags: 0, failure_policy: 0, affinity_timeout: 0 };
  maps.sfcpath.set({ path: 0x101 }, { ...path, backend_base: 0, backend_slots: 1 });
  const key = { prefix_len: 64 + 24, endpoint: 1, family: 1, flags: 1, port: 0, protocol, address: bytesOf('203.0.113.0') };
  maps.sfcselect.set(key, { cidr_prefix_len: 24, last_port: 0, path: 0x101 });
  const pipeline = new Pipeline(store, { port: 7081 });
  // Past 2^31: numbers that do not fit a small integer are where allocations hide.
  pipeline.setClock(5_000_000_000_000);
  return { pipeline, maps };
}

/** A buffer with room in front, and the packet that a frame holds behind it. */
function inBuffer(bytes: Uint8Array): { readonly view: DataView; readonly length: number } {
  const packet = bytes.subarray(14);
  const buffer = new Uint8Array(OVERHEAD + packet.length);
  buffer.set(packet, OVERHEAD);
  return { view: new DataView(buffer.buffer), length: packet.length };
}

/** Least growth of the heap over several runs, bytes a packet: a collection or a compiler's work in between disturbs single ones. */
function bytesAPacket(one: () => void): number {
  for (let n = 0; n < 5 * PACKETS; n++) one();
  let least = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < 20; turn++) {
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < PACKETS; n++) one();
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) least = Math.min(least, grown / PACKETS);
  }
  return least;
}

describe('the steady path', () => {
  const request = inBuffer(frame({ from: CAST.client, to: CAST.server }));
  const other = inBuffer(frame({ from: CAST.client, to: '198.51.100.1' }));

  it('allocates nothing for an established packet that is wrapped', () => {
    const { pipeline } = node();
    const one = () => pipeline.fromPod(VPN, request.view, OVERHEAD, request.length);
    expect(one()).toBe(VERDICT.pass);
    expect(pipeline.start).toBe(OVERHEAD - OVER_IPV4);
    expect(bytesAPacket(one)).toBeLessThan(1);
  });

  it('allocates nothing for an established packet that is unwrapped', () => {
    const { pipeline } = node();
    pipeline.fromPod(VPN, request.view, OVERHEAD, request.length);
    const length = request.length + OVER_IPV4;
    const one = () => pipeline.toPod(FIREWALL, request.view, OVERHEAD - OVER_IPV4, length);
    expect(one()).toBe(VERDICT.pass);
    expect(pipeline.start).toBe(OVERHEAD);
    expect(bytesAPacket(one)).toBeLessThan(1);
  });

  it('allocates nothing for a packet that nothing selects', () => {
    const { pipeline } = node();
    const one = () => pipeline.fromPod(VPN, other.view, OVERHEAD, other.length);
    expect(one()).toBe(VERDICT.pass);
    expect(pipeline.start).toBe(OVERHEAD);
    expect(bytesAPacket(one)).toBeLessThan(1);
  });

  it('allocates nothing for a packet whose connection is reset, nor for the answer', () => {
    const { pipeline, maps } = node(6);
    const segment = inBuffer(
      frame({ from: CAST.client, to: CAST.server, protocol: 'tcp', sequence: 0xfffffff0, acknowledgement: 0x80000000 }),
    );
    const bytes = new Uint8Array(segment.view.buffer);
    const before = bytes.slice();
    pipeline.fromPod(VPN, segment.view, OVERHEAD, segment.length);
    const [[key, flow] = []] = maps.sfcflow.entries();
    if (key === undefined || flow === undefined) throw new Error('no flow');
    maps.sfcflow.set(key, { ...flow, flags: (flow.flags & ~FLOW_FLAG.resolved) | FLOW_FLAG.reset });
    const one = () => {
      bytes.set(before);
      return pipeline.fromPod(VPN, segment.view, OVERHEAD, segment.length);
    };
    expect(one()).toBe(VERDICT.pass);
    expect(pipeline.answers).toBe(true);
    expect(bytesAPacket(one)).toBeLessThan(1);
  });

  it('is a measure that sees an allocation', () => {
    let kept: unknown;
    expect(bytesAPacket(() => (kept = { at: Math.random() }))).toBeGreaterThan(1);
    expect(kept).toBeDefined();
  });
});
