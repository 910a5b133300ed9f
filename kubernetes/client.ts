/**
 * Requests to the API server about objects. Every refusal is an SfcError: KUBERNETES_NOT_FOUND (404), KUBERNETES_CONFLICT
 * (409: exists already, or another version than the one that was meant), KUBERNETES_FORBIDDEN (403, naming the rule that is
 * missing), KUBERNETES_UNAUTHORIZED (401), KUBERNETES_EXPIRED (410), KUBERNETES_REFUSED (any other 4xx, as of a webhook or a
 * schema), KUBERNETES_UNREACHABLE (no answer, 429, 5xx).
 */

import { SfcError } from '../errors/index.js';
import type { ClusterConfig } from './config.js';
import { type Asking, Connection, type Traffic } from './connection.js';
import { deadline } from './deadline.js';
import { lineSplitter } from './lines.js';
import type { KubernetesObject, ListMeta, StatusObject } from './objects.js';
import { type Attempt, describeAttempt, refusal } from './refusals.js';
import { apiVersionOf, pathOf, type Resource } from './resources.js';

/** Objects in one page of a list, as client-go's pager asks for. */
const PAGE = 500;
/** The answer of everything but a watch is there within this long (ms). */
const WHOLE_ANSWER_MS = 60_000;

export interface ListQuery {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends ListQuery {
  /**
   * `0`: whatever the server has in its cache, in one page. A thousand agents that begin at once would else be a thousand
   * reads of everything from etcd (a server reads the newest from its cache only where etcd tells progress: from 3.4.25 on).
   * What is newer comes by the watch. Absent: the newest, in pages.
   */
  readonly resourceVersion?: '0' | undefined;
}

export interface ObjectList<T> {
  readonly items: readonly T[];
  /** A watch from here on tells everything that comes after. */
  readonly resourceVersion: string;
}

export interface WatchQuery extends ListQuery {
  readonly resourceVersion: string;
  /** The server ends the watch after so long. */
  readonly timeoutSeconds: number;
}

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

export interface Written {
  readonly namespace?: string | undefined;
  readonly subresource?: string | undefined;
}

export interface ApplyOptions extends Written {
  readonly fieldManager: string;
  /** Take over fields that another manager has set. Default: true, as controllers shall. */
  readonly force?: boolean;
}

export interface DeleteOptions {
  readonly namespace?: string | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  /** Of a Pod; default: its own. */
  readonly gracePeriodSeconds?: number;
  /** Only that very object. */
  readonly uid?: string;
  readonly resourceVersion?: string;
}

type Query = Readonly<Record<string, string | undefined>>;

function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '');
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

/** Most of the bytes of an object that nobody here reads. */
function stripped<T extends KubernetesObject>(object: T): T {
  if (typeof object.metadata === 'object' && object.metadata !== null)
    delete (object.metadata as { managedFields?: unknown }).managedFields;
  return object;
}

export class KubernetesClient {
  readonly #connection: Connection;

  /** Connects with the first request. @param userAgent as the API server's audit log shall name us: `sfcd/0.1.0` */
  constructor(config: ClusterConfig, userAgent: string) {
    this.#connection = new Connection(config, userAgent);
  }

  get server(): string {
    return this.#connection.server;
  }

  get traffic(): Traffic {
    return this.#connection.traffic;
  }

  close(): void {
    this.#connection.close();
  }

  async get<T extends KubernetesObject>(resource: Resource, name: string, { namespace, subresource }: Written = {}): Promise<T> {
    return this.#object<T>({ verb: 'get', resource, place: { namespace, name, subresource } }, { method: 'GET' });
  }

  /**
   * All pages, of one moment; each item with its kind and version, which the server leaves out in lists.
   * An expired page (410) is the caller's to begin anew.
   */
  async list<T extends KubernetesObject>(resource: Resource, query: ListOptions = {}, signal?: AbortSignal): Promise<ObjectList<T>> {
    const { namespace, resourceVersion, ...selectors } = query;
    const items: T[] = [];
    let from: string | undefined;
    for (;;) {
      const page = await this.#json<{ metadata?: ListMeta; items?: readonly T[] }>(
        { verb: 'list', resource, place: { namespace } },
        { method: 'GET', signal },
        from === undefined && resourceVersion !== undefined
          ? { ...selectors, resourceVersion }
          : { ...selectors, limit: String(PAGE), continue: from },
      );
      for (const item of page.items ?? []) items.push(stripped({ apiVersion: apiVersionOf(resource), kind: resource.kind, ...item }));
      from = page.metadata?.continue;
      if (from === undefined || from === '') return { items, resourceVersion: page.metadata?.resourceVersion ?? '' };
    }
  }

  /**
   * Events from a version on, with bookmarks, until the server ends it. Calls `onEvents` with what one read brought.
   * An ERROR event is thrown as what it says.
   */
  async watch<T extends KubernetesObject>(
    resource: Resource,
    { namespace, timeoutSeconds, ...query }: WatchQuery,
    onEvents: (events: readonly WatchEvent<T>[]) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const attempt: Attempt = { verb: 'watch', resource, place: { namespace } };
    const path = withQuery(pathOf(resource, { namespace }), {
      ...query,
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(timeoutSeconds),
    });
    const answer = await this.#connection.request({ method: 'GET', path, signal });
    if (answer.status !== 200) throw refusal(attempt, answer.status, await statusOf(answer.chunks), answer.headers['retry-after']);
    // An open watch says so before its first event, which may be long in coming.
    onEvents([]);
    const lines = lineSplitter();
    for await (const chunk of answer.chunks) {
      const events = lines.push(chunk).map((line) => JSON.parse(line) as WatchEvent<T>);
      const error = events.findIndex(({ type }) => type === 'ERROR');
      onEvents(error === -1 ? events : events.slice(0, error));
      const status = events[error]?.object as Partial<StatusObject> | undefined;
      if (status !== undefined) {
        answer.end();
        throw refusal(attempt, status.code ?? 500, status);
      }
    }
  }

  async create<T extends KubernetesObject>(resource: Resource, object: T, { namespace, subresource }: Written = {}): Promise<T> {
    // The name stands in the body; in the path only of a subresource of something that is there.
    const name = subresource === undefined ? undefined : object.metadata.name;
    const attempt: Attempt = { verb: 'create', resource, place: { namespace, name, subresource } };
    return this.#object<T>(attempt, { method: 'POST', contentType: 'application/json', body: JSON.stringify(object) });
  }

  /** Replaces the whole; with the resourceVersion of what was read, only that version (else KUBERNETES_CONFLICT). */
  async replace<T extends KubernetesObject>(resource: Resource, object: T, { namespace, subresource }: Written = {}): Promise<T> {
    const attempt: Attempt = { verb: 'update', resource, place: { namespace, name: object.metadata.name, subresource } };
    return this.#object<T>(attempt, { method: 'PUT', contentType: 'application/json', body: JSON.stringify(object) });
  }

  /** Server-side apply: makes it, or sets the fields that stand in `object` and removes those that we set before. */
  async apply<T extends KubernetesObject>(
    resource: Resource,
    object: T,
    { namespace, subresource, fieldManager, force = true }: ApplyOptions,
  ): Promise<T> {
    const attempt: Attempt = { verb: 'patch', resource, place: { namespace, name: object.metadata.name, subresource } };
    const asking = { method: 'PATCH', contentType: 'application/apply-patch+yaml', body: JSON.stringify(object) } as const;
    return this.#object<T>(attempt, asking, { fieldManager, force: String(force) });
  }

  /** A JSON merge patch (RFC 7396): null removes. A `metadata.resourceVersion` in it makes it conditional. */
  async mergePatch<T extends KubernetesObject>(
    resource: Resource,
    name: string,
    patch: object,
    { namespace, subresource, fieldManager }: Written & { readonly fieldManager?: string } = {},
  ): Promise<T> {
    const attempt: Attempt = { verb: 'patch', resource, place: { namespace, name, subresource } };
    const asking = { method: 'PATCH', contentType: 'application/merge-patch+json', body: JSON.stringify(patch) } as const;
    return this.#object<T>(attempt, asking, { fieldManager });
  }

  /** Idempotent: of what is not there, nothing is said. @returns was it there? */
  async delete(
    resource: Resource,
    name: string,
    { namespace, propagationPolicy = 'Background', gracePeriodSeconds, uid, resourceVersion }: DeleteOptions = {},
  ): Promise<boolean> {
    const preconditions = { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    const body = JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy, gracePeriodSeconds, preconditions });
    try {
      await this.#json(
        { verb: 'delete', resource, place: { namespace, name } },
        { method: 'DELETE', contentType: 'application/json', body },
      );
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === 'KUBERNETES_NOT_FOUND') return false;
      throw error;
    }
  }

  async #object<T extends KubernetesObject>(attempt: Attempt, asking: Omit<Asking, 'path'>, query: Query = {}): Promise<T> {
    return stripped(await this.#json<T>(attempt, asking, query));
  }

  async #json<T>(attempt: Attempt, { signal, ...asking }: Omit<Asking, 'path'>, query: Query = {}): Promise<T> {
    const late = () =>
      new SfcError('KUBERNETES_UNREACHABLE', `${describeAttempt(attempt)}: no whole answer within ${WHOLE_ANSWER_MS / 1000} s`);
    const end = deadline(WHOLE_ANSWER_MS, late, signal);
    try {
      const path = withQuery(pathOf(attempt.resource, attempt.place), query);
      const answer = await this.#connection.request({ ...asking, path, signal: end.signal });
      if (answer.status >= 200 && answer.status < 300) return JSON.parse(await textOf(answer.chunks)) as T;
      throw refusal(attempt, answer.status, await statusOf(answer.chunks), answer.headers['retry-after']);
    } catch (error) {
      end.signal.throwIfAborted();
      throw error;
    } finally {
      end.done();
    }
  }
}

async function textOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString('utf8');
}

async function statusOf(chunks: AsyncIterable<Buffer>): Promise<Partial<StatusObject> | undefined> {
  const text = await textOf(chunks);
  try {
    return JSON.parse(text) as StatusObject;
  } catch {
    // Of a proxy, or of the server before it serves: its own words.
    return text.trim() === '' ? undefined : { message: text.trim().slice(0, 500) };
  }
}
