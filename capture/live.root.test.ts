/** The real tcpdump in a real namespace. Needs root. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blueprint, buildTestbed, podNamed, sendRequests, startEchoServer, type Testbed } from '../demo/testbed/index.js';
import { LINK_TYPE, liveCapture, readCapture } from './index.js';

const bed = blueprint({
  prefix: `sfcc${process.pid}`,
  nodes: ['routed'],
  pods: [{ name: 'talker', podNamespace: 'default', role: 'plain', node: 1 }],
});
const talker = podNamed(bed, 'talker');

describe('a live capture', () => {
  let testbed: Testbed;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    await startEchoServer(bed);
  }, 30_000);

  afterAll(async () => {
    await testbed?.teardown();
  });

  it('has every packet from the moment it began to the moment it was stopped, and no other', async () => {
    const file = `${bed.directory}/talker.pcap`;
    const capture = await liveCapture({ namespace: talker.namespace, interface: 'eth0', filter: 'udp port 9000', file });
    const ids = Array.from({ length: 30 }, (_, index) => `live-${index}`);
    await sendRequests(bed, { transport: 'udp', ids, from: { namespace: talker.namespace, addresses: [talker.address] } });
    await sendRequests(bed, {
      transport: 'tcp',
      ids: ['filtered-away'],
      from: { namespace: talker.namespace, addresses: [talker.address] },
    });
    const statistics = await capture.stop();
    expect(statistics).toEqual({ captured: 60, received: 60, dropped: 0 });
    expect(await capture.stop()).toEqual(statistics);
    const packets = await readCapture(file);
    expect(packets).toHaveLength(60);
    expect(packets.every(({ linkType }) => linkType === LINK_TYPE.ethernet)).toBe(true);
    const text = packets.map(({ data }) => Buffer.from(data).toString('latin1'));
    for (const id of ids) expect(text.filter((packet) => packet.includes(` ${id} `))).toHaveLength(2);
  });

  it.each([
    ['an interface that is not there', { interface: 'eth9' }, 'eth9'],
    ['a filter that is none', { interface: 'eth0', filter: 'udp udp' }, 'syntax error'],
  ])("fails in tcpdump's words for %s", async (_, options, words) => {
    const starting = liveCapture({ namespace: talker.namespace, file: `${bed.directory}/none.pcap`, ...options });
    await expect(starting).rejects.toMatchObject({ code: 'COMMAND_FAILED', message: expect.stringContaining(words) });
  });

  it('says so when tcpdump ended before it was stopped', async () => {
    const capture = await liveCapture({ namespace: talker.namespace, interface: 'eth0', file: `${bed.directory}/killed.pcap` });
    process.kill(capture.pid, 'SIGKILL');
    await expect(capture.stop()).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  });
});
