/**
 * Judging an instance by its probes. Pure: times and answers come in.
 *
 *     ask ──► wait ──► answered or not ──► so often in a row that the verdict turns? ──► ask, a period after the last
 *
 * An instance passes packets on until it is seen not to: an agent that starts, or an instance that comes, disturbs nobody.
 */

import type { Probe } from '../../policy/index.js';

/** An answer that takes longer (ms) is none, and so is one that takes longer than a period. */
const LONGEST_WAIT_MS = 500;

export interface Asked {
  /** Of the probe that is on its way. */
  readonly sequence: number;
  /** ms. */
  readonly at: number;
}

export interface Judgement {
  /** Is it out? */
  readonly fails: boolean;
  /** Has any probe been judged? */
  readonly judged: boolean;
  /** Results in a row that speak against `fails`. */
  readonly against: number;
  readonly asked: Asked | undefined;
  /** When to ask next (ms). */
  readonly nextAt: number;
}

/** Of one that has never been asked. `at`: when to begin (ms). */
export function unjudged(at: number): Judgement {
  return { fails: false, judged: false, against: 0, asked: undefined, nextAt: at };
}

export function waitMs({ periodMs }: Probe): number {
  return Math.min(periodMs, LONGEST_WAIT_MS);
}

/** When there is something to do: the end of a wait, or a probe to send (ms). */
export function dueAt({ asked, nextAt }: Judgement, probe: Probe): number {
  return asked === undefined ? nextAt : asked.at + waitMs(probe);
}

/** A probe has been sent. */
export function ask(judgement: Judgement, probe: Probe, sequence: number, now: number): Judgement {
  return { ...judgement, asked: { sequence, at: now }, nextAt: now + probe.periodMs };
}

/** The wait is over. A clock that jumped ahead only makes it longer: the answer stands where it was written down. */
export function judge(judgement: Judgement, probe: Probe, isAnswered: boolean): Judgement {
  const { fails } = judgement;
  const against = isAnswered === fails ? judgement.against + 1 : 0;
  const turns = against >= (fails ? probe.successThreshold : probe.failureThreshold);
  return { ...judgement, asked: undefined, judged: true, fails: turns ? !fails : fails, against: turns ? 0 : against };
}

/**
 * Is a probe answered, when `recorded` is the number of the last one that came back? Later ones say so too: whatever
 * was asked after it has gone the same way. Numbers are of 32 bits and come round (RFC 1982); `last` was given last.
 */
export function isAnsweredBy(recorded: number, asked: number, last: number): boolean {
  return (recorded - asked) >>> 0 <= (last - asked) >>> 0;
}
