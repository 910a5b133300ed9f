/**
 * The agent as the pod that deploy/ describes, on nodes with a kubelet: it has no more than the capabilities that are
 * listed there, each of them is needed, and what it pins outlives it.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SfcError } from '../errors/index.js';
import { SFC_IMAGE, sfcImage } from './deploy/image.js';
import { apply, type Cluster, startCluster, testPlace, toolsPod, until } from './kube/index.js';

const { name, directory } = await testPlace();
const AGENT = ['-n', 'sfc-system'];
/** Numbers from linux/capability.h. */
const CAPABILITIES = { SETGID: 6, NET_ADMIN: 12, NET_RAW: 13, PERFMON: 38, BPF: 39 };

let cluster: Cluster;
const kubectl = (...args: readonly string[]) => cluster.kubectl(args, { timeout: 130_000 });

const agentOf = async (node: string) => {
  const of = ['--field-selector', `spec.nodeName=${node}`, '-l', 'app.kubernetes.io/name=sfcd'];
  return (await kubectl(...AGENT, 'get', 'pods', ...of, '-o', 'jsonpath={.items[0].metadata.name}')).trim();
};
const inAgent = async (node: string, ...command: readonly string[]) => kubectl(...AGENT, 'exec', await agentOf(node), '--', ...command);
const rolledOut = () => kubectl(...AGENT, 'rollout', 'status', 'daemonset/sfcd', '--timeout=120s');

/** What is asked for comes to be true; its last failure tells why not. */
async function eventually<T>(ask: () => Promise<T>, withinMs = 60_000): Promise<T> {
  let last: unknown;
  return until(
    async () => {
      try {
        return await ask();
      } catch (error) {
        last = error;
        return undefined;
      }
    },
    () => new SfcError('COMMAND_FAILED', String(last)),
    { withinMs },
  );
}

beforeAll(async () => {
  cluster = await startCluster({ name, directory, nodes: 2, images: [await sfcImage()] });
  await kubectl('apply', '-k', 'deploy/crds');
  await kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
  await kubectl('apply', '-k', 'deploy');
  await kubectl(...AGENT, 'scale', 'deployment/sfc-controller', '--replicas=0');
  await rolledOut();
}, 600_000);

afterAll(async () => {
  await cluster?.stop();
});

const CHAIN_SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'sf-firewall-5a5a5a5a',
    namespace: 'default',
    labels: { 'networking.gke.io/managed-by': 'service-steering-controller.gke.io' },
  },
  spec: { selector: { app: 'firewall' }, ports: [{ name: 'service-steering', port: 7081, protocol: 'UDP' }] },
};

describe('the agent in its pod', () => {
  it('has the capabilities that are listed, and is not privileged', async () => {
    const effective = BigInt(`0x${/CapEff:\s*(\w+)/.exec(await inAgent('n1', 'cat', '/proc/1/status'))?.[1]}`);
    expect(effective).toBe(Object.values(CAPABILITIES).reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n));
    await expect(inAgent('n1', 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp')).rejects.toThrow(/permission denied|must be superuser/i);
  });

  it('reports its own node', async () => {
    const nodes = await eventually(async () => {
      const found = (await kubectl('get', 'sfn', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.status.datapath}{"\\n"}{end}'))
        .trim()
        .split('\n');
      expect(found).toEqual(['n1 kernel', 'n2 kernel']);
      return found;
    });
    expect(nodes.length).toBe(2);
  });

  it('runs sfc and tcpdump for whoever looks', async () => {
    expect(await inAgent('n1', 'sfc', 'status')).toMatch(/^ready +yes$/m);
    expect(await inAgent('n1', 'sfc', 'bpf', 'sfcpath', 'list')).toMatch(/^PATH +SERVICE FUNCTION ADDRESS/);
    const listens = await inAgent('n1', 'sh', '-c', 'timeout 2 tcpdump -nn -i any udp port 7081 2>&1; true');
    expect(listens).toContain('0 packets captured');
  });

  it('adopts what the pod before it has pinned', async () => {
    const before = await agentOf('n1');
    await kubectl(...AGENT, 'delete', 'pod', before);
    await eventually(async () => expect(await agentOf('n1')).toMatch(/^sfcd-/));
    await rolledOut();
    expect(await agentOf('n1')).not.toBe(before);
    const status = JSON.parse(await inAgent('n1', 'sfc', 'status', '-o', 'json')) as { datapath: { adopted: string[] }; ready: boolean };
    expect(status.ready).toBe(true);
    expect(status.datapath.adopted).toContain('sfcflow');
  });
});

describe('without a capability', () => {
  const patch = (left: readonly string[]) =>
    JSON.stringify([{ op: 'replace', path: '/spec/template/spec/containers/0/securityContext/capabilities/add', value: left }]);
  const take = (away: string) =>
    kubectl(...AGENT, 'patch', 'daemonset/sfcd', '--type=json', '-p', patch(Object.keys(CAPABILITIES).filter((one) => one !== away)));

  /** The pod that was made of what stands there now, on the node that is first. */
  const changed = (without: string) =>
    eventually(async () => {
      const pods = JSON.parse(await kubectl(...AGENT, 'get', 'pods', '-l', 'app.kubernetes.io/name=sfcd', '-o', 'json')) as {
        items: { metadata: { name: string }; spec: { containers: { securityContext: { capabilities: { add: string[] } } }[] } }[];
      };
      const found = pods.items.find(({ spec }) => !spec.containers[0]?.securityContext.capabilities.add.includes(without));
      if (found === undefined) throw new Error(`no pod without ${without}`);
      return found.metadata.name;
    });

  it.each([
    ['BPF', 'BPF_'],
    ['NET_ADMIN', 'BPF_|GUARD_'],
    ['PERFMON', 'BPF_LOAD'],
  ])('%s, the agent does not start, and says why', async (capability, code) => {
    await take(capability);
    const pod = await changed(capability);
    await eventually(async () => expect(await kubectl(...AGENT, 'logs', pod)).toMatch(new RegExp(`"code":"(${code})`)));
  });

  it.each(['NET_RAW', 'SETGID'])('%s, tcpdump does not listen', async (capability) => {
    await take(capability);
    const pod = await changed(capability);
    await eventually(() => kubectl(...AGENT, 'exec', pod, '--', 'true'));
    const said = await kubectl(...AGENT, 'exec', pod, '--', 'sh', '-c', 'timeout 2 tcpdump -nn -i any udp port 7081 2>&1; true');
    expect(said).toMatch(/not permitted|permission/i);
  });
});

void [apply, toolsPod, CHAIN_SERVICE, SFC_IMAGE];
