import { describe, expect, it } from 'vitest';
import { ObjectDigest } from './digest.js';

const object = (uid: string, generation: number) => ({ metadata: { name: uid, uid, generation } });

describe('the digest of a set of objects', () => {
  it('is what it says, so that two programs come to the same', () => {
    const digest = new ObjectDigest();
    expect([digest.hex, digest.count]).toEqual(['0'.repeat(32), 0]);
    digest.add(object('a', 1));
    // printf a:1 | sha256sum
    expect([digest.hex, digest.count]).toEqual(['2b2c40a6706d9e5f320d553628313833', 1]);
  });

  it('hangs on uids and generations, not on the order', () => {
    const [one, other] = [new ObjectDigest(), new ObjectDigest()];
    for (const [uid, generation] of [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ] as const)
      one.add(object(uid, generation));
    for (const [uid, generation] of [
      ['c', 1],
      ['b', 1],
      ['a', 1],
    ] as const)
      other.add(object(uid, generation));
    expect(one.hex).not.toBe(other.hex);
    other.remove(object('c', 1));
    other.add(object('c', 2));
    expect([one.hex, one.count]).toEqual([other.hex, 3]);
    for (const [uid, generation] of [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ] as const)
      one.remove(object(uid, generation));
    expect([one.hex, one.count]).toEqual(['0'.repeat(32), 0]);
  });
});
