/** Chains, selectors, endpoints and services as the API shows them. Pure. */

import { formatPath } from '../maps/index.js';
import {
  type Chain,
  type FailurePolicy,
  functionPods,
  type Instance,
  isReady,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  outerAddress,
  type Pod,
  placeInstances,
  podKey,
  SERVICE_PORT,
  type Selector,
  type ServiceFunction,
  selectedPods,
  serviceIndex,
  serviceKey,
} from '../policy/index.js';
import type { Quotas } from './flows/index.js';
import { lackOf } from './outages.js';
import { aimKey, failure, type ProbeCounts, type Probed } from './probes/index.js';
import { type Observed, pathNumber, sameSelection } from './reconciler/index.js';
import type { RoundState } from './state.js';
import type {
  ChainView,
  ConditionView,
  EndpointView,
  FailingView,
  InstanceView,
  ProbeView,
  SelectorView,
  ServiceFunctionView,
  ServiceView,
  StatusView,
} from './view.js';

const condition = (type: string, ok: boolean, reason: string, message: string): ConditionView => ({
  type,
  status: ok ? 'True' : 'False',
  reason,
  message,
});

/** The resource as kubectl would show it, with our status in place of what the manifest had. */
function withStatus(
  resource: Readonly<Record<string, unknown>>,
  status: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const before = typeof resource.status === 'object' && resource.status !== null ? resource.status : {};
  return { ...resource, status: { ...before, ...status } };
}

function acceptance(state: RoundState, resource: string): ConditionView {
  const problem = state.problems.find((candidate) => candidate.severity === 'error' && candidate.resource === resource);
  if (problem === undefined) return condition('Accepted', true, 'Valid', '');
  return condition('Accepted', false, 'Invalid', [problem.path, problem.message].filter((part) => part !== '').join(': '));
}

const placementOf = (state: RoundState, chain: Chain, serviceFunction: ServiceFunction, node: string) =>
  placeInstances(state.world, chain, serviceFunction, functionPods(state.world, chain, serviceFunction), node, state.failsProbes);

/** Instances that are asked, by `aimKey`. */
type ProbedBy = ReadonlyMap<string, Probed>;

function probeView({ probe }: ServiceFunction, pod: Pod, probed: ProbedBy): ProbeView {
  if (probe === undefined) return { result: 'off', since: '', detail: '' };
  const found = probed.get(aimKey(outerAddress(pod), probe));
  if (found === undefined) {
    const detail = isReady(pod) ? 'this node has no other pod to ask from' : 'the pod is not ready';
    return { result: 'pending', since: '', detail };
  }
  const { since, trouble } = found;
  if (found.fails) return { result: 'fails', since, detail: failure(found) };
  return { result: found.judged ? 'passes' : 'pending', since, detail: trouble };
}

/** Probes at a glance. */
export function probesView(probed: ProbedBy, counts: ProbeCounts): StatusView['probes'] {
  const failing = [...probed.values()].flatMap((one): FailingView[] => {
    const { pod, address } = one.aim;
    return one.fails ? [{ pod, address: address.text, since: one.since, detail: failure(one) }] : [];
  });
  return { instances: probed.size, failing, ...counts };
}

function functionViews(state: RoundState, chain: Chain, node: string, probed: ProbedBy): ServiceFunctionView[] {
  const spi = state.allocation.servicePathIds.get(chain.name) ?? 0;
  return chain.serviceFunctions.map((serviceFunction, position) => {
    const key = serviceKey(chain, serviceFunction);
    return {
      name: serviceFunction.name,
      namespace: serviceFunction.namespace,
      serviceName: key.slice(key.indexOf('/') + 1),
      serviceAddress: state.allocation.serviceAddresses.get(key) ?? '',
      path: formatPath(pathNumber(spi, serviceIndex(chain, position))),
      instances: placementOf(state, chain, serviceFunction, node).instances.map(({ pod, weight, newFlows }) => ({
        pod: podKey(pod),
        address: pod.addresses[0]?.text ?? '',
        node: pod.nodeName,
        ready: isReady(pod),
        weight,
        newFlows,
        probe: probeView(serviceFunction, pod, probed),
      })),
    };
  });
}

function chainProgrammed(state: RoundState, observed: Observed, chain: string): ConditionView {
  const paths = state.compiled.paths.filter((path) => path.chain === chain);
  if (paths.length === 0) return condition('Programmed', false, 'NoPath', 'no path was assigned');
  for (const path of paths) {
    const number = pathNumber(path.spi, path.si);
    const refusal = state.result.refusals.find(({ what, name }) => what === 'path' && name === String(number));
    if (refusal !== undefined) return condition('Programmed', false, 'OverCapacity', refusal.message);
    const owed = state.result.owed.find(({ id }) => id === `path:${number}` || id === `backends:${number}`);
    if (owed !== undefined) return condition('Programmed', false, 'MapError', owed.error);
    if (!observed.paths.has(number)) return condition('Programmed', false, 'Pending', `${formatPath(number)} is not in sfcpath yet`);
  }
  return condition('Programmed', true, 'Programmed', '');
}

/** One that fails probes is as one that is not ready. */
const isUsable = ({ ready, newFlows }: InstanceView) => ready && newFlows !== 'fails probes';

function readiness(functions: readonly ServiceFunctionView[], failurePolicy: FailurePolicy): ConditionView {
  const lacks = functions.flatMap((one) => {
    const lack = lackOf(one, failurePolicy);
    return lack === undefined ? [] : [{ name: one.name, ...lack }];
  });
  if (lacks[0] !== undefined) {
    const message = lacks.map(({ name, message }) => `${name}: ${message}`).join('; ');
    return condition('Ready', false, lacks[0].reason, message);
  }
  const words = functions.map(({ name, instances }) => {
    const failing = instances.filter(({ newFlows }) => newFlows === 'fails probes').length;
    const but = failing === 0 ? '' : ` (${failing} ${failing === 1 ? 'fails' : 'fail'} probes)`;
    const count = `${instances.filter(isUsable).length} of ${instances.length} instances ready${but}`;
    return functions.length === 1 ? count : `${name}: ${count}`;
  });
  return condition('Ready', true, 'InstancesReady', words.join(', '));
}

/** Where a chain prefers near instances: are there any for this node? None says nothing. */
function nearness(state: RoundState, chain: Chain, node: string): ConditionView[] {
  if (chain.locality === 'None') return [];
  const found = chain.serviceFunctions.map((one) => ({ name: one.name, ...placementOf(state, chain, one, node) }));
  const far = found.filter(({ fellBack }) => fellBack);
  const others = (instances: readonly Instance[]) => (instances.some(({ newFlows }) => newFlows === 'yes') ? '; others do' : '');
  const message = far.map(({ name, near, instances }) => `${name}: no instance ${near} takes new flows${others(instances)}`).join(', ');
  return [condition('Near', far.length === 0, far.length === 0 ? 'InstancesNear' : 'NoInstanceNear', message)];
}

export function chainViews(state: RoundState, observed: Observed, node: string, probed: ProbedBy): ChainView[] {
  return state.world.chains.map((chain) => {
    const serviceFunctions = functionViews(state, chain, node, probed);
    const conditions = [
      acceptance(state, `ServiceFunctionChain/${chain.name}`),
      chainProgrammed(state, observed, chain.name),
      readiness(serviceFunctions, chain.failurePolicy),
      ...nearness(state, chain, node),
    ];
    const servicePathId = state.allocation.servicePathIds.get(chain.name) ?? 0;
    const resource = withStatus(chain.resource, servicePathId === 0 ? { conditions } : { servicePathId, conditions });
    return { name: chain.name, servicePathId, failurePolicy: chain.failurePolicy, serviceFunctions, conditions, resource };
  });
}

function selectorProgrammed(
  state: RoundState,
  selector: Selector,
  wanted: number,
  present: number,
  pods: readonly string[],
): ConditionView {
  const refusal = state.result.refusals.find(({ what, name }) => what === 'selector' && name === selector.name);
  if (refusal !== undefined) return condition('Programmed', false, 'OverCapacity', refusal.message);
  const owed = state.result.owed.find((entry) => entry.selector === selector.name);
  if (owed !== undefined) return condition('Programmed', false, 'MapError', owed.error);
  const lost = state.endpoints.filter(({ pod, problem }) => problem !== '' && pods.includes(pod));
  if (lost.length > 0) {
    const message = lost.map(({ pod, problem }) => `${pod}: ${problem}`).join('; ');
    return condition('Programmed', false, 'InterfaceNotFound', message);
  }
  if (present < wanted) return condition('Programmed', false, 'Pending', `${present} of ${wanted} entries are in sfcselect`);
  return condition('Programmed', true, 'Programmed', pods.length === 0 ? 'selects no pod of this node' : '');
}

function conflicted(state: RoundState, name: string): ConditionView {
  const { conflicts } = state.compiled;
  const lost = conflicts.filter(({ losers }) => losers.some(({ selector }) => selector === name));
  const won = conflicts.filter(({ winner }) => winner.selector === name);
  const [first] = [...lost, ...won];
  if (first === undefined) return condition('Conflicted', false, 'NoConflict', '');
  const count = lost.length + won.length;
  const more = count > 1 ? ` (and ${count - 1} more)` : '';
  const where = `${first.pod}, ${first.what}`;
  if (lost.length > 0) return condition('Conflicted', true, 'LostToOther', `${where}: ${first.winner.selector} wins; ${first.rule}${more}`);
  const losers = first.losers.map(({ selector }) => selector).join(', ');
  return condition('Conflicted', true, 'WonOverOther', `${where}: wins over ${losers}; ${first.rule}${more}`);
}

export function selectorViews(state: RoundState, observed: Observed, node: string): SelectorView[] {
  const wanted = new Map<string, number>();
  const present = new Map<string, number>();
  for (const [text, { selector, value }] of state.target.selects) {
    wanted.set(selector, (wanted.get(selector) ?? 0) + 1);
    const there = observed.selects.get(text)?.value;
    if (there !== undefined && sameSelection(there, value)) present.set(selector, (present.get(selector) ?? 0) + 1);
  }
  return state.world.selectors.map((selector) => {
    const pods = selectedPods(state.world, selector)
      .filter(({ nodeName }) => nodeName === node)
      .map(podKey);
    const entries = present.get(selector.name) ?? 0;
    const conditions = [
      acceptance(state, `TrafficSelector/${selector.name}`),
      selectorProgrammed(state, selector, wanted.get(selector.name) ?? 0, entries, pods),
      conflicted(state, selector.name),
    ];
    return {
      name: selector.name,
      chain: selector.chain,
      pods,
      entries,
      conditions,
      resource: withStatus(selector.resource, { conditions }),
    };
  });
}

/**
 * @param methods how each interface is attached, by ifindex
 * @param quotas flows of each interface, and the limit
 */
export function endpointViews(
  state: RoundState,
  methods: ReadonlyMap<number, string>,
  quotas: Pick<Quotas, 'flowsOf' | 'limit'>,
): EndpointView[] {
  return state.endpoints.map(({ id, pod, addresses, ifname, ifindex, mtu, problem }) => {
    const refusal = state.result.refusals.find(({ what, name }) => what === 'endpoint' && name === String(ifindex));
    return {
      id,
      pod,
      addresses,
      interface: ifname,
      ifindex,
      mtu,
      attached: methods.get(ifindex) ?? '',
      flows: quotas.flowsOf(ifindex),
      flowLimit: quotas.limit,
      problem: problem || (state.attachErrors.get(ifindex) ?? refusal?.message ?? ''),
    };
  });
}

export function serviceViews(state: RoundState, node: string): ServiceView[] {
  return state.world.chains.flatMap((chain) =>
    functionViews(state, chain, node, new Map()).map(({ namespace, serviceName, serviceAddress }) => ({
      namespace,
      name: serviceName,
      clusterIP: serviceAddress,
      port: `${SERVICE_PORT}/UDP`,
      chain: chain.name,
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
    })),
  );
}
