/** What the programs of a control plane are told: certificates and arguments. */

import { join } from 'node:path';
import type { Authority, Certificate } from './certificates.js';
import type { Numbers } from './numbers.js';

export type ControlPlaneProgram = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler';

export interface ControlPlaneFiles {
  /** Of the cluster. */
  readonly directory: string;
  /** That nodes and pods reach the API server by. */
  readonly address: string;
  readonly numbers: Numbers;
  readonly authority: Authority;
  readonly certificates: Awaited<ReturnType<typeof makeCertificates>>;
  readonly kubeconfigs: Readonly<Record<'kube-controller-manager' | 'kube-scheduler', string>>;
}

export function argumentsOfPrograms(files: ControlPlaneFiles): Readonly<Record<ControlPlaneProgram, readonly string[]>> {
  const { directory, address, numbers, authority, certificates, kubeconfigs } = files;
  return {
    etcd: [
      `--data-dir=${join(directory, 'etcd')}`,
      '--listen-client-urls=http://127.0.0.1:2379',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--listen-peer-urls=http://127.0.0.1:2380',
      '--logger=zap',
    ],
    'kube-apiserver': [
      '--etcd-servers=http://127.0.0.1:2379',
      '--secure-port=6443',
      `--advertise-address=${address}`,
      '--allow-privileged',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      // Nodes have no name that anything resolves.
      '--kubelet-preferred-address-types=InternalIP',
      `--service-cluster-ip-range=${numbers.serviceRanges.join(',')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${authority.serviceAccounts.publicKey}`,
      `--service-account-signing-key-file=${authority.serviceAccounts.privateKey}`,
      `--client-ca-file=${authority.certificate}`,
      `--tls-cert-file=${certificates.server.certificate}`,
      `--tls-private-key-file=${certificates.server.key}`,
      `--kubelet-certificate-authority=${authority.certificate}`,
      `--kubelet-client-certificate=${certificates.kubeletClient.certificate}`,
      `--kubelet-client-key=${certificates.kubeletClient.key}`,
    ],
    // No --allocate-node-cidrs: a node is made with the range of its number.
    'kube-controller-manager': [
      `--kubeconfig=${kubeconfigs['kube-controller-manager']}`,
      `--root-ca-file=${authority.certificate}`,
      `--service-account-private-key-file=${authority.serviceAccounts.privateKey}`,
      '--use-service-account-credentials',
      // A node that has gone is found out in seconds, not in the default 50: tests wait for it.
      '--node-monitor-period=1s',
      '--node-monitor-grace-period=12s',
      '--leader-elect=false',
    ],
    'kube-scheduler': [`--kubeconfig=${kubeconfigs['kube-scheduler']}`, '--leader-elect=false'],
  };
}

/** `addresses`: all by which anybody inside reaches the API server. */
export async function makeCertificates(authority: Authority, addresses: readonly string[]) {
  const names = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'];
  const alternativeNames = [...names.map((one) => `DNS:${one}`), ...['127.0.0.1', ...addresses].map((one) => `IP:${one}`)];
  const sign = (name: string, commonName: string, organization?: string): Promise<Certificate> =>
    authority.sign({ name, commonName, ...(organization === undefined ? {} : { organization }) });
  const [server, admin, kubeletClient, controllerManager, scheduler] = await Promise.all([
    authority.sign({ name: 'kube-apiserver', commonName: 'kube-apiserver', alternativeNames }),
    sign('admin', 'admin', 'system:masters'),
    sign('kube-apiserver-kubelet-client', 'kube-apiserver-kubelet-client', 'system:masters'),
    sign('kube-controller-manager', 'system:kube-controller-manager'),
    sign('kube-scheduler', 'system:kube-scheduler'),
  ]);
  return { server, admin, kubeletClient, controllerManager, scheduler };
}
