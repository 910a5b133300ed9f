/** The objects of one kind as they were told last, and the differences that news makes. Pure. */

import { type KubernetesObject, objectKey } from './objects.js';

export type Change<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'modified'; readonly object: T; readonly previous: T }
  | { readonly type: 'deleted'; readonly object: T };

export class ObjectStore<T extends KubernetesObject> {
  readonly #objects = new Map<string, T>();

  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  /** Nothing where it is the version that is known. Another object of the same name is the end of the one and the beginning of the other. */
  set(object: T): Change<T>[] {
    const key = objectKey(object);
    const previous = this.#objects.get(key);
    const { uid, resourceVersion } = object.metadata;
    if (previous === undefined) {
      this.#objects.set(key, object);
      return [{ type: 'added', object }];
    }
    const same = previous.metadata.uid === uid;
    if (same && previous.metadata.resourceVersion === resourceVersion) return [];
    this.#objects.set(key, object);
    return same
      ? [{ type: 'modified', object, previous }]
      : [
          { type: 'deleted', object: previous },
          { type: 'added', object },
        ];
  }

  /** The last that was known is told, not what the server says of the deletion. */
  remove(object: T): Change<T>[] {
    const key = objectKey(object);
    const previous = this.#objects.get(key);
    if (previous === undefined) return [];
    this.#objects.delete(key);
    return [{ type: 'deleted', object: previous }];
  }

  /** All there are, from a new list: what is missing there was deleted meanwhile. Deletions first. */
  replace(objects: readonly T[]): Change<T>[] {
    const listed = new Set(objects.map(objectKey));
    const gone = [...this.#objects].flatMap(([key, object]) => (listed.has(key) ? [] : [object]));
    return [...gone.flatMap((object) => this.remove(object)), ...objects.flatMap((object) => this.set(object))];
  }
}
