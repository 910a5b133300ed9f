/**
 * The frozen packets under tshark: what it reads in each is what the fixture says, and what our own
 * decoder reads. One run of tshark for all of them. Then what the pipeline sends: tshark reads what was
 * to be sent, in words.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LINK_TYPE, writePcap } from '../capture/index.js';
import { CAST, frame, type Name, type Segment } from '../datapath/cast.js';
import { UserspaceStage } from '../datapath/userspace/cast.js';
import { type ChecksumState, decodePacket, type IpDescription, type PacketDescription } from '../geneve/index.js';
import { DROPPED, PASSED, STEERED } from './fixtures/wire/index.js';

type Fields = Readonly<Record<string, readonly string[]>>;

const FIXTURES = [...STEERED, ...DROPPED, ...PASSED];
/** What our side writes. */
const SENT = STEERED.filter(({ directions }) => directions.includes('write'));
/** tshark's numbers: 0 = bad, 1 = good, 2 = unverified, 3 = not present. */
const CHECKSUM: Readonly<Record<ChecksumState, string>> = { bad: '0', good: '1', unknown: '2', absent: '3' };

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sfc-tshark-'));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What tshark reads in each packet: for every field all its occurrences, outermost first. */
function tshark(linkType: number, packets: readonly Uint8Array[], fields: readonly string[]): readonly Fields[] {
  const file = join(directory, 'packets.pcap');
  const records = packets.map((data, index) => ({ data, originalLength: data.length, timestamp: index * 1_000_000 }));
  writeFileSync(file, writePcap(linkType, records));
  const preferences = [
    'ip.check_checksum:TRUE',
    'udp.check_checksum:TRUE',
    'tcp.check_checksum:TRUE',
    'ip.defragment:FALSE',
    'ipv6.defragment:FALSE',
  ];
  const argv = [
    ...['-r', file, '-n', '-d', 'udp.port==7081,geneve'],
    ...preferences.flatMap((preference) => ['-o', preference]),
    ...['-T', 'fields', '-E', 'separator=/t', '-E', 'occurrence=a', '-E', 'aggregator=;'],
    ...fields.flatMap((field) => ['-e', field]),
  ];
  const lines = execFileSync('tshark', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .split('\n')
    .slice(0, -1);
  expect(lines).toHaveLength(packets.length);
  return lines.map((line) => {
    const columns = line.split('\t').map((column) => column.split(';').filter((value) => value !== ''));
    return Object.fromEntries(fields.map((field, index) => [field, (columns[index] ?? []).map(plain)]));
  });
}

/** Versions of tshark differ in how they write a number: here it is decimal, and so are truth and falsehood. */
function plain(value: string): string {
  if (value === 'True' || value === 'False') return value === 'True' ? '1' : '0';
  return /^(0x[\da-f]{1,8}|\d{1,8})$/.test(value) ? String(Number(value)) : value;
}

/** The descriptions from the outside in, without the ones that could not be read. */
function layers(description: PacketDescription): readonly PacketDescription[] {
  return [description, ...(description.inner === undefined ? [] : [description.inner])].filter(({ ip }) => ip !== undefined);
}

/** What our decoder says, under tshark's names. */
function asTshark(description: PacketDescription): Fields {
  const each = layers(description);
  const ipOf = (version: 4 | 6) => each.flatMap(({ ip }) => (ip?.version === version ? [ip] : []));
  const transports = each.flatMap(({ transport, ip }) => (transport === undefined ? [] : [{ transport, ip }]));
  const udp = transports.flatMap(({ transport, ip }) => (transport.kind === 'udp' ? [{ ...transport, ip }] : []));
  const tcp = transports.flatMap(({ transport }) => (transport.kind === 'tcp' ? [transport] : []));
  const text = (list: readonly IpDescription[], of: (ip: IpDescription) => string | number) => list.map((ip) => String(of(ip)));
  return {
    'ip.src': text(ipOf(4), ({ source }) => source),
    'ip.dst': text(ipOf(4), ({ destination }) => destination),
    'ip.ttl': text(ipOf(4), ({ ttl }) => ttl),
    'ip.len': text(ipOf(4), ({ length }) => length),
    'ip.hdr_len': text(ipOf(4), ({ headerLength }) => headerLength),
    'ip.checksum.status': text(ipOf(4), ({ checksum }) => CHECKSUM[checksum]),
    'ipv6.src': text(ipOf(6), ({ source }) => source),
    'ipv6.dst': text(ipOf(6), ({ destination }) => destination),
    'ipv6.hlim': text(ipOf(6), ({ ttl }) => ttl),
    'ipv6.plen': text(ipOf(6), ({ length }) => length - 40),
    'udp.srcport': udp.map(({ sourcePort }) => String(sourcePort)),
    'udp.dstport': udp.map(({ destinationPort }) => String(destinationPort)),
    // Over IPv6 a missing checksum is 4, illegal.
    'udp.checksum.status': udp.map(({ checksum, ip }) => (checksum === 'absent' && ip?.version === 6 ? '4' : CHECKSUM[checksum])),
    'tcp.srcport': tcp.map(({ sourcePort }) => String(sourcePort)),
    'tcp.dstport': tcp.map(({ destinationPort }) => String(destinationPort)),
    'tcp.checksum.status': tcp.map(({ checksum }) => CHECKSUM[checksum]),
  };
}

describe('tshark', () => {
  const own = Object.keys(asTshark({ payload: 0 }));
  let read: readonly Fields[];

  beforeAll(() => {
    const frozen = FIXTURES.flatMap((fixture) => Object.keys(fixture.tshark ?? {}));
    read = tshark(
      LINK_TYPE.raw,
      FIXTURES.map(({ bytes }) => bytes),
      [...new Set([...frozen, ...own, '_ws.malformed', 'geneve.version'])],
    );
  });

  it.each(FIXTURES.map((fixture, index) => [fixture.name, fixture, index] as const))('reads what is frozen: %s', (_, fixture, index) => {
    expect(fixture.tshark, 'every packet has fields that tshark confirms').toBeDefined();
    for (const [field, values] of Object.entries(fixture.tshark ?? {})) expect(read[index]?.[field], field).toEqual(values.map(plain));
  });

  it.each(STEERED.map((fixture, index) => [fixture.name, fixture, index] as const))('reads what we read: %s', (_, { bytes }, index) => {
    const expected = asTshark(decodePacket(bytes));
    // An ICMP error quotes a packet of its own behind ours.
    const seen = Object.fromEntries(own.map((field) => [field, read[index]?.[field]?.slice(0, expected[field]?.length)]));
    expect(seen).toEqual(expected);
    expect(read[index]).toMatchObject({ '_ws.malformed': [], 'geneve.version': ['0'] });
  });

  it('finds no checksum wrong in what we send', () => {
    expect(SENT.length).toBeGreaterThan(15);
    for (const fixture of SENT)
      for (const field of ['ip.checksum.status', 'udp.checksum.status', 'tcp.checksum.status'])
        expect(read[STEERED.indexOf(fixture)]?.[field], `${field} of ${fixture.name}`).not.toContain('0');
  });
});

/** An NSH and what follows it, as an Ethernet frame. */
function asNsh(nsh: Uint8Array, inner: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('020000000001020000000002894f', 'hex'), nsh, inner]);
}

/** tshark knows no NSH in a Geneve option; it knows one in an Ethernet frame, with the packet behind it. */
describe('tshark, given the body of the NSH option as an NSH', () => {
  const frames = SENT.map(({ layers, last }) => asNsh(layers['NSH option']?.subarray(4) ?? new Uint8Array(), last));

  it('reads path, TTL and the packet that follows', () => {
    const fields = [
      'nsh.version',
      'nsh.ttl',
      'nsh.length',
      'nsh.mdtype',
      'nsh.nextproto',
      'nsh.spi',
      'nsh.si',
      'ip.src',
      'ipv6.src',
      '_ws.malformed',
    ];
    const read = tshark(LINK_TYPE.ethernet, frames, fields);
    SENT.forEach(({ hop, name, last }, index) => {
      const inner = decodePacket(last).ip;
      const fields = read[index] ?? {};
      const family = inner?.version === 4 ? 'ip.src' : 'ipv6.src';
      const seen = { spi: fields['nsh.spi'], si: fields['nsh.si'], ttl: fields['nsh.ttl'], source: fields[family]?.[0] };
      expect(seen, name).toEqual({ spi: [`${hop.spi}`], si: [`${hop.si}`], ttl: [`${hop.ttl}`], source: inner?.source });
      expect(fields, name).toMatchObject({ 'nsh.version': ['0'], 'nsh.length': ['2'], 'nsh.mdtype': ['2'], '_ws.malformed': [] });
      expect(fields['nsh.nextproto'], name).toEqual([inner?.version === 4 ? '1' : '2']);
    });
  });
});

/** The walkthrough on the pipeline: client, vpn, firewall, proxy, server; and a chain that ends at a pod. */
describe('tshark, given what the pipeline sends', () => {
  interface Hop {
    readonly name: string;
    readonly bytes: Uint8Array;
    readonly from: Name;
    readonly to: Name;
    readonly inner: Segment;
    readonly nsh: { readonly spi: number; readonly si: number; readonly ttl: number };
    readonly reply: boolean;
  }
  const PROTOCOLS = ['udp', 'tcp'] as const;

  function hops(): readonly Hop[] {
    const stage = new UserspaceStage().path(1, 1, ['firewall']).path(2, 1, ['proxy']);
    const sent: Hop[] = [];
    for (const protocol of PROTOCOLS) {
      const request = { from: CAST.client, to: CAST.server, protocol, tos: 0xb8 };
      const answer = { from: CAST.server, to: CAST.client, protocol, sourcePort: 80, destinationPort: 4000, tos: 0x02 };
      const inside = { from: CAST.client, to: CAST.destination, protocol, sourcePort: 4001, destinationPort: 443, tos: 0x01 };
      const number = protocol === 'udp' ? 17 : 6;
      stage.pod('firewall', { selects: true }).selects('firewall', 2, 1, { protocol: number, cidr: ['203.0.113.0', 24] });
      stage.pod('proxy').pod('vpn', { selects: true }).selects('vpn', 1, 1, { protocol: number });
      const send = (from: Name, to: Name, inner: Segment, nsh: Hop['nsh'], reply: boolean, reason: string) => {
        const { frame: bytes, counted } = stage.as(from).send(frame(inner));
        expect(counted).toEqual({ [reason]: 1 });
        const name = `${protocol} from ${from} to ${to}${reply ? ', a reply' : ''}`;
        sent.push({ name, bytes: bytes.subarray(14), from, to, inner, nsh, reply });
        stage.as(to).receive(bytes);
      };
      send('vpn', 'firewall', request, { spi: 1, si: 1, ttl: 63 }, false, 'steered-source');
      send('firewall', 'proxy', request, { spi: 2, si: 1, ttl: 62 }, false, 'steered-next');
      send('proxy', 'firewall', answer, { spi: 2, si: 1, ttl: 2 }, true, 'steered-reply');
      send('firewall', 'vpn', answer, { spi: 1, si: 1, ttl: 1 }, true, 'steered-reply');
      send('vpn', 'firewall', inside, { spi: 1, si: 1, ttl: 63 }, false, 'steered-source');
      send('firewall', 'destination', inside, { spi: 1, si: 0, ttl: 62 }, false, 'steered-destination');
    }
    return sent;
  }

  const sent = hops();
  const fields = [
    ...['_ws.malformed', 'ip.src', 'ip.dst', 'ip.ttl', 'ip.len', 'ip.dsfield', 'ip.flags.df', 'ip.id', 'ip.checksum.status'],
    ...['udp.srcport', 'udp.dstport', 'udp.length', 'udp.checksum.status', 'tcp.srcport', 'tcp.dstport'],
    ...['geneve.version', 'geneve.flags.oam', 'geneve.flags.critical', 'geneve.proto_type', 'geneve.vni'],
    ...['geneve.option.class', 'geneve.option.type', 'geneve.option.unknown.data'],
  ];
  const nshFields = ['nsh.version', 'nsh.ttl', 'nsh.length', 'nsh.mdtype', 'nsh.nextproto', 'nsh.spi', 'nsh.si', 'ip.src', '_ws.malformed'];
  let read: readonly Fields[];
  let readNsh: readonly Fields[];

  beforeAll(() => {
    read = tshark(
      LINK_TYPE.raw,
      sent.map(({ bytes }) => bytes),
      fields,
    );
    // The option's body is what the first run has read, not what we believe to have written.
    const bodies = read.map((each) => Buffer.from(each['geneve.option.unknown.data']?.[0] ?? '', 'hex'));
    readNsh = tshark(
      LINK_TYPE.ethernet,
      sent.map(({ inner }, index) => asNsh(bodies[index] ?? new Uint8Array(), frame(inner).subarray(14))),
      nshFields,
    );
  });

  it.each(sent.map((hop, index) => [hop.name, hop, index] as const))('reads what it is: %s', (_, { from, to, inner, reply }, index) => {
    const length = frame(inner).length - 14;
    const isUdp = inner.protocol === 'udp';
    const { sourcePort = 4000, destinationPort = 80, tos } = inner;
    const { 'udp.srcport': sourcePorts, ...rest } = read[index] ?? {};
    expect(rest).toMatchObject({
      '_ws.malformed': [],
      'ip.src': [CAST[from], inner.from],
      'ip.dst': [CAST[to], inner.to],
      'ip.ttl': ['64', '64'],
      'ip.len': [`${length + 48}`, `${length}`],
      'ip.dsfield': [`${tos}`, `${tos}`],
      'ip.flags.df': ['1', '0'],
      'ip.id': [`${0x1234}`, `${0x1234}`],
      'ip.checksum.status': ['1', '1'],
      'udp.dstport': ['7081', ...(isUdp ? [`${destinationPort}`] : [])],
      'udp.length': [`${length + 28}`, ...(isUdp ? [`${length - 20}`] : [])],
      'udp.checksum.status': ['3', ...(isUdp ? ['3'] : [])],
      'tcp.srcport': isUdp ? [] : [`${sourcePort}`],
      'tcp.dstport': isUdp ? [] : [`${destinationPort}`],
      'geneve.version': ['0'],
      'geneve.flags.oam': ['0'],
      'geneve.flags.critical': ['1'],
      'geneve.proto_type': [`${0x0800}`],
      'geneve.vni': ['0'],
      'geneve.option.class': [`${0x0132}`],
      'geneve.option.type': [`${0x82}`],
    });
    expect(Number(sourcePorts?.[0]) & 0x8001).toBe(reply ? 0x8001 : 0x8000);
    expect(sourcePorts?.slice(1)).toEqual(isUdp ? [`${sourcePort}`] : []);
  });

  it.each(sent.map((hop, index) => [hop.name, hop, index] as const))('reads its NSH: %s', (_, { nsh, inner }, index) => {
    expect(readNsh[index]).toEqual({
      'nsh.version': ['0'],
      'nsh.ttl': [`${nsh.ttl}`],
      'nsh.length': ['2'],
      'nsh.mdtype': ['2'],
      'nsh.nextproto': ['1'],
      'nsh.spi': [`${nsh.spi}`],
      'nsh.si': [`${nsh.si}`],
      'ip.src': [inner.from],
      '_ws.malformed': [],
    });
  });
});
