/**
 * One pod selected for two chains by port, and one function's pods in both: real requests to both ports, on
 * each datapath. The server answers the clients itself, so that replies find their chain by the flow alone.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../demo/cluster.js';
import type { Manifest } from '../demo/manifests.js';
import { recordTraffic } from '../demo/record.js';
import { SHOWS } from '../demo/shows.js';
import { buildTestbed, type Role, type Testbed } from '../demo/testbed/index.js';
import { judgeWay } from '../demo/way.js';

const WEB: readonly Role[] = ['firewall', 'inspector'];
const MAIL: readonly Role[] = ['inspector'];
const PORTS = { web: 8080, mail: 2525 } as const;

const labels = (key: string, value: string) => ({ matchLabels: { [key]: value } });

function steered(name: keyof typeof PORTS, functions: readonly Role[]): readonly Manifest[] {
  const port = PORTS[name];
  return [
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name },
      spec: { serviceFunctions: functions.map((role) => ({ name: role, namespace: role, podSelector: labels('app', role) })) },
    },
    {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name: `vpn-to-${name}` },
      spec: {
        serviceFunctionChain: name,
        subject: { pods: { namespaceSelector: labels('kubernetes.io/metadata.name', 'vpn'), podSelector: labels('app', 'vpn') } },
        egress: {
          to: { ipBlock: { cidr: '0.0.0.0/0' } },
          ports: (['TCP', 'UDP'] as const).map((protocol) => ({ portNumber: { protocol, port } })),
        },
      },
    },
  ];
}

describe.each(['kernel', 'userspace'])('two chains over one pod on the %s datapath', (datapath) => {
  const bed = SHOWS.reply.bed(`sfct${datapath[0]}${process.pid}`);
  let testbed: Testbed;
  let cluster: Cluster;

  beforeAll(async () => {
    testbed = await buildTestbed(bed);
    const policy = [...steered('web', WEB), ...steered('mail', MAIL)];
    cluster = await startCluster(testbed, { policy, flags: ['--datapath', datapath], expected: () => ({ sfcpath: 3 }) });
    await cluster.ready();
  }, 120_000);

  afterAll(async () => {
    await cluster?.stop();
    await testbed?.teardown();
  }, 60_000);

  it.each([
    ['web', WEB],
    ['mail', MAIL],
  ] as const)(
    'takes requests to the port of %s through its chain, and their replies back',
    async (name, chain) => {
      const { points, results, faults } = await recordTraffic(testbed, { requests: 10, port: PORTS[name] });
      const verdict = judgeWay(points, results, chain);
      expect([...faults, ...verdict.faults]).toEqual([]);
      for (const transport of ['tcp', 'udp'] as const)
        expect(verdict.totals[transport]).toEqual({ sent: 10, answered: 10, inOrder: 10, inReverse: 10, unsteered: 0 });
    },
    60_000,
  );
});
