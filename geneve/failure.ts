/** What decoders give back instead of a value: plain data, text only at the edge. */

export interface Failure {
  /** What was short or wrong: `UDP header`, `Geneve option`, `NSH TTL`. */
  readonly part: string;
  readonly problem: 'short' | 'wrong';
  /** Short: the bytes that the part takes. Wrong: the value that it must have, or which values those are. */
  readonly wanted: number | string;
  /** Short: the bytes that were there. Wrong: the value that was there. */
  readonly found: number;
}

export interface Failed {
  readonly failure: Failure;
}

/** A value, or why there is none; `'failure' in decoded` tells them apart. */
export type Decoded<T> = T | Failed;

/**
 * Reasons that bytes alone can give for dropping a packet; the names are those of the datapath's
 * counters (`maps/reasons.ts`), and a test keeps them so.
 */
export const DROP_REASONS = [
  'malformed',
  'too-big',
  'outer-malformed',
  'outer-checksum',
  'geneve-version',
  'geneve-malformed',
  'geneve-critical-option',
  'geneve-no-nsh',
  'nsh-version',
  'nsh-malformed',
  'nsh-ttl',
  'next-protocol',
  'inner-malformed',
  'ecn',
  'control',
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

export interface DropFailure extends Failure {
  readonly reason: DropReason;
}

export function short(part: string, wanted: number, found: number): Failed {
  return { failure: { part, problem: 'short', wanted, found } };
}

export function wrong(part: string, wanted: number | string, found: number): Failed {
  return { failure: { part, problem: 'wrong', wanted, found } };
}

/** A failure with the name that its drop is counted under. */
export function drop(reason: DropReason, { failure }: Failed): { readonly failure: DropFailure } {
  return { failure: { reason, ...failure } };
}

/** `UDP header: 8 bytes wanted, 3 there`; `NSH version: 0 wanted, 1 found`. */
export function formatFailure({ part, problem, wanted, found }: Failure): string {
  return problem === 'short' ? `${part}: ${wanted} bytes wanted, ${found} there` : `${part}: ${wanted} wanted, ${found} found`;
}
