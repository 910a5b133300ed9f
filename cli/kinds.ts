/** Every kind that `sfc get` lists. */

import type { AgentView, EndpointView, ProblemView, ServiceView } from '../agent/view.js';
import type { Kind } from './kind.js';
import { problemLines } from './problems.js';
import { chains, selectors } from './resource-kinds.js';
import { tableLines } from './table.js';

type ConflictView = ReturnType<AgentView['conflicts']>[number];

const isFull = ({ flows, flowLimit }: EndpointView) => flowLimit !== 0 && flows >= flowLimit;

const endpoints: Kind<EndpointView> = {
  singular: 'endpoint',
  plural: 'endpoints',
  description: "this node's pods, their interfaces and how the programs are attached",
  path: '/v1/endpoints',
  names: ({ id, pod }) => [pod, pod.slice(pod.indexOf('/') + 1), ...(id === 0 ? [] : [String(id)])],
  byName: false,
  data: (item) => item,
  isResource: false,
  lines: (items, paint) =>
    tableLines<EndpointView>(
      [
        { title: 'ENDPOINT', value: ({ id }) => (id === 0 ? '' : String(id)) },
        { title: 'POD', value: ({ pod }) => pod },
        { title: 'ADDRESSES', value: ({ addresses }) => addresses.join(', ') },
        { title: 'INTERFACE', value: (item) => item.interface },
        { title: 'IFINDEX', value: ({ ifindex }) => (ifindex === 0 ? '' : String(ifindex)) },
        { title: 'MTU', value: ({ mtu }) => (mtu === 0 ? '' : String(mtu)) },
        { title: 'ATTACHED', value: ({ attached }) => attached },
        { title: 'FLOWS', value: ({ id, flows }) => (id === 0 ? '' : String(flows)) },
        { title: 'LIMIT', value: ({ id, flowLimit }) => (id === 0 || flowLimit === 0 ? '' : String(flowLimit)) },
        { title: 'PROBLEM', value: ({ problem }) => problem },
      ],
      items,
      (line, item) => (item.problem === '' && !isFull(item) ? line : paint.bad(line)),
    ),
  details: () => [],
};

const services: Kind<ServiceView> = {
  singular: 'service',
  plural: 'services',
  description: 'the Service of each service function',
  path: '/v1/services',
  names: ({ namespace, name }) => [`${namespace}/${name}`, name],
  byName: false,
  data: (item) => item,
  isResource: false,
  lines: (items) =>
    tableLines<ServiceView>(
      [
        { title: 'NAMESPACE', value: ({ namespace }) => namespace },
        { title: 'NAME', value: ({ name }) => name },
        { title: 'CLUSTER-IP', value: ({ clusterIP }) => clusterIP },
        { title: 'PORT', value: ({ port }) => port },
        { title: 'CHAIN', value: ({ chain }) => chain },
      ],
      items,
    ),
  details: () => [],
};

const problems: Kind<ProblemView> = {
  singular: 'problem',
  plural: 'problems',
  description: 'what is wrong in the manifests, with file and line',
  path: '/v1/problems',
  names: undefined,
  byName: false,
  data: (item) => item,
  isResource: false,
  lines: (items, paint) => items.flatMap((problem) => problemLines(problem, paint)),
  details: () => [],
};

const conflicts: Kind<ConflictView> = {
  singular: 'conflict',
  plural: 'conflicts',
  description: 'selectors that claim the same traffic of a pod, and which wins by which rule',
  path: '/v1/conflicts',
  names: undefined,
  byName: false,
  data: (item) => item,
  isResource: false,
  lines: (items) =>
    tableLines<ConflictView>(
      [
        { title: 'POD', value: ({ pod }) => pod },
        { title: 'TRAFFIC', value: ({ what }) => what },
        { title: 'WINNER', value: ({ winner }) => winner },
        { title: 'LOSERS', value: ({ losers }) => losers.join(', ') },
        { title: 'RULE', value: ({ rule }) => rule },
      ],
      items,
    ),
  details: () => [],
};

/** Calls `use` with each kind, whatever its item. */
export function eachKind(use: <Item>(kind: Kind<Item>) => void): void {
  use(chains);
  use(selectors);
  use(endpoints);
  use(services);
  use(problems);
  use(conflicts);
}
