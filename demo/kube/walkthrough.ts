/** The walkthrough in a cluster: its pods, chains and selectors by kubectl, clients behind the vpn pod, and the judge. */

import { join } from 'node:path';
import { type Cluster, phase, type Say, silent } from '../../test/kube/index.js';
import type { RecordOptions } from '../record.js';
import { type FamilyForm, familiesOf, type Testbed } from '../testbed/index.js';
import { type Observation, observeTraffic } from '../walkthrough.js';
import { type Cast, lookAt, type Place, WALKTHROUGH_CAST } from './bed.js';
import { programmed, rolledOut } from './installed.js';
import { PodNamespaces, runningPods } from './pods.js';
import { makeTunnelKey, startVpnClients, type VpnClients } from './vpn-clients.js';
import { CHAINS, SELECTORS, writeWalkthrough } from './walkthrough-manifests.js';

/** Where traffic of a cluster goes through. */
export function placeOf(cluster: Cluster, family: FamilyForm = '4'): Place {
  const { name, directory, kubectl } = cluster;
  return {
    name,
    directory,
    kubectl,
    family,
    families: familiesOf(family),
    fabric: { namespace: `${name}-fabric`, bridge: 'fabric' },
    outside: `${name}-outside`,
  };
}

export class KubeWalkthrough {
  readonly cluster: Cluster;
  readonly place: Place;
  readonly #namespaces: PodNamespaces;
  readonly #say: Say;
  #key = '';
  #clients: VpnClients | undefined;

  constructor(cluster: Cluster, say: Say = silent) {
    this.cluster = cluster;
    this.place = placeOf(cluster);
    this.#namespaces = new PodNamespaces(cluster.name);
    this.#say = say;
  }

  /** Where `kubectl apply -k` finds the pods. */
  get directory(): string {
    return join(this.cluster.directory, 'walkthrough');
  }

  get clients(): VpnClients {
    if (this.#clients === undefined) throw new RangeError('the clients are not connected yet');
    return this.#clients;
  }

  /** Vpn pod, firewalls and proxies, all running. Throws `COMMAND_FAILED`. */
  async applyPods(): Promise<void> {
    this.#key = await makeTunnelKey();
    await writeWalkthrough(this.directory, this.#key);
    await phase(this.#say, 'started the vpn pod, three firewalls and a proxy on each node', async () => {
      await this.cluster.kubectl(['apply', '-k', this.directory]);
      await this.podsReady();
    });
  }

  async podsReady(): Promise<void> {
    const { kubectl } = this.cluster;
    await kubectl(['-n', 'vpn', 'wait', '--for=condition=Ready', 'pod/vpn', '--timeout=120s'], { timeout: 130_000 });
    await kubectl(['-n', 'firewall', 'rollout', 'status', 'deployment/firewall', '--timeout=120s'], { timeout: 130_000 });
    await kubectl(['-n', 'proxy', 'rollout', 'status', 'daemonset/proxy', '--timeout=120s'], { timeout: 130_000 });
  }

  /** Chains and selectors as the walkthrough writes them; resolves when every node has them. Throws `COMMAND_FAILED`. */
  async applySteering(): Promise<void> {
    await phase(this.#say, 'chains and selectors are programmed on every node', async () => {
      await this.cluster.kubectl(['apply', '-f', CHAINS]);
      await this.cluster.kubectl(['apply', '-f', SELECTORS]);
      await programmed(this.cluster);
    });
  }

  /** Waits until agents, controller and pods run, and everything is programmed. Throws `COMMAND_FAILED`. */
  async settled(): Promise<void> {
    await rolledOut(this.cluster);
    await this.podsReady();
    await programmed(this.cluster);
  }

  /** Clients outside open their tunnel to the vpn pod. Throws `COMMAND_FAILED`. */
  async connectClients(): Promise<void> {
    await this.#clients?.stop();
    const [vpn] = await runningPods(this.cluster.kubectl, 'vpn');
    if (vpn === undefined) throw new RangeError('there is no vpn pod');
    this.#clients = await phase(this.#say, 'clients have their tunnel to the vpn pod', () =>
      startVpnClients(this.place, {
        pod: vpn.name,
        address: vpn.addresses[0] ?? '',
        node: this.cluster.node(vpn.node).addresses[0] ?? '',
        key: this.#key,
      }),
    );
  }

  /** What runs now, described as a testbed. Throws `COMMAND_FAILED`. */
  bed(cast: Cast = WALKTHROUGH_CAST): Promise<Testbed> {
    return lookAt(this.place, this.#namespaces, cast, this.clients.client);
  }

  /** Requests over TCP and UDP with a capture at every pod that runs now, judged. Throws `COMMAND_FAILED`, `CAPTURE_INVALID`. */
  async observe(options: RecordOptions, cast: Cast = WALKTHROUGH_CAST): Promise<Observation> {
    return observeTraffic(await this.bed(cast), options);
  }

  /** This process may end, and all of it stays. */
  release(): void {
    this.#clients?.release();
  }

  /** Takes away what is outside the cluster: the clients, and names of pods' namespaces. */
  async close(): Promise<void> {
    await this.#clients?.stop();
    await this.#namespaces.release();
  }
}
