/** What a node is configured by, as values; node.ts writes them down. Paths are those that the node sees. */

import type { Certificate } from './certificates.js';
import { TOOLS_IMAGE } from './images.js';

/** How pods get at the network. `flannel`: a bridge on each node, VXLAN between them. */
export type Cni = 'bridge' | 'ptp' | 'flannel';

/** Where the CNI project's programs are copied to, and where others may install theirs. */
export const CNI_PROGRAMS = '/opt/cni/bin';
export const CNI_CONFIGURATIONS = '/etc/cni/net.d';
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
/** That flanneld writes once it knows the ranges of its node. */
export const FLANNEL_SUBNET = '/run/flannel/subnet.env';

export const containerdConfig = (): string => `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  # Any image that sleeps holds the namespaces of a pod.
  sandbox_image = "${TOOLS_IMAGE}"
  disable_apparmor = true
  disable_tcp_service = true
  # A root without CAP_SYS_RESOURCE may not lower the score that the kernel picks its victims by.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_PROGRAMS}"
    conf_dir = "${CNI_CONFIGURATIONS}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`;

export interface KubeletOptions {
  readonly authority: string;
  readonly serving: Certificate;
  /** Of the node, below which all its pods' cgroups are: `/<name>`. */
  readonly cgroup: string;
}

export const kubeletConfig = ({ authority, serving, cgroup }: KubeletOptions) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: authority } },
  authorization: { mode: 'Webhook' },
  tlsCertFile: serving.certificate,
  tlsPrivateKeyFile: serving.key,
  containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: cgroup,
  failCgroupV1: false,
  failSwapOn: false,
  enforceNodeAllocatable: [],
  // No name service.
  resolvConf: '',
  // All nodes share one disk, and nobody would bring an image back.
  evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'nodefs.inodesFree': '0%', 'imagefs.available': '1%' },
  imageGCHighThresholdPercent: 100,
  imageGCLowThresholdPercent: 99,
  volumePluginDir: '/var/lib/kubelet/plugins/volume',
  // Tests wait for what a node tells.
  nodeStatusUpdateFrequency: '2s',
  nodeLeaseDurationSeconds: 10,
  syncFrequency: '10s',
  rotateCertificates: false,
  maxPods: 200,
});

export const kubeProxyConfig = (node: string, kubeconfig: string, podRanges: readonly string[]) => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'iptables',
  hostnameOverride: node,
  clientConnection: { kubeconfig },
  clusterCIDR: podRanges.join(','),
  // The table's size is the machine's, not the node's.
  conntrack: { maxPerCore: 0 },
  iptables: { minSyncPeriod: '200ms' },
});

export interface PodNetwork {
  readonly cni: Cni;
  readonly podCidrs: readonly string[];
  /** Pods that leave the cluster do so with their node's address. */
  readonly masquerade: boolean;
  readonly mtu: number;
}

/** The list of CNI plugins that containerd runs for each pod. */
export function cniConfig({ cni, podCidrs, masquerade, mtu }: PodNetwork) {
  const ipam = {
    type: 'host-local',
    ranges: podCidrs.map((subnet) => [{ subnet }]),
    routes: podCidrs.map((subnet) => ({ dst: subnet.includes(':') ? '::/0' : '0.0.0.0/0' })),
  };
  const plugin =
    cni === 'ptp'
      ? { type: 'ptp', ipMasq: masquerade, mtu, ipam }
      : // hairpinMode: a pod reaches itself by a Service.
        { type: 'bridge', bridge: 'cni0', isGateway: true, hairpinMode: true, ipMasq: masquerade && cni === 'bridge', mtu, ipam };
  return { cniVersion: '0.4.0', name: 'pods', plugins: [plugin, { type: 'portmap', capabilities: { portMappings: true } }] };
}

/** What flanneld reads of the network as a whole. */
export const flannelConfig = (podRanges: readonly string[]) => {
  const [four, six] = [podRanges.find((range) => !range.includes(':')), podRanges.find((range) => range.includes(':'))];
  return {
    ...(four === undefined ? { EnableIPv4: false } : { Network: four, EnableIPv4: true }),
    ...(six === undefined ? {} : { IPv6Network: six, EnableIPv6: true }),
    Backend: { Type: 'vxlan', Port: 8472 },
  };
};
