/**
 * A set of objects in 16 bytes: the XOR of the first 16 bytes of SHA-256("<uid>:<generation>") of each. What is added or
 * taken away changes it in one step; the order does not. An agent tells by it which state of the cluster it has
 * programmed, and the controller finds that state in its own history: nothing of size objects × nodes is ever written.
 */

import { createHash } from 'node:crypto';
import type { KubernetesObject } from './objects.js';

const BYTES = 16;

export class ObjectDigest {
  readonly #sum = new Uint8Array(BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** 32 hexadecimal digits; all zero of none. */
  get hex(): string {
    return Buffer.from(this.#sum).toString('hex');
  }

  add(object: KubernetesObject): void {
    this.#toggle(object);
    this.#count++;
  }

  /** The very version that was added. */
  remove(object: KubernetesObject): void {
    this.#toggle(object);
    this.#count--;
  }

  #toggle({ metadata: { uid = '', generation = 0 } }: KubernetesObject): void {
    const hash = createHash('sha256').update(`${uid}:${generation}`).digest();
    for (let index = 0; index < BYTES; index++) this.#sum[index] = (this.#sum[index] ?? 0) ^ (hash[index] ?? 0);
  }
}
