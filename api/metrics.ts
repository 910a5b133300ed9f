/** How the source fares, in Prometheus' text format (exposition format 0.0.4). */

import type { StatusView } from '../agent/view.js';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly samples: (status: StatusView) => readonly Sample[];
}

/** One sample for each watch, labelled with its resource. */
const ofWatches =
  (value: (watch: StatusView['source']['watches'][number]) => number) =>
  ({ source }: StatusView): Sample[] =>
    source.watches.map((watch) => ({ labels: { resource: watch.resource }, value: value(watch) }));

export const METRICS: readonly Metric[] = [
  {
    name: 'sfc_ready',
    type: 'gauge',
    help: 'Everything that the source asks for is programmed.',
    samples: ({ ready }) => [{ value: Number(ready) }],
  },
  {
    name: 'sfc_source_stale_seconds',
    type: 'gauge',
    help: "Since the API server's last word while no watch is open; 0 while one is.",
    samples: ofWatches(({ staleSeconds }) => staleSeconds),
  },
  {
    name: 'sfc_source_synced',
    type: 'gauge',
    help: 'All objects of the kind have been read once.',
    samples: ofWatches(({ synced }) => Number(synced)),
  },
  { name: 'sfc_source_objects', type: 'gauge', help: 'Objects that are known.', samples: ofWatches(({ objects }) => objects) },
  { name: 'sfc_source_lists_total', type: 'counter', help: 'Times that all objects were read.', samples: ofWatches(({ lists }) => lists) },
  { name: 'sfc_source_watches_total', type: 'counter', help: 'Watches that were opened.', samples: ofWatches(({ watches }) => watches) },
  { name: 'sfc_source_events_total', type: 'counter', help: 'Changes that were told.', samples: ofWatches(({ events }) => events) },
  {
    name: 'sfc_source_documents',
    type: 'gauge',
    help: 'Documents or objects that were read last.',
    samples: ({ source }) => [{ value: source.documents }],
  },
  {
    name: 'sfc_report_writes_total',
    type: 'counter',
    help: "Times that the node's report was written.",
    samples: ({ source }) => (source.report === null ? [] : [{ value: source.report.writes }]),
  },
];

const escaped = (text: string) => text.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));

function sampleLine(name: string, { labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}

export function metricsText(status: StatusView): string {
  const lines = METRICS.flatMap(({ name, type, help, samples }) => {
    const all = samples(status);
    if (all.length === 0) return [];
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...all.map((sample) => sampleLine(name, sample))];
  });
  return `${lines.join('\n')}\n`;
}
