/** What does not fit, in words: what is missing, and which MTU to set on which side. */

import { overheadOver } from '../../geneve/index.js';
import { FAMILY, type Family } from '../../maps/index.js';
import type { Problem } from '../../policy/index.js';
import type { SizeView } from '../view.js';

/** More names than these are counted. */
const MOST_NAMES = 5;

function listed(names: readonly string[]): string {
  const rest = names.length - MOST_NAMES;
  return rest > 0 ? `${names.slice(0, MOST_NAMES).join(', ')} and ${rest} more` : names.join(', ');
}

export function sizeView({
  outer,
  ...facts
}: Pick<SizeView, 'kind' | 'links' | 'mtu' | 'podMtu' | 'towards'> & { outer: Family }): SizeView {
  const { kind, links, mtu, podMtu, towards } = facts;
  const overhead = overheadOver(outer);
  const needed = podMtu + overhead;
  const fitting = mtu - overhead;
  const family = outer === FAMILY.ipv6 ? 'IPv6' : 'IPv4';
  const where = kind === 'link' ? `of ${listed(links)} towards ${listed(towards)}` : `of pods' host sides ${listed(links)}`;
  return {
    ...facts,
    outer: family,
    needed,
    missing: needed - mtu,
    fitting,
    message: `MTU ${mtu} ${where} is ${needed - mtu} too small: pods have ${podMtu}, and steering adds ${overhead} (outer ${family})`,
    hint:
      kind === 'link'
        ? `Set it, and every link on the way to these nodes, to ${needed} or more; or the pods' MTU to ${fitting} or less.`
        : `Set the host sides to ${needed} or more, or the MTU inside the pods, and only there, to ${fitting} or less.`,
  };
}

/** As `sfc get problems` shows it. */
export function sizeProblem({ links, message, hint }: SizeView): Problem {
  const resource = `Link/${listed(links)}`;
  return { severity: 'warning', file: '', document: 0, line: 0, resource, path: 'mtu', message, hint };
}
