/**
 * The testbed without any steering: whatever a later test sees change is then the datapath's doing.
 * Needs root: it makes network namespaces.
 */

import { existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Attachment,
  addressIn,
  blueprint,
  buildTestbed,
  cleanLeftovers,
  type EchoServer,
  FAMILY_FORMS,
  type FamilyForm,
  familyOf,
  inFamily,
  inNamespace,
  iperf,
  nodeNamed,
  type PodBlueprint,
  podNamed,
  recognise,
  SCHEMES,
  sendRaw,
  sendRequests,
  startEchoServer,
  startInNamespace,
  TERMS,
  type Testbed,
  walkthroughCast,
} from '../demo/testbed/index.js';
import { datagram } from './datagram.js';

const prefix = `sfct${process.pid}`;

describe('a blueprint', () => {
  it('is the same for the same options', () => {
    expect(walkthroughCast({ prefix: 'a-b' })).toEqual(walkthroughCast({ prefix: 'a-b' }));
  });

  it.each(FAMILY_FORMS)('of form %s gives no two pods one address, one namespace or one interface name', (family) => {
    const { pods } = walkthroughCast({ prefix: 'a-b', family });
    const addresses = pods.flatMap((pod) => pod.addresses);
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const field of ['address', 'namespace', 'hostInterface'] as const) {
      expect(new Set(pods.map((pod) => pod[field])).size).toBe(pods.length);
    }
  });

  it.each(['', 'A', 'a/b', '../x', 'a b', '-a'])('refuses the prefix %j', (bad) => {
    expect(() => walkthroughCast({ prefix: bad })).toThrow(RangeError);
  });

  it('refuses a pod on a node that does not exist', () => {
    const pods = [{ name: 'p', podNamespace: 'n', role: 'plain', node: 2 }] as const;
    expect(() => blueprint({ prefix: 'ab', nodes: ['routed'], pods })).toThrow('there is no node 2');
  });
});

describe('what packets say', () => {
  it('is recognised in requests and replies, and in nothing else', () => {
    expect(recognise('request tcp-1 .\n')).toEqual({ kind: 'request', id: 'tcp-1' });
    expect(recognise('reply tcp-1 10.0.0.1 9 .\n')).toEqual({ kind: 'reply', id: 'tcp-1' });
    expect(recognise('')).toBeUndefined();
    expect(recognise('requests are many')).toBeUndefined();
  });
});

describe.each<[Attachment, FamilyForm]>([
  ['routed', '4'],
  ['bridged', '4'],
  ['routed', '6'],
  ['bridged', 'dual'],
])('with %s pods of form %s and no steering', (attachment, family) => {
  const bed = walkthroughCast({ prefix: `${prefix}-${attachment}`, nodes: [attachment, attachment, attachment], clients: 2, family });
  const vpn = podNamed(bed, 'vpn');
  const asked = bed.server.addressing.map((server) => ({ ...server, port: bed.server.port }));
  const speaks = bed.families.traffic;
  let testbed: Testbed;
  let server: EchoServer;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    server = await startEchoServer(bed);
  }, 60_000);

  afterAll(async () => {
    await testbed?.teardown();
  });

  it.each(['tcp', 'udp'] as const)('a pod reaches the server over %s with its own address', async (transport) => {
    for (const to of asked) {
      for (const pod of bed.pods) {
        const [result] = await sendRequests(bed, { transport, ids: [`${transport}-${pod.name}`], from: pod, to });
        expect(result).toMatchObject({ answered: true, seenAs: addressIn(pod, to.family) });
      }
    }
  });

  it('a pod reaches pods of its own node and of another', async () => {
    const target = { ...podNamed(bed, 'firewall-1'), port: 9100 };
    const echo = await startEchoServer(bed, target);
    for (const address of target.addresses) {
      for (const name of ['firewall-3', 'proxy-2', 'vpn', 'firewall-2']) {
        const pod = podNamed(bed, name);
        const [result] = await sendRequests(bed, { transport: 'udp', ids: [`hello-${name}`], from: pod, to: { ...target, address } });
        expect(result).toMatchObject({ answered: true, seenAs: addressIn(pod, familyOf(address)) });
      }
    }
    await echo.stop();
  });

  it.each(['tcp', 'udp'] as const)(
    "a client's %s request passes the vpn pod and gets no answer: the server has no way back",
    async (transport) => {
      for (const to of asked) {
        const client = SCHEMES[to.family].client(10);
        const before = server.seen.length;
        const [result] = await sendRequests(bed, { transport, ids: [`lost-${transport}`], to, timeout: 700 });
        expect(result).toMatchObject({ answered: false, source: client });
        const seen = server.seen.slice(before);
        // Over UDP the request itself arrives, unmasked; over TCP not even the handshake ends.
        expect(seen.map((request) => request.peer)).toEqual(transport === 'udp' ? [client] : []);
        const route = await inNamespace(bed.server.namespace, ['ip', 'route', 'get', client], { accept: [0, 2] });
        expect(route.stderr).toContain('unreachable');
      }
    },
  );

  it('the vpn pod forwards for its clients to other pods', async () => {
    // firewall-1 has a default route only, so its answer to a client ends on its node: the request still arrives.
    const target = { ...podNamed(bed, 'firewall-1'), port: 9101 };
    const echo = await startEchoServer(bed, target);
    for (const family of speaks)
      await sendRequests(bed, { transport: 'udp', ids: ['inside'], to: { ...target, address: addressIn(target, family) }, timeout: 300 });
    expect(echo.seen).toMatchObject(speaks.map((family) => ({ id: 'inside', peer: SCHEMES[family].client(10) })));
    await echo.stop();
  });

  it.each(speaks)('a proxy masks what it forwards of IPv%i, and its replies find the client', async (family) => {
    // A route through a proxy, as a pod that steers by hand would set it: node1 to proxy-1, for the clients only.
    const { clients, routedGateway } = SCHEMES[family];
    const proxy = podNamed(bed, 'proxy-1');
    const node = nodeNamed(bed, 'node1');
    const to = inFamily(asked, family);
    const ip = (namespace: string, ...args: string[]) => inNamespace(namespace, ['ip', family === 6 ? '-6' : '-4', ...args]);
    const via = (pod: PodBlueprint) =>
      attachment === 'routed' ? ['via', addressIn(pod, family), 'dev', pod.hostInterface, 'onlink'] : ['via', addressIn(pod, family)];
    await ip(node.namespace, 'route', 'add', `${to.address}/${TERMS[family].bits}`, ...via(proxy), 'table', '77');
    await ip(node.namespace, 'rule', 'add', 'from', clients, 'lookup', '77');
    const gateway = attachment === 'routed' ? routedGateway : inFamily(node.addressing, family).gateway;
    await ip(proxy.namespace, 'route', 'add', clients, 'via', gateway, 'dev', 'eth0');
    await ip(node.namespace, 'route', 'add', clients, ...via(vpn));
    const results = await sendRequests(bed, { transport: 'tcp', ids: ['masked-1', 'masked-2'], to });
    expect(results).toMatchObject(
      [10, 11].map((client) => ({ answered: true, source: SCHEMES[family].client(client), seenAs: addressIn(proxy, family) })),
    );
  });

  it('carries bulk TCP between a pod and the server', async () => {
    for (const { family, address } of asked) {
      const from = { namespace: vpn.namespace, address: addressIn(vpn, family) };
      const result = await iperf({ from, to: { namespace: bed.server.namespace, address }, seconds: 1 });
      expect(result.bytes).toBeGreaterThan(1_000_000);
    }
  }, 30_000);

  it('sends packets as they were made, headers and all', async () => {
    for (const to of asked) {
      const before = server.seen.length;
      const from = addressIn(vpn, to.family);
      await sendRaw(vpn.namespace, [{ destination: to.address, bytes: datagram(from, to, 'request by-hand .\n') }]);
      await expect.poll(() => server.seen.length, { timeout: 10_000 }).toBe(before + 1);
      expect(server.seen.at(-1)).toEqual({ transport: 'udp', id: 'by-hand', peer: from, peerPort: 4000 });
    }
  });

  it('gives pods an MTU of 1500 and the links between them 68 bytes more at the least', async () => {
    const mtu = async (namespace: string, link: string): Promise<number> => {
      const { stdout } = await inNamespace(namespace, ['ip', '-json', 'link', 'show', 'dev', link]);
      return (JSON.parse(stdout) as { mtu: number }[])[0]?.mtu ?? 0;
    };
    expect(await mtu(vpn.namespace, 'eth0')).toBe(1500);
    const node = bed.nodes[0]?.namespace ?? '';
    for (const link of [vpn.hostInterface, 'eth0', ...(attachment === 'bridged' ? ['cni0'] : [])])
      expect(await mtu(node, link)).toBeGreaterThanOrEqual(1568);
    expect(await mtu(bed.fabric.namespace, bed.fabric.bridge)).toBeGreaterThanOrEqual(1568);
  });
});

describe('taking a testbed away', () => {
  const bed = blueprint({
    prefix: `${prefix}-gone`,
    nodes: ['routed'],
    pods: [{ name: 'alone', podNamespace: 'default', role: 'plain', node: 1 }],
  });
  const left = () => readdirSync('/run/netns').filter((name) => name.startsWith(`${bed.prefix}-`));

  it('ends its processes, unmounts and removes everything, twice over', async () => {
    const testbed = await buildTestbed(bed);
    const sleeper = startInNamespace(podNamed(bed, 'alone').namespace, ['sleep', '600']);
    await inNamespace(podNamed(bed, 'alone').namespace, ['mkdir', '-p', `${bed.directory}/node1/maps`]);
    await inNamespace(podNamed(bed, 'alone').namespace, ['mount', '-t', 'tmpfs', 'none', `${bed.directory}/node1/maps`]);
    await testbed.teardown();
    expect((await sleeper.ended).signal).toBe('SIGTERM');
    expect(left()).toEqual([]);
    expect(existsSync(bed.directory)).toBe(false);
    await testbed.teardown();
  }, 30_000);

  it('finds what a killed run left, ends what does not listen to SIGTERM, and leaves other prefixes alone', async () => {
    await buildTestbed(bed);
    const other = await buildTestbed(blueprint({ ...bed, prefix: `${prefix}-stays`, nodes: ['routed'], pods: [] }));
    const deaf = startInNamespace(podNamed(bed, 'alone').namespace, ['bash', '-c', 'trap "" TERM; echo deaf; while :; do sleep 1; done'], {
      stdout: 'pipe',
    });
    await new Promise((resolve) => deaf.child.stdout?.once('data', resolve));
    const cleaned = await cleanLeftovers(bed.prefix);
    expect(cleaned.processes).toContain(deaf.pid);
    expect((await deaf.ended).signal).toBe('SIGKILL');
    expect(left()).toEqual([]);
    expect(readdirSync('/run/netns')).toContain(`${prefix}-stays-node1`);
    await other.teardown();
    expect(await cleanLeftovers(bed.prefix)).toEqual({ namespaces: [], processes: [], mounts: [] });
  }, 30_000);

  it('is built again over what a killed run left', async () => {
    await buildTestbed(bed);
    const again = await buildTestbed(bed);
    expect(left()).toHaveLength(4);
    await again.teardown();
  }, 30_000);
});
