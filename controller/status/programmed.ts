/** The condition Programmed: on how many nodes an object is in force. Pure. */

import type { Condition } from '../../policy/index.js';
import type { Progress } from '../nodes/index.js';
import { type Finding, few } from './conditions.js';

type Found = Pick<Finding, 'status' | 'reason' | 'message'>;

export interface ProgrammedFinding {
  readonly finding: Finding;
  readonly nodes: { readonly programmed: number; readonly total: number };
}

/**
 * A node whose report is of a state that is not known counts as it did before: the controller was started anew or has missed a
 * state, which says nothing of the node.
 * @param before the condition as it stands
 * @param obstacle why it cannot be programmed at all; undefined: nothing stands in the way
 */
export function programmed(
  { programmed: sure, total, behind, unclear, failing }: Progress,
  before: Condition | undefined,
  generation: number,
  obstacle: { readonly reason: string; readonly message: string } | undefined,
): ProgrammedFinding {
  const was = before?.status === 'True' && before.observedGeneration === generation;
  const count = was ? sure + unclear.length : sure;
  const waiting = was ? behind : [...behind, ...unclear].sort();
  return { finding: { type: 'Programmed', ...judge() }, nodes: { programmed: count, total } };

  function judge(): Found {
    const on = `on ${count} of ${total} nodes`;
    if (obstacle !== undefined) return { status: 'False', ...obstacle };
    if (total === 0) return { status: 'Unknown', reason: 'NoNodes', message: 'no node has an agent' };
    const fails = failing.map(({ node, message }) => `${node} (${message})`);
    const waits = waiting.length === 0 ? '' : `; waiting for ${few(waiting)}`;
    if (fails.length > 0) return { status: 'False', reason: 'Failing', message: `${on}; fails on ${few(fails)}${waits}` };
    if (waiting.length > 0) return { status: 'False', reason: 'Pending', message: `${on}${waits}` };
    return { status: 'True', reason: 'Programmed', message: on };
  }
}
