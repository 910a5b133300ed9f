import { describe, expect, it } from 'vitest';
import type { Condition } from '../../policy/index.js';
import type { Progress } from '../nodes/index.js';
import { type Finding, few, withFindings } from './conditions.js';
import { programmed } from './programmed.js';
import { noticesOf } from './transitions.js';

const finding = (status: Finding['status'], reason: string, message = ''): Finding => ({ type: 'Ready', status, reason, message });

describe('conditions', () => {
  it('keep their time while their status stays, whatever else changes', () => {
    const first = withFindings([], [finding('True', 'A', 'one')], 1, 'noon');
    const second = withFindings(first, [finding('True', 'B', 'two')], 2, 'evening');
    expect(second).toEqual([
      { type: 'Ready', status: 'True', reason: 'B', message: 'two', observedGeneration: 2, lastTransitionTime: 'noon' },
    ]);
    expect(withFindings(second, [finding('False', 'C')], 2, 'night')[0]?.lastTransitionTime).toBe('night');
  });

  it('of others stay', () => {
    const theirs: Condition = { type: 'Audited', status: 'True', reason: 'X', message: '', lastTransitionTime: 'noon' };
    expect(withFindings([theirs], [finding('True', 'A')], 1, 'noon').map(({ type }) => type)).toEqual(['Ready', 'Audited']);
  });

  it('name a few', () => {
    expect([few(['a']), few(['a', 'b', 'c']), few(['a', 'b', 'c', 'd', 'e'])]).toEqual(['a', 'a, b, c', 'a, b, c and 2 more']);
  });
});

const progress = (more: Partial<Progress>): Progress => ({ programmed: 0, total: 3, behind: [], unclear: [], failing: [], ...more });
const stood = (status: Condition['status'], observedGeneration: number): Condition => ({
  type: 'Programmed',
  status,
  observedGeneration,
  reason: '',
  message: '',
  lastTransitionTime: '',
});
const told = (...args: Parameters<typeof programmed>) => {
  const { status, reason, message } = programmed(...args).finding;
  return `${status} ${reason}: ${message}`;
};

describe('Programmed', () => {
  it('is True on all nodes, and says where it is not', () => {
    expect(told(progress({ programmed: 3 }), undefined, 1, undefined)).toBe('True Programmed: on 3 of 3 nodes');
    expect(told(progress({ programmed: 2, behind: ['n3'] }), undefined, 1, undefined)).toBe(
      'False Pending: on 2 of 3 nodes; waiting for n3',
    );
    expect(told(progress({ programmed: 1, behind: ['n3'], failing: [{ node: 'n2', message: 'full' }] }), undefined, 1, undefined)).toBe(
      'False Failing: on 1 of 3 nodes; fails on n2 (full); waiting for n3',
    );
  });

  it('stays True where nothing is known against it, for the same generation alone', () => {
    const unclear = progress({ programmed: 2, unclear: ['n3'] });
    expect(told(unclear, stood('True', 4), 4, undefined)).toBe('True Programmed: on 3 of 3 nodes');
    const waits = 'False Pending: on 2 of 3 nodes; waiting for n3';
    expect(told(unclear, stood('True', 4), 5, undefined)).toBe(waits);
    expect(told(unclear, stood('False', 4), 4, undefined)).toBe(waits);
    expect(told(unclear, undefined, 4, undefined)).toBe(waits);
  });

  it('is not known where no node has an agent', () => {
    expect(told(progress({ total: 0 }), undefined, 1, undefined)).toBe('Unknown NoNodes: no node has an agent');
  });
});

describe('events', () => {
  const condition = (type: string, status: Condition['status'], reason: string): Condition => ({
    type,
    status,
    reason,
    message: 'words',
    lastTransitionTime: '',
  });
  const notices = (before: readonly Condition[], after: readonly Condition[]) =>
    noticesOf(before, after).map(({ type, reason }) => `${type} ${reason}`);

  it('tell what becomes wrong and what becomes right', () => {
    const wrong = [condition('Ready', 'False', 'NoReadyInstance'), condition('Conflicted', 'True', 'Ring')];
    const right = [condition('Ready', 'True', 'InstancesReady'), condition('Conflicted', 'False', 'NoConflict')];
    expect(notices([], wrong)).toEqual(['Warning NoReadyInstance', 'Warning Ring']);
    expect(notices(wrong, right)).toEqual(['Normal InstancesReady', 'Normal NoConflict']);
    expect(notices([], right)).toEqual(['Normal InstancesReady']);
    expect(notices(right, right)).toEqual([]);
  });

  it('tell nothing of what everything goes through', () => {
    expect(notices([], [condition('Programmed', 'Unknown', 'NoNodes'), condition('Accepted', 'True', 'Accepted')])).toEqual([]);
    expect(notices([condition('Programmed', 'True', 'Programmed')], [condition('Programmed', 'False', 'Pending')])).toEqual([]);
  });
});
