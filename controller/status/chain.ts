/** The status that a chain shall have, out of everything that was seen of it. Pure. */

import type { Chain, ChainStatus, FunctionStatus, ReadResource } from '../../policy/index.js';
import type { Progress } from '../nodes/index.js';
import { accepted } from './accepted.js';
import { type Finding, few, withFindings } from './conditions.js';
import { programmed } from './programmed.js';

/** Why a function has no Service of its own. */
export interface ServiceTrouble {
  readonly serviceFunction: string;
  readonly reason: 'NamespaceMissing' | 'ServiceNotOurs' | 'ServiceRefused';
  readonly message: string;
}

export interface ChainFacts {
  readonly generation: number;
  readonly status: ChainStatus | undefined;
  /** As validation read it; `undefined` where it is not valid. */
  readonly chain: Chain | undefined;
  readonly faults: ReadResource['faults'];
  readonly servicePathId: number | undefined;
  /** Why it has none. */
  readonly withoutId: string;
  readonly troubles: readonly ServiceTrouble[];
  /** Each function once. */
  readonly functions: readonly FunctionStatus[];
  /** `a -> b -> a`; undefined: it is in no ring. */
  readonly ring: string | undefined;
  readonly progress: Progress;
  /** RFC 3339, whole seconds. */
  readonly now: string;
}

const LONGEST_NAMES = 1024;

function ready({ chain, functions, troubles }: ChainFacts): Finding {
  const type = 'Ready';
  if (chain === undefined) return { type, status: 'False', reason: 'NotAccepted', message: 'the chain is not valid' };
  const [first] = troubles;
  if (first !== undefined) {
    const message = few(troubles.map(({ serviceFunction, message }) => `${serviceFunction}: ${message}`));
    return { type, status: 'False', reason: first.reason, message };
  }
  const counts = functions.map(({ name, instances, readyInstances }) => `${name} ${readyInstances} of ${instances}`);
  const message = `instances ready: ${few(counts, 10)}`;
  if (functions.some(({ readyInstances }) => readyInstances === 0)) return { type, status: 'False', reason: 'NoReadyInstance', message };
  return { type, status: 'True', reason: 'InstancesReady', message };
}

function conflicted({ ring, troubles }: ChainFacts): Finding {
  const type = 'Conflicted';
  const foreign = troubles.filter(({ reason }) => reason === 'ServiceNotOurs');
  if (foreign.length > 0) return { type, status: 'True', reason: 'ServiceNotOurs', message: few(foreign.map(({ message }) => message)) };
  if (ring !== undefined)
    return {
      type,
      status: 'True',
      reason: 'Ring',
      message: `chains lead in a ring: ${ring}; packets would go round until their NSH TTL ends`,
    };
  return { type, status: 'False', reason: 'NoConflict', message: 'none' };
}

function obstacleOf({ chain, servicePathId, withoutId }: ChainFacts) {
  if (chain === undefined) return { reason: 'NotAccepted', message: 'the chain is not valid' };
  if (servicePathId === undefined) return { reason: 'NoServicePathId', message: withoutId };
  return undefined;
}

export function chainStatus(facts: ChainFacts): ChainStatus {
  const { generation, status = {}, chain, faults, servicePathId, functions, progress, now } = facts;
  const current = status.conditions ?? [];
  const before = current.find(({ type }) => type === 'Programmed');
  const { finding, nodes } = programmed(progress, before, generation, obstacleOf(facts));
  const findings = [accepted(faults), finding, conflicted(facts), ready(facts)];
  const names = chain?.serviceFunctions.map(({ name }) => name).join(',');
  return {
    ...(servicePathId === undefined ? {} : { servicePathId }),
    ...(names === undefined
      ? {}
      : { functionNames: names.length > LONGEST_NAMES ? `${names.slice(0, LONGEST_NAMES - 1)}…` : names, functions: [...functions] }),
    conditions: withFindings(current, findings, generation, now),
    nodes,
  };
}
