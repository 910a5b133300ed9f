/** Makes the Services of a chain as they are wanted. */

import { SfcError } from '../../errors/index.js';
import { RESOURCES } from '../../kubernetes/index.js';
import { isCode } from '../api.js';
import { type ChainRef, isOfChain, planService, type ServiceObject, type WantedService } from '../services/index.js';
import type { Notice, ServiceTrouble } from '../status/index.js';
import type { Context } from './context.js';

/** Others write too; each time the plan is made anew. */
const MOST_TRIES = 4;

export interface ServiceOutcome {
  readonly troubles: readonly ServiceTrouble[];
  readonly notices: readonly Notice[];
  /** To be tried again. */
  readonly failures: readonly unknown[];
}

async function readService({ api }: Context, { namespace, name }: WantedService): Promise<ServiceObject | undefined> {
  try {
    return await api.get<ServiceObject>(RESOURCES.services, name, { namespace });
  } catch (error) {
    if (isCode(error, 'KUBERNETES_NOT_FOUND')) return undefined;
    throw error;
  }
}

type Attempt = { readonly again: true } | { readonly again: false; readonly notice?: Notice; readonly owner?: string };

/** One step of the plan. @throws SfcError what the API server refuses */
async function attempt(context: Context, wanted: WantedService, chain: ChainRef, found: ServiceObject | undefined): Promise<Attempt> {
  const { api, cluster } = context;
  const { namespace, name } = wanted;
  const key = `${namespace}/${name}`;
  const done = (object: ServiceObject) => cluster.serviceWrites.wrote(key, cluster.watched.service(key), object);
  const step = planService(wanted, chain, found);
  switch (step.what) {
    case 'nothing':
      return { again: false };
    case 'leave':
      return { again: false, owner: step.owner };
    case 'create': {
      done(await api.create<ServiceObject>(RESOURCES.services, step.object, { namespace }));
      return { again: false, notice: { type: 'Normal', reason: 'ServiceCreated', note: `Service ${key}` } };
    }
    case 'update': {
      const after = await api.replace<ServiceObject>(RESOURCES.services, step.object, { namespace });
      done(after);
      // A webhook that changes it back would have us write without end.
      if (planService(wanted, chain, after).what !== 'nothing')
        throw new SfcError(
          'KUBERNETES_REFUSED',
          `Service ${key} does not stay as it was written: something changes its ${step.fields.join(', ')}`,
        );
      return { again: false, notice: { type: 'Normal', reason: 'ServiceUpdated', note: `Service ${key}: ${step.fields.join(', ')}` } };
    }
    case 'recreate': {
      const { uid, resourceVersion } = step.old.metadata;
      await api.delete(RESOURCES.services, name, {
        namespace,
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      });
      return { again: true };
    }
  }
}

async function settleOne(context: Context, wanted: WantedService, chain: ChainRef): Promise<Attempt & { readonly again: false }> {
  const key = `${wanted.namespace}/${wanted.name}`;
  let found = context.cluster.service(key);
  for (let tries = 1; ; tries++) {
    try {
      const result = await attempt(context, wanted, chain, found);
      if (!result.again) return result;
    } catch (error) {
      // It is there though the watch does not show it (yet, or without our label), or it was changed or deleted meanwhile.
      const late = isCode(error, 'KUBERNETES_CONFLICT') || (found !== undefined && isCode(error, 'KUBERNETES_NOT_FOUND'));
      if (!late || tries === MOST_TRIES) throw error;
    }
    found = await readService(context, wanted);
  }
}

/** A namespace that is missing or ends; undefined: something else is wrong. */
function troubleOf(error: unknown, { serviceFunction, namespace }: WantedService): ServiceTrouble | undefined {
  if (!(error instanceof SfcError)) return undefined;
  const ends = error.code === 'KUBERNETES_FORBIDDEN' && error.message.includes('being terminated');
  if (error.code === 'KUBERNETES_NOT_FOUND' || ends)
    return {
      serviceFunction,
      reason: 'NamespaceMissing',
      message: `namespace ${namespace} ${ends ? 'is being deleted' : 'does not exist'}`,
    };
  if (error.code === 'KUBERNETES_FORBIDDEN' || error.code === 'KUBERNETES_REFUSED')
    return { serviceFunction, reason: 'ServiceRefused', message: error.message };
  return undefined;
}

/** Each on its own: what is wrong with one keeps nothing from the others. */
export async function settleServices(context: Context, chain: ChainRef, wanted: Iterable<WantedService>): Promise<ServiceOutcome> {
  const troubles: ServiceTrouble[] = [];
  const notices: Notice[] = [];
  const failures: unknown[] = [];
  for (const one of wanted) {
    const { serviceFunction, namespace, name } = one;
    if (!context.cluster.hasNamespace(namespace)) {
      troubles.push({ serviceFunction, reason: 'NamespaceMissing', message: `namespace ${namespace} does not exist` });
      continue;
    }
    try {
      const { notice, owner } = await settleOne(context, one, chain);
      if (notice !== undefined) notices.push(notice);
      if (owner !== undefined)
        troubles.push({ serviceFunction, reason: 'ServiceNotOurs', message: `Service ${namespace}/${name} is in the way: ${owner}` });
    } catch (error) {
      const trouble = troubleOf(error, one);
      if (trouble !== undefined) troubles.push(trouble);
      // A namespace that appears is told by the watch; the rest is tried again.
      if (trouble?.reason !== 'NamespaceMissing') failures.push(error);
    }
  }
  return { troubles, notices, failures };
}

/** Services that belong to the chain and stand for no function of it. */
export function leftOver(context: Context, chain: ChainRef, wanted: ReadonlyMap<string, WantedService>): ServiceObject[] {
  return context.cluster.servicesNaming(chain.name).flatMap((key) => {
    const service = context.cluster.service(key);
    return wanted.has(key) || service === undefined || !isOfChain(service, chain) ? [] : [service];
  });
}

export async function deleteServices({ api, cluster }: Context, services: readonly ServiceObject[]): Promise<void> {
  for (const { metadata } of services) {
    const { namespace = '', name, uid } = metadata;
    const key = `${namespace}/${name}`;
    await api.delete(RESOURCES.services, name, { namespace, ...(uid === undefined ? {} : { uid }) });
    cluster.serviceWrites.wrote(key, cluster.watched.service(key), undefined);
  }
}
