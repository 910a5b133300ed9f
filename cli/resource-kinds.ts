/** The kinds that are Kubernetes resources: chains and selectors. */

import type { ChainView, ConditionView, SelectorView, ServiceFunctionView } from '../agent/view.js';
import type { Kind } from './kind.js';
import { type Column, tableLines } from './table.js';

const conditionStatus = (conditions: readonly ConditionView[], wanted: string) =>
  conditions.find(({ type }) => type === wanted)?.status ?? 'Unknown';

function conditionColumn<Item extends { readonly conditions: readonly ConditionView[] }>(type: string): Column<Item> {
  return { title: type.toUpperCase(), value: ({ conditions }) => conditionStatus(conditions, type) };
}

/** Why the chain is not as it should be. */
const complaints = (conditions: readonly ConditionView[]) =>
  conditions.flatMap(({ status, message }) => (status === 'False' && message !== '' ? [message] : [])).join('; ');

/** The conditions that have something to say. */
function* conditionLines(conditions: readonly ConditionView[]): Generator<string> {
  const telling = conditions.filter(({ message }) => message !== '');
  if (telling.length === 0) return;
  yield '';
  yield* tableLines<ConditionView>(
    [
      { title: 'CONDITION', value: ({ type }) => type },
      { title: 'STATUS', value: ({ status }) => status },
      { title: 'REASON', value: ({ reason }) => reason },
      { title: 'MESSAGE', value: ({ message }) => message },
    ],
    telling,
  );
}

interface InstanceRow {
  readonly serviceFunction: ServiceFunctionView;
  readonly instance: ServiceFunctionView['instances'][number] | undefined;
}

const INSTANCE_COLUMNS: readonly Column<InstanceRow>[] = [
  { title: 'PATH', value: ({ serviceFunction }) => serviceFunction.path },
  { title: 'FUNCTION', value: ({ serviceFunction: { namespace, name } }) => `${namespace}/${name}` },
  { title: 'SERVICE', value: ({ serviceFunction: { namespace, serviceName } }) => `${namespace}/${serviceName}` },
  { title: 'ADDRESS', value: ({ serviceFunction }) => serviceFunction.serviceAddress },
  { title: 'INSTANCE', value: ({ instance }) => instance?.pod ?? '' },
  { title: 'POD ADDRESS', value: ({ instance }) => instance?.address ?? '' },
  { title: 'NODE', value: ({ instance }) => instance?.node ?? '' },
  { title: 'READY', value: ({ instance }) => (instance === undefined ? '' : instance.ready ? 'yes' : 'no') },
  { title: 'WEIGHT', value: ({ instance }) => instance?.weight ?? '' },
  { title: 'NEW FLOWS', value: ({ instance }) => instance?.newFlows ?? '' },
];

const PROBE_COLUMN: Column<InstanceRow> = { title: 'PROBES', value: ({ instance }) => probes(instance) };

/** `passes since 2026-01-02T03:04:05.000Z`, and why where that has to be said. */
function probes(instance: InstanceRow['instance']): string {
  if (instance === undefined || instance.probe.result === 'off') return '';
  const { result, since, detail } = instance.probe;
  return `${result}${since === '' ? '' : ` since ${since}`}${detail === '' ? '' : `: ${detail}`}`;
}

/** The column of probes is there where anybody is asked. */
function instanceColumns(rows: readonly InstanceRow[]): readonly Column<InstanceRow>[] {
  return rows.some((row) => probes(row.instance) !== '') ? [...INSTANCE_COLUMNS, PROBE_COLUMN] : INSTANCE_COLUMNS;
}

function instanceRows(serviceFunctions: readonly ServiceFunctionView[]): InstanceRow[] {
  return serviceFunctions.flatMap((serviceFunction): InstanceRow[] =>
    serviceFunction.instances.length === 0
      ? [{ serviceFunction, instance: undefined }]
      : serviceFunction.instances.map((instance) => ({ serviceFunction, instance })),
  );
}

export const chains: Kind<ChainView> = {
  singular: 'chain',
  plural: 'chains',
  description: 'ServiceFunctionChains: path id, functions, whether they are programmed and ready',
  path: '/v1/chains',
  names: ({ name }) => [name],
  byName: true,
  data: ({ resource }) => resource,
  isResource: true,
  lines: (items, paint) =>
    tableLines<ChainView>(
      [
        { title: 'NAME', value: ({ name }) => name },
        { title: 'PATH ID', value: ({ servicePathId }) => (servicePathId === 0 ? '' : String(servicePathId)) },
        { title: 'FUNCTIONS', value: ({ serviceFunctions }) => serviceFunctions.map(({ name }) => name).join(', ') },
        conditionColumn('Accepted'),
        conditionColumn('Programmed'),
        conditionColumn('Ready'),
        { title: 'ON FAILURE', value: ({ failurePolicy }) => failurePolicy },
        { title: 'STATE', value: ({ conditions }) => complaints(conditions) },
      ],
      items,
      (line, { conditions }) => (conditions.some(({ status }) => status === 'False') ? paint.bad(line) : line),
    ),
  *details({ serviceFunctions, conditions }, paint) {
    yield '';
    const rows = instanceRows(serviceFunctions);
    yield* tableLines(instanceColumns(rows), rows, (line, { instance }) =>
      instance?.ready === true && instance.probe.result !== 'fails' ? line : paint.bad(line),
    );
    yield* conditionLines(conditions);
  },
};

export const selectors: Kind<SelectorView> = {
  singular: 'selector',
  plural: 'selectors',
  description: 'TrafficSelectors: chain, pods of this node, entries of sfcselect',
  path: '/v1/selectors',
  names: ({ name }) => [name],
  byName: true,
  data: ({ resource }) => resource,
  isResource: true,
  lines: (items) =>
    tableLines<SelectorView>(
      [
        { title: 'NAME', value: ({ name }) => name },
        { title: 'CHAIN', value: ({ chain }) => chain },
        { title: 'PODS', value: ({ pods }) => pods.length },
        { title: 'ENTRIES', value: ({ entries }) => entries },
        conditionColumn('Accepted'),
        conditionColumn('Programmed'),
        conditionColumn('Conflicted'),
      ],
      items,
    ),
  *details({ pods, conditions }) {
    if (pods.length > 0) {
      yield '';
      yield* tableLines<string>([{ title: 'POD', value: (pod) => pod }], pods);
    }
    yield* conditionLines(conditions);
  },
};
