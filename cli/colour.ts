import type { Io, Output } from './io.js';

export interface Paint {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly faint: (text: string) => string;
}

/** Colours on a terminal, unless NO_COLOR (https://no-color.org) or a dumb one says otherwise. */
export function paintFor(output: Output, environment: Io['environment']): Paint {
  const plain = output.isTTY !== true || (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb';
  const wrap = (code: number) => (text: string) => (plain || text === '' ? text : `\u001b[${code}m${text}\u001b[0m`);
  return { good: wrap(32), bad: wrap(31), faint: wrap(2) };
}
