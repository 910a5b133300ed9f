/**
 * Every setting of `sfcd`, declared once. Flags, environment names, the configuration file, `--help`
 * and docs/reference/configuration.md all come from this schema.
 */

import { type Static, Type } from '@sinclair/typebox';
import { MAPS } from '../../maps/index.js';
import { type DerivedDefault, describeSettings } from '../../settings/index.js';

const entries = (map: keyof typeof MAPS) =>
  Type.Integer({ minimum: 16, maximum: 16_777_216, default: MAPS[map].capacity, description: `Entries that the map ${map} can hold.` });

const seconds = (fallback: number, what: string) =>
  Type.Integer({
    minimum: 1,
    maximum: 604_800,
    default: fallback,
    description: `Seconds for which ${what} is remembered without a packet.`,
  });

export const settingsSchema = Type.Object(
  {
    nodeName: Type.String({ minLength: 1, description: "This node's name, as it stands in `spec.nodeName` of its pods." }),
    source: Type.Union([Type.Literal('directory'), Type.Literal('kubernetes')], {
      default: 'directory',
      description: 'Where chains, selectors and pods are read: a directory of manifests, or the API server of a cluster.',
    }),
    manifests: Type.String({
      description: 'Directory of manifests (*.yaml, *.yml, *.json), watched. Required where the source is `directory`.',
    }),
    kubeconfig: Type.String({
      default: '',
      description: "File that says where the API server is, and who we are to it. Empty: the pod's service account.",
    }),
    podCidrs: Type.String({
      default: '',
      description:
        'Ranges of the pods of all nodes, with commas between them, for clusters whose network plugin does not keep them in `spec.podCIDRs` of the Nodes.',
    }),
    podUid: Type.String({ default: '', description: "UID of the agent's own pod, which its report names. Empty: it runs in none." }),
    runDir: Type.String({ minLength: 1, default: '/run/sfc', description: 'Directory of the lock, the socket and the pins.' }),
    pinDir: Type.String({ minLength: 1, description: "Directory of the agent's own bpffs, where maps and programs are pinned." }),
    stateDir: Type.String({ minLength: 1, default: '/var/lib/sfc', description: 'Directory of what must outlive a reboot.' }),
    allocations: Type.String({
      minLength: 1,
      description: 'File of service path ids and service addresses; agents of one machine share it.',
    }),
    socket: Type.String({ minLength: 1, description: 'Unix socket of the debug API.' }),
    healthAddress: Type.String({
      default: '',
      description:
        'Address and TCP port at which `/healthz` and `/readyz` are answered too, for probes of a kubelet: `127.0.0.1:7083`. Empty: on the socket alone.',
    }),
    logLevel: Type.Union(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
      { default: 'info', description: 'Least severe level that is logged.' },
    ),
    port: Type.Integer({ minimum: 1, maximum: 65535, default: 7081, description: 'UDP port of the Geneve encapsulation.' }),
    datapath: Type.Union([Type.Literal('auto'), Type.Literal('kernel'), Type.Literal('userspace')], {
      default: 'auto',
      description:
        'What moves the packets: BPF programs (`kernel`), or this process (`userspace`). `auto`: the kernel wherever it takes them.',
    }),
    gso: Type.Boolean({
      default: true,
      description: 'Userspace datapath: take TCP segments whole where the kernel offers it (Linux 6.17), which is faster.',
    }),
    attach: Type.Union([Type.Literal('auto'), Type.Literal('tcx'), Type.Literal('clsact')], {
      default: 'auto',
      description:
        'How the programs hang on an interface: `tcx` links (Linux 6.6) or `clsact` filters; `auto` takes TCX where the kernel has it.',
    }),
    attachOrder: Type.Union([Type.Literal('first'), Type.Literal('last')], {
      default: 'first',
      description:
        "Kernel datapath: where the programs stand among those of others (a CNI's) on the same interface. A program before ours may answer for them.",
    }),
    guard: Type.Union([Type.Literal('on'), Type.Literal('required'), Type.Literal('off')], {
      default: 'on',
      description:
        'Hold the packets of new interfaces until it is known whose they are and everything of their pod is in the maps (nftables). `required`: do not run without; `off`: let them pass.',
    }),
    guardExcept: Type.String({
      default: '',
      description:
        'Interfaces, or bridges with all their ports, that are none of pods and that the guard never holds: names with commas between them, `*` for any letters.',
    }),
    cni: Type.Boolean({
      default: false,
      description:
        'Keep the CNI plugin `sfc-cni` on this node, at the end of its network configuration: a pod starts when its entries are in the maps.',
    }),
    cniBinDir: Type.String({ minLength: 1, default: '/opt/cni/bin', description: "Directory of the node's CNI plugins." }),
    cniConfDir: Type.String({ minLength: 1, default: '/etc/cni/net.d', description: "Directory of the node's network configurations." }),
    cniWhenAway: Type.Union([Type.Literal('hold'), Type.Literal('fail'), Type.Literal('allow')], {
      default: 'hold',
      description:
        'Pods that start while no agent answers: `hold` lets them where the guard holds their packets, and fails where it does not; `fail` has the kubelet try again; `allow` lets them send unsteered.',
    }),
    sourceCheck: Type.Boolean({
      default: false,
      description:
        'Drop what a pod sends with the source of another (`spoofed-source`). Functions may, and pods with the label `networking.gke.io/forwards: "true"`: VPN terminators, routers.',
    }),
    discovery: Type.Union([Type.Literal('auto')], {
      default: 'auto',
      description: "How a pod's interface is found: `auto` follows routes, neighbours and bridges.",
    }),
    serviceCidr: Type.String({
      minLength: 1,
      default: '10.96.0.0/16',
      description: 'Range from which functions without a Service get their address, or one of each family with a comma between them.',
    }),
    reconcileIntervalMs: Type.Integer({
      minimum: 50,
      maximum: 60_000,
      default: 1000,
      description: 'Milliseconds between safety rescans; changes are seen at once without them.',
    }),
    maps: Type.Object(
      {
        sfcselect: entries('sfcselect'),
        sfcports: entries('sfcports'),
        sfcpath: entries('sfcpath'),
        sfcbackend: entries('sfcbackend'),
        sfcaffinity: entries('sfcaffinity'),
        sfcflow: entries('sfcflow'),
        endpoint: entries('endpoint'),
        peer: entries('peer'),
        sfcprobe: entries('sfcprobe'),
      },
      { additionalProperties: false, description: 'Capacities. A full map refuses, it never truncates.' },
    ),
    timeouts: Type.Object(
      {
        established: seconds(21_600, 'an open TCP connection'),
        halfOpen: seconds(60, 'a TCP connection that is not open yet, or closed by one end'),
        closed: seconds(10, 'a TCP connection that both ends have closed, or one has reset'),
        udp: seconds(60, 'a flow of any other protocol'),
      },
      { additionalProperties: false, description: 'Flows that are idle for longer are forgotten.' },
    ),
    limits: Type.Object(
      {
        flowsPerEndpoint: Type.Integer({
          minimum: 0,
          maximum: 16_777_216,
          default: 65_536,
          description: 'Flows that one pod may have at once, never more than `maps.sfcflow`; 0: no limit.',
        }),
      },
      { additionalProperties: false, description: 'What one pod may take of what all pods of the node share.' },
    ),
    resetPins: Type.Boolean({
      default: false,
      description: 'Remove what another version has pinned, instead of refusing to start.',
    }),
  },
  { additionalProperties: false },
);

type Declared = Static<typeof settingsSchema>;

/** Settings with everything decided. */
export type Settings = Readonly<
  Omit<Declared, 'source' | 'logLevel' | 'datapath' | 'attach' | 'attachOrder' | 'guard' | 'cniWhenAway' | 'discovery'> & {
    source: 'directory' | 'kubernetes';
    logLevel: string;
    datapath: 'auto' | 'kernel' | 'userspace';
    attach: 'auto' | 'tcx' | 'clsact';
    attachOrder: 'first' | 'last';
    guard: 'on' | 'required' | 'off';
    cniWhenAway: 'hold' | 'fail' | 'allow';
    discovery: 'auto';
  }
>;

/** Defaults that depend on the machine or on another setting. Resolved in this order. */
export const DERIVED_DEFAULTS: readonly DerivedDefault[] = [
  { name: 'manifests', text: 'required for a directory', value: () => '' },
  { name: 'nodeName', text: 'host name', value: (_settled, host) => host.hostname },
  { name: 'pinDir', text: '<runDir>/bpf', value: (settled) => `${settled.runDir}/bpf` },
  { name: 'allocations', text: '<stateDir>/allocations.json', value: (settled) => `${settled.stateDir}/allocations.json` },
  { name: 'socket', text: '<runDir>/sfcd.sock', value: (settled) => `${settled.runDir}/sfcd.sock` },
];

/** Every setting, in the schema's order. */
export const SETTINGS = describeSettings(settingsSchema, DERIVED_DEFAULTS);
