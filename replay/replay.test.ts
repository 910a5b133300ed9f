/** Captures of the walkthrough's pods through the pipeline; what comes out, tshark reads. */

import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CapturedPacket, LINK_TYPE, readCapture, writePcap } from '../capture/index.js';
import { CAST, frame, type Segment } from '../datapath/cast.js';
import { writeManifests } from '../demo/manifests.js';
import { type Blueprint, type FamilyForm, podNamed, walkthroughCast } from '../demo/testbed/index.js';
import { ETHERTYPE, encapsulate, encodeIpv6, PROTOCOL, parseAddress, type Si, type Spi, UDP_HEADER } from '../geneve/index.js';
import type { ManifestFile } from '../policy/index.js';
import { prepareReplay, type Ran, type RunOptions, runReplay } from './index.js';

const bed = walkthroughCast({ prefix: 'replay' });
const vpn = podNamed(bed, 'vpn').address;
const firewalls = bed.pods.filter(({ role }) => role === 'firewall').map(({ address }) => address);
const proxy = podNamed(bed, 'proxy-1');

let directory: string;
let manifests: ManifestFile[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sfc-replay-'));
  manifests = await manifestsOf(bed);
});

async function manifestsOf(bed: Blueprint): Promise<ManifestFile[]> {
  const place = join(directory, bed.family === '4' ? 'manifests' : `manifests-${bed.family}`);
  await writeManifests(bed, place);
  return await Promise.all(
    ['world.yaml', 'ServiceFunctionChain.yaml', 'TrafficSelector.yaml'].map(async (name) => {
      const file = join(place, name);
      return { file, text: await readFile(file, 'utf8') };
    }),
  );
}

afterAll(() => rm(directory, { recursive: true, force: true }));

const POD_MAC = '02:00:00:00:00:02';
const HOST_MAC = '02:00:00:00:00:01';
const bytesOfMac = (mac: string) => mac.split(':').map((byte) => Number.parseInt(byte, 16));

/** A packet as the pod's interface shows it. */
function captured(way: 'out' | 'in', segment: Segment): Uint8Array {
  const bytes = Uint8Array.from(frame(segment));
  bytes.set(bytesOfMac(way === 'out' ? HOST_MAC : POD_MAC), 0);
  bytes.set(bytesOfMac(way === 'out' ? POD_MAC : HOST_MAC), 6);
  return bytes;
}

/** A UDP datagram over IPv6, behind these extension headers, as the pod's interface shows it. */
function captured6(
  way: 'out' | 'in',
  from: string,
  to: string,
  extensions: readonly (readonly [protocol: number, hex: string])[] = [],
): Buffer {
  const [source, destination] = [from, to].map((text) => parseAddress(text)?.bytes);
  if (source === undefined || destination === undefined) throw new Error('no address');
  const udp = UDP_HEADER.encode({ sourcePort: 4000, destinationPort: 80, length: 13, checksum: 0xffff });
  const chain = [...extensions, [PROTOCOL.udp, `${Buffer.from(udp).toString('hex')}68656c6c6f`] as const];
  const rest = Buffer.from(
    chain.map(([, hex], index) => hex.replace('NH', (chain[index + 1]?.[0] ?? 0).toString(16).padStart(2, '0'))).join(''),
    'hex',
  );
  const nextHeader = chain[0]?.[0] ?? 0;
  const ip = encodeIpv6({ trafficClass: 0, flowLabel: 0, payloadLength: rest.length, nextHeader, hopLimit: 64, source, destination });
  const macs = [way === 'out' ? HOST_MAC : POD_MAC, way === 'out' ? POD_MAC : HOST_MAC].flatMap(bytesOfMac);
  return Buffer.concat([Uint8Array.from(macs), Buffer.from('86dd', 'hex'), ip, rest]);
}

interface Given {
  readonly data: Uint8Array;
  readonly originalLength?: number;
}

interface Asked extends Partial<Pick<RunOptions, 'ways' | 'port'>> {
  readonly endpoint?: string;
  readonly linkType?: number;
  readonly manifests?: readonly ManifestFile[];
}

async function replayed(
  packets: readonly Given[],
  asked: Asked = {},
): Promise<Ran & { readonly out: readonly CapturedPacket[]; readonly output: string }> {
  const { endpoint = 'vpn/vpn', linkType = LINK_TYPE.ethernet, ways = 'auto', port = 7081 } = asked;
  const [file, output] = [join(directory, 'in.pcap'), join(directory, 'out.pcap')];
  const records = packets.map(({ data, originalLength = data.length }, n) => ({
    data,
    originalLength,
    timestamp: 1_700_000_000_000_000 + n,
  }));
  await writeFile(file, writePcap(linkType, records));
  const { node } = await prepareReplay({
    manifests: asked.manifests ?? manifests,
    endpoint,
    allocations: undefined,
    serviceCidr: '10.96.0.0/16',
  });
  if (node === undefined) throw new Error('the manifests are wrong');
  const ran = await runReplay({ node, file, output, ways, port });
  return { ...ran, out: await readCapture(output), output };
}

const verdicts = ({ report }: Ran) =>
  Object.fromEntries(report.verdicts.map(({ reason, direction, packets }) => [`${reason} ${direction}`.trim(), packets]));

/** The fields of every packet of a file, as tshark has them. */
function tshark(file: string, ...fields: string[]): string[][] {
  const argv = ['-r', file, '-n', '-d', 'udp.port==7081,geneve', '-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
  return execFileSync('tshark', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
}

describe('a capture at the vpn pod', () => {
  const request = captured('out', { from: CAST.client, to: '203.0.113.10', protocol: 'tcp' });
  const answer = captured('in', { from: '203.0.113.10', to: CAST.client, protocol: 'tcp', sourcePort: 80, destinationPort: 4000 });

  it('tells which selector took its packets, to which instance, and that answers which come plain enter the chain', async () => {
    const ran = await replayed([{ data: request }, { data: answer }, { data: request }]);
    expect(ran.report).toMatchObject({ endpoint: 'vpn/vpn', node: 'node1', packets: 3 });
    expect(ran.report.selected).toEqual([
      {
        selector: 'vpn-to-firewall',
        chain: 'firewall',
        path: '(1, 1)',
        instance: expect.any(String),
        reason: 'steered-source',
        packets: 2,
        bytes: 90,
      },
    ]);
    expect(firewalls).toContain(ran.report.selected[0]?.instance);
    expect(verdicts(ran)).toEqual({ 'steered-source from-pod': 2, 'reply-entered to-pod': 1 });
  });

  it('tells which ingress selector took what came to the pod', async () => {
    const text = `
apiVersion: networking.gke.io/v1
kind: TrafficSelector
metadata: { name: into-vpn }
spec:
  serviceFunctionChain: firewall
  subject: { pods: { podSelector: { matchLabels: { app: vpn } } } }
  ingress: { ports: [{ allPorts: { protocol: TCP } }] }
`;
    const opened = captured('in', { from: '203.0.113.10', to: vpn, protocol: 'tcp', sourcePort: 4000, destinationPort: 443 });
    const ran = await replayed([{ data: opened }], { manifests: [...manifests, { file: 'ingress.yaml', text }] });
    expect(ran.report.selected).toMatchObject([
      { selector: 'into-vpn', chain: 'firewall', path: '(1, 1)', reason: 'steered-ingress', packets: 1 },
    ]);
    expect(firewalls).toContain(ran.report.selected[0]?.instance);
    expect(verdicts(ran)).toEqual({ 'steered-ingress to-pod': 1 });
    expect(ran.out[0]?.data.length).toBe(opened.length + 48);
  });

  it('is written as it would be on the wire, and tshark reads that', async () => {
    const ran = await replayed([{ data: request }, { data: answer }]);
    expect(ran.written).toBe(2);
    const [wrapped, entered] = tshark(ran.output, 'frame.time_epoch', 'ip.src', 'ip.dst', 'geneve.option.class', 'tcp.dstport');
    expect(wrapped).toEqual([
      '1700000000.000000000',
      `${vpn},${CAST.client}`,
      `${ran.report.selected[0]?.instance},203.0.113.10`,
      '0x0132',
      '80',
    ]);
    const instance = ran.report.selected[0]?.instance;
    expect(entered).toEqual(['1700000000.000001000', `${vpn},203.0.113.10`, `${instance},${CAST.client}`, '0x0132', '4000']);
  });

  it('with its link header cooked is the same, and says itself which way', async () => {
    const cooked = (way: number, ethernet: Uint8Array) =>
      Buffer.concat([Buffer.from([0, way, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 8, 0]), ethernet.subarray(14)]);
    const ran = await replayed([{ data: cooked(4, request) }, { data: cooked(0, answer) }], { linkType: LINK_TYPE.cooked });
    expect(verdicts(ran)).toEqual({ 'steered-source from-pod': 1, 'reply-entered to-pod': 1 });
    expect(ran.out[0]?.data.subarray(0, 16)).toEqual(cooked(4, request).subarray(0, 16));
  });

  it('without a link header knows what is addressed to the pod', async () => {
    const to = frame({ from: '203.0.113.10', to: vpn });
    const ran = await replayed([{ data: request.subarray(14) }, { data: to.subarray(14) }], { linkType: LINK_TYPE.raw });
    expect(verdicts(ran)).toEqual({ 'steered-source from-pod': 1, 'plain to-pod': 1 });
  });

  it('that begins with an answer is put right by the first packet that shows who is who', async () => {
    const own = captured('out', { from: vpn, to: '203.0.113.10' });
    const ran = await replayed([{ data: answer }, { data: own }, { data: answer }]);
    // The first packet counts as from the pod, and its selector takes every destination.
    expect(verdicts(ran)).toEqual({ 'steered-source from-pod': 2, 'plain to-pod': 1 });
    expect(verdicts(await replayed([{ data: answer }], { ways: 'to-pod' }))).toEqual({ 'plain to-pod': 1 });
  });

  it('passes what is no IP packet, or of a family that nothing selects, as it is', async () => {
    const arp = Buffer.alloc(60);
    arp.writeUInt16BE(0x0806, 12);
    const ipv6 = captured6('out', 'fd77::5', '2001:db8:113::10');
    const back = captured6('in', '2001:db8:113::10', 'fd77::5');
    const ran = await replayed([{ data: arp }, { data: ipv6 }, { data: back }]);
    expect(verdicts(ran)).toEqual({ 'not-ip': 1, 'plain from-pod': 1, 'plain to-pod': 1 });
    expect(ran.out.map(({ data }) => Buffer.from(data))).toEqual([arp, ipv6, back]);
  });

  it('drops what a pod may not send, and leaves it out of the file', async () => {
    const ran = await replayed([
      { data: captured('out', { from: CAST.client, to: firewalls[0] ?? '', destinationPort: 7081 }) },
      { data: request },
    ]);
    expect(verdicts(ran)).toEqual({ 'spoofed-encap from-pod': 1, 'steered-source from-pod': 1 });
    expect(ran.out).toHaveLength(1);
    expect(
      verdicts(
        await replayed([{ data: captured('out', { from: CAST.client, to: '203.0.113.10', destinationPort: 7081 }) }], { port: 7099 }),
      ),
    ).toEqual({
      'steered-source from-pod': 1,
    });
  });

  it('that was cut is judged by the headers that are there, and written with the length that it had', async () => {
    const long = captured('out', { from: CAST.client, to: '203.0.113.10', protocol: 'tcp', payload: 'x'.repeat(1000) });
    const ran = await replayed([
      { data: long.subarray(0, 14 + 40), originalLength: long.length },
      { data: long.subarray(0, 14 + 39), originalLength: long.length },
      { data: long.subarray(0, 14 + 19), originalLength: long.length },
      { data: long.subarray(0, 13), originalLength: long.length },
      { data: long.subarray(0, 0), originalLength: long.length },
    ]);
    // Cut inside the link header, a frame counts with it.
    expect(ran.report.verdicts).toMatchObject([
      { reason: 'steered-source', verdict: 'forwarded', packets: 1, bytes: 1040 },
      { reason: 'cut', verdict: 'unknown', packets: 4, bytes: 2 * 1040 + 2 * 1054 },
    ]);
    expect(ran.out.map(({ data, originalLength }) => [data.length, originalLength])).toEqual([[14 + 48 + 40, long.length + 48]]);
  });

  it('of a packet longer than its IP header says is no longer for it', async () => {
    const padded = Buffer.concat([captured('out', { from: CAST.client, to: '203.0.113.10' }), Buffer.alloc(20)]);
    const ran = await replayed([{ data: padded }]);
    expect(ran.out[0]?.data.length).toBe(padded.length - 20 + 48);
  });
});

describe('IPv6 in a capture', () => {
  const hopByHop = [0, 'NH00000000000000'] as const;
  const authentication = [51, 'NH04000000000000000000000000000000000000000000'.padEnd(48, '0')] as const;
  const fragment = (offset: number) => [44, `NH00${(offset << 3).toString(16).padStart(4, '0')}00000001`] as const;

  it.each<[string, Buffer, number]>([
    ['a plain header', captured6('out', 'fd77::5', 'fd00::1'), 40 + 8],
    ['extension headers', captured6('out', 'fd77::5', 'fd00::1', [hopByHop, authentication]), 40 + 8 + 24 + 8],
    ['the header of a first fragment', captured6('out', 'fd77::5', 'fd00::1', [fragment(0)]), 40 + 8 + 8],
    ['the header of a later fragment', captured6('out', 'fd77::5', 'fd00::1', [fragment(2)]), 40 + 8],
  ])('is judged by %s where it was cut behind it, and not where it was cut within', async (_, whole, headers) => {
    const lengths = Array.from({ length: headers + 1 }, (_, length) => length);
    const ran = await replayed(lengths.map((length) => ({ data: whole.subarray(0, 14 + length), originalLength: whole.length })));
    expect(verdicts(ran)).toEqual({ cut: headers, 'plain from-pod': 1 });
    expect(ran.out.map(({ data }) => data.length)).toEqual([14 + headers]);
  });

  it.each([LINK_TYPE.rawIpv4, LINK_TYPE.rawIpv6])('and IPv4 may both be in what is written of raw packets (%i)', async (linkType) => {
    const data =
      linkType === LINK_TYPE.rawIpv6
        ? captured6('out', 'fd77::5', 'fd00::1').subarray(14)
        : frame({ from: CAST.client, to: CAST.server }).subarray(14);
    const { out } = await replayed([{ data }], { linkType });
    expect(out).toMatchObject([{ linkType: LINK_TYPE.raw }]);
  });

  it.each<[FamilyForm, number, readonly string[]]>([
    ['6', 68, ['ipv6.src', 'ipv6.dst']],
    ['6-in-4', 48, ['ip.src', 'ip.dst']],
  ])('is wrapped in a bed of form %s as it would be on the wire, and tshark reads that', async (family, overhead, outer) => {
    const bed = walkthroughCast({ prefix: 'replay', family });
    const known = await manifestsOf(bed);
    const [vpn] = podNamed(bed, 'vpn').addresses;
    const data = captured6('out', 'fd77::5', '2001:db8:113::10');
    const ran = await replayed([{ data }], { manifests: known });
    const [instance] = ran.report.selected.map((row) => row.instance);
    expect(bed.pods.filter(({ role }) => role === 'firewall').map(({ address }) => address)).toContain(instance);
    expect(ran.report.selected).toMatchObject([
      { selector: 'vpn-to-firewall', reason: 'steered-source', packets: 1, bytes: data.length - 14 },
    ]);
    expect(ran.out.map((packet) => packet.data.length)).toEqual([data.length + overhead]);
    const [[type, from, to, option, port] = []] = tshark(ran.output, 'eth.type', ...outer, 'geneve.option.class', 'udp.dstport');
    expect([Number(type?.split(',')[0]), from?.split(',')[0], to?.split(',')[0], option, port]).toEqual([
      family === '6' ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4,
      vpn,
      instance,
      '0x0132',
      '7081,80',
    ]);
  });

  it('that was wrapped over IPv4 comes out of it at the function labelled as what it is', async () => {
    const bed = walkthroughCast({ prefix: 'replay', family: '6-in-4' });
    const inner = captured6('in', 'fd77::5', '2001:db8:113::10');
    const [source, destination] = [firewalls[0] ?? '', proxy.address].map((text) => parseAddress(text));
    if (source === undefined || destination === undefined) throw new Error('no address');
    const packet = encapsulate(inner.subarray(14), { source, destination, spi: 2 as Spi, si: 1 as Si, ttl: 63, reply: false, port: 7081 });
    if ('failure' in packet) throw new Error(packet.failure.reason);
    const data = Buffer.concat([inner.subarray(0, 12), Buffer.from('0800', 'hex'), packet]);
    const ran = await replayed([{ data }], { endpoint: `proxy/${proxy.name}`, manifests: await manifestsOf(bed) });
    expect(verdicts(ran)).toEqual({ 'decapsulated to-pod': 1 });
    expect(ran.out.map((one) => Buffer.from(one.data))).toEqual([inner]);
  });

  it('of a pod that has addresses of both families shows which way it goes by either', async () => {
    const text = (manifests[0]?.text ?? '').replace(`podIPs:\n    - ip: ${vpn}`, `podIPs:\n    - ip: ${vpn}\n    - ip: fd44:1::10`);
    const both = [{ file: 'world.yaml', text }, ...manifests.slice(1)];
    const answer = captured6('in', '2001:db8:113::10', 'fd77::5');
    const packets = [answer, captured6('out', 'fd44:1::10', 'fd00::1'), answer, answer];
    // The first packet counts as from the pod, until the second shows who the pod is.
    const ran = await replayed(
      packets.map((data) => ({ data })),
      { manifests: both },
    );
    expect(verdicts(ran)).toEqual({ 'plain from-pod': 2, 'plain to-pod': 2 });
  });
});

describe('a capture at a function', () => {
  const steered = (ttl: number) => {
    const inner = frame({ from: CAST.client, to: '203.0.113.10' }).subarray(14);
    const [source, destination] = [firewalls[0] ?? '', proxy.address].map((text) => parseAddress(text));
    if (source === undefined || destination === undefined) throw new Error('no address');
    const packet = encapsulate(inner, { source, destination, spi: 2 as Spi, si: 1 as Si, ttl, reply: false, port: 7081 });
    if ('failure' in packet) throw new Error(packet.failure.reason);
    return Buffer.concat([Buffer.from([...bytesOfMac(POD_MAC), ...bytesOfMac(HOST_MAC), 8, 0]), packet]);
  };

  it('unwraps what was steered to it, and carries on what it sends', async () => {
    const data = steered(63);
    const out = captured('out', { from: CAST.client, to: '203.0.113.10' });
    const ran = await replayed([{ data }, { data: out }], { endpoint: `proxy/${proxy.name}` });
    expect(verdicts(ran)).toEqual({ 'decapsulated to-pod': 1, 'left-cluster from-pod': 1 });
    expect(ran.out.map(({ data }) => data.length)).toEqual([data.length - 48, out.length]);
    expect(ran.report.selected).toEqual([]);
  });

  it('drops what it must, under its reason', async () => {
    expect(verdicts(await replayed([{ data: steered(0) }], { endpoint: `proxy/${proxy.name}` }))).toEqual({ 'nsh-ttl to-pod': 1 });
  });

  it('cannot say anything of a tunnelled packet whose inner headers were cut off', async () => {
    const data = steered(63);
    const cutAt = async (length: number) =>
      verdicts(await replayed([{ data: data.subarray(0, 14 + length), originalLength: data.length }], { endpoint: `proxy/${proxy.name}` }));
    expect(await cutAt(48 + 28)).toEqual({ 'decapsulated to-pod': 1 });
    for (const length of [48 + 27, 48 + 19, 48, 47, 36, 35, 28, 27]) expect(await cutAt(length), `${length} bytes`).toEqual({ cut: 1 });
  });
});

describe('what cannot be replayed', () => {
  const prepare = (endpoint: string, files: readonly ManifestFile[] = manifests) =>
    prepareReplay({ manifests: files, endpoint, allocations: undefined, serviceCidr: '10.96.0.0/16' });

  it('a pod that is not there is told with those that are', async () => {
    await expect(prepare('vpn/vpm')).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('vpn/vpn') });
  });

  it('a pod that cannot be steered is told why', async () => {
    const text = (manifests[0]?.text ?? '').replaceAll('phase: Running', 'phase: Succeeded');
    await expect(prepare('firewall/firewall-1', [{ file: 'world.yaml', text }])).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('status.podIPs'),
    });
  });

  it('manifests with an error are not replayed: the policy would be another', async () => {
    const { node, problems } = await prepare('vpn/vpn', [
      ...manifests,
      { file: 'bad.yaml', text: 'apiVersion: networking.gke.io/v1\nkind: TrafficSelector\n' },
    ]);
    expect(node).toBeUndefined();
    expect(problems.some(({ severity, file }) => severity === 'error' && file === 'bad.yaml')).toBe(true);
  });

  it('a file that ends in the middle of a record reports what came before, then says so', async () => {
    const { node } = await prepare('vpn/vpn');
    if (node === undefined) throw new Error('the manifests are wrong');
    const file = join(directory, 'cut.pcap');
    const packet = frame({ from: CAST.client, to: '203.0.113.10' });
    const whole = writePcap(
      LINK_TYPE.ethernet,
      [1, 2].map(() => ({ data: packet, originalLength: packet.length, timestamp: 0 })),
    );
    await writeFile(file, whole.subarray(0, whole.length - 1));
    const output = join(directory, 'cut-out.pcap');
    const ran = await runReplay({ node, file, output, port: 7081, ways: 'auto' });
    expect(ran.report.packets).toBe(1);
    expect(ran.failure).toMatchObject({ code: 'CAPTURE_INVALID', message: expect.stringContaining('truncated') });
    expect(await readCapture(output)).toHaveLength(1);
  });

  it('the capture itself is not written over, a directory that is not there not into, and nothing is made of no capture', async () => {
    const { node } = await prepare('vpn/vpn');
    if (node === undefined) throw new Error('the manifests are wrong');
    const file = join(directory, 'one.pcap');
    await writeFile(file, writePcap(LINK_TYPE.ethernet, []));
    const run = (input: string, output: string) => runReplay({ node, file: input, output, port: 7081, ways: 'auto' });
    await expect(run(file, join(directory, '..', directory.split('/').at(-1) ?? '', 'one.pcap'))).rejects.toMatchObject({ code: 'USAGE' });
    expect((await stat(file)).size).toBe(24);
    await expect(run(file, join(directory, 'none', 'out.pcap'))).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    const untouched = join(directory, 'untouched.pcap');
    await expect(run(join(directory, 'manifests', 'world.yaml'), untouched)).rejects.toMatchObject({ code: 'CAPTURE_INVALID' });
    await expect(run(join(directory, 'none.pcap'), untouched)).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    await expect(stat(untouched)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
