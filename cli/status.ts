/** `sfc status`: the node at a glance. */

import type { Command } from 'commander';
import type { CounterView, GuardView, MapView, SourceView, StatusView } from '../agent/view.js';
import { type Paint, paintFor } from './colour.js';
import type { Context } from './command.js';
import { formatDuration } from './duration.js';
import { type Format, formatOption, printValue } from './format.js';
import { writeLines } from './io.js';
import { printable } from './printable.js';
import { plural } from './problems.js';
import { type Column, tableLines } from './table.js';

/** A map is worth a look from this share of its capacity on. */
const NEARLY_FULL = 0.9;

/** The counters' map has a slot for every reason there can be: its fill says nothing. */
const isCounters = ({ kind }: MapView) => kind === 'percpu-array';
const share = ({ entries, capacity }: MapView) => (capacity === 0 ? 0 : entries / capacity);

const MAP_COLUMNS: readonly Column<MapView>[] = [
  { title: 'MAP', value: ({ name }) => name },
  { title: 'ENTRIES', value: ({ entries }) => entries },
  { title: 'CAPACITY', value: ({ capacity }) => capacity },
  { title: 'USED', value: (map) => `${(100 * share(map)).toFixed(1)}%` },
];

const COUNTER_COLUMNS: readonly Column<CounterView>[] = [
  { title: 'COUNTER', value: ({ reason }) => reason },
  // Marked in the text too: not everybody has colours.
  { title: 'CLASS', value: (counter) => (counter.class === 'dropped' ? 'DROPPED' : counter.class) },
  { title: 'DIRECTION', value: ({ direction }) => direction },
  { title: 'PACKETS', value: ({ packets }) => packets },
  { title: 'BYTES', value: ({ bytes }) => bytes },
  { title: 'MEANING', value: ({ doc }) => doc },
];

/** More names than these say nothing at a glance. */
const MOST_HELD = 5;

function* guardLines(guard: GuardView, paint: Paint, line: (name: string, value: string) => string): Generator<string> {
  if (guard.state !== 'on') {
    yield line('guard', paint.bad(guard.state === 'off' ? 'off: new pods are not held' : `unavailable: ${printable(guard.why)}`));
  } else {
    yield line('guard', `${plural(guard.settled, 'interface')} settled, ${guard.holding.length} held`);
    for (const one of guard.holding.slice(0, MOST_HELD)) yield line('', `holds ${printable(`${one.interface}: ${one.why}`)}`);
    if (guard.holding.length > MOST_HELD) yield line('', `holds ${guard.holding.length - MOST_HELD} more`);
    yield line('', `${plural(guard.held.fromPod, 'packet')} from pods and ${guard.held.toPod} to pods were held`);
  }
  const unsteered = `${plural(guard.unsteered, 'packet')} of selected pods left before their programs were there`;
  yield line('unsteered', guard.unsteered > 0 ? paint.bad(unsteered) : unsteered);
}

/** What is wrong with the source, since when, and which kinds it is that are not watched. */
function* sourceLines(
  { trouble, since, watches, report }: SourceView,
  now: number,
  paint: Paint,
  line: (name: string, value: string) => string,
): Generator<string> {
  if (trouble !== '') {
    const lasts = since === '' ? '' : `, for ${formatDuration((now - Date.parse(since)) / 1000)}`;
    yield line('', paint.bad(printable(`${trouble}${lasts}: what was read before stays in force`)));
  }
  if (watches.length > 0) {
    const objects = watches.map((one) => `${one.objects} ${one.resource}${one.synced ? '' : ' (not read yet)'}`);
    yield line('watches', printable(objects.join(', ')));
    for (const { resource, staleSeconds } of watches.filter(({ watching }) => !watching))
      yield line('', paint.bad(printable(`${resource} are not watched, last heard of ${formatDuration(staleSeconds)} ago`)));
  }
  if (report !== null) {
    const written =
      report.writtenAt === '' ? 'not written yet' : `written ${formatDuration((now - Date.parse(report.writtenAt)) / 1000)} ago`;
    yield line('report', printable(`SteeringNode ${report.name}, ${written}`));
    if (report.trouble !== '') yield line('', paint.bad(printable(report.trouble)));
  }
}

/** @param now milliseconds since 1970 */
export function* statusLines(status: StatusView, now: number, paint: Paint): Generator<string> {
  const { datapath, source, reconcile, counts, probes } = status;
  const since = (time: string) => formatDuration((now - Date.parse(time)) / 1000);
  const ago = (time: string) => (time === '' ? 'never' : `${since(time)} ago`);
  const line = (name: string, value: string) => `${name.padEnd(11)}${value}`;

  yield line('node', printable(status.node));
  yield line('agent', `sfcd ${status.version}, process ${status.pid}, up ${since(status.startedAt)}`);
  yield line('ready', status.ready ? paint.good('yes') : paint.bad(`no: ${printable(status.notReady)}`));
  yield line('datapath', `${datapath.kind} (${datapath.chosen}), Geneve on UDP ${datapath.port}`);
  if (datapath.adopted.length > 0) yield line('', `adopted ${printable(datapath.adopted.join(', '))}`);
  if (datapath.uplinks.length > 0) yield line('', printable(`answers past their chain are known on ${datapath.uplinks.join(', ')}`));
  if (datapath.restored > 0) yield line('', `programs put back ${plural(datapath.restored, 'time')}: others had been at them`);
  yield line(
    'source',
    `${source.kind} ${printable(source.where)}, ${plural(source.documents, source.kind === 'directory' ? 'document' : 'object')}, ${source.readAt === '' ? 'not read yet' : `read ${ago(source.readAt)}`}`,
  );
  yield* sourceLines(source, now, paint, line);
  yield line('reconcile', `round ${reconcile.generation}, ${plural(reconcile.changes, 'change')}, ${ago(reconcile.lastAt)}`);
  if (reconcile.error !== '') yield line('', paint.bad(printable(reconcile.error)));
  yield line(
    'holds',
    [
      plural(counts.chains, 'chain'),
      plural(counts.selectors, 'selector'),
      plural(counts.endpoints, 'endpoint'),
      plural(counts.peers, 'peer'),
    ].join(', '),
  );
  yield line('flows', `${plural(status.flows.expired, 'idle flow')} forgotten since the start`);
  for (const { pod } of status.flows.limited)
    yield line('', paint.bad(printable(`${pod} has reached its limit of ${status.flows.limit} flows: new ones are refused (flow-limit)`)));
  for (const { chain, serviceFunction, path, since: begun, message } of status.outages)
    yield line('instances', paint.bad(`${printable(`${serviceFunction} at ${path} of chain ${chain}: ${message}`)}, for ${since(begun)}`));
  for (const { message, hint } of status.sizes) {
    yield line('sizes', paint.bad(printable(message)));
    yield line('', paint.faint(printable(hint)));
  }
  if (probes.instances > 0) {
    const figures = `${plural(probes.instances, 'instance')} asked, ${probes.unanswered} of ${plural(probes.sent, 'probe')} unanswered`;
    yield line('probes', figures);
    for (const { pod, address, since: begin, detail } of probes.failing)
      yield line('', paint.bad(printable(`${pod} (${address}) fails since ${begin}: ${detail}`)));
  }
  yield* guardLines(status.guard, paint, line);
  if (counts.problems > 0) yield line('problems', paint.bad(`${counts.problems} (sfc get problems)`));
  if (counts.conflicts > 0) yield line('conflicts', paint.bad(`${counts.conflicts} (sfc get conflicts)`));
  yield '';
  yield* tableLines(
    MAP_COLUMNS,
    status.maps.filter((map) => !isCounters(map)),
    (text, map) => (share(map) >= NEARLY_FULL ? paint.bad(text) : text),
  );
  yield '';
  if (status.counters.length === 0) yield 'no packet has been counted yet';
  else yield* tableLines(COUNTER_COLUMNS, status.counters, (text, counter) => (counter.class === 'dropped' ? paint.bad(text) : text));
}

export function addStatus(program: Command, { io, client }: Context): void {
  program
    .command('status')
    .description('the node at a glance: readiness, datapath, source, maps, counters')
    .addOption(formatOption())
    .action(async ({ output }: { output: Format }) => {
      const status = await client().get<StatusView>('/v1/status');
      if (output === 'table') writeLines(io.out, statusLines(status, io.clock.wall(), paintFor(io.out, io.environment)));
      else printValue(io.out, output, status);
    });
}
