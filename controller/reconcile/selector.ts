/** One look at a selector: nothing is made for it, its status is kept. */

import { RESOURCES } from '../../kubernetes/index.js';
import { type ChainState, type Rival, selectorStatus } from '../status/index.js';
import { type Context, progress, timeOf } from './context.js';
import { writeStatus } from './status.js';

function chainState(name: string | undefined, { cluster, ids }: Context): ChainState | undefined {
  const object = name === undefined ? undefined : cluster.chain(name);
  if (object === undefined) return undefined;
  return {
    servicePathId: ids.idOf(object.metadata.uid ?? ''),
    ready: object.status?.conditions?.find(({ type }) => type === 'Ready'),
  };
}

function rivalsOf(name: string, mine: ChainState | undefined, { whole }: Context): Rival[] {
  return (whole.rivals.get(name) ?? []).map(({ servicePathId, ...rival }) => {
    const known = servicePathId !== undefined && mine?.servicePathId !== undefined;
    return { ...rival, wins: known ? servicePathId < (mine.servicePathId ?? 0) : undefined };
  });
}

export async function reconcileSelector(name: string, context: Context): Promise<undefined> {
  const { cluster, clock } = context;
  const object = cluster.selector(name);
  if (object === undefined || object.metadata.deletionTimestamp !== undefined) return;
  const { value: selector, faults } = cluster.readSelector(object);
  const chain = chainState(selector?.chain, context);
  // The chain's first status is on its way; this is looked at again then, and one status is written instead of three.
  if (chain !== undefined && chain.ready === undefined) return;
  const status = selectorStatus({
    generation: object.metadata.generation ?? 0,
    status: object.status,
    selector,
    faults,
    chain,
    rivals: rivalsOf(name, chain, context),
    progress: progress(context, 'TrafficSelector', object.metadata),
    now: timeOf(clock.wall()),
  });
  await writeStatus(context, {
    resource: RESOURCES.selectors,
    object,
    status,
    writes: cluster.selectorWrites,
    watched: cluster.watched.selector(name),
  });
}
