/** Where in a document: the keys and positions from its root. */

import { shorten } from './expectation.js';

export type Path = readonly (string | number)[];

/** `spec.egress.ports[0]`; a key that is no plain word is quoted: `labels["app.kubernetes.io/name"]`. */
export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`;
      if (/^[A-Za-z_][A-Za-z0-9_-]{0,62}$/.test(step)) return index === 0 ? step : `.${step}`;
      return `[${JSON.stringify(shorten(step))}]`;
    })
    .join('');
}

/** A JSON pointer (RFC 6901) as a path into this very value: a step into a list is a number. */
export function pathOfPointer(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let at = root;
  for (const escaped of pointer.split('/').slice(1)) {
    const step = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(at) ? Number(step) : step);
    at = (at as Record<string, unknown> | undefined)?.[step];
  }
  return path;
}
