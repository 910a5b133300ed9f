/** Is everything of a pod in the maps? Pure. */

import { type Observed, sameSelection, type Target } from '../reconciler/index.js';

/**
 * What is missing of an endpoint, in words; empty when nothing is. Asked of interfaces that are held: a pod
 * whose selectors do not fit stays held, others' packets do not depend on it.
 */
export function missingOf(ifindex: number, target: Target, observed: Observed): string {
  const wanted = target.endpoints.get(ifindex);
  const present = observed.endpoints.get(ifindex);
  if (wanted === undefined || present === undefined || present.id !== wanted.id) return 'its endpoint entry is not in the maps';
  // Odd: its selection is half changed (`reconciler/plan.ts`).
  if (present.generation % 2 === 1) return 'its selection is not written yet';
  for (const [text, { key, value, selector }] of target.selects) {
    if (key.endpoint !== wanted.id) continue;
    const found = observed.selects.get(text);
    if (found === undefined || !sameSelection(found.value, value)) return `selector ${selector} is not in the maps`;
    if (value.path !== 0 && !observed.paths.has(value.path)) return `the path of selector ${selector} is not in the maps`;
  }
  for (const [text, { key, value, together }] of target.ports) {
    if (key.endpoint !== wanted.id) continue;
    if (observed.ports.get(text)?.value.first_port !== value.first_port) return `ports of selector ${together[0]} are not in the maps`;
  }
  return '';
}
