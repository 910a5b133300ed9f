/**
 * The walkthrough's manifests for kubectl. Chains and selectors are applied as they are written. Its pods get
 * by a kustomization what every real function of that kind needs: the right to forward and to set rules, a
 * place for the tunnel's key, and an image that is on the nodes already.
 */

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { WALKTHROUGH_MANIFESTS } from '../project.js';
import { commandOf, FUNCTIONS_IMAGE, FUNCTIONS_TAG } from './images.js';

export const CHAINS = join(WALKTHROUGH_MANIFESTS, 'ServiceFunctionChain.yaml');
export const SELECTORS = join(WALKTHROUGH_MANIFESTS, 'TrafficSelector.yaml');

const NAMESPACES = ['vpn', 'firewall', 'proxy'];
/** Forwarding and nftables inside the pod's own network namespace. */
const CONTAINER = { imagePullPolicy: 'Never', securityContext: { privileged: true } };
/** An instance that goes passes on for a while what is still sent to it: until every node knows that it goes. */
const LEAVING = { lifecycle: { preStop: { sleep: { seconds: 4 } } } };
const GRACE = { terminationGracePeriodSeconds: 6 };

/** Writes a directory for `kubectl apply -k`. @param key of the tunnel */
export async function writeWalkthrough(directory: string, key: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await copyFile(join(WALKTHROUGH_MANIFESTS, 'service_function.yaml'), join(directory, 'service_function.yaml'));
  const namespaces = NAMESPACES.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  await writeFile(join(directory, 'namespaces.yaml'), namespaces.map((one) => stringify(one)).join('---\n'));
  const workload = (kind: string, name: 'firewall' | 'proxy') => ({
    target: { kind, name },
    patch: stringify({
      apiVersion: 'apps/v1',
      kind,
      metadata: { name },
      spec: { template: { spec: { ...GRACE, containers: [{ name, command: commandOf(name), ...CONTAINER, ...LEAVING }] } } },
    }),
  });
  const vpn = {
    target: { kind: 'Pod', name: 'vpn' },
    patch: stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'vpn' },
      spec: {
        ...GRACE,
        containers: [
          { name: 'vpn', command: commandOf('openvpn'), ...CONTAINER, volumeMounts: [{ name: 'key', mountPath: '/etc/openvpn/key' }] },
        ],
        volumes: [{ name: 'key', secret: { secretName: 'tunnel' } }],
      },
    }),
  };
  await writeFile(join(directory, 'key'), key, { mode: 0o600 });
  await writeFile(
    join(directory, 'kustomization.yaml'),
    stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: ['namespaces.yaml', 'service_function.yaml'],
      secretGenerator: [{ name: 'tunnel', namespace: 'vpn', files: ['tunnel=key'], options: { disableNameSuffixHash: true } }],
      images: (['openvpn', 'firewall', 'proxy'] as const).map((name) => ({ name, newName: FUNCTIONS_IMAGE, newTag: FUNCTIONS_TAG })),
      patches: [vpn, workload('Deployment', 'firewall'), workload('DaemonSet', 'proxy')],
    }),
  );
}
