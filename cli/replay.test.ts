/** `sfc replay` as it is typed. What the pipeline makes of packets is for replay/replay.test.ts. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { writePcap } from '../capture/index.js';
import { CAST, frame } from '../datapath/cast.js';
import { writeManifests } from '../demo/manifests.js';
import { walkthroughCast } from '../demo/testbed/index.js';
import { typed } from './fake-terminal.js';

let directory: string;
let line: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sfc-replay-cli-'));
  const manifests = join(directory, 'manifests');
  await writeManifests(walkthroughCast({ prefix: 'replay' }), manifests);
  const packet = (to: string) => frame({ from: CAST.client, to, destinationPort: to === CAST.server ? 80 : 7081 });
  const packets = [CAST.server, CAST.server, CAST.proxy].map((to) => {
    const data = packet(to);
    return { data, originalLength: data.length, timestamp: 0 };
  });
  const file = writePcap(1, packets);
  writeFileSync(join(directory, 'in.pcap'), file);
  writeFileSync(join(directory, 'cut.pcap'), file.subarray(0, file.length - 1));
  line = `replay ${join(directory, 'in.pcap')} --manifests ${manifests} --endpoint vpn/vpn`;
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('sfc replay', () => {
  it('prints what was steered where, what dropped, and what the manifests should say better', async () => {
    const { exit, out, err } = await typed(`${line} -w ${directory}/out.pcap`);
    expect(exit).toBe(0);
    expect(out).toMatch(/in\.pcap: 3 packets at vpn\/vpn on node1\n\nSELECTOR +CHAIN +PATH +INSTANCE +REASON +PACKETS +BYTES\n/);
    expect(out).toMatch(/vpn-to-firewall +firewall +\(1, 1\) +10\.244\.2\.\d+ +steered-source +2 +66\n/);
    expect(out).toMatch(/DROPPED +spoofed-encap +from-pod +1 +33 +UDP to the steering port/);
    expect(out).toMatch(/out\.pcap: 2 packets as they would be on the wire\n$/);
    expect(err).toMatch(/warning: TrafficSelector\/firewall-to-proxy .*read as matchLabels/);
  });

  it.each([
    ['json', (text: string) => JSON.parse(text)],
    ['yaml', (text: string) => parse(text)],
  ])('prints the same as %s', async (format, read) => {
    const { exit, out } = await typed(`${line} -o ${format}`);
    expect(exit).toBe(0);
    expect(read(out)).toMatchObject({
      endpoint: 'vpn/vpn',
      packets: 3,
      written: 0,
      selected: [{ selector: 'vpn-to-firewall', packets: 2 }],
      verdicts: [{ reason: 'steered-source' }, { reason: 'spoofed-encap', verdict: 'dropped' }],
    });
  });

  it('shows on a terminal how far it is, and leaves nothing of that', async () => {
    const { err } = await typed(line, { isTTY: true });
    const takesTheLine = '\r\u001b[K';
    expect(err.split(takesTheLine)[1]).toMatch(/^[█·]{30} +\d+% {2}\d+ packets?/);
    expect(err.endsWith(takesTheLine)).toBe(true);
    expect((await typed(line)).err).not.toContain('\r');
  });

  it('reports what it could read of a broken capture, and says what broke it', async () => {
    const { exit, out, err } = await typed(line.replace('in.pcap', 'cut.pcap'));
    expect(exit).toBe(65);
    expect(out).toContain('cut.pcap: 2 packets at vpn/vpn');
    expect(err).toMatch(/sfc: CAPTURE_INVALID: .*cut\.pcap: at byte \d+: truncated/);
  });

  it('does not replay what the manifests do not say', async () => {
    writeFileSync(join(directory, 'bad.yaml'), 'kind: [');
    const { exit, out, err } = await typed(`${line} -m ${directory}/bad.yaml`);
    expect([exit, out]).toEqual([65, '']);
    expect(err).toMatch(/bad\.yaml:\d+: error: /);
  });

  it.each([
    ['-m . -e a/b', 64, /missing required argument 'capture'/],
    ['x.pcap', 64, /required option '-m, --manifests <path>' not specified/],
    ['x.pcap -m . -e vpn', 64, /It must be NAMESPACE\/POD\./],
    ['x.pcap -m . -e a/b --port 70000', 64, /It must be a port, 1 to 65535\./],
    ['x.pcap -m . -e a/b -d sideways', 64, /Allowed choices are auto, from-pod, to-pod\./],
    ['x.pcap -m /nowhere -e a/b', 66, /INPUT_UNREADABLE: \/nowhere: no such file or directory/],
  ])('`sfc replay %s` is exit %d with a word of help', async (rest, code, expected) => {
    const { exit, out, err } = await typed(`replay ${rest}`);
    expect([exit, out]).toEqual([code, '']);
    expect(err).toMatch(expected);
  });

  it('names what is wrong with files that are there', async () => {
    const missing = await typed(line.replace('in.pcap', 'none.pcap'));
    expect([missing.exit, missing.err]).toEqual([66, expect.stringMatching(/INPUT_UNREADABLE: .*none\.pcap/)]);
    const pod = await typed(line.replace('vpn/vpn', 'vpn/vpm'));
    expect([pod.exit, pod.err]).toEqual([66, expect.stringContaining('there are firewall/firewall-1')]);
    const cidr = await typed(`${line} --service-cidr 10.0.0.0/40`);
    expect([cidr.exit, cidr.err]).toEqual([64, expect.stringContaining('serviceCidr 10.0.0.0/40')]);
    const allocations = await typed(`${line} --allocations ${directory}/none.json`);
    expect([allocations.exit, allocations.err]).toEqual([74, expect.stringContaining('none.json')]);
  });
});
