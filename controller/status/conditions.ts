/** Conditions as Kubernetes has them (metav1.Condition): what holds, since when, and for which generation it was found. */

import type { Condition } from '../../policy/index.js';

export type Truth = Condition['status'];

export interface Finding {
  readonly type: 'Accepted' | 'Programmed' | 'Conflicted' | 'Ready';
  readonly status: Truth;
  /** One word for programs. */
  readonly reason: string;
  /** The same for people. */
  readonly message: string;
}

/** Kubernetes takes 32768 characters; nobody reads so many. */
const LONGEST_MESSAGE = 1024;

function cut(text: string): string {
  return text.length <= LONGEST_MESSAGE ? text : `${text.slice(0, LONGEST_MESSAGE - 1)}…`;
}

/**
 * The conditions with these findings. `lastTransitionTime` moves only where `status` does. Conditions that others have
 * added stay, behind ours.
 * @param now RFC 3339, whole seconds
 */
export function withFindings(current: readonly Condition[], findings: readonly Finding[], generation: number, now: string): Condition[] {
  const before = new Map(current.map((condition) => [condition.type, condition]));
  const ours = findings.map(({ type, status, reason, message }): Condition => {
    const old = before.get(type);
    return {
      type,
      status,
      observedGeneration: generation,
      lastTransitionTime: old !== undefined && old.status === status ? old.lastTransitionTime : now,
      reason,
      message: cut(message),
    };
  });
  return [...ours, ...current.filter(({ type }) => !findings.some((finding) => finding.type === type))];
}

/** What is told of a list, a few of it by name: `a, b and 7 more`. */
export function few(names: readonly string[], most = 3): string {
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}
