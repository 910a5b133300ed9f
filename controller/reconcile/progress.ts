/** Whose condition Programmed changes by what nodes have reported: most of the time nobody's, or those that changed last. */

import { same } from '../canonical.js';
import type { Cluster, Key } from '../cluster/index.js';
import { progressOf } from '../nodes/index.js';
import { programmed } from '../status/index.js';
import { type Context, standingOf } from './context.js';

export function concernedByProgress(context: Pick<Context, 'cluster' | 'nodes'>): Key[] {
  const { cluster } = context;
  const chains = standingOf(context, 'ServiceFunctionChain');
  const selectors = standingOf(context, 'TrafficSelector');
  const keys: Key[] = [];
  const look = (key: Key, object: ReturnType<Cluster['chain'] | Cluster['selector']>, where: typeof chains) => {
    if (object === undefined) return;
    const { uid = '', generation = 0, name } = object.metadata;
    const before = object.status?.conditions?.find(({ type }) => type === 'Programmed');
    const { finding, nodes } = programmed(progressOf(where, uid, generation, name), before, generation, undefined);
    if (before?.message !== finding.message || before.status !== finding.status || !same(object.status?.nodes, nodes)) keys.push(key);
  };
  for (const name of cluster.chainNames()) look(`chain/${name}`, cluster.chain(name), chains);
  for (const name of cluster.selectorNames()) look(`selector/${name}`, cluster.selector(name), selectors);
  return keys;
}
