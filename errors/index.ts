/**
 * The one catalogue of errors. Each has a stable code, what to do about it, an HTTP status for the
 * API and an exit code for the commands. Match on the code, never on the text.
 */

interface CatalogueEntry {
  readonly hint: string;
  readonly status: number;
  readonly exit: number;
}

export const ERRORS = {
  MAP_FULL: { hint: 'Raise the capacity of this map in the configuration (maps.<name>), or steer less.', status: 507, exit: 75 },
  MAP_IO: { hint: 'The kernel refused an operation on a map; the cause names the errno.', status: 500, exit: 74 },
  LAYOUT_DRIFT: { hint: 'The BPF object and this program disagree; rebuild with `make build`.', status: 500, exit: 78 },
  PINNED_STATE: {
    hint: 'State pinned by another version. `sfcd --reset-pins` removes it (steering stops until the agent has rebuilt it).',
    status: 500,
    exit: 78,
  },
  BPF_UNAVAILABLE: {
    hint: 'The kernel datapath needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON), a kernel from 5.15 on, and libbpf1.',
    status: 500,
    exit: 69,
  },
  BPF_LOAD: {
    hint: 'The verifier refused the program; the lines above are the end of its log. Without CAP_PERFMON it refuses every version of it.',
    status: 500,
    exit: 70,
  },
  BPF_ATTACH: { hint: 'The program could not be attached to the interface; the cause names the errno.', status: 500, exit: 71 },
  USERSPACE_UNAVAILABLE: {
    hint: 'The userspace datapath needs CAP_NET_ADMIN and CAP_NET_RAW (root, or `unshare -Urn`), /dev/net/tun, and `tc` with u32 and mirred.',
    status: 500,
    exit: 69,
  },
  GUARD_UNAVAILABLE: {
    hint: 'The guard needs nftables (Debian: nftables; a kernel with NF_TABLES, NF_TABLES_INET and NF_TABLES_BRIDGE) and CAP_NET_ADMIN; `--guard off` goes without.',
    status: 500,
    exit: 69,
  },
  DATAPATH_LOST: { hint: 'The packet thread has ended or hangs; restart sfcd, and report the log.', status: 500, exit: 70 },
  MANIFEST_INVALID: { hint: 'Correct the fields named above; `sfc validate DIR` checks without applying.', status: 422, exit: 65 },
  CONFIG_INVALID: { hint: 'See `sfcd --help` and docs/configuration.md for every setting.', status: 400, exit: 64 },
  CAPTURE_INVALID: {
    hint: 'Only classic pcap files are read; convert with `tcpdump -r IN -w OUT` or `editcap -F pcap IN OUT`.',
    status: 422,
    exit: 65,
  },
  SANDBOX_PENDING: {
    hint: 'The runtime tries again, and the agent goes on meanwhile; `sfc status` and `sfc get endpoints` show what it waits for.',
    status: 504,
    exit: 75,
  },
  CNI_INSTALL: {
    hint: 'The CNI plugin could not be put on the node; look at --cni-bin-dir and --cni-conf-dir, and at docs/cni.md.',
    status: 500,
    exit: 74,
  },
  ALLOCATION_EXHAUSTED: {
    hint: 'No free service path id or service address is left; widen the range in the configuration.',
    status: 507,
    exit: 75,
  },
  ALLOCATION_STATE: {
    hint: 'The allocations file cannot be read or written; repair it or move it away to start anew.',
    status: 500,
    exit: 74,
  },
  PATH_ID_RECORD: {
    hint: 'The record of servicePathIds cannot be read. Repair the ConfigMap; deleted, it is made anew from the status of the chains.',
    status: 500,
    exit: 74,
  },
  LEADERSHIP_LOST: {
    hint: 'Another controller leads, or the API server was away for longer than the lease lasts; start again and wait for the lease.',
    status: 503,
    exit: 75,
  },
  AGENT_UNREACHABLE: { hint: 'Is sfcd running? Name its socket with --socket or SFC_SOCKET.', status: 503, exit: 69 },
  NOT_FOUND: { hint: 'See `sfc --help` for what there is to list.', status: 404, exit: 66 },
  BAD_REQUEST: { hint: 'GET /v1/openapi.json lists the paths and their parameters.', status: 400, exit: 64 },
  NOT_READY: { hint: 'The agent keeps trying; `sfc status` and `sfc get problems` show what it waits for.', status: 503, exit: 75 },
  USAGE: { hint: 'See `sfc --help`, or `sfc COMMAND --help`.', status: 400, exit: 64 },
  INPUT_UNREADABLE: {
    hint: 'Name files that are there and may be read; of manifests, also directories of *.yaml, *.yml and *.json.',
    status: 400,
    exit: 66,
  },
  OUTPUT_UNWRITABLE: { hint: 'Name a file in a directory that you may write to, on a disk with room.', status: 500, exit: 74 },
  INTERNAL: {
    hint: 'This is a fault of the program, not of its use; report it with the message and the log of sfcd.',
    status: 500,
    exit: 70,
  },
  ALREADY_RUNNING: { hint: 'Another sfcd uses this run directory; stop it, or give this one its own --run-dir.', status: 409, exit: 73 },
  KUBERNETES_CONFIG: {
    hint: 'In a pod the service account is used; elsewhere name a kubeconfig file (--kubeconfig) whose server, user and files are right.',
    status: 500,
    exit: 78,
  },
  KUBERNETES_UNREACHABLE: {
    hint: 'The API server does not answer, or not yet; it is asked again and again. What is programmed stays as it is.',
    status: 503,
    exit: 69,
  },
  KUBERNETES_UNAUTHORIZED: {
    hint: 'The API server does not know our token or certificate: has it expired, or is it of another cluster?',
    status: 401,
    exit: 77,
  },
  KUBERNETES_FORBIDDEN: {
    hint: 'Add the rule named above to the role of the service account (or apply the roles of this version), and it goes on by itself.',
    status: 403,
    exit: 77,
  },
  KUBERNETES_NOT_FOUND: {
    hint: 'There is no such object, or its kind is not installed: are the CustomResourceDefinitions applied?',
    status: 404,
    exit: 66,
  },
  KUBERNETES_CONFLICT: { hint: 'Somebody else changed or made the object meanwhile; read it again.', status: 409, exit: 75 },
  KUBERNETES_EXPIRED: { hint: 'The API server has forgotten that version; it is read anew.', status: 410, exit: 75 },
  KUBERNETES_REFUSED: {
    hint: "The API server's own words are above: a schema, a policy or a webhook does not allow it.",
    status: 422,
    exit: 65,
  },
  CLUSTER_UNAVAILABLE: {
    hint: 'docs/testing-kubernetes.md lists what the cluster on one machine needs.',
    status: 500,
    exit: 69,
  },
  COMMAND_FAILED: { hint: 'A system command failed; its own words are above.', status: 500, exit: 71 },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** An error from the catalogue. `cause` keeps the low-level error. */
export class SfcError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SfcError';
    this.code = code;
  }

  get hint(): string {
    return ERRORS[this.code].hint;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }
}
