/** What of a change of conditions is worth an event. Pure. */

import type { Condition } from '../../policy/index.js';

export interface Notice {
  readonly type: 'Normal' | 'Warning';
  /** One word for programs. */
  readonly reason: string;
  /** For people. */
  readonly note: string;
}

/** The status that is good, by type. */
const GOOD: Readonly<Record<string, Condition['status']>> = { Accepted: 'True', Programmed: 'True', Conflicted: 'False', Ready: 'True' };
/** What every object goes through on its way is no news, nor what another object's event tells. */
const NO_NEWS = new Set(['Pending', 'NoNodes', 'ChainReady', 'ChainNotReady']);

/** That something is as it should be is told when it was not, and of Programmed and Ready the first time too. */
export function noticesOf(before: readonly Condition[], after: readonly Condition[]): Notice[] {
  const was = new Map(before.map((condition) => [condition.type, condition]));
  return after.flatMap(({ type, status, reason, message }): Notice[] => {
    const good = GOOD[type];
    const old = was.get(type);
    if (good === undefined || NO_NEWS.has(reason) || (old?.status === status && old.reason === reason)) return [];
    if (status !== good) return [{ type: 'Warning', reason, note: `${type} is ${status}: ${message}` }];
    if (reason === 'AcceptedWithWarnings') return [{ type: 'Warning', reason, note: message }];
    const isNews = old === undefined ? type === 'Programmed' || type === 'Ready' : old.status !== status;
    return isNews ? [{ type: 'Normal', reason, note: `${type} is ${status}: ${message}` }] : [];
  });
}
