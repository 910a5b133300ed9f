/** Which datapath moves the packets: asked once, when the agent starts. */

import type { Datapath } from '../../datapath/index.js';
import { SfcError } from '../../errors/index.js';

export interface Candidates {
  readonly kernel: () => Datapath;
  readonly userspace: () => Datapath;
}

export interface Choice {
  readonly datapath: Datapath;
  /** Why this one, in words. */
  readonly chosen: string;
}

/** What the kernel refuses here and may take elsewhere; any other error is a mistake to be mended, not to be evaded. */
const REFUSED = new Set<string>(['BPF_UNAVAILABLE', 'BPF_LOAD']);

/**
 * `auto`: the kernel's, wherever the kernel takes it. Throws what opening the datapath throws; `USERSPACE_UNAVAILABLE`
 * with both reasons when neither can be had.
 */
export function chooseDatapath(wanted: 'auto' | 'kernel' | 'userspace', candidates: Candidates): Choice {
  if (wanted !== 'auto') return { datapath: candidates[wanted](), chosen: 'configured' };
  let refusal: SfcError;
  try {
    return { datapath: candidates.kernel(), chosen: 'auto: this kernel takes BPF programs' };
  } catch (error) {
    if (!(error instanceof SfcError) || !REFUSED.has(error.code)) throw error;
    refusal = error;
  }
  // The verifier's log has many lines; the first says what was refused.
  const why = refusal.message.split('\n', 1)[0];
  try {
    return { datapath: candidates.userspace(), chosen: `auto: no BPF here (${why})` };
  } catch (error) {
    if (!(error instanceof SfcError) || error.code !== 'USERSPACE_UNAVAILABLE') throw error;
    throw new SfcError('USERSPACE_UNAVAILABLE', `no datapath can be had: kernel: ${why}; userspace: ${error.message}`, { cause: error });
  }
}
