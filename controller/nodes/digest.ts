/** A set of objects, each at its generation, in 16 bytes: the XOR of a hash of each. The order in which they came plays no part. */

import { createHash } from 'node:crypto';

export const DIGEST_BYTES = 16;

/** Of no object. */
export const EMPTY_DIGEST = '0'.repeat(2 * DIGEST_BYTES);

export interface ObjectVersion {
  readonly uid: string;
  readonly generation: number;
}

function hashOf({ uid, generation }: ObjectVersion): Buffer {
  return createHash('sha256').update(`${uid}:${generation}`).digest().subarray(0, DIGEST_BYTES);
}

/** Adding and removing are the same. */
export class Digest {
  readonly #sum = Buffer.alloc(DIGEST_BYTES);

  toggle(version: ObjectVersion): void {
    const hash = hashOf(version);
    for (let at = 0; at < DIGEST_BYTES; at++) this.#sum[at] = (this.#sum[at] ?? 0) ^ (hash[at] ?? 0);
  }

  toString(): string {
    return this.#sum.toString('hex');
  }
}
