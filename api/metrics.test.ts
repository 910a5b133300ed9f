import { describe, expect, it } from 'vitest';
import type { StatusView } from '../agent/view.js';
import { metricsText } from './metrics.js';

const watch = (resource: string, staleSeconds: number) => ({
  resource,
  synced: true,
  objects: 3,
  watching: staleSeconds === 0,
  lists: 1,
  watches: 2,
  events: 5,
  staleSeconds,
  trouble: '',
});
const source = {
  kind: 'kubernetes',
  where: '',
  documents: 6,
  readAt: '',
  trouble: '',
  since: '',
  watches: [watch('pods', 0), watch('no"des', 61.5)],
};
const status = {
  ready: true,
  source: { ...source, report: { name: 'node1', writtenAt: '', writes: 4, trouble: '' } },
} as unknown as StatusView;

describe('metrics', () => {
  it('are text that Prometheus reads', () => {
    const lines = metricsText(status).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        '# TYPE sfc_source_stale_seconds gauge',
        'sfc_ready 1',
        'sfc_source_stale_seconds{resource="pods"} 0',
        'sfc_source_stale_seconds{resource="no\\"des"} 61.5',
        'sfc_source_events_total{resource="pods"} 5',
        'sfc_report_writes_total 4',
      ]),
    );
    expect(lines.at(-1)).toBe('');
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^(# (HELP|TYPE) sfc_\w+ .+|sfc_\w+(\{\w+="([^"\\]|\\.)*"\})? [\d.]+)$/);
  });

  it('of a directory have nothing of watches', () => {
    const text = metricsText({ ...status, source: { ...source, watches: [], report: null } } as unknown as StatusView);
    expect(text).not.toContain('stale');
    expect(text).not.toContain('report');
  });
});
