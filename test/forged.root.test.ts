/**
 * Forged steering packets on the real datapath. The stories: a pod that wraps packets itself, to get
 * them into a function under a path and a source of its choosing; and a machine outside the cluster
 * that sends steering packets to a function's pod. Neither gets anything into the function; a packet
 * that the datapath would have wrapped itself, sent from a peer's address, does.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeFrame, type LiveCapture, liveCapture, readCapture } from '../capture/index.js';
import { type Cluster, startCluster } from '../demo/cluster.js';
import {
  buildTestbed,
  type FamilyForm,
  nodeNamed,
  podNamed,
  SCHEMES,
  sendRaw,
  type Testbed,
  walkthroughCast,
} from '../demo/testbed/index.js';
import { encapsulate, type IpAddress, NSH_TTL_CLASSIFIER, parseAddress, type Si, type Spi } from '../geneve/index.js';
import { datagram } from './datagram.js';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

describe.each<FamilyForm>(['4', '6'])('a forged steering packet, in a bed of form %s', (family) => {
  const bed = walkthroughCast({ prefix: `sfcf${process.pid}`, family });
  const client = SCHEMES[bed.server.family].client(99);
  const firewall = podNamed(bed, 'firewall-2');
  let testbed: Testbed;
  let cluster: Cluster;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    cluster = await startCluster(testbed);
    await cluster.ready();
  }, 120_000);

  afterAll(async () => {
    await testbed?.teardown();
  }, 30_000);

  /** A datagram for the server, wrapped for the firewall as the datapath would. */
  function forged(source: string, payload: string): Uint8Array {
    const inner = datagram(client, bed.server, payload);
    const wrapped = encapsulate(inner, {
      source: address(source),
      destination: address(firewall.address),
      spi: 1 as Spi,
      si: 1 as Si,
      ttl: NSH_TTL_CLASSIFIER,
      reply: false,
    });
    if ('failure' in wrapped) throw new Error('the forger made a mistake');
    return wrapped;
  }

  async function dropped(node: string, reason: string): Promise<number> {
    const { counters } = await cluster.status(node);
    return counters.filter((counter) => counter.reason === reason).reduce((sum, { packets }) => sum + packets, 0);
  }

  /** Sends from a namespace; tells what the firewall's pod saw, once `arrived` says that all is through. */
  async function seenByFirewall(namespace: string, bytes: Uint8Array, arrived: () => Promise<boolean>): Promise<string[]> {
    const file = join(bed.directory, 'forged.pcap');
    const capture: LiveCapture = await liveCapture({ namespace: firewall.namespace, interface: 'eth0', filter: 'udp', file });
    await sendRaw(namespace, [{ destination: firewall.address, bytes }]);
    await expect.poll(arrived, { timeout: 10_000 }).toBe(true);
    await capture.stop();
    return (await readCapture(file)).flatMap((packet) => {
      const seen = decodeFrame(packet);
      return seen === undefined ? [] : [seen.source];
    });
  }

  it('of a pod is dropped where the pod sits', async () => {
    const vpn = podNamed(bed, 'vpn');
    const before = await dropped('node1', 'spoofed-encap');
    const seen = await seenByFirewall(
      vpn.namespace,
      forged(vpn.address, 'from a pod'),
      async () => (await dropped('node1', 'spoofed-encap')) === before + 1,
    );
    expect(seen).toEqual([]);
  });

  it('from outside the cluster is dropped in front of the function', async () => {
    const before = await dropped(firewall.node, 'not-a-peer');
    const seen = await seenByFirewall(
      bed.server.namespace,
      forged(bed.server.fabricAddress, 'from outside'),
      async () => (await dropped(firewall.node, 'not-a-peer')) === before + 1,
    );
    expect(seen).toEqual([]);
  });

  it('would have arrived unwrapped, had a node sent it for one of its pods', async () => {
    const before = await dropped(firewall.node, 'decapsulated');
    const seen = await seenByFirewall(
      nodeNamed(bed, 'node1').namespace,
      forged(podNamed(bed, 'vpn').address, 'from a node'),
      async () => (await dropped(firewall.node, 'decapsulated')) > before,
    );
    expect(seen).toContain(client);
  });
});
