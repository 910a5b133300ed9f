/** Objects for tests that have an API server but no kubelets: what a kubelet and the controller would write is written by hand. */

import { apiVersionOf, type KubernetesClient, type KubernetesObject, RESOURCES, type Resource } from '../../kubernetes/index.js';
import { MANAGED_BY, MANAGED_BY_LABEL, SERVICE_PORT, SERVICE_PORT_NAME, serviceName } from '../../policy/index.js';

const SERVICE_ACCOUNTS: Resource = { group: '', version: 'v1', plural: 'serviceaccounts', kind: 'ServiceAccount', namespaced: true };
const MANAGER = { fieldManager: 'test' };

type Written = KubernetesObject & { readonly spec?: object; readonly status?: object };

function object(resource: Resource, name: string, rest: object = {}, metadata: object = {}): Written {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata: { name, ...metadata }, ...rest };
}

/** Builders of the cast; each applies, so that it may be called again with something changed. */
export function castOf(client: KubernetesClient) {
  return {
    /** With its default service account, which a controller makes otherwise. */
    async namespace(name: string, labels: Record<string, string> = {}): Promise<void> {
      await client.apply(RESOURCES.namespaces, object(RESOURCES.namespaces, name, {}, { labels }), MANAGER);
      const account = object(SERVICE_ACCOUNTS, 'default', {}, { namespace: name });
      await client.apply(SERVICE_ACCOUNTS, account, { ...MANAGER, namespace: name });
    },
    /** @param podCidrs empty: the network plugin keeps them elsewhere */
    async node(name: string, podCidrs: readonly string[], labels: Record<string, string> = {}, address = ''): Promise<Written> {
      const [podCIDR] = podCidrs;
      const spec = podCIDR === undefined ? {} : { podCIDR, podCIDRs: podCidrs };
      const node = await client.apply(RESOURCES.nodes, object(RESOURCES.nodes, name, { spec }, { labels }), MANAGER);
      if (address !== '') {
        const status = { addresses: [{ type: 'InternalIP', address }] };
        await client.mergePatch(RESOURCES.nodes, name, { status }, { subresource: 'status' });
      }
      return node;
    },
    /** Running and ready on a node, or what `status` says instead. */
    async pod(
      namespace: string,
      name: string,
      nodeName: string,
      addresses: readonly string[],
      { labels = {}, spec = {}, status = {} }: { labels?: Record<string, string>; spec?: object; status?: object } = {},
    ): Promise<Written> {
      const containers = [{ name: 'main', image: 'none' }];
      const body = object(RESOURCES.pods, name, { spec: { nodeName, containers, ...spec } }, { namespace, labels });
      const made = await client.apply(RESOURCES.pods, body, { ...MANAGER, namespace });
      const podIPs = addresses.map((ip) => ({ ip }));
      const told = { phase: 'Running', podIP: addresses[0], podIPs, conditions: [{ type: 'Ready', status: 'True' }], ...status };
      await client.mergePatch(RESOURCES.pods, name, { status: told }, { namespace, subresource: 'status' });
      return made;
    },
    async remove(resource: Resource, name: string, namespace?: string): Promise<void> {
      // No kubelet is there to say that a pod has ended.
      const at = resource === RESOURCES.pods ? { gracePeriodSeconds: 0 } : {};
      await client.delete(resource, name, { namespace, ...at });
    },
    /** @param app matchLabels of the function, and its name */
    async chain(name: string, app: string, spec: object = {}): Promise<Written> {
      const serviceFunctions = [{ name: app, namespace: app, podSelector: { matchLabels: { app } } }];
      return client.apply(RESOURCES.chains, object(RESOURCES.chains, name, { spec: { serviceFunctions, ...spec } }), MANAGER);
    },
    async servicePathId(chain: string, servicePathId: number): Promise<void> {
      await client.mergePatch(RESOURCES.chains, chain, { status: { servicePathId } }, { subresource: 'status' });
    },
    /** The Service of a function, as the controller makes it. */
    async service(
      chain: Written,
      app: string,
      {
        annotations = {},
        selector = { app } as object | undefined,
      }: { annotations?: Record<string, string>; selector?: object | undefined } = {},
    ): Promise<Written> {
      const name = serviceName(app, chain.metadata.uid ?? '');
      const ports = [{ name: SERVICE_PORT_NAME, port: SERVICE_PORT, protocol: 'UDP' }];
      const metadata = { namespace: app, labels: { [MANAGED_BY_LABEL]: MANAGED_BY }, annotations };
      const spec = { ...(selector === undefined ? {} : { selector }), ports, publishNotReadyAddresses: false };
      return client.apply(RESOURCES.services, object(RESOURCES.services, name, { spec }, metadata), { ...MANAGER, namespace: app });
    },
    async selector(name: string, chain: string, app: string, cidr = '0.0.0.0/0'): Promise<Written> {
      const spec = {
        serviceFunctionChain: chain,
        subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app } } } },
        egress: { to: { ipBlock: { cidr } }, ports: [{ allPorts: { protocol: 'TCP' } }] },
      };
      return client.apply(RESOURCES.selectors, object(RESOURCES.selectors, name, { spec }), MANAGER);
    },
  };
}
export type Cast = ReturnType<typeof castOf>;
