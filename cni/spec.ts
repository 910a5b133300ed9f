/**
 * What the CNI specification (1.1.0) fixes: versions, the error object, and what a plugin of a chain is given. A runtime runs
 * the plugin as a program: parameters in the environment, the network's configuration on standard input, the answer on
 * standard output, an error there too with an exit status of 1.
 */

/** Chains of plugins are there from 0.3.0 on; STATUS and GC from 1.1.0 on. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export const NEWEST_VERSION = '1.1.0';

/** The specification's own codes; from 100 on they are the plugin's. */
export const CNI_CODE = {
  incompatibleVersion: 1,
  containerUnknown: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  undecodable: 6,
  invalidConfiguration: 7,
  /** The runtime may do the same again: Kubernetes starts the sandbox anew. */
  tryAgainLater: 11,
  /** Of STATUS: an ADD would fail. */
  notAvailable: 50,
} as const;

/** Becomes the error object on standard output. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

export interface ErrorResult {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** Whatever was thrown, as the specification has it. */
export function errorResult(error: unknown, cniVersion: string): ErrorResult {
  const known = error instanceof CniError;
  const msg = `sfc-cni: ${error instanceof Error ? error.message : String(error)}`;
  const code = known ? error.code : CNI_CODE.ioFailure;
  return { cniVersion, code, msg, ...(known && error.details !== '' ? { details: error.details } : {}) };
}
