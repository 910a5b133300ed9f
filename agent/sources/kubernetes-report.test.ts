import { describe, expect, it } from 'vitest';
import type { AgentView, ConditionView } from '../view.js';
import { nodeReport } from './kubernetes-report.js';
import type { ClusterReading } from './kubernetes-world.js';

const condition = (type: string, ok: boolean, reason = '', message = ''): ConditionView => ({
  type,
  status: ok ? 'True' : 'False',
  reason,
  message,
});
const agent = { agentVersion: '0.1.0', datapath: 'kernel', podUid: 'p' } as const;
const programmed = { digest: '0'.repeat(32), count: 0 };
const reading = (problems: ClusterReading['problems'] = []) =>
  ({ problems, chains: programmed, selectors: programmed }) as unknown as ClusterReading;
const view = (chains: readonly object[], selectors: readonly object[]) =>
  ({ chains: () => chains, selectors: () => selectors, endpoints: () => [1, 2] }) as unknown as AgentView;
const good = [condition('Accepted', true), condition('Programmed', true), condition('Ready', false, 'NoReadyInstance')];

describe("a node's report", () => {
  it('names what is not programmed, and not what merely has no instance', () => {
    const chains = [{ name: 'firewall', conditions: good }];
    const selectors = [
      { name: 'a', conditions: [condition('Accepted', true), condition('Programmed', false, 'OverCapacity', 'sfcselect is full')] },
      { name: 'b', conditions: good },
    ];
    expect(nodeReport(agent, reading(), view(chains, selectors))).toEqual({
      ...agent,
      chains: programmed,
      selectors: programmed,
      failing: [{ kind: 'TrafficSelector', name: 'a', message: 'OverCapacity: sfcselect is full' }],
      failingTotal: 1,
      endpoints: 2,
    });
  });

  it('names objects of which no version is in force, and none twice', () => {
    const problem = { severity: 'error', resource: 'TrafficSelector/bad', path: 'spec', message: 'is wrong' };
    const others = [
      { ...problem, severity: 'warning', resource: 'TrafficSelector/fine' },
      { ...problem, resource: 'Pod/a/b' },
    ];
    const selectors = [{ name: 'bad', conditions: [condition('Accepted', false, 'Invalid', 'spec: is wrong')] }];
    const { failing } = nodeReport(agent, reading([problem, ...others] as unknown as ClusterReading['problems']), view([], selectors));
    expect(failing).toEqual([{ kind: 'TrafficSelector', name: 'bad', message: 'spec: is wrong' }]);
  });

  it('stays small, however much is wrong', () => {
    const selectors = Array.from({ length: 1000 }, (_, index) => ({
      name: `s${index}`,
      conditions: [condition('Programmed', false, 'Pending', 'x'.repeat(5000))],
    }));
    const report = nodeReport(agent, reading(), view([], selectors));
    expect([report.failing.length, report.failingTotal]).toEqual([32, 1000]);
    expect(JSON.stringify(report).length).toBeLessThan(40_000);
  });
});
