/**
 * A cluster with the walkthrough in it, described as a testbed is, so that the same clients send, the same
 * captures look and the same judge judges. Only what runs now is in it: ask anew after pods came and went.
 */

import { SfcError } from '../../errors/index.js';
import type { Kubectl } from '../../test/kube/index.js';
import {
  type Blueprint,
  type ClientBlueprint,
  type Families,
  type FamilyForm,
  familyOf,
  type PodBlueprint,
  type Role,
  SCHEMES,
  type Testbed,
} from '../testbed/index.js';
import { type PodNamespaces, type RunningPod, runningPods } from './pods.js';

/** The part of a cluster that traffic goes through. */
export interface Place {
  /** Begins the names of all its namespaces. */
  readonly name: string;
  readonly directory: string;
  readonly kubectl: Kubectl;
  readonly family: FamilyForm;
  readonly families: Families;
  /** Network namespaces: of the bridge between the nodes, and of the server outside. */
  readonly fabric: { readonly namespace: string; readonly bridge: string };
  readonly outside: string;
}

/** Which pods there are, by Kubernetes namespace, and what they are to the judge. */
export type Cast = Readonly<Record<string, Role>>;

export const WALKTHROUGH_CAST: Cast = { vpn: 'vpn', firewall: 'firewall', proxy: 'proxy' };

const SERVER_PORT = 9000;

/** Describes what runs. `client`: who sends; undefined: nobody. Throws `COMMAND_FAILED`. */
export async function lookAt(place: Place, namespaces: PodNamespaces, cast: Cast, client?: ClientBlueprint): Promise<Testbed> {
  const pods: PodBlueprint[] = [];
  for (const [namespace, role] of Object.entries(cast))
    for (const pod of await runningPods(place.kubectl, namespace)) pods.push(blueprintOf(pod, role, await namespaces.nameOf(pod)));
  const addressing = place.families.traffic.map((family) => ({
    family,
    address: SCHEMES[family].server,
    network: SCHEMES[family].outside,
    fabricAddress: '',
  }));
  const [server] = addressing;
  if (server === undefined) throw new SfcError('COMMAND_FAILED', 'a cluster without an address family');
  const blueprint: Blueprint = {
    prefix: place.name,
    directory: place.directory,
    family: place.family,
    families: place.families,
    mtu: { pod: 1500, fabric: 1500 },
    fabric: { ...place.fabric, networks: [] },
    nodes: [],
    pods,
    client,
    server: {
      ...server,
      namespace: place.outside,
      addresses: addressing.map(({ address }) => address),
      addressing,
      port: SERVER_PORT,
      knowsClients: false,
    },
  };
  return { blueprint, teardown: () => namespaces.release() };
}

function blueprintOf(pod: RunningPod, role: Role, namespace: string): PodBlueprint {
  return {
    name: pod.name,
    podNamespace: pod.namespace,
    labels: pod.labels,
    node: pod.node,
    role,
    namespace,
    address: pod.addresses[0] ?? '',
    addresses: pod.addresses,
    addressing: pod.addresses.map((address) => ({ family: familyOf(address), address })),
    hostInterface: '',
  };
}
