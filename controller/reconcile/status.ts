/** Writing a status: only where it differs, only over the version that was looked at, and told as events. */

import { apiVersionOf, type KubernetesObject, type Resource } from '../../kubernetes/index.js';
import type { Condition } from '../../policy/index.js';
import { same } from '../canonical.js';
import type { OwnWrites } from '../own-writes.js';
import { type Notice, noticesOf } from '../status/index.js';
import type { Context } from './context.js';

interface WithStatus extends KubernetesObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface StatusWrite<T extends WithStatus> {
  readonly resource: Resource;
  readonly object: T;
  readonly status: NonNullable<T['status']>;
  readonly writes: OwnWrites<T>;
  /** As the watch has it now. */
  readonly watched: T | undefined;
  readonly notices?: readonly Notice[];
}

/** A merge patch that makes `before` into `after`: what is left out of a patch stays, so it has to be named. */
function replacing(before: object, after: object): object {
  const gone = Object.keys(before).filter((key) => !(key in after));
  return { ...after, ...Object.fromEntries(gone.map((key) => [key, null])) };
}

/**
 * @returns was there something to write?
 * @throws SfcError KUBERNETES_CONFLICT where somebody wrote meanwhile: look again
 */
export async function writeStatus<T extends WithStatus>(
  { api, events }: Context,
  { resource, object, status, writes, watched, notices = [] }: StatusWrite<T>,
): Promise<boolean> {
  const { name, uid = '', resourceVersion } = object.metadata;
  const before = object.status ?? {};
  const changed = !same(before, status);
  let written: T = object;
  if (changed) {
    // The UID too: an object that was deleted and made anew is another one.
    const patch = { metadata: { uid, resourceVersion }, status: replacing(before, status) };
    written = await api.mergePatch<T>(resource, name, patch, { subresource: 'status' });
    writes.wrote(name, watched, written);
  }
  const subject = { apiVersion: apiVersionOf(resource), kind: resource.kind, name, uid, resourceVersion: written.metadata.resourceVersion };
  await events.tell(subject, [...notices, ...(changed ? noticesOf(object.status?.conditions ?? [], status.conditions ?? []) : [])]);
  return changed;
}
