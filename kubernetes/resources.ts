/** Which resources there are and under which paths the API server has them. */

/** A kind as the API server's paths name it. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** `pods`. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const core = (plural: string, kind: string, namespaced = true): Resource => ({ group: '', version: 'v1', plural, kind, namespaced });
const steering = (plural: string, kind: string): Resource => ({
  group: 'networking.gke.io',
  version: 'v1',
  plural,
  kind,
  namespaced: false,
});

export const RESOURCES = {
  chains: steering('servicefunctionchains', 'ServiceFunctionChain'),
  selectors: steering('trafficselectors', 'TrafficSelector'),
  steeringNodes: steering('steeringnodes', 'SteeringNode'),
  pods: core('pods', 'Pod'),
  services: core('services', 'Service'),
  configMaps: core('configmaps', 'ConfigMap'),
  namespaces: core('namespaces', 'Namespace', false),
  nodes: core('nodes', 'Node', false),
  endpointSlices: { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices', kind: 'EndpointSlice', namespaced: true },
  events: { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true },
  leases: { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
} as const satisfies Record<string, Resource>;

/** `v1`, `networking.gke.io/v1`. */
export function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}

/** One object, or all of a kind where `name` is absent; all namespaces where `namespace` is. */
export interface Place {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** `status`. */
  readonly subresource?: string | undefined;
}

export function pathOf(resource: Resource, { namespace, name, subresource }: Place = {}): string {
  const { group, version, plural, namespaced } = resource;
  const within = namespaced && namespace !== undefined ? ['namespaces', namespace] : [];
  const parts = [...within, plural, ...(name === undefined ? [] : [name]), ...(subresource === undefined ? [] : [subresource])];
  return `${group === '' ? '/api' : `/apis/${group}`}/${version}/${parts.map(encodeURIComponent).join('/')}`;
}
