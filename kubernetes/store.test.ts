import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from './objects.js';
import { type Change, ObjectStore } from './store.js';

const pod = (name: string, resourceVersion: string, uid = `uid-of-${name}`): KubernetesObject => ({
  metadata: { namespace: 'firewall', name, uid, resourceVersion },
});
const words = (changes: readonly Change<KubernetesObject>[]) =>
  changes.map(({ type, object: { metadata } }) => `${type} ${metadata.name} ${metadata.resourceVersion}`);

describe('the store of an informer', () => {
  it('tells what is new, what is another version, and nothing of what is known', () => {
    const store = new ObjectStore();
    expect(words(store.set(pod('firewall-1', '1')))).toEqual(['added firewall-1 1']);
    expect(words(store.set(pod('firewall-1', '1')))).toEqual([]);
    expect(words(store.set(pod('firewall-1', '2')))).toEqual(['modified firewall-1 2']);
    expect(words(store.remove(pod('firewall-1', '3')))).toEqual(['deleted firewall-1 2']);
    expect(words(store.remove(pod('firewall-1', '3')))).toEqual([]);
  });

  it('tells of another object with the same name as of an end and a beginning', () => {
    const store = new ObjectStore();
    store.set(pod('firewall-1', '1', 'first'));
    expect(words(store.set(pod('firewall-1', '7', 'second')))).toEqual(['deleted firewall-1 1', 'added firewall-1 7']);
    expect(words(store.replace([pod('firewall-1', '9', 'third')]))).toEqual(['deleted firewall-1 7', 'added firewall-1 9']);
  });

  it('finds in a new list what changed meanwhile, and only that', () => {
    const store = new ObjectStore();
    store.replace([pod('firewall-1', '1'), pod('firewall-2', '2'), pod('firewall-3', '3')]);
    const news = store.replace([pod('firewall-1', '1'), pod('firewall-3', '5'), pod('firewall-4', '6')]);
    expect(words(news)).toEqual(['deleted firewall-2 2', 'modified firewall-3 5', 'added firewall-4 6']);
    expect([...store.objects.keys()]).toEqual(['firewall/firewall-1', 'firewall/firewall-3', 'firewall/firewall-4']);
  });
});
