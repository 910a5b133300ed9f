import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../kubernetes/index.js';
import { OwnWrites } from './own-writes.js';

const version = (resourceVersion: string): KubernetesObject => ({ metadata: { name: 'a', uid: 'u', resourceVersion } });
const [ONE, TWO, THREE, FOUR] = ['1', '2', '3', '4'].map(version) as [
  KubernetesObject,
  KubernetesObject,
  KubernetesObject,
  KubernetesObject,
];

describe('own writes', () => {
  it('are seen until the watch shows something newer', () => {
    const writes = new OwnWrites(() => 0);
    expect(writes.latest('a', ONE)).toBe(ONE);
    writes.wrote('a', ONE, TWO);
    expect(writes.latest('a', ONE)).toBe(TWO);
    expect(writes.latest('a', THREE)).toBe(THREE);
    expect(writes.latest('a', ONE)).toBe(ONE);
  });

  it('one after another hide those in between, which the watch brings first', () => {
    const writes = new OwnWrites(() => 0);
    writes.wrote('a', ONE, TWO);
    writes.wrote('a', ONE, THREE);
    for (const shown of [ONE, TWO]) {
      writes.seen('a', shown);
      expect(writes.latest('a', shown)).toBe(THREE);
    }
    writes.seen('a', FOUR);
    expect(writes.latest('a', FOUR)).toBe(FOUR);
  });

  it('that made something are forgotten when the watch says that it is gone', () => {
    const writes = new OwnWrites(() => 0);
    writes.wrote('a', undefined, ONE);
    expect(writes.latest('a', undefined)).toBe(ONE);
    writes.seen('a', undefined);
    expect(writes.latest('a', undefined)).toBeUndefined();
  });

  it('are believed for half a minute and no longer', () => {
    let now = 0;
    const writes = new OwnWrites(() => now);
    writes.wrote('a', undefined, ONE);
    now = 30_000;
    expect(writes.latest('a', undefined)).toBeUndefined();
  });
});
