/**
 * One look at a chain. In this order, so that nothing is told before it is so:
 *
 *     servicePathId in the record ─► Services ─► status, events ─► Services of functions that are gone, deleted
 *
 * An old Service goes when every node has programmed the chain without it: until then packets are sent to its instances.
 */

import { RESOURCES } from '../../kubernetes/index.js';
import { type Chain, chainUid, type FunctionStatus, functionPods, isReady, serviceName, type World } from '../../policy/index.js';
import type { ChainObject } from '../cluster/index.js';
import { type ServiceObject, wantedServices } from '../services/index.js';
import { chainStatus, type Notice } from '../status/index.js';
import { type Context, progress, timeOf } from './context.js';
import { deleteServices, leftOver, settleServices } from './services.js';
import { writeStatus } from './status.js';

const NOTHING: World = { chains: [], selectors: [], pods: [], namespaces: [], nodes: [], services: [] };

/** Each function once, with its instances. */
function functionsOf(chain: Chain, { cluster }: Context): FunctionStatus[] {
  const functions = new Map<string, FunctionStatus>();
  for (const one of chain.serviceFunctions) {
    if (functions.has(one.name)) continue;
    const pods = functionPods({ ...NOTHING, pods: [...cluster.podsIn(one.namespace)] }, chain, one);
    const { name, namespace } = one;
    const service = serviceName(name, chainUid(chain));
    functions.set(name, { name, namespace, service, instances: pods.length, readyInstances: pods.filter(isReady).length });
  }
  return [...functions.values()];
}

/** When what is left over was seen first, by UID of the Service (monotonic, ms). */
const seenAt = new WeakMap<Context, Map<string, number>>();

/** The Services that may go now, and ms until the others may. */
function due(
  context: Context,
  services: readonly ServiceObject[],
  everywhere: boolean,
): { readonly now: ServiceObject[]; readonly laterMs: number | undefined } {
  const seen = seenAt.get(context) ?? new Map<string, number>();
  seenAt.set(context, seen);
  const at = context.clock.monotonic();
  const left = services.map((service) => {
    const { uid = '' } = service.metadata;
    const first = seen.get(uid) ?? at;
    seen.set(uid, first);
    return { service, uid, wait: everywhere ? 0 : first + context.serviceGraceMs - at };
  });
  const now = left.filter(({ wait }) => wait <= 0);
  for (const { uid } of now) seen.delete(uid);
  const waits = left.filter(({ wait }) => wait > 0).map(({ wait }) => wait);
  return { now: now.map(({ service }) => service), laterMs: waits.length === 0 ? undefined : Math.min(...waits) };
}

/** The chain is gone: so are its Services, where the API server's own collector has not been there. */
async function chainGone(name: string, context: Context): Promise<void> {
  const { api, cluster } = context;
  const services = cluster.servicesNaming(name).flatMap((key) => cluster.service(key) ?? []);
  if (services.length === 0) return;
  // Asked of the API server itself: a watch may be late, and a Service that is made anew has another address.
  const { items } = await api.list(RESOURCES.chains, { fieldSelector: `metadata.name=${name}` });
  const uid = items[0]?.metadata.uid;
  if (uid !== undefined) return;
  const others = ({ metadata }: ServiceObject) =>
    metadata.ownerReferences?.some(
      ({ kind, controller, name: owner }) => controller === true && (kind !== RESOURCES.chains.kind || owner !== name),
    );
  await deleteServices(
    context,
    services.filter((service) => others(service) !== true),
  );
}

/** @returns ms after which to look again */
export async function reconcileChain(name: string, context: Context): Promise<number | undefined> {
  const { cluster, ids, clock } = context;
  const object = cluster.chain(name);
  if (object === undefined) {
    await chainGone(name, context);
    return undefined;
  }
  // It is on its way out; its Services go with it.
  if (object.metadata.deletionTimestamp !== undefined) return undefined;
  const { uid = '', generation = 0 } = object.metadata;
  const servicePathId = ids.idOf(uid);
  const withoutId = context.withoutId.get(uid) ?? context.withoutId.get('');
  // Its id is on its way: this is looked at again then, and one status is written instead of two.
  if (servicePathId === undefined) context.awaitingId.add(name);
  if (servicePathId === undefined && withoutId === undefined) return undefined;

  const { value: chain, faults } = cluster.readChain(object);
  const ref = { name, uid };
  const wanted = chain === undefined ? undefined : wantedServices(chain, (namespace) => cluster.podsIn(namespace));
  const outcome = await settleServices(context, ref, wanted?.values() ?? []);
  const reached = progress(context, 'ServiceFunctionChain', object.metadata);
  const status = chainStatus({
    generation,
    status: object.status,
    chain,
    faults,
    servicePathId,
    withoutId: withoutId ?? '',
    troubles: outcome.troubles,
    functions: chain === undefined ? [] : functionsOf(chain, context),
    ring: context.whole.rings.get(name),
    progress: reached,
    now: timeOf(clock.wall()),
  });
  const notices = [...outcome.notices, ...idNotices(object, servicePathId, context)];
  const write = { resource: RESOURCES.chains, object, status, writes: cluster.chainWrites, watched: cluster.watched.chain(name), notices };
  await writeStatus(context, write);
  for (const failure of outcome.failures) throw failure;

  // What was good before is in force as long as this is not: nothing of it goes.
  if (wanted === undefined) return undefined;
  const { now, laterMs } = due(context, leftOver(context, ref, wanted), reached.programmed === reached.total);
  if (now.length > 0 && (await isCurrent(object, context))) await deleteServices(context, now);
  return laterMs;
}

/** Is this the chain as it is? A watch that is late shows a chain without the function that its last edit has added. */
async function isCurrent({ metadata }: ChainObject, { api }: Context): Promise<boolean> {
  const { items } = await api.list(RESOURCES.chains, { fieldSelector: `metadata.name=${metadata.name}` });
  return items[0]?.metadata.uid === metadata.uid && items[0]?.metadata.generation === metadata.generation;
}

/** A status that named another id than the record: told, and what was wrong with it. */
function idNotices({ metadata: { uid = '' }, status }: ChainObject, servicePathId: number | undefined, { refusals }: Context): Notice[] {
  const stated = status?.servicePathId;
  if (stated === undefined || stated === servicePathId) return [];
  const refusal = refusals.get(uid);
  const why = refusal?.stated === stated ? `; ${stated} ${refusal.why}` : '';
  return [
    {
      type: 'Warning',
      reason: 'ServicePathIdRepaired',
      note: `status named ${stated}, and the chain has ${servicePathId ?? 'none yet'}${why}`,
    },
  ];
}
