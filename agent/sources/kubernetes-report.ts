/** What a node tells the cluster of what it has programmed: the status of its SteeringNode. Of constant size, and pure. */

import { MOST_FAILING, type SteeringNodeStatus } from '../../policy/index.js';
import type { AgentView, ConditionView } from '../view.js';
import type { ClusterReading } from './kubernetes-world.js';

/** The status, but for the time of writing. */
export type NodeReport = Omit<SteeringNodeStatus, 'observedAt'>;
type Failing = NodeReport['failing'][number];

/** The CRD's limit. */
const LONGEST_MESSAGE = 1024;

/** Why an object is not wholly programmed on this node; undefined: it is. */
function lackOf(conditions: readonly ConditionView[]): string | undefined {
  const lack = conditions.find(({ type, status }) => (type === 'Accepted' || type === 'Programmed') && status === 'False');
  return lack === undefined ? undefined : [lack.reason, lack.message].filter((part) => part !== '').join(': ');
}

/** Objects that are not programmed: also those that are so wrong that no version of theirs is in force. */
function failingOf(reading: ClusterReading, view: AgentView): Failing[] {
  const found = new Map<string, Failing>();
  const add = (kind: Failing['kind'], name: string, message: string) =>
    found.has(`${kind}/${name}`) || found.set(`${kind}/${name}`, { kind, name, message: message.slice(0, LONGEST_MESSAGE) });
  for (const { severity, resource, path, message } of reading.problems) {
    const [kind, name = ''] = resource.split('/');
    if (severity !== 'error' || (kind !== 'ServiceFunctionChain' && kind !== 'TrafficSelector')) continue;
    add(kind, name, path === '' ? message : `${path}: ${message}`);
  }
  for (const { name, conditions } of view.chains()) {
    const lack = lackOf(conditions);
    if (lack !== undefined) add('ServiceFunctionChain', name, lack);
  }
  for (const { name, conditions } of view.selectors()) {
    const lack = lackOf(conditions);
    if (lack !== undefined) add('TrafficSelector', name, lack);
  }
  return [...found.values()].sort((a, b) => (`${a.kind}/${a.name}` < `${b.kind}/${b.name}` ? -1 : 1));
}

/** @param reading what the last finished round brought about */
export function nodeReport(
  agent: Pick<NodeReport, 'agentVersion' | 'datapath' | 'podUid'>,
  reading: ClusterReading,
  view: AgentView,
): NodeReport {
  const failing = failingOf(reading, view);
  return {
    ...agent,
    chains: reading.chains,
    selectors: reading.selectors,
    failing: failing.slice(0, MOST_FAILING),
    failingTotal: failing.length,
    endpoints: view.endpoints().length,
  };
}
