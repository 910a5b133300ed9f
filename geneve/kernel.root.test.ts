/**
 * The codecs and the kernel program: the same bytes out, the same verdict and reason in, by
 * BPF_PROG_TEST_RUN. Over IPv4, as far as both go. Needs root.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesOf as addressOf, CAST } from '../datapath/cast.js';
import { KernelStage } from '../datapath/kernel/cast.js';
import { PEER_FLAG } from '../maps/index.js';
import { DROPPED, PASSED, STEERED } from '../test/fixtures/wire/index.js';
import {
  decapsulate,
  encapsulate,
  encodeIpv4,
  encodeTcp,
  NSH_TTL_CLASSIFIER,
  parseAddress,
  replyTtl,
  type Tunnel,
  toSi,
  toSpi,
  UDP_HEADER,
} from './index.js';

const ETHERNET = Uint8Array.from(Buffer.from('0200000000010200000000020800', 'hex'));
const framed = (packet: Uint8Array): Uint8Array => Uint8Array.from([...ETHERNET, ...packet]);
const unframed = (frame: Uint8Array): Uint8Array => Uint8Array.from(frame.subarray(ETHERNET.length));

let stage: KernelStage;

beforeAll(() => {
  stage = new KernelStage();
  stage.maps.peer.set({ prefix_len: 32, family: 1, address: new Uint8Array(16) }, { flags: PEER_FLAG.trusted });
});

afterAll(() => stage?.close());

/** Puts a pod of this address on stage. */
function pod(address: Uint8Array): void {
  stage.pod('firewall');
  const ipv4 = Uint8Array.from(address.subarray(0, 4));
  for (const [key, value] of [...stage.maps.endpoint.entries()]) stage.maps.endpoint.set(key, { ...value, ipv4 });
}

/** What the kernel program does with a packet to the pod of its destination address, and what it should. */
function received(packet: Uint8Array): { kernel: unknown; codec: unknown } {
  pod(packet.subarray(16, 20));
  const frame = framed(packet);
  const outcome = stage.receive(frame);
  const read = decapsulate(packet);
  const kernel = { verdict: outcome.verdict, counted: outcome.counted };
  if ('failure' in read) return { kernel, codec: { verdict: 'drop', counted: { [read.failure.reason]: 1 } } };
  const after = unframed(outcome.frame);
  if ('pass' in read) return { kernel: { ...kernel, after }, codec: { verdict: 'pass', counted: {}, after: packet } };
  return {
    kernel: { ...kernel, after: after.subarray(0, read.inner.length) },
    codec: { verdict: 'pass', counted: { decapsulated: 1 }, after: Uint8Array.from(read.inner) },
  };
}

const confirmed = <T extends { name: string; bytes: Uint8Array; confirmed: readonly string[] }>(fixtures: readonly T[]) =>
  fixtures
    .filter(({ confirmed }) => confirmed.includes('kernel program'))
    .map(({ name, bytes }) => [name, Uint8Array.from(bytes)] as const);

describe('a packet that the kernel program receives', () => {
  it.each([...confirmed(STEERED), ...confirmed(DROPPED), ...confirmed(PASSED)])('has the verdict that it has here: %s', (_, bytes) => {
    const { kernel, codec } = received(bytes);
    expect(kernel).toEqual(codec);
  });

  it('has the verdict that it has here, also when nobody meant it', () => {
    const wire = [...confirmed(STEERED), ...confirmed(DROPPED)].map(([, bytes]) => bytes).filter(({ length }) => length < 200);
    const changes = fc.array(fc.tuple(fc.nat({ max: 110 }), fc.nat({ max: 255 })), { maxLength: 3 });
    // Past the outer headers, where the decisions are.
    const deep = fc.array(fc.tuple(fc.integer({ min: 28, max: 80 }), fc.nat({ max: 255 })), { maxLength: 3 });
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.constantFrom(...wire), fc.oneof(changes, deep), fc.nat({ max: 12 }), (bytes, spots, padding) => {
        const packet = new Uint8Array(bytes.length + padding);
        packet.set(bytes);
        for (const [at, value] of spots) if (at < bytes.length) packet[at] = value;
        fc.pre(knownToBoth(packet));
        const { kernel, codec } = received(packet);
        for (const reason of Object.keys((codec as { counted: object }).counted)) seen.add(reason);
        expect(kernel).toEqual(codec);
      }),
      { numRuns: 3000 },
    );
    expect(seen.size).toBeGreaterThan(6);
  });
});

/** IPv6 inside is the codecs' alone. */
function knownToBoth(packet: Uint8Array): boolean {
  const read = decapsulate(packet);
  if (((packet[30] ?? 0) << 8) + (packet[31] ?? 0) === 0x86dd) return false;
  return !('inner' in read) || read.packet.family === 1;
}

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const port = fc.integer({ min: 1, max: 65535 }).filter((number) => number !== 7081);

/** Whole TCP and UDP packets over IPv4, with and without options. */
const packets = fc
  .record({
    ends: fc.record({ source: octets(4), destination: octets(4), sourcePort: port, destinationPort: port }),
    tcp: fc.boolean(),
    tos: fc.nat({ max: 255 }),
    identification: fc.nat({ max: 65535 }),
    options: fc.constantFrom(0, 0, 8).chain((length) => fc.constant(new Uint8Array(length).fill(1))),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ ends, tcp, payload, ...ip }) => ({ ends, tcp, payload, ip }));
type Drawn = typeof packets extends fc.Arbitrary<infer T> ? T : never;

function packetOf({ ends, tcp, payload, ip }: Drawn): Uint8Array {
  const header = tcp
    ? encodeTcp({ ...ends, sequence: 1, acknowledgement: 2, flags: 0x18, window: 512, checksum: 0, urgentPointer: 0 })
    : UDP_HEADER.encode({ ...ends, length: 8 + payload.length, checksum: 0 });
  const totalLength = 20 + ip.options.length + header.length + payload.length;
  const fixed = { ttl: 64, dontFragment: 0, moreFragments: 0, fragmentOffset: 0 };
  return Uint8Array.from([...encodeIpv4({ ...ip, ...ends, ...fixed, totalLength, protocol: tcp ? 6 : 17 }), ...header, ...payload]);
}

function hop(source: string, destination: string): Pick<Tunnel, 'source' | 'destination'> {
  const [from, to] = [parseAddress(source), parseAddress(destination)];
  if (from === undefined || to === undefined) throw new Error('no address');
  return { source: from, destination: to };
}

describe('a packet that the kernel program sends', () => {
  it('is the same to the last bit, from the classifier', () => {
    stage.pod('vpn', { selects: true }).path(0x1234, 3, ['firewall']);
    stage.selects('vpn', 0x1234, 3).selects('vpn', 0x1234, 3, { protocol: 6 });
    const tunnel = { ...hop(CAST.vpn, CAST.firewall), spi: toSpi(0x1234), si: toSi(3), ttl: NSH_TTL_CLASSIFIER, reply: false };
    fc.assert(
      fc.property(packets, (drawn) => {
        const packet = packetOf(drawn);
        const { counted, frame } = stage.send(framed(packet));
        expect(counted).toEqual({ 'steered-source': 1 });
        expect(unframed(frame)).toEqual(encapsulate(packet, tunnel));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same to the last bit, as a reply to a packet of any TTL', () => {
    pod(addressOf(CAST.firewall));
    const path = { spi: toSpi(7), si: toSi(1) };
    fc.assert(
      fc.property(packets, fc.integer({ min: 1, max: NSH_TTL_CLASSIFIER }), (drawn, ttl) => {
        const request = encapsulate(packetOf(drawn), { ...hop(CAST.vpn, CAST.firewall), ...path, ttl, reply: false });
        if ('failure' in request) throw new Error('not wrapped');
        expect(stage.receive(framed(request)).counted).toEqual({ decapsulated: 1 });
        const { source, destination, sourcePort, destinationPort } = drawn.ends;
        const back = { source: destination, destination: source, sourcePort: destinationPort, destinationPort: sourcePort };
        const answer = packetOf({ ...drawn, ends: back });
        const { counted, frame } = stage.send(framed(answer));
        expect(counted).toEqual({ 'steered-reply': 1 });
        expect(unframed(frame)).toEqual(encapsulate(answer, { ...hop(CAST.firewall, CAST.vpn), ...path, ttl: replyTtl(ttl), reply: true }));
      }),
      { numRuns: 300 },
    );
  });
});
