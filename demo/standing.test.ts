import { describe, expect, it } from 'vitest';
import { namespacesToMake, whyNoNamespaces } from './standing.js';

describe('the demo stands', () => {
  it('on the machine itself for root', () => {
    expect(namespacesToMake({ uid: 0, initialUserNamespace: true }, false)).toEqual([]);
  });

  it.each([
    ['somebody else', 1000, true],
    ['root of a user namespace', 0, false],
    ['somebody else in a user namespace', 1000, false],
  ])('in namespaces of its own for %s, and makes them once', (_, uid, initialUserNamespace) => {
    expect(namespacesToMake({ uid, initialUserNamespace }, false)).toContain('--user');
    expect(namespacesToMake({ uid, initialUserNamespace }, true)).toEqual([]);
  });

  it('says in unshare’s words why they cannot be made, and what to look at', () => {
    expect(whyNoNamespaces(['--no-such-flag'])).toMatch(/no-such-flag.*sysctl/);
    expect(whyNoNamespaces([])).toBeUndefined();
  });
});
