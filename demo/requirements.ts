/** Can the demo run here? Every answer is one short sentence a newcomer can act on. */

import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { AGENT_PROGRAM, BPF_OBJECT, CLI_PROGRAM, PROJECT, WALKTHROUGH_MANIFESTS } from './project.js';

/** What is asked of the machine; a port, so that each answer can be tried. */
export interface Machine {
  readonly platform: string;
  readonly uid: number;
  readonly kernel: string;
  /** CapEff of /proc/self/status. */
  readonly capabilities: bigint;
  readonly filesystems: string;
  hasProgram(name: string): boolean;
  hasFile(path: string): boolean;
}

const PROGRAMS: readonly (readonly [program: string, debianPackage: string])[] = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['tcpdump', 'tcpdump'],
  ['nsenter', 'util-linux'],
];

/** Numbers from linux/capability.h. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

/** What is missing, most telling first; empty: the demo can run. */
export function missingRequirements(machine: Machine): readonly string[] {
  if (machine.platform !== 'linux') return ['it needs Linux'];
  if (machine.uid !== 0) return ['it needs root, to make network namespaces and load BPF programs (try `sudo make demo`)'];
  const missing: string[] = [];
  for (const [name, bit] of Object.entries(CAPABILITIES)) {
    if (((machine.capabilities >> BigInt(bit)) & 1n) === 0n) missing.push(`it needs ${name} (an unprivileged container?)`);
  }
  const [major = 0, minor = 0] = machine.kernel.split('.').map(Number);
  if (major < 5 || (major === 5 && minor < 15)) missing.push(`it needs Linux 5.15 or later, this is ${machine.kernel}`);
  if (!/\tbpf$/m.test(machine.filesystems)) missing.push('this kernel has no BPF file system');
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
    kernel: release(),
    capabilities: BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status'))?.[1] ?? '0'}`),
    filesystems: read('/proc/filesystems'),
    hasProgram: (name) => (process.env.PATH ?? '').split(':').some((directory) => executable(join(directory, name))),
    hasFile: (path) => existsSync(path.startsWith('/') ? path : join(PROJECT, path)),
  };
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
