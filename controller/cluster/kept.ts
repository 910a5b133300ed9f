/** Values that are read out of objects, each anew only when its object is another version. */

import type { KubernetesObject } from '../../kubernetes/index.js';

export class Kept<T extends KubernetesObject, V> {
  readonly #values = new WeakMap<T, V>();
  readonly #read: (object: T) => V;

  constructor(read: (object: T) => V) {
    this.#read = read;
  }

  of(object: T): V {
    if (!this.#values.has(object)) this.#values.set(object, this.#read(object));
    return this.#values.get(object) as V;
  }
}
