/** A problem of a manifest, as compilers print theirs: editors find the place. */

import type { ProblemView } from '../agent/view.js';
import type { Paint } from './colour.js';
import { printable } from './printable.js';

/** `FILE:LINE: error: RESOURCE PATH: message`, and the hint on a line of its own. */
export function problemLines({ severity, file, line, resource, path, message, hint }: ProblemView, paint: Paint): string[] {
  // What the manifests do not tell, the node itself does, has no place.
  const place = file === '' ? '' : `${line === 0 ? file : `${file}:${line}`}: `;
  const what = [resource, path].filter((part) => part !== '').join(' ');
  const word = severity === 'error' ? paint.bad(severity) : severity;
  const said = `${printable(place)}${word}: ${printable(what === '' ? message : `${what}: ${message}`)}`;
  return hint === '' ? [said] : [said, paint.faint(`    ${printable(hint)}`)];
}

/** `1 error, 2 warnings`. */
export function countProblems(problems: readonly ProblemView[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  return `${plural(errors, 'error')}, ${plural(problems.length - errors, 'warning')}`;
}

export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
