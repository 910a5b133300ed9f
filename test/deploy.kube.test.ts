/** What deploy/ installs, at a real API server: by Kustomize and by Helm the same; and who may write which SteeringNode. */

import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { run } from '../demo/testbed/index.js';
import { apiServer } from './crds/api-server.js';
import { type ControlPlane, component, startControlPlane } from './kube/index.js';

let directory: string;
let plane: ControlPlane;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sfcd-'));
  plane = await startControlPlane({ directory, name: `sfcd${process.pid}`, scheduler: false, controllerManager: false });
}, 300_000);

afterAll(async () => {
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
}

/** A file with this text, for kubectl to read. */
async function fileOf(text: string): Promise<string> {
  const file = join(directory, `${createHash('sha256').update(text).digest('hex').slice(0, 16)}.yaml`);
  await writeFile(file, text);
  return file;
}

/** Resources by what they are, in the order of their names; texts of settings as what they say. */
function resources(yaml: string): Map<string, unknown> {
  const all = parseAllDocuments(yaml).flatMap((document) => (document.toJSON() as Resource | null) ?? []);
  const keyed = all.map((one): [string, unknown] => {
    const data =
      one.data === undefined ? {} : { data: Object.fromEntries(Object.entries(one.data).map(([key, text]) => [key, parse(text)])) };
    return [`${one.kind} ${one.metadata.namespace ?? ''}/${one.metadata.name}`, { ...one, ...data }];
  });
  return new Map(keyed.sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe('deploy/', () => {
  it('is the same by Helm as by Kustomize', async () => {
    const helm = await component('helm');
    const args = [
      'template',
      'sfc',
      'deploy/chart',
      '--namespace=sfc-system',
      '--include-crds',
      '--kube-version=1.34.1',
      '--set=createNamespace=true',
    ];
    const { stdout } = await run([helm, ...args]);
    expect(resources(stdout)).toEqual(resources(await plane.kubectl(['kustomize', 'deploy'])));
  }, 300_000);

  it('takes values, and is installed into the namespace of its release', async () => {
    const helm = await component('helm');
    const set = [
      'image.repository=registry.example:5000/sfc',
      'agent.settings.logLevel=debug',
      'agent.nodeSelector.pool=edge',
      'controller.replicas=1',
    ];
    const { stdout } = await run([
      helm,
      'template',
      'sfc',
      'deploy/chart',
      '--namespace=elsewhere',
      '--kube-version=1.34.1',
      ...set.map((one) => `--set=${one}`),
    ]);
    const made = resources(stdout);
    expect(stdout).not.toContain('sfc-system');
    expect([...made.keys()].filter((key) => key.startsWith('Namespace'))).toEqual([]);
    expect(made.get('DaemonSet elsewhere/sfcd')).toMatchObject({
      spec: {
        template: {
          spec: { nodeSelector: { 'kubernetes.io/os': 'linux', pool: 'edge' }, containers: [{ image: 'registry.example:5000/sfc:0.1.0' }] },
        },
      },
    });
    expect(made.get('ConfigMap elsewhere/sfcd')).toMatchObject({ data: { 'sfcd.yaml': { source: 'kubernetes', logLevel: 'debug' } } });
    expect(made.get('Deployment elsewhere/sfc-controller')).toMatchObject({ spec: { replicas: 1 } });
    const policy = JSON.stringify(made.get('ValidatingAdmissionPolicy /sfc-steering-node-of-its-agent'));
    expect(policy).toContain('system:serviceaccount:elsewhere:sfcd');
  });

  it('is applied by kubectl, with fields that the API server knows, and then as it was written', async () => {
    // The kinds first: of one go, the API server may not know them yet.
    await plane.kubectl(['apply', '--validate=strict', '-k', 'deploy']);
    // Exits with 1 where something would change.
    expect(await plane.kubectl(['diff', '-k', 'deploy'])).toBe('');
  });

  it.each(['privileged'])('has an overlay %s that is as good', async (overlay) => {
    await plane.kubectl(['apply', '--dry-run=server', '--validate=strict', '-k', `deploy/overlays/${overlay}`]);
  });
});

type Account = Awaited<ReturnType<ControlPlane['serviceAccount']>>;
const OF_NODE_ONE = 'own node only: the token is of node-one';

describe('a SteeringNode', () => {
  const digest = '0'.repeat(32);
  const status = {
    agentVersion: '0.1.0',
    datapath: 'kernel',
    podUid: '',
    chains: { digest, count: 0 },
    selectors: { digest, count: 0 },
    failing: [],
    failingTotal: 0,
    endpoints: 3,
    observedAt: '2026-01-31T09:00:00Z',
  };
  const node = (name: string) => fileOf(JSON.stringify({ apiVersion: 'networking.gke.io/v1', kind: 'SteeringNode', metadata: { name } }));
  let agent: Account;

  beforeAll(async () => {
    for (const name of ['node-one', 'node-two']) {
      await plane.kubectl(['apply', '-f', await fileOf(JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name } }))]);
    }
    agent = await plane.serviceAccount('sfc-system', 'sfcd', { kind: 'Node', name: 'node-one' });
  });

  const as = (kubeconfig: string, args: readonly string[]) => plane.kubectl(['--kubeconfig', kubeconfig, ...args]);
  const write = (by: Account, name: string) => apiServer(plane, by).patchStatus('steeringnodes', name, status);

  it('is written by the agent of its node', async () => {
    await as(agent.outside, ['create', '-f', await node('node-one')]);
    expect(await write(agent, 'node-one')).toMatchObject({ status: 200 });
    const [titles, row] = (await plane.kubectl(['get', 'sfn', 'node-one'])).split('\n');
    expect(titles?.split(/ +/)).toEqual(['NAME', 'VERSION', 'DATAPATH', 'ENDPOINTS', 'FAILING', 'AGE']);
    expect(row?.split(/ +/).slice(0, 5)).toEqual(['node-one', '0.1.0', 'kernel', '3', '0']);
  });

  it('is not written by the agent of another', async () => {
    await expect(as(agent.outside, ['create', '-f', await node('node-two')])).rejects.toThrow(OF_NODE_ONE);
    await plane.kubectl(['create', '-f', await node('node-two')]);
    expect(await write(agent, 'node-two')).toMatchObject({ status: 403, body: { message: expect.stringContaining(OF_NODE_ONE) } });
  });

  it('is not written with a token that is of no node', async () => {
    const unbound = await plane.serviceAccount('sfc-system', 'sfcd');
    expect(await write(unbound, 'node-one')).toMatchObject({
      status: 403,
      body: { message: expect.stringContaining('own node only: the token is of no node') },
    });
  });

  it('is not deleted by an agent, which reads no secrets either', async () => {
    await expect(as(agent.outside, ['delete', 'sfn', 'node-one'])).rejects.toThrow(/forbidden/);
    for (const what of ['secrets', 'configmaps'])
      expect(await as(agent.outside, ['auth', 'can-i', 'list', what, '-A']).catch((error) => String(error))).toContain('no');
  });
});
