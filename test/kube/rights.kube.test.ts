/** The least rights that work: without any one of them something does not, and says which it is. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentOf, rolledOut, SYSTEM } from '../../demo/kube/installed.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { SfcError } from '../../errors/index.js';
import { until } from './index.js';
import { steered } from './shared.js';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

let walkthrough: KubeWalkthrough;
let whole: { rules: readonly Rule[] };

const roleOf = async (name: string) =>
  JSON.parse(await walkthrough.cluster.kubectl(['get', 'clusterrole', name, '-o', 'json'])) as { rules: readonly Rule[] };

beforeAll(async () => {
  walkthrough = await steered();
  whole = await roleOf('sfc:sfcd');
}, 1_800_000);

const put = (role: object) => walkthrough.cluster.kubectl(['replace', '-f', '-'], { stdin: JSON.stringify(role) });

afterAll(async () => {
  if (whole === undefined) return;
  const now = await roleOf('sfc:sfcd');
  await put({ ...now, rules: whole.rules });
  await walkthrough.settled();
}, 300_000);

/** Every right on its own: a verb on a resource. */
function rightsOf(rules: readonly Rule[]): readonly { readonly group: string; readonly resource: string; readonly verb: string }[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb })))),
  );
}

describe("the agent's rights", () => {
  it('are each needed: without it an agent that starts says so by name', async () => {
    const { kubectl } = walkthrough.cluster;
    for (const { group, resource, verb } of rightsOf(whole.rules)) {
      const rules = rightsOf(whole.rules)
        .filter((right) => right.group !== group || right.resource !== resource || right.verb !== verb)
        .map((right) => ({ apiGroups: [right.group], resources: [right.resource], verbs: [right.verb] }));
      await put({ ...(await roleOf('sfc:sfcd')), rules });
      // Whoever has to create its report does so only where there is none.
      await kubectl(['delete', 'steeringnode', 'n1', '--ignore-not-found']);
      await kubectl(['-n', SYSTEM, 'delete', 'pod', await agentOf(walkthrough.cluster, 'n1'), '--wait']);
      const log = async () => {
        const name = await agentOf(walkthrough.cluster, 'n1').catch(() => undefined);
        const text = name === undefined ? '' : await kubectl(['-n', SYSTEM, 'logs', name]).catch(() => '');
        return text.includes(resource) && text.includes(verb) && /forbidden/i.test(text) ? text : undefined;
      };
      await until(log, () => new SfcError('COMMAND_FAILED', `without ${verb} ${resource} the agent says nothing`), { withinMs: 60_000 });
    }
    await put({ ...(await roleOf('sfc:sfcd')), rules: whole.rules });
    await rolledOut(walkthrough.cluster);
  }, 900_000);

  it('end at its own node: it may not write what another node’s agent tells', async () => {
    const { plane } = walkthrough.cluster;
    const { outside } = await plane.serviceAccount(SYSTEM, 'sfcd', { kind: 'Pod', name: await agentOf(walkthrough.cluster, 'n1') });
    const patch = ['patch', 'steeringnode', '--subresource=status', '--type=merge', '-p', '{"status":{"endpoints":7}}'];
    const as = (node: string) => plane.kubectl([`--kubeconfig=${outside}`, ...patch, node]);
    await expect(as('n2')).rejects.toThrow(/own node only/);
    await expect(as('n1')).resolves.toContain('patched');
  }, 120_000);
});
