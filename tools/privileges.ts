/** May this process do what the tests named `*.root.test.ts` need: namespaces, interfaces, BPF? */

import { readFileSync } from 'node:fs';

/** Numbers from linux/capability.h. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

/** Which effective capabilities are missing; empty when none is. */
export function missingCapabilities(): readonly string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
  return Object.entries(CAPABILITIES)
    .filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n)
    .map(([name]) => name);
}

/** Tests that are left out where a capability is missing. Where none is, they always run. */
export const PRIVILEGED_TESTS = '**/*.root.test.ts';
export const isPrivilegedTest = (path: string): boolean => path.endsWith('.root.test.ts');
