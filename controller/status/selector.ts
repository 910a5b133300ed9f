/** The status that a selector shall have. Pure. */

import type { Condition, ReadResource, Selector, SelectorStatus } from '../../policy/index.js';
import type { Progress } from '../nodes/index.js';
import { accepted } from './accepted.js';
import { type Finding, few, withFindings } from './conditions.js';
import { programmed } from './programmed.js';

/** What a selector needs to know of its chain. */
export interface ChainState {
  readonly servicePathId: number | undefined;
  readonly ready: Condition | undefined;
}

/** Another selector of the same packets. */
export interface Rival {
  readonly selector: string;
  readonly chain: string;
  /** `egress, 443/TCP, 10.0.0.0/8 of vpn/vpn`. */
  readonly what: string;
  /** Its chain has the lower servicePathId; undefined: one of the two has none yet. */
  readonly wins: boolean | undefined;
}

export interface SelectorFacts {
  readonly generation: number;
  readonly status: SelectorStatus | undefined;
  readonly selector: Selector | undefined;
  readonly faults: ReadResource['faults'];
  /** Undefined: there is no such chain. */
  readonly chain: ChainState | undefined;
  readonly rivals: readonly Rival[];
  readonly progress: Progress;
  /** RFC 3339, whole seconds. */
  readonly now: string;
}

function conflicted({ rivals }: SelectorFacts): Finding {
  const type = 'Conflicted';
  if (rivals.length === 0) return { type, status: 'False', reason: 'NoConflict', message: 'none' };
  const told = rivals.map(({ selector, chain, what, wins }) => {
    const winner =
      wins === undefined ? '' : wins ? ', and has them: the lower servicePathId' : '; this one has them: the lower servicePathId';
    return `TrafficSelector ${selector}, to chain ${chain}, claims the same packets (${what})${winner}`;
  });
  return { type, status: 'True', reason: 'SamePackets', message: few(told) };
}

function ready({ selector, chain }: SelectorFacts): Finding {
  const type = 'Ready';
  if (selector === undefined) return { type, status: 'False', reason: 'NotAccepted', message: 'the selector is not valid' };
  if (chain === undefined)
    return { type, status: 'False', reason: 'ChainMissing', message: `there is no ServiceFunctionChain ${selector.chain}` };
  const { status = 'Unknown', message = 'nothing is known of it yet' } = chain.ready ?? {};
  return { type, status, reason: status === 'True' ? 'ChainReady' : 'ChainNotReady', message: `chain ${selector.chain}: ${message}` };
}

function obstacleOf({ selector, chain }: SelectorFacts) {
  if (selector === undefined) return { reason: 'NotAccepted', message: 'the selector is not valid' };
  if (chain === undefined) return { reason: 'ChainMissing', message: `there is no ServiceFunctionChain ${selector.chain}` };
  if (chain.servicePathId === undefined)
    return { reason: 'NoServicePathId', message: `ServiceFunctionChain ${selector.chain} has no servicePathId yet` };
  return undefined;
}

export function selectorStatus(facts: SelectorFacts): SelectorStatus {
  const { generation, status = {}, faults, progress, now } = facts;
  const current = status.conditions ?? [];
  const before = current.find(({ type }) => type === 'Programmed');
  const { finding, nodes } = programmed(progress, before, generation, obstacleOf(facts));
  const findings = [accepted(faults), finding, conflicted(facts), ready(facts)];
  return { conditions: withFindings(current, findings, generation, now), nodes };
}
