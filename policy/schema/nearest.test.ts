import { describe, expect, it } from 'vitest';
import { nearestName } from './nearest.js';

const FIELDS = ['matchLabels', 'matchExpressions', 'portNumber', 'allPorts', 'status'];

describe('the nearest name', () => {
  it.each([
    ['matchLabel', 'matchLabels'],
    ['matchlabels', 'matchLabels'],
    ['mathcExpresions', 'matchExpressions'],
    ['portNumbr', 'portNumber'],
    ['port', 'portNumber'],
    ['state', 'status'],
  ])('of %s is %s', (wrong, name) => {
    expect(nearestName(wrong, FIELDS)).toBe(name);
  });

  it.each(['', 'app', 'match', 'labels', 'app.kubernetes.io/name', 'x'.repeat(1_000_000)])('of %.30j is none', (wrong) => {
    expect(nearestName(wrong, FIELDS)).toBeUndefined();
  });

  it('is not one of another meaning', () => {
    expect(nearestName('SCTP', ['TCP', 'UDP'])).toBeUndefined();
    expect(nearestName('Job', ['Pod', 'Node'])).toBeUndefined();
    expect(nearestName('Pdo', ['Pod', 'Node'])).toBe('Pod');
  });
});
