/** The least rights that work: without any one of them something does not, and says which it is. */

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { agentOf, SYSTEM } from '../../demo/kube/installed.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { run } from '../../demo/testbed/index.js';
import { SfcError } from '../../errors/index.js';
import { until } from './index.js';
import { steered } from './shared.js';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules: readonly Rule[];
}

let walkthrough: KubeWalkthrough;
let kubectl: KubeWalkthrough['cluster']['kubectl'];
const whole: Role[] = [];

const get = async ({ kind, metadata: { name, namespace = 'default' } }: Pick<Role, 'kind' | 'metadata'>) =>
  JSON.parse(await kubectl(['-n', namespace, 'get', kind, name, '-o', 'json'])) as Role;
const put = (role: Role) => kubectl(['replace', '-f', '-'], { stdin: JSON.stringify(role) });

beforeAll(async () => {
  walkthrough = await steered();
  kubectl = walkthrough.cluster.kubectl;
  for (const [kind, name, namespace] of [
    ['ClusterRole', 'sfc:sfcd'],
    ['ClusterRole', 'sfc:sfc-controller'],
    ['Role', 'sfc-controller', SYSTEM],
  ] as const)
    whole.push(await get({ kind, metadata: { name, ...(namespace === undefined ? {} : { namespace }) } }));
}, 1_800_000);

afterAll(async () => {
  for (const role of whole) await put({ ...(await get(role)), rules: role.rules });
  await kubectl?.(['delete', 'servicefunctionchain,trafficselector', '-l', 'test=rights']);
  await walkthrough?.settled();
}, 300_000);

/** Every right on its own: a verb on a resource. */
const rightsOf = ({ rules }: Role): readonly Rule[] =>
  rules.flatMap((rule) =>
    rule.apiGroups.flatMap((group) =>
      rule.resources.flatMap((resource) =>
        rule.verbs.map((verb) => ({ ...rule, apiGroups: [group], resources: [resource], verbs: [verb] })),
      ),
    ),
  );

/**
 * Takes each right away and gives it back. Returns those whose lack nobody complained of, by name, when all that they
 * are for was done: `provoke` does, `logs` is what was said since.
 */
async function unneeded(role: Role, provoke: () => Promise<unknown>, logs: () => Promise<string>): Promise<readonly string[]> {
  const silent: string[] = [];
  const rights = rightsOf(role);
  for (const [index, { resources, verbs }] of rights.entries()) {
    const [resource = '', verb = ''] = [resources[0], verbs[0]];
    await put({ ...(await get(role)), rules: rights.filter((_, other) => other !== index) });
    await provoke();
    const complains = async () => {
      const lines = (await logs().catch(() => '')).split('\n');
      return lines.some((line) => /forbidden|may not/i.test(line) && line.includes(resource) && line.includes(verb)) ? true : undefined;
    };
    await until(complains, () => new SfcError('COMMAND_FAILED', ''), { withinMs: 30_000, everyMs: 500 }).catch(() =>
      silent.push(`${verb} ${resource}`),
    );
  }
  await put({ ...(await get(role)), rules: role.rules });
  return silent;
}

describe("the agent's rights", () => {
  it('are each needed: without it an agent that starts says so by name', async () => {
    const provoke = async () => {
      // Whoever has to create its report does so only where there is none.
      await kubectl(['delete', 'steeringnode', 'n1', '--ignore-not-found']);
      await kubectl(['-n', SYSTEM, 'delete', 'pod', await agentOf(walkthrough.cluster, 'n1'), '--wait']);
    };
    const logs = async () => kubectl(['-n', SYSTEM, 'logs', await agentOf(walkthrough.cluster, 'n1')]);
    const [role] = whole;
    expect(role === undefined ? ['no role'] : await unneeded(role, provoke, logs)).toEqual([]);
  }, 900_000);

  it('end at its own node: it may not write what another node’s agent tells', async () => {
    const { plane } = walkthrough.cluster;
    const { outside, token } = await plane.serviceAccount(SYSTEM, 'sfcd', { kind: 'Pod', name: await agentOf(walkthrough.cluster, 'n1') });
    const { clusters } = parse(await readFile(outside, 'utf8')) as {
      readonly clusters: readonly { readonly cluster: { readonly server: string } }[];
    };
    // Not by kubectl, which asks for what it is about to patch.
    const headers = ['-H', `Authorization: Bearer ${token}`, '-H', 'Content-Type: application/merge-patch+json'];
    const writes = async (node: string) => {
      const url = `${clusters[0]?.cluster.server}/apis/networking.gke.io/v1/steeringnodes/${node}/status`;
      const argv = ['curl', '-sk', '-X', 'PATCH', ...headers, url, '-d', '{"status":{"endpoints":7}}'];
      return JSON.parse((await run(argv)).stdout) as { readonly code?: number; readonly message?: string; readonly kind: string };
    };
    expect(await writes('n2')).toMatchObject({ code: 403, message: expect.stringContaining('own node only') });
    // An agent that was just given its rights back makes its report anew: until then there is none to write to.
    const own = async () => {
      const answer = await writes('n1');
      return answer.code === 404 ? undefined : answer;
    };
    const answer = await until(own, () => new SfcError('COMMAND_FAILED', 'the agent of n1 made no report'), { withinMs: 180_000 });
    expect(answer).toMatchObject({ kind: 'SteeringNode' });
  }, 300_000);
});

describe("the controller's rights", () => {
  const CONTROLLERS = 'app.kubernetes.io/name=sfc-controller';
  let round = 0;

  /** Everything that a controller does: it starts, leads, gives a new chain its id and Services, repairs one, removes another. */
  async function provoke(): Promise<void> {
    const name = `rights-${++round}`;
    const old = `rights-${round - 1}`;
    const labels = { test: 'rights' };
    const chain = {
      apiVersion: 'networking.gke.io/v1',
      kind: 'ServiceFunctionChain',
      metadata: { name, labels },
      spec: { serviceFunctions: [{ name: 'firewall', namespace: 'firewall', podSelector: { matchLabels: { app: 'firewall' } } }] },
    };
    const selector = {
      apiVersion: 'networking.gke.io/v1',
      kind: 'TrafficSelector',
      metadata: { name, labels },
      spec: {
        serviceFunctionChain: name,
        subject: { pods: { namespaceSelector: { matchLabels: { nobody: 'has-it' } }, podSelector: {} } },
        egress: { to: { ipBlock: { cidr: '192.0.2.0/24' } }, ports: [{ allPorts: { protocol: 'TCP' } }] },
      },
    };
    await kubectl(['-n', SYSTEM, 'delete', 'lease', 'sfc-controller', '--ignore-not-found']);
    await kubectl(['-n', SYSTEM, 'delete', 'pod', '-l', CONTROLLERS, '--force', '--grace-period=0']);
    const [service = ''] = (await kubectl(['-n', 'proxy', 'get', 'svc', '-o', 'name'])).trim().split('\n');
    if (service !== '')
      await kubectl(['-n', 'proxy', 'patch', service, '-p', '{"spec":{"sessionAffinity":"None","sessionAffinityConfig":null}}']);
    await kubectl(['-n', SYSTEM, 'delete', 'configmap', 'sfc-path-ids', '--ignore-not-found']);
    await kubectl(['apply', '-f', '-'], { stdin: `${JSON.stringify(chain)}\n${JSON.stringify(selector)}` });
    // A function that is another now leaves its Service over; one that has lost its label is found by name alone.
    const renamed = { spec: { serviceFunctions: [{ ...chain.spec.serviceFunctions[0], name: `renamed-${round}` }] } };
    if (round > 1) {
      await unlabel(old);
      await kubectl(['patch', 'servicefunctionchain', `${old}-more`, '--type=merge', '-p', JSON.stringify(renamed)]);
    }
    // The record is made with the first id, and changed with the next.
    await hasId(name);
    await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify({ ...chain, metadata: { name: `${name}-more`, labels } }) });
    const older = [`rights-${round - 2}`, `rights-${round - 2}-more`];
    await kubectl(['delete', 'servicefunctionchain,trafficselector', ...older, '--ignore-not-found', '--wait=false']);
  }

  /** Waits a while for a chain's id: without the right in question it may not come. */
  async function hasId(name: string): Promise<void> {
    const ask = async () => (await kubectl(['get', 'servicefunctionchain', name, '-o', 'jsonpath={.status.servicePathId}'])) || undefined;
    await until(ask, () => new SfcError('COMMAND_FAILED', ''), { withinMs: 10_000, everyMs: 250 }).catch(() => undefined);
  }

  async function unlabel(chain: string): Promise<void> {
    const uid = await kubectl(['get', 'servicefunctionchain', chain, '-o', 'jsonpath={.metadata.uid}']);
    const services = (await kubectl(['-n', 'firewall', 'get', 'svc', '-o', 'name'])).split('\n');
    for (const service of services.filter((one) => one.endsWith(uid.slice(-8))))
      await kubectl(['-n', 'firewall', 'label', service, 'networking.gke.io/managed-by-']);
  }

  const logs = () => kubectl(['-n', SYSTEM, 'logs', '-l', CONTROLLERS, '--tail=-1']);

  it.each([1, 2])(
    'are each needed: without it a controller that works says so by name (role %d)',
    async (index) => {
      const role = whole[index];
      expect(role === undefined ? ['no role'] : await unneeded(role, provoke, logs)).toEqual([]);
    },
    1_200_000,
  );
});
