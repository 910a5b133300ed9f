/** What the controller asks of the API server; every write goes through here. */

import { SfcError } from '../errors/index.js';
import type { KubernetesClient, Resource } from '../kubernetes/index.js';

export type Api = Pick<KubernetesClient, 'get' | 'list' | 'create' | 'replace' | 'mergePatch' | 'delete'>;

const WRITES = ['create', 'replace', 'mergePatch', 'delete'] as const;

export interface WriteGuard {
  /** Is it surely this process that leads? */
  readonly mayWrite: () => boolean;
  /** Told of each write before it is sent. */
  readonly onWrite: (verb: (typeof WRITES)[number], resource: Resource) => void;
}

/**
 * The client, which refuses to write for a process that does not lead (any more): also for one that stood still for a while and
 * wakes up in the middle of its work. A write that is under way already is made harmless by the version or the UID that it names.
 */
export function guarded(client: Api, { mayWrite, onWrite }: WriteGuard): Api {
  const api = { get: client.get.bind(client), list: client.list.bind(client) } as Record<string, unknown>;
  for (const verb of WRITES) {
    api[verb] = async (resource: Resource, ...rest: unknown[]) => {
      if (!mayWrite()) throw new SfcError('LEADERSHIP_LOST', `${verb} ${resource.plural}: the lease may be another's`);
      onWrite(verb, resource);
      return (client[verb] as (...all: unknown[]) => Promise<unknown>).call(client, resource, ...rest);
    };
  }
  return api as Api;
}

export function isCode(error: unknown, code: SfcError['code']): boolean {
  return error instanceof SfcError && error.code === code;
}
