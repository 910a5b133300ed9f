/** Can the demo run here? Every answer is one short sentence a newcomer can act on. */

import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { AGENT_PROGRAM, BPF_OBJECT, CLI_PROGRAM, PROJECT, WALKTHROUGH_MANIFESTS } from './project.js';

/** What is asked of the machine; a port, so that each answer can be tried. */
export interface Machine {
  readonly platform: string;
  readonly uid: number;
  /** False in a user namespace, where root is root of what it made there and of nothing else. */
  readonly initialUserNamespace: boolean;
  readonly kernel: string;
  /** CapEff of /proc/self/status. */
  readonly capabilities: bigint;
  readonly filesystems: string;
  hasProgram(name: string): boolean;
  hasFile(path: string): boolean;
  /** May this process read and write it? */
  mayUse(path: string): boolean;
}

export type WantedDatapath = 'auto' | 'kernel' | 'userspace';

const PROGRAMS: readonly (readonly [program: string, debianPackage: string])[] = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['tcpdump', 'tcpdump'],
  ['nsenter', 'util-linux'],
  ['tc', 'iproute2'],
];

/** Numbers from linux/capability.h. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

/** The device that makes the userspace datapath's devices. */
const TUN = '/dev/net/tun';

/** What is missing for the demo on this datapath, and with IPv6 or without, most telling first; empty: it can run. */
export function missingRequirements(machine: Machine, datapath: WantedDatapath = 'auto', ipv6 = false): readonly string[] {
  if (machine.platform !== 'linux') return ['it needs Linux'];
  const missing: string[] = [];
  const isRoot = machine.uid === 0 && machine.initialUserNamespace;
  if (machine.uid !== 0 && !machine.hasProgram('unshare')) return ['it needs root, or unshare (apt-get install util-linux)'];
  if (machine.uid === 0) {
    for (const [name, bit] of Object.entries(CAPABILITIES)) {
      if (((machine.capabilities >> BigInt(bit)) & 1n) === 0n) missing.push(`it needs ${name} (an unprivileged container?)`);
    }
  }
  if (datapath === 'kernel') {
    if (!isRoot) missing.push('the kernel datapath needs root, to load BPF programs (try `sudo make demo`)');
    const [major = 0, minor = 0] = machine.kernel.split('.').map(Number);
    if (major < 5 || (major === 5 && minor < 15)) missing.push(`it needs Linux 5.15 or later, this is ${machine.kernel}`);
    if (!/\tbpf$/m.test(machine.filesystems)) missing.push('this kernel has no BPF file system');
  }
  if ((datapath === 'userspace' || !isRoot) && !machine.mayUse(TUN)) {
    missing.push(
      `without root it needs ${TUN}, which ${machine.hasFile(TUN) ? 'this user may not open (root: chmod 666 /dev/net/tun)' : 'is not there (root: modprobe tun)'}`,
    );
  }
  if (ipv6 && !machine.hasFile('/proc/sys/net/ipv6')) missing.push('this kernel has no IPv6 (or was started with ipv6.disable=1)');
  const absent = PROGRAMS.filter(([program]) => !machine.hasProgram(program));
  if (absent.length > 0) {
    missing.push(
      `${absent.map(([program]) => program).join(', ')} not found (apt-get install ${absent.map(([, name]) => name).join(' ')})`,
    );
  }
  const unbuilt = [AGENT_PROGRAM, CLI_PROGRAM, BPF_OBJECT].filter((file) => !machine.hasFile(file));
  if (unbuilt.length > 0) missing.push(`${unbuilt.join(', ')} not built (make build)`);
  if (!machine.hasFile(WALKTHROUGH_MANIFESTS)) missing.push(`${WALKTHROUGH_MANIFESTS} is missing`);
  return missing;
}

/** This machine. */
export function thisMachine(): Machine {
  const read = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    // user_namespaces(7): the initial one maps every id to itself.
    initialUserNamespace: /^\s*0\s+0\s+4294967295\s*$/.test(read('/proc/self/uid_map')),
    kernel: release(),
    capabilities: BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1] ?? '0'}`),
    filesystems: read('/proc/filesystems'),
    hasProgram: (name) => (process.env.PATH ?? '').split(':').some((directory) => allows(join(directory, name), constants.X_OK)),
    mayUse: (path) => allows(path, constants.R_OK | constants.W_OK),
    hasFile: (path) => existsSync(path.startsWith('/') ? path : join(PROJECT, path)),
  };
}

function allows(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
