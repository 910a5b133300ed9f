/** What the agent is told of a sandbox: from the runtime's parameters and the result of the plugins before. Pure. */

import type { SandboxTold } from '../agent/view.js';
import type { Attachment, Invocation, PreviousResult } from './invocation.js';

/**
 * Addresses of the pod, without their prefix lengths. An address names the interface that it is on by its place in
 * `interfaces`; one that names none is the pod's.
 */
export function addressesOf({ interfaces = [], ips = [] }: PreviousResult, ifname: string): string[] {
  const own = ips.filter(({ interface: index }) => {
    const on = index === undefined ? undefined : interfaces[index];
    return on === undefined || (on.name === ifname && (on.sandbox ?? '') !== '');
  });
  return own.flatMap(({ address = '' }) => (address === '' ? [] : [address.replace(/\/\d+$/, '')]));
}

/** Interfaces of the host: those that are in no sandbox. Of a bridge there are two, the bridge and the pod's port. */
export function hostInterfacesOf({ interfaces = [] }: PreviousResult): string[] {
  return interfaces.flatMap(({ name = '', sandbox = '' }) => (name === '' || sandbox !== '' ? [] : [name]));
}

/** Undefined where it is no pod's: the runtime of Kubernetes names its pods, others name nothing. */
export function sandboxOf(
  { network, previous = {} }: Pick<Invocation, 'network' | 'previous'>,
  { args, netns, ifname }: Attachment,
): SandboxTold | undefined {
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE') ?? '', args.get('K8S_POD_NAME') ?? ''];
  if (namespace === '' || name === '') return undefined;
  return {
    pod: { namespace, name, uid: args.get('K8S_POD_UID') ?? '' },
    network,
    netns,
    interface: ifname,
    hostInterfaces: hostInterfacesOf(previous),
    addresses: addressesOf(previous, ifname),
  };
}
