/** kubectl, which is the client of everything that tests do to a cluster. */

import { type RunOptions, run } from '../../demo/testbed/index.js';

/** Runs kubectl as the administrator; resolves to its standard output. Throws `COMMAND_FAILED` with its own words. */
export type Kubectl = (args: readonly string[], options?: RunOptions) => Promise<string>;

export function kubectlWith(program: string, kubeconfig: string): Kubectl {
  return async (args, options) => (await run([program, `--kubeconfig=${kubeconfig}`, ...args], options)).stdout;
}
