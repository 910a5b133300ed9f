/** The cluster itself, before anything of ours runs on it: whatever a later test sees fail is then ours. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT } from '../../demo/project.js';
import { run, SCHEMES } from '../../demo/testbed/index.js';
import {
  apply,
  type Cluster,
  type ClusterOptions,
  numbersOf,
  type PodFacts,
  podsOf,
  startCluster,
  testPlace,
  toolsDaemonSet,
  toolsPod,
  until,
} from './index.js';

const { name, directory } = await testPlace();
const RING = ['n1', 'n2', 'n3'];

/** Everything that could stay behind. */
function leftovers() {
  const processes = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  const tells = (file: string) => {
    try {
      return readFileSync(file, 'utf8').includes(`${directory}/`);
    } catch {
      return false;
    }
  };
  const cgroups = readdirSync('/sys/fs/cgroup').flatMap((one) => readdirSync(join('/sys/fs/cgroup', one)).map((below) => join(one, below)));
  return {
    commands: processes.filter((pid) => tells(`/proc/${pid}/cmdline`)),
    mounts: processes.filter((pid) => tells(`/proc/${pid}/mountinfo`)),
    namespaces: readdirSync('/run/netns').filter((one) => one.startsWith(`${name}-`)),
    cgroups: cgroups.filter((one) => one.includes(`/${name}-`)),
    files: existsSync(directory),
  };
}
const NOTHING = { commands: [], mounts: [], namespaces: [], cgroups: [], files: false };

/** A web server on every node that tells the name of its pod, and a Service before them. */
async function serve({ kubectl }: Cluster, families: 'SingleStack' | 'RequireDualStack'): Promise<PodFacts[]> {
  const answer = "require('http').createServer((q, a) => a.end(require('os').hostname())).listen(80, '::')";
  await apply(
    kubectl,
    toolsDaemonSet({
      name: 'web',
      command: ['node', '-e', answer],
      container: { readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 } },
    }),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      spec: { ipFamilyPolicy: families, selector: { app: 'web' }, ports: [{ port: 80 }] },
    },
  );
  await kubectl(['rollout', 'status', 'daemonset/web', '--timeout=90s'], { timeout: 100_000 });
  return podsOf(kubectl, 'app=web');
}

const literal = (address: string): string => (address.includes(':') ? `[${address}]` : address);
const curl = ({ kubectl }: Cluster, from: string, address: string) =>
  kubectl(['exec', from, '--', 'curl', '-gsS', '--max-time', '5', `http://${literal(address)}/`]);

/** Every pod gets at every other one, by each of its addresses. */
async function expectFullMesh(cluster: Cluster, pods: readonly PodFacts[]): Promise<void> {
  for (const from of pods)
    for (const to of pods) for (const address of to.addresses) expect(await curl(cluster, from.name, address)).toBe(to.name);
}

/** Each address of the Service leads to all of its pods in the end. */
async function expectService(cluster: Cluster, from: string, pods: readonly PodFacts[]): Promise<void> {
  const addresses = JSON.parse(await cluster.kubectl(['get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIPs}'])) as string[];
  for (const address of addresses) {
    const seen = new Set<string>();
    await until(
      async () => {
        seen.add(await curl(cluster, from, address).catch(() => ''));
        return pods.every((pod) => seen.has(pod.name)) ? true : undefined;
      },
      () => new Error(`by ${address} only ${[...seen].join(', ')}`),
      { withinMs: 30_000 },
    );
  }
}

describe('a cluster with the bridge plugin', () => {
  let cluster: Cluster;
  let pods: PodFacts[];

  beforeAll(async () => {
    // A start that is killed half way, when its first node is there: the next one is none the worse for it.
    const program = [join(PROJECT, 'dist/test/kube/main.js'), '--name', name, '--directory', directory];
    const killed = spawn('node', [...program, 'up', '--nodes', '1']);
    await until(
      async () => existsSync(`${directory}/n1/pid`) || undefined,
      () => new Error('no node'),
    );
    // Nobody takes it away under its harness.
    await expect(run(['node', ...program, 'down'])).rejects.toThrow(`process ${killed.pid} is at work`);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(leftovers().namespaces).not.toEqual([]);
    cluster = await startCluster({ name, directory });
    pods = await serve(cluster, 'SingleStack');
  }, 240_000);
  afterAll(() => cluster?.stop());

  it('has nodes whose pods have the addresses of their number', () => {
    expect(pods.map(({ node }) => node)).toEqual(RING);
    for (const [index, { addresses }] of pods.entries()) expect(addresses[0]).toMatch(new RegExp(`^10\\.244\\.${index + 1}\\.`));
  });

  it('lets pods reach each other, themselves and all of a Service', async () => {
    await expectFullMesh(cluster, pods);
    await expectService(cluster, pods[0]?.name ?? '', pods);
  });

  it('lets a pod reach the outside with its own address', async () => {
    const [pod] = pods;
    let seen = '';
    const watch = cluster.outside.run(['timeout', '20', 'tcpdump', '-nli', 'eth0', '-c', '1', 'icmp[icmptype] == icmp-echo']);
    void watch.then(({ stdout }) => {
      seen = stdout;
    });
    await until(
      async () => {
        await cluster.kubectl(['exec', pod?.name ?? '', '--', 'ping', '-c', '1', '-W', '1', SCHEMES[4].server]);
        return seen === '' ? undefined : true;
      },
      () => new Error('the outside has seen no request'),
    );
    await watch;
    expect(seen).toContain(`${pod?.addresses[0]} > ${SCHEMES[4].server}`);
  });

  it.each([false, true])('lets a pod ask the API server as its service account, hostNetwork: %s', async (hostNetwork) => {
    const { kubectl } = cluster;
    const files = '/var/run/secrets/kubernetes.io/serviceaccount';
    const ask = `curl -sS --cacert ${files}/ca.crt -H "Authorization: Bearer $(cat ${files}/token)" https://$KUBERNETES_SERVICE_HOST/apis/authentication.k8s.io/v1/selfsubjectreviews -X POST -H 'Content-Type: application/json' -d '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}'`;
    await apply(kubectl, toolsPod({ name: 'asks', pod: { nodeName: 'n2', hostNetwork } }));
    await kubectl(['wait', '--for=condition=Ready', 'pod/asks', '--timeout=60s']);
    const { userInfo } = JSON.parse(await kubectl(['exec', 'asks', '--', 'sh', '-c', ask])).status;
    expect(userInfo.username).toBe('system:serviceaccount:default:default');
    // By this claim a service account of a DaemonSet may be held to its own node.
    expect(userInfo.extra['authentication.kubernetes.io/node-name']).toEqual(['n2']);
    await kubectl(['delete', 'pod', 'asks']);
  });

  it('gives each node a /sys/fs/bpf of its own, whose pins outlive the pod that made them', async () => {
    const { kubectl } = cluster;
    const volume = { volumes: [{ name: 'bpf', hostPath: { path: '/sys/fs/bpf' } }] };
    const container = {
      securityContext: { capabilities: { add: ['BPF', 'NET_ADMIN', 'SYS_ADMIN'] } },
      volumeMounts: [{ name: 'bpf', mountPath: '/sys/fs/bpf' }],
    };
    const pinner = (of: string, nodeName: string) => toolsPod({ name: of, pod: { nodeName, ...volume }, container });
    const exec = (of: string, ...argv: readonly string[]) => kubectl(['exec', of, '--', ...argv]);
    await apply(kubectl, pinner('pins', 'n1'), pinner('other', 'n2'));
    await kubectl(['wait', '--for=condition=Ready', 'pod/pins', 'pod/other', '--timeout=60s']);
    const map = ['type', 'hash', 'key', '4', 'value', '4', 'entries', '1', 'name', 'kept'];
    await exec('pins', 'bpftool', 'map', 'create', '/sys/fs/bpf/kept', ...map);
    await kubectl(['delete', 'pod', 'pins']);
    await apply(kubectl, pinner('pins', 'n1'));
    await kubectl(['wait', '--for=condition=Ready', 'pod/pins', '--timeout=60s']);
    expect(await exec('pins', 'ls', '/sys/fs/bpf')).toContain('kept');
    expect(await exec('other', 'ls', '/sys/fs/bpf')).not.toContain('kept');
    await kubectl(['delete', 'pod', 'pins', 'other']);
  });

  it('keeps logs and lets commands run in pods', async () => {
    await apply(cluster.kubectl, toolsPod({ name: 'says', command: ['sh', '-c', 'echo said; exec sleep infinity'] }));
    await cluster.kubectl(['wait', '--for=condition=Ready', 'pod/says', '--timeout=60s']);
    expect(await cluster.kubectl(['logs', 'says'])).toBe('said\n');
    expect(await cluster.kubectl(['exec', '-i', 'says', '--', 'cat'], { stdin: 'through' })).toBe('through');
  });

  it('goes on without its API server', async () => {
    const [one, two] = pods;
    await cluster.plane.kill('kube-apiserver');
    const { machine } = cluster.node('n1');
    expect((await machine.run(['curl', '-sS', '--max-time', '5', `http://${two?.addresses[0]}/`])).stdout).toBe(two?.name);
    await cluster.plane.restart('kube-apiserver');
    expect(await curl(cluster, one?.name ?? '', two?.addresses[0] ?? '')).toBe(two?.name);
  });

  it('loses a node and gets it back', async () => {
    const { kubectl } = cluster;
    await cluster.stopNode('n3');
    await kubectl(['wait', '--for=condition=Ready=Unknown', 'node/n3', '--timeout=60s'], { timeout: 70_000 });
    await cluster.startNode('n3');
    await cluster.nodesReady();
    await kubectl(['rollout', 'status', 'daemonset/web', '--timeout=90s'], { timeout: 100_000 });
    pods = await podsOf(kubectl, 'app=web');
    await expectFullMesh(cluster, pods);
    await expectService(cluster, pods[2]?.name ?? '', pods);
  }, 240_000);

  it('leaves nothing behind', async () => {
    await cluster.stop();
    expect(leftovers()).toEqual(NOTHING);
  });
});

describe.each<Pick<Required<ClusterOptions>, 'cni' | 'families' | 'masquerade'>>([
  { cni: 'ptp', families: 'dual', masquerade: false },
  { cni: 'flannel', families: '4', masquerade: true },
  { cni: 'bridge', families: '6', masquerade: false },
])('a cluster with $cni, family $families', (options) => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster({ name, directory, nodes: 2, ...options });
  }, 240_000);
  afterAll(() => cluster?.stop());

  it('lets pods reach each other and all of a Service', async () => {
    const pods = await serve(cluster, options.families === 'dual' ? 'RequireDualStack' : 'SingleStack');
    expect(pods.map(({ addresses }) => addresses.length)).toEqual(pods.map(() => numbersOf(options.families).families.length));
    await expectFullMesh(cluster, pods);
    await expectService(cluster, pods[0]?.name ?? '', pods);
  }, 180_000);

  it('leaves nothing behind', async () => {
    await cluster.stop();
    expect(leftovers()).toEqual(NOTHING);
  });
});
